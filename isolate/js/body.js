// Bodies of requests and responses (fetch standard, section 5.2): where the bytes come
// from, and the methods that consume them. A source stays what the program gave (a
// string, bytes) until somebody asks for a stream.

import {
	ArrayPrototypePush,
	JSONParse,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectKeys,
	PromiseReject,
	PromiseResolve,
	PromisePrototypeThen,
	PromiseWithResolvers,
	StringPrototypeCharCodeAt,
	StringPrototypeSlice,
	StringPrototypeToWellFormed,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeSlice,
	TypeError,
	Uint8Array,
	ArrayBufferPrototypeGetByteLength,
	isolate,
} from './primordials.js';
import { blobBytes, isBlob, joinBytes, makeBlob, streamOfBytes } from './blob.js';
import { bytesOf, isBufferSource, isUint8Array } from './bytes.js';
import { decodeUtf8, decodeUtf8KeepBom, encodeUtf8 } from './encoding.js';
import {
	encodeMultipart,
	formFromList,
	isFormData,
	multipartBoundary,
	parseMultipart,
} from './formdata.js';
import { extractMimeType, serializeMimeType } from './mime.js';
import {
	acquireReader,
	controllerClose,
	controllerEnqueue,
	controllerError,
	createState,
	isReadableStream,
	readableCancel,
	readableState,
	readerRead,
} from './streams/readable.js';
import { tee } from './streams/tee.js';
import {
	isURLSearchParams,
	parseFormUrlEncoded,
	serializeParams,
} from './urlsearchparams.js';
import { isObject } from './webidl.js';

export const TEXT_TYPE = 'text/plain;charset=UTF-8';
export const JSON_TYPE = 'application/json';

// ---- what a body is ----

// SOURCE: a string, a Uint8Array that nobody else changes, the server's Exchange
// (isolate/js/server.js: stream() and whole(kind)), or undefined when there is only a
// stream.
export class Body {
	constructor(source, type) {
		this.source = source;
		this.type = type; // for Content-Type; undefined for none
		this.stream = undefined; // state, once asked for
		this.consumed = false;
	}
}
isolate(Body);

// The order of isolate/http_exchange.c.
const KIND_TEXT = 0;
const KIND_BYTES = 1;

function isReceived(source) {
	return typeof source === 'object' && !isUint8Array(source);
}

// Somebody has read of it.
export function isUsed(body) {
	return body.stream === undefined ? body.consumed : body.stream.disturbed;
}

export function isLocked(body) {
	return body.stream !== undefined && body.stream.reader !== undefined;
}

export function isUnusable(body) {
	return body.consumed || (body.stream !== undefined && (body.stream.disturbed || isLocked(body)));
}

// The stream of BODY, made when first asked for.
export function streamOf(body) {
	if (body.stream !== undefined) return body.stream;
	const { source } = body;
	if (body.consumed) {
		// It was consumed without a stream. One that was read would be locked, too.
		body.stream = streamOfBytes(new Uint8Array(0));
		body.stream.disturbed = true;
		acquireReader(body.stream);
		return body.stream;
	}
	if (typeof source === 'string') body.stream = streamOfBytes(encodeUtf8(source));
	else if (isReceived(source)) body.stream = source.stream();
	else body.stream = streamOfBytes(source);
	return body.stream;
}

// ---- extracting ----

function unusableStream() {
	return new TypeError('Response body object should not be disturbed or locked');
}

