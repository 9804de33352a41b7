// Blob and File (File API). A blob's bytes are one immutable array; slices share it.

import {
	DateNow,
	MathMax,
	MathMin,
	MathTrunc,
	NumberIsNaN,
	PromiseReject,
	PromiseResolve,
	RegExpPrototypeExec,
	RegExpPrototypeSymbolReplace,
	StringPrototypeToLowerCase,
	SymbolIterator,
	TypedArrayPrototypeSet,
	TypedArrayPrototypeSlice,
	TypedArrayPrototypeSubarray,
	TypeError,
	TypedArrayPrototypeGetBuffer,
	Uint8Array,
	hardenRegExp,
	TypedArrayPrototypeGetLength,
} from './primordials.js';
import { bytesOf, isBufferSource } from './bytes.js';
import { decodeUtf8, encodeUtf8 } from './encoding.js';
import { byteControllerClose, byteControllerEnqueue, respond } from './streams/bytes.js';
import { createByteState } from './streams/readable.js';
import {
	defineInterface,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
	toDictionary,
	toSequence,
	toUSVString,
} from './webidl.js';

const CHUNK = 65536;

// ---- conversions ----

const printable = /^[\x20-\x7e]*$/;

function toType(value) {
	const text = `${value}`;
	return RegExpPrototypeExec(printable, text) === null ? '' : StringPrototypeToLowerCase(text);
}

// [Clamp] long long.
function toClamped(value) {
	const number = +value;
	if (NumberIsNaN(number)) return 0;
	const clamped = MathMin(MathMax(number, -(2 ** 53)), 2 ** 53);
	// Rounds to the nearest, and ties to even.
	const floor = MathTrunc(clamped);
	const rest = clamped - floor;
	if (rest === 0.5 || rest === -0.5) return floor % 2 === 0 ? floor : floor + (rest > 0 ? 1 : -1);
	return rest > 0.5 ? floor + 1 : rest < -0.5 ? floor - 1 : floor;
}

function toLongLong(value) {
	const number = +value;
	return number !== number || number === Infinity || number === -Infinity ? 0 : MathTrunc(number) + 0;
}

function toEndings(value) {
	const endings = `${value}`;
	if (endings !== 'transparent' && endings !== 'native') {
		const error = new TypeError(
			`The "options.endings" property must be "transparent" or "native". Received "${endings}"`,
		);
		error.code = 'ERR_INVALID_ARG_VALUE';
		throw error;
	}
	return endings;
}

const lineEndings = hardenRegExp(/\r\n?/g);

// BlobPart: bytes now, whatever the buffer becomes later.
function toPart(value, convertStrings) {
	if (isBlob(value)) return blobBytes(value);
	if (isBufferSource(value)) return TypedArrayPrototypeSlice(bytesOf(value));
	return convertStrings(toUSVString(value));
}

function join(parts) {
	let length = 0;
	for (let i = 0; i < parts.length; i++) length += TypedArrayPrototypeGetLength(parts[i]);
	if (parts.length === 1) return parts[0];
	const bytes = new Uint8Array(length);
	for (let i = 0, at = 0; i < parts.length; at += TypedArrayPrototypeGetLength(parts[i++]))
		TypedArrayPrototypeSet(bytes, parts[i], at);
	return bytes;
}

function toParts(value, what) {
	const iterator = isObject(value) ? value[SymbolIterator] : undefined;
	if (typeof iterator !== 'function') {
		const error = new TypeError(`${what}: the blob parts must be a sequence`);
		error.code = 'ERR_INVALID_ARG_TYPE';
		throw error;
	}
	// Strings are converted in order, but with the endings option, which is read later:
	// so they stay strings here.
	return toSequence(value, iterator, (part) => toPart(part, (text) => text), what);
}

function encodeParts(parts, native) {
	for (let i = 0; i < parts.length; i++)
		if (typeof parts[i] === 'string')
			parts[i] = encodeUtf8(
				native ? RegExpPrototypeSymbolReplace(lineEndings, parts[i], '\n') : parts[i],
			);
	return join(parts);
}

// ---- Blob ----

let blobBytes;
let isBlob;

export class Blob {
	#bytes;
	#type = '';

