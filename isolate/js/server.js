// The HTTP server's half in JavaScript: `export default { fetch(request, env, ctx) }`.
//
// C (isolate/http_exchange.c) calls onRequest once for each request. An answer that is
// there when the program's function returns goes out in the same call; a plain text with
// status 200 even as the return value. Nothing is made that the program does not ask for:
// the request is a block of text until its parts are wanted.

import {
	ArrayBuffer,
	Int32Array,
	ObjectFreeze,
	PromisePrototypeThen,
	PromiseResolve,
	PromiseWithResolvers,
	SafeSet,
	StringPrototypeSlice,
	TypeError,
	isolate,
} from './primordials.js';
import { createAbortSignal, signalAbort } from './abort.js';
import { closeByteStream } from './blob.js';
import { Body, isUnusable, JSON_TYPE, streamOf, TEXT_TYPE } from './body.js';
import { isUint8Array } from './bytes.js';
import { DOMException } from './errors.js';
import { isResponse, RequestState, stateOfResponse, wrapRequest } from './fetch.js';
import { HeaderList, IMMUTABLE } from './headers.js';
import { hooks } from './hooks.js';
import { native } from './native.js';
import { byteControllerEnqueue, byteControllerError } from './streams/bytes.js';
import { acquireReader, createByteState, readableCancel, readerRead } from './streams/readable.js';
import { defineInterface, illegalInvocation, isObject, requireArguments } from './webidl.js';
import { acceptOf, giveUp, markUsed } from './websocket/pair.js';

const {
	httpBodyCancel,
	httpBodyRead,
	httpBodyWhole,
	httpCut,
	httpDescribe,
	httpEnd,
	httpErrorId,
	httpHold,
	httpRespond,
	httpStart,
	httpUpgrade,
	httpWrite,
} = native;

const methods = native.httpMethods();

// What onRequest is told beside the head: slot, generation, meta, listener; and the bits of
// meta. The order of isolate/http_exchange.c. The buffer must not be on V8's heap, where it
// could move: not `new Int32Array(4)`.
const frame = new Int32Array(new ArrayBuffer(16));
const META_METHOD = 63;
const META_HAS_BODY = 1 << 6;
const META_URL_SHIFT = 9;

const FLAG_HAS_DATE = 1;
const METHOD_HEAD = 'HEAD';

let handler;
let environment;

// By slot: exchanges that C may call back about.
const active = [];

// ---- one request ----

// enum http_abort.
function abortError(reason) {
	switch (reason) {
		case 2:
			return new DOMException('The request took longer than limits.request.time', 'TimeoutError');
		case 3:
			return new DOMException('The request body is larger than limits.request.body', 'QuotaExceededError');
		case 4:
			return new DOMException('The client sent the request body too slowly', 'TimeoutError');
		case 5:
			return new DOMException('The client sent a malformed request body', 'AbortError');
		case 6:
			return new DOMException('The client read the response too slowly', 'AbortError');
		case 7:
			return new DOMException('The worker is stopping', 'AbortError');
		default:
			return new DOMException('The client has disconnected', 'AbortError');
	}
}

function tooLate() {
	return new TypeError(
		'The request body can no longer be read: the request is over. Begin to read it before ' +
			'responding, and if that goes on after the response, give its promise to ctx.waitUntil.',
	);
}

class Exchange extends RequestState {
	constructor(head) {
		super();
		const meta = frame[2];
		this.method = methods[meta & META_METHOD];
		this.href = undefined;
		this.guard = IMMUTABLE;
		this.content = undefined;
		this.slot = frame[0];
		this.generation = frame[1];
		this.meta = meta;
		this.listener = frame[3];
		this.head = head;
		this.aborted = undefined; // the reason, once it is
		this.waiting = undefined; // { kind, resolve, reject } of whoever waits for the body
		this.bodyState = undefined;
		this.pump = undefined; // of the response
	}
	url() {
		return (this.href ??= StringPrototypeSlice(this.head, 0, this.meta >> META_URL_SHIFT));
	}
	headerList() {
		return (this.list ??= HeaderList.ofBlock(this.head, this.meta >> META_URL_SHIFT));
	}
	body() {
		if (this.content === undefined)
			this.content = this.meta & META_HAS_BODY ? new Body(this, undefined) : null;
		return this.content;
	}
	signal() {
		if (this.abortSignal === undefined) {
			this.abortSignal = createAbortSignal();
			if (this.aborted !== undefined) signalAbort(this.abortSignal, this.aborted);
		}
		return this.abortSignal;
	}

	// ---- the body ----