// A Body from OBJECT, a BodyInit; strings and bytes are the common ones.
export function extractBody(object, keepalive = false) {
	if (typeof object === 'string') return new Body(StringPrototypeToWellFormed(object), TEXT_TYPE);
	if (!isObject(object)) return new Body(StringPrototypeToWellFormed(`${object}`), TEXT_TYPE);
	if (isReadableStream(object)) {
		if (keepalive) throw new TypeError('keepalive: the body cannot be a stream');
		const stream = readableState(object);
		if (stream.disturbed || stream.reader !== undefined) throw unusableStream();
		const body = new Body(undefined, undefined);
		body.stream = stream;
		return body;
	}
	if (isBlob(object)) return new Body(blobBytes(object), object.type || undefined);
	if (isBufferSource(object)) return new Body(TypedArrayPrototypeSlice(bytesOf(object)), undefined);
	if (isFormData(object)) {
		const { bytes, type } = encodeMultipart(object);
		return new Body(bytes, type);
	}
	if (isURLSearchParams(object))
		return new Body(
			serializeParams(object),
			'application/x-www-form-urlencoded;charset=UTF-8',
		);
	return new Body(StringPrototypeToWellFormed(`${object}`), TEXT_TYPE);
}

// ---- consuming ----

class ReadAll {
	constructor(stream) {
		this.parts = [];
		this.reader = acquireReader(stream);
		this.running = false;
		this.again = false;
		const { promise, resolve, reject } = PromiseWithResolvers();
		this.promise = promise;
		this.resolve = resolve;
		this.reject = reject;
	}
	// Chunks that are there already come at once: a loop, not recursion.
	read() {
		this.again = true;
		if (this.running) return;
		this.running = true;
		while (this.again) {
			this.again = false;
			readerRead(this.reader, this);
		}
		this.running = false;
	}
	chunk(value) {
		if (!isUint8Array(value)) {
			this.reject(new TypeError('Received a chunk that is not a Uint8Array'));
			return;
		}
		ArrayPrototypePush(this.parts, value);
		this.read();
	}
	close() {
		this.resolve(joinBytes(this.parts));
	}
	error(reason) {
		this.reject(reason);
	}
}
isolate(ReadAll);

export function readAllBytes(stream) {
	const all = new ReadAll(stream);
	all.read();
	return all.promise;
}

function withoutBom(text) {
	return text.length > 0 && StringPrototypeCharCodeAt(text, 0) === 0xfeff
		? StringPrototypeSlice(text, 1)
		: text;
}

// Everything in BODY, in the form of KIND: a value, or a promise of one. Consumes it.
function takeAll(body, kind) {
	if (body.stream !== undefined) {
		const all = readAllBytes(body.stream);
		return kind === KIND_BYTES ? all : PromisePrototypeThen(all, decodeUtf8);
	}
	body.consumed = true;
	const { source } = body;
	if (typeof source === 'string')
		return kind === KIND_TEXT ? withoutBom(source) : encodeUtf8(source);
	if (isReceived(source)) return source.whole(kind);
	return kind === KIND_TEXT ? decodeUtf8(source) : TypedArrayPrototypeSlice(source);
}

// The bytes of BODY, which is not unusable, or a promise of them.
export function takeBytes(body) {
	return takeAll(body, KIND_BYTES);
}

function toBuffer(bytes) {
	const buffer = TypedArrayPrototypeGetBuffer(bytes);
	return ArrayBufferPrototypeGetByteLength(buffer) === TypedArrayPrototypeGetByteLength(bytes)
		? buffer
		: TypedArrayPrototypeGetBuffer(TypedArrayPrototypeSlice(bytes));
}

function parseForm(bytes, mime) {
	if (mime !== undefined) {
		const boundary = multipartBoundary(mime);
		if (boundary !== undefined) return parseMultipart(bytes, boundary);
		if (mime.essence === 'application/x-www-form-urlencoded')
			return formFromList(parseFormUrlEncoded(decodeUtf8KeepBom(bytes)));
	}
	throw new TypeError(
		'The body is neither multipart/form-data (with a boundary) nor application/x-www-form-urlencoded',
	);
}

// Each: [what is read, how the result is made of it and of the MIME type].
const conversions = {
	__proto__: null,
	text: [KIND_TEXT, (text) => text],
	json: [KIND_TEXT, (text) => JSONParse(text)],
	arrayBuffer: [KIND_BYTES, (bytes) => toBuffer(bytes)],
	bytes: [KIND_BYTES, (bytes) => bytes],
	blob: [KIND_BYTES, (bytes, mime) => makeBlob(bytes, mime === undefined ? '' : serializeMimeType(mime))],
	formData: [KIND_BYTES, (bytes, mime) => parseForm(bytes, mime)],
};