	constructor(blobParts = undefined, options = undefined) {
		if (blobParts === internalToken) {
			this.#bytes = options.bytes;
			this.#type = options.type;
			return;
		}
		const parts = blobParts === undefined ? [] : toParts(blobParts, 'Blob constructor');
		const dictionary = toDictionary(options, 'Blob constructor');
		const endings =
			dictionary.endings === undefined ? 'transparent' : toEndings(dictionary.endings);
		const { type } = dictionary;
		if (type !== undefined) this.#type = toType(type);
		this.#bytes = encodeParts(parts, endings === 'native');
	}
	get size() {
		return #bytes in this ? this.#bytes.length : illegalInvocation();
	}
	get type() {
		return #bytes in this ? this.#type : illegalInvocation();
	}
	slice(start = undefined, end = undefined, contentType = undefined) {
		if (!(#bytes in this)) illegalInvocation();
		const { length } = this.#bytes;
		const from = start === undefined ? 0 : toClamped(start);
		const to = end === undefined ? length : toClamped(end);
		const type = contentType === undefined ? '' : toType(contentType);
		const first = from < 0 ? MathMax(length + from, 0) : MathMin(from, length);
		const last = to < 0 ? MathMax(length + to, 0) : MathMin(to, length);
		return makeBlob(
			TypedArrayPrototypeSubarray(this.#bytes, first, MathMax(first, last)),
			type,
		);
	}
	stream() {
		return #bytes in this ? streamOfBytes(this.#bytes).object : illegalInvocation();
	}
	text() {
		return isBlob(this) ? PromiseResolve(decodeUtf8(this.#bytes)) : rejectInvocation();
	}
	bytes() {
		return isBlob(this)
			? PromiseResolve(TypedArrayPrototypeSlice(this.#bytes))
			: rejectInvocation();
	}
	arrayBuffer() {
		return isBlob(this)
			? PromiseResolve(TypedArrayPrototypeGetBuffer(TypedArrayPrototypeSlice(this.#bytes)))
			: rejectInvocation();
	}
	[inspectCustom](depth, options, inspect) {
		if (!isBlob(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[Blob]', 'special');
		return `Blob ${inspect({ size: this.size, type: this.type }, options)}`;
	}
	static {
		blobBytes = (blob) => blob.#bytes;
		isBlob = (value) => isObject(value) && #bytes in value;
	}
}
defineInterface(Blob, 'Blob');
Object.defineProperty(Blob, 'length', { value: 0, configurable: true });

function rejectInvocation() {
	return PromiseReject(new TypeError('Illegal invocation'));
}

// ---- File ----

let isFile;

export class File extends Blob {
	#name;
	#lastModified;

	constructor(fileBits, fileName, options = undefined) {
		if (fileBits === internalToken) {
			super(internalToken, options);
			this.#name = fileName;
			this.#lastModified = options.lastModified ?? DateNow();
			return;
		}
		requireArguments(arguments.length, 2, 'File constructor');
		// WebIDL converts in the order of the arguments.
		const parts = toParts(fileBits, 'File constructor');
		const name = toUSVString(fileName);
		const dictionary = toDictionary(options, 'File constructor');
		const endings =
			dictionary.endings === undefined ? 'transparent' : toEndings(dictionary.endings);
		const type = dictionary.type === undefined ? '' : toType(dictionary.type);
		const { lastModified } = dictionary;
		const modified = lastModified === undefined ? undefined : toLongLong(lastModified);
		super(internalToken, { bytes: encodeParts(parts, endings === 'native'), type });
		this.#name = name;
		this.#lastModified = modified ?? DateNow();
	}
	get name() {
		return #name in this ? this.#name : illegalInvocation();
	}
	get lastModified() {
		return #name in this ? this.#lastModified : illegalInvocation();
	}
	[inspectCustom](depth, options, inspect) {
		if (!isFile(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[File]', 'special');
		const { lastModified, name, size, type } = this;
		return `File ${inspect({ size, type, name, lastModified }, options)}`;
	}
	static {
		isFile = (value) => isObject(value) && #name in value;
	}
}
defineInterface(File, 'File');

// ---- for the library ----

export { blobBytes, isBlob, isFile };

// BYTES must not change afterwards.
export function makeBlob(bytes, type) {
	return new Blob(internalToken, { bytes, type });
}

export function makeFile(bytes, name, type, lastModified) {
	return new File(internalToken, name, { bytes, type, lastModified });
}

// Ends a byte stream, also for a reader that brought its own buffer.
export function closeByteStream(controller) {
	byteControllerClose(controller);
	if (controller.pullIntos.length > 0) respond(controller, 0);
}

// A stream state of copies of BYTES, piece by piece.
export function streamOfBytes(bytes) {
	let at = 0;
	const state = createByteState({
		pull() {
			const { controller } = state;
			if (at < bytes.length) {
				const end = MathMin(at + CHUNK, bytes.length);
				byteControllerEnqueue(controller, TypedArrayPrototypeSlice(bytes, at, end));
				at = end;
			}
			if (at >= bytes.length) closeByteStream(controller);
			return PromiseResolve(undefined);
		},
	});
	return state;
}

export function joinBytes(parts) {
	return join(parts);
}