	// Everything, as text or bytes: a value, or a promise of one.
	whole(kind) {
		if (this.aborted !== undefined) throw this.aborted;
		const value = httpBodyWhole(this.slot, this.generation, kind);
		if (value === false) throw tooLate();
		if (value !== undefined) return value;
		const { promise, reject, resolve } = PromiseWithResolvers();
		this.waiting = { kind, reject, resolve };
		active[this.slot] = this;
		return promise;
	}
	stream() {
		const state = createByteState({
			pull: () => this.#pull(),
			cancel: () => {
				httpBodyCancel(this.slot, this.generation);
				return PromiseResolve(undefined);
			},
		});
		this.bodyState = state;
		return state;
	}
	// Gives the stream what there is, or waits until there is something.
	#pull() {
		if (this.aborted === undefined && !this.#give()) {
			const { promise, resolve } = PromiseWithResolvers();
			this.waiting = { kind: undefined, reject: undefined, resolve };
			active[this.slot] = this;
			return promise;
		}
		return PromiseResolve(undefined);
	}
	#give() {
		const { controller } = this.bodyState;
		const value = httpBodyRead(this.slot, this.generation);
		if (value === undefined) return false;
		if (value === null) closeByteStream(controller);
		else if (value === false) byteControllerError(controller, tooLate());
		else byteControllerEnqueue(controller, value);
		return true;
	}
	// More of the body has arrived, or its end.
	onBody() {
		const { waiting } = this;
		if (waiting === undefined) return;
		if (waiting.kind === undefined) {
			if (!this.#give()) return;
			this.waiting = undefined;
			waiting.resolve();
			return;
		}
		this.waiting = undefined;
		try {
			const value = httpBodyWhole(this.slot, this.generation, waiting.kind);
			if (value === false) throw tooLate();
			waiting.resolve(value);
		} catch (error) {
			waiting.reject(error);
		}
	}
	// The client is gone, or a limit was reached: nothing that is done from now on reaches
	// anybody.
	abort(reason) {
		if (this.aborted !== undefined) return;
		this.aborted = abortError(reason);
		const { waiting } = this;
		this.waiting = undefined;
		if (waiting !== undefined && waiting.reject !== undefined) waiting.reject(this.aborted);
		if (this.bodyState !== undefined)
			byteControllerError(this.bodyState.controller, this.aborted);
		this.pump?.cancel(this.aborted);
		if (this.abortSignal !== undefined) signalAbort(this.abortSignal, this.aborted);
	}
	// The response needs no callbacks any more. The body may, in ctx.waitUntil.
	forget() {
		if (active[this.slot] === this && this.waiting === undefined && this.bodyState === undefined)
			active[this.slot] = undefined;
	}
}

// ---- ctx ----

// What ctx.listener shows, made when a program first asks.
let listeners;
function listenerAt(index) {
	if (listeners === undefined) {
		listeners = native.netListeners();
		for (let i = 0; i < listeners.length; i++) {
			const name = listeners[i][0];
			const address = listeners[i][1];
			listeners[i] = ObjectFreeze({ __proto__: null, name, address });
		}
	}
	return index < 0 ? undefined : listeners[index];
}

class ExecutionContext {
	#exchange;