function unusable() {
	return PromiseReject(
		new TypeError('Body is unusable: Body has already been read, or its stream is locked'),
	);
}

function convert(value, mime, method) {
	try {
		return PromiseResolve(method(value, mime));
	} catch (error) {
		return PromiseReject(error);
	}
}

// Defines body, bodyUsed and the consuming methods. bodyOf(object): a Body, null, or
// undefined when OBJECT is no instance; typeOf(object): its Content-Type or null.
export function installBody(Class, bodyOf, typeOf) {
	const { prototype } = Class;
	const needsType = { __proto__: null, blob: true, formData: true };
	const names = ObjectKeys(conversions);
	for (let i = 0; i < names.length; i++) {
		const name = names[i];
		const { 0: kind, 1: method } = conversions[name];
		const holder = {
			[name]() {
				const body = bodyOf(this);
				if (body === undefined) return PromiseReject(new TypeError('Illegal invocation'));
				const mime = needsType[name] ? extractMimeType(typeOf(this)) : undefined;
				if (body === null)
					return convert(kind === KIND_TEXT ? '' : new Uint8Array(0), mime, method);
				if (isUnusable(body)) return unusable();
				let value;
				try {
					value = takeAll(body, kind);
				} catch (error) {
					return PromiseReject(error);
				}
				return typeof value === 'string' || isUint8Array(value)
					? convert(value, mime, method)
					: PromisePrototypeThen(value, (result) => method(result, mime));
			},
		};
		ObjectDefineProperty(prototype, name, {
			__proto__: null,
			value: holder[name],
			writable: true,
			enumerable: true,
			configurable: true,
		});
	}
	const getters = {
		get body() {
			const body = bodyOf(this);
			if (body === undefined) throw new TypeError('Illegal invocation');
			return body === null ? null : streamOf(body).object;
		},
		get bodyUsed() {
			const body = bodyOf(this);
			if (body === undefined) throw new TypeError('Illegal invocation');
			return body !== null && isUsed(body);
		},
	};
	const properties = ObjectKeys(getters);
	for (let i = 0; i < properties.length; i++)
		ObjectDefineProperty(prototype, properties[i], {
			__proto__: null,
			get: ObjectGetOwnPropertyDescriptor(getters, properties[i]).get,
			enumerable: true,
			configurable: true,
		});
}

// ---- cloning and moving ----

// The second half of BODY, which keeps the first.
export function cloneBody(body) {
	if (body.stream === undefined && !isReceived(body.source)) {
		// Strings and these bytes never change: both may hold them.
		return new Body(body.source, body.type);
	}
	const { 0: first, 1: second } = tee(streamOf(body), true);
	body.stream = first;
	body.source = undefined;
	const clone = new Body(undefined, body.type);
	clone.stream = second;
	return clone;
}

// A stream of what STREAM gives, which is locked from now on.
function throughReader(stream) {
	const reader = acquireReader(stream);
	stream.disturbed = true;
	const proxy = createState(
		{
			pull: () => {
				const { promise, resolve } = PromiseWithResolvers();
				readerRead(reader, {
					chunk(value) {
						controllerEnqueue(proxy.controller, value);
						resolve();
					},
					close() {
						controllerClose(proxy.controller);
						resolve();
					},
					error(reason) {
						controllerError(proxy.controller, reason);
						resolve();
					},
				});
				return promise;
			},
			cancel: (reason) => readableCancel(stream, reason),
		},
		0,
	);
	return proxy;
}

// Takes what BODY has for another object; BODY stays behind, used.
export function moveBody(body) {
	const moved = new Body(body.source, body.type);
	if (body.stream === undefined) {
		body.consumed = true;
		return moved;
	}
	moved.source = undefined;
	moved.stream = throughReader(body.stream);
	return moved;
}