	constructor(exchange) {
		this.#exchange = exchange;
	}
	// { name, address } of the entry of net.listen that the client connected to; undefined
	// when it came by another way.
	get listener() {
		return #exchange in this ? listenerAt(this.#exchange.listener) : illegalInvocation();
	}
	// The program is ready to serve: for those that tenant.json says of that they tell.
	ready() {
		if (!(#exchange in this)) illegalInvocation();
		native.lifecycleReady();
	}
	// The worker lives until PROMISE settles, at most until its grace time is over.
	waitUntil(promise) {
		if (!(#exchange in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ExecutionContext.waitUntil');
		const exchange = this.#exchange;
		const { slot, generation } = exchange;
		httpHold(slot, generation, 1);
		const release = () => httpHold(slot, generation, -1);
		PromisePrototypeThen(PromiseResolve(promise), release, (error) => {
			release();
			if (error !== exchange.aborted)
				log(exchange, httpErrorId(), 'a promise given to ctx.waitUntil was rejected', error);
		});
	}
}
defineInterface(ExecutionContext, 'ExecutionContext');

// ---- errors ----

function log(exchange, id, what, error) {
	native.writeStdio(
		2,
		`${exchange.method} ${exchange.url()}: ${what} (id ${id})\n${httpDescribe(error)}\n`,
	);
}

// The client gets an id, the log the same id and everything else.
function fail(exchange, error) {
	exchange.forget();
	// A program that stops when its signal aborts need not hear of it again.
	if (exchange.aborted !== undefined && error === exchange.aborted) return;
	const id = httpErrorId();
	log(exchange, id, 'the fetch function failed', error);
	httpRespond(
		exchange.slot,
		exchange.generation,
		500,
		undefined,
		`content-type: ${TEXT_TYPE}\r\n`,
		`Internal Server Error (id ${id})\n`,
		0,
	);
}

function notAResponse(value) {
	let what;
	if (value === null) what = 'null';
	else if (typeof value === 'object' || typeof value === 'function') what = `a value of type ${typeof value}`;
	else what = typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
	return new TypeError(`the fetch function must return a Response or a promise of one; it returned ${what}`);
}

// ---- responses ----

// What the server decides itself (RFC 9110 section 7.6.1, RFC 9112 section 6).
const dropped = new SafeSet();
for (const name of [
	'connection', 'content-length', 'keep-alive', 'proxy-connection', 'te', 'trailer',
	'transfer-encoding', 'upgrade',
])
	dropped.add(name);

let fieldsHaveDate = false;

// The fields of LIST as they are sent. Also says whether there is a Date.
function writeFields(list) {
	const items = list.all();
	let fields = '';
	fieldsHaveDate = false;
	for (let i = 0; i < items.length; i += 2) {
		const name = items[i];
		if (dropped.has(name)) continue;
		if (name === 'date') fieldsHaveDate = true;
		fields += `${name}: ${items[i + 1]}\r\n`;
	}
	return fields;
}

const JSON_FIELDS = `content-type: ${JSON_TYPE}\r\n`;

function fieldsOfType(type) {
	if (type === JSON_TYPE) return JSON_FIELDS; // once flat, C need not flatten it again
	return type === undefined ? '' : `content-type: ${type}\r\n`;
}

// The Content-Length that the program gave, or -1: digits, and small enough to be exact.
function givenLength(list) {
	const text = list === undefined ? null : list.get('content-length');
	if (text === null || text.length === 0 || text.length > 15) return -1;
	for (let i = 0; i < text.length; i++) if (text[i] < '0' || text[i] > '9') return -1;
	return +text;
}

// Sends a stream's chunks as fast as the client takes them.
class Pump {
	constructor(exchange, stream) {
		this.exchange = exchange;
		this.stream = stream;
		this.reader = acquireReader(stream);
		this.running = false;
		this.again = false;
		this.over = false;
	}
	// Chunks that are there already come at once: a loop, not recursion.
	read() {
		this.again = true;
		if (this.running) return;
		this.running = true;
		while (this.again && !this.over) {
			this.again = false;
			readerRead(this.reader, this);
		}
		this.running = false;
	}
	chunk(value) {
		if (this.over) return;
		const { exchange } = this;
		if (!isUint8Array(value)) {
			this.fail(new TypeError('a chunk of the response body is not a Uint8Array'));
			return;
		}
		const result = httpWrite(exchange.slot, exchange.generation, value);
		if (result === true) this.read();
		else if (result === undefined) this.cancel(abortError(1));
		else if (result === null)
			this.fail(new TypeError('the response body is longer than its content-length'));
	}
	close() {
		if (this.over) return;
		this.over = true;
		const { exchange } = this;
		exchange.forget();
		if (httpEnd(exchange.slot, exchange.generation)) return;
		const error = new TypeError('the response body is shorter than its content-length');
		log(exchange, httpErrorId(), 'the response was cut off', error);
	}
	// The stream has an error.
	error(reason) {
		if (this.over) return;
		this.over = true;
		const { exchange } = this;
		exchange.forget();
		httpCut(exchange.slot, exchange.generation);
		if (reason !== exchange.aborted || reason === undefined)
			log(exchange, httpErrorId(), 'the response body failed', reason);
	}
	fail(error) {
		this.error(error);
		PromisePrototypeThen(readableCancel(this.stream, error), undefined, ignore);
	}
	// Nobody wants the rest.
	cancel(reason) {
		if (this.over) return;
		this.over = true;
		this.exchange.forget();
		PromisePrototypeThen(readableCancel(this.stream, reason), undefined, ignore);
	}
}
isolate(Pump);

function ignore() {}

// Sends the head. Whether a body is wanted.
function start(exchange, state, fields, flags) {
	return httpStart(
		exchange.slot,
		exchange.generation,
		state.status,
		state.statusText === '' ? undefined : state.statusText,
		fields,
		flags,
		givenLength(state.list),
	);
}

// A connection that becomes a WebSocket: C tells onUpgraded when it is the program's.
class Upgrade {
	constructor(exchange, state, accept) {
		this.exchange = exchange;
		this.webSocket = state.webSocket;
		this.accept = accept;
		this.list = state.headerList();
	}
	onBody() {}
	abort(reason) {
		giveUp(this.webSocket, abortError(reason));
	}
	// What is sent before the first frame.
	head() {
		this.list.delete('sec-websocket-accept');
		this.list.delete('sec-websocket-extensions');
		return (
			'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
			`Sec-WebSocket-Accept: ${this.accept}\r\n${writeFields(this.list)}\r\n`
		);
	}
}
isolate(Upgrade);

const UPGRADE_FIELDS = 'upgrade: websocket\r\nsec-websocket-version: 13\r\n';

function upgrade(exchange, state) {
	const { generation, slot } = exchange;
	const accept = acceptOf(exchange.method, exchange.headerList());
	if (accept === undefined || !httpUpgrade(slot, generation)) {
		giveUp(state.webSocket, new TypeError('the request did not ask for a WebSocket over HTTP/1.1'));
		httpRespond(slot, generation, 426, undefined, UPGRADE_FIELDS, undefined, 0);
		return;
	}
	markUsed(state.webSocket);
	active[slot] = new Upgrade(exchange, state, accept);
}

// For ./node/http/upgraded.js: what to do with the connection that was SLOT's.
export function takeUpgrade(slot) {
	const found = active[slot];
	active[slot] = undefined;
	return found instanceof Upgrade ? found : undefined;
}

function sendStream(exchange, state, body, fields, flags) {
	const stream = streamOf(body);
	if (!start(exchange, state, fields, flags)) {
		exchange.forget();
		stream.disturbed = true;
		PromisePrototypeThen(readableCancel(stream, exchange.aborted), undefined, ignore);
		return;
	}
	active[exchange.slot] = exchange;
	exchange.pump = new Pump(exchange, stream);
	exchange.pump.read();
}

// Answers with the response whose state is STATE. Returns the text of the simplest kind,
// which C sends as onRequest's result, else undefined.
function answer(exchange, state, direct) {
	const { body } = state;
	if (state.webSocket !== undefined) {
		upgrade(exchange, state);
		return undefined;
	}
	if (body !== null && isUnusable(body))
		throw new TypeError(
			'the body of the returned Response has been used: return a new Response for each request',
		);
	if (state.status === 0) throw new TypeError('the fetch function returned Response.error()');
	let fields;
	let flags = 0;
	if (state.list === undefined) {
		if (body === null) {
			fields = '';
		} else if (body.type === TEXT_TYPE && typeof body.source === 'string' && body.stream === undefined) {
			if (direct && state.status === 200 && state.statusText === '') {
				body.consumed = true;
				return body.source;
			}
			fields = undefined; // C has this very field
		} else {
			fields = fieldsOfType(body.type);
		}
	} else {
		fields = writeFields(state.list);
		if (fieldsHaveDate) flags = FLAG_HAS_DATE;
	}
	if (body !== null && (body.stream !== undefined || isExchange(body.source))) {
		sendStream(exchange, state, body, fields, flags);
		return undefined;
	}
	exchange.forget();
	if (body === null && exchange.method === METHOD_HEAD && givenLength(state.list) >= 0) {
		// The length that GET would have.
		start(exchange, state, fields, flags);
		return undefined;
	}
	if (body !== null) body.consumed = true;
	httpRespond(
		exchange.slot,
		exchange.generation,
		state.status,
		state.statusText === '' ? undefined : state.statusText,
		fields,
		body === null ? undefined : body.source,
		flags,
	);
	return undefined;
}

function isExchange(source) {
	return isObject(source) && !isUint8Array(source);
}

// ---- promises of responses ----

function dropBody(state) {
	if (state.body === null || isUnusable(state.body)) return;
	if (state.body.stream === undefined && !isExchange(state.body.source)) return;
	PromisePrototypeThen(readableCancel(streamOf(state.body)), undefined, ignore);
}

async function later(exchange, promise) {
	try {
		const value = await promise;
		if (!isResponse(value)) throw notAResponse(value);
		if (exchange.aborted === undefined) answer(exchange, stateOfResponse(value), false);
		else dropBody(stateOfResponse(value));
	} catch (error) {
		fail(exchange, error);
	}
}

// ---- what C calls ----

hooks.requestFrame = frame;

hooks.onRequest = (head) => {
	const exchange = new Exchange(head);
	try {
		const value = handler.fetch(wrapRequest(exchange), environment, new ExecutionContext(exchange));
		if (isResponse(value)) return answer(exchange, stateOfResponse(value), true);
		if (!isObject(value)) throw notAResponse(value);
		active[exchange.slot] = exchange;
		later(exchange, value);
	} catch (error) {
		fail(exchange, error);
	}
	return undefined;
};

hooks.onBody = (slot) => {
	active[slot]?.onBody();
};

hooks.onDrain = (slot) => {
	active[slot]?.pump?.read();
};

hooks.onAbort = (slot, reason) => {
	const exchange = active[slot];
	active[slot] = undefined;
	exchange?.abort(reason);
};

// ---- the program ----

// GIVEN: the default export, whose fetch is called as its method; ENV: the tenant's
// environment.
export function setProgram(given, env) {
	handler = given;
	environment = env;
}
export { dropBody, notAResponse };
