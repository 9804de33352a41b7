// WebSocket (WHATWG websockets): clients, which connect through the egress process, and the ends
// of a WebSocketPair (websocket/pair.js), one of which a service keeps.

import { blobBytes, isBlob, makeBlob } from './blob.js';
import { DOMException } from './errors.js';
import {
	defineEventHandler,
	dispatch,
	ErrorEvent,
	Event,
	EventTarget,
	makeTrusted,
	MessageEvent,
} from './events.js';
import { isToken } from './headers.js';
import { native } from './native.js';
import {
	ArrayBufferIsView,
	ArrayPrototypeJoin,
	DataViewPrototypeGetBuffer,
	DataViewPrototypeGetByteLength,
	DataViewPrototypeGetByteOffset,
	isolate,
	SafeSet,
	StringPrototypeToLowerCase,
	SymbolIterator,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeGetByteOffset,
	TypedArrayPrototypeGetSymbolToStringTag,
	TypedArrayPrototypeSlice,
	TypeError,
	Uint8Array,
} from './primordials.js';
import { URL } from './url.js';
import {
	defineInterface,
	illegalInvocation,
	internalToken,
	isObject,
	requireArguments,
	toDictionary,
	toSequence,
	toUSVString,
} from './webidl.js';
import { Endpoint } from './websocket/endpoint.js';
import { connect } from './websocket/connect.js';

export { MessageEvent };

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const EMPTY = new Uint8Array(0);
const REASON_BYTES = 123;

// ---- CloseEvent ----

export class CloseEvent extends Event {
	#fields;

	constructor(type, eventInitDict = undefined) {
		requireArguments(arguments.length, 1, 'CloseEvent constructor');
		super(type, eventInitDict);
		const { code, reason, wasClean } = toDictionary(eventInitDict, 'CloseEvent constructor');
		this.#fields = {
			code: code === undefined ? 0 : +code & 0xffff,
			reason: reason === undefined ? '' : toUSVString(reason),
			wasClean: Boolean(wasClean),
		};
	}
	get wasClean() {
		return #fields in this ? this.#fields.wasClean : illegalInvocation();
	}
	get code() {
		return #fields in this ? this.#fields.code : illegalInvocation();
	}
	get reason() {
		return #fields in this ? this.#fields.reason : illegalInvocation();
	}
}
defineInterface(CloseEvent, 'CloseEvent');

// ---- what a WebSocket is inside ----

export class SocketState {
	constructor() {
		this.target = undefined; // the WebSocket
		this.url = '';
		this.origin = '';
		this.readyState = CONNECTING;
		this.binaryType = 'blob';
		this.protocol = '';
		this.endpoint = undefined;
		this.partner = undefined; // of a pair: the other end
		this.accepted = true; // of a pair: its events may come
		this.waiting = undefined; // events until then
		this.queued = undefined; // messages that were sent before there is an endpoint
		this.used = false; // of a pair: it was given to a client
		this.closeWith = undefined; // [code, reason] of a close before there is one
		this.lost = 0; // bytes that were sent after the end
		this.abort = undefined; // ends the attempt to connect
	}

	// ---- of its endpoint ----

	onMessage(data, isText) {
		if (this.readyState !== OPEN) return;
		if (!isText) {
			data =
				this.binaryType === 'blob' ? makeBlob(data, '') : TypedArrayPrototypeGetBuffer(data);
		}
		this.deliver(new MessageEvent('message', { __proto__: null, data, origin: this.origin }));
	}
	onClosing() {
		if (this.readyState === OPEN) this.readyState = CLOSING;
	}
	onClose(code, reason, isClean, error) {
		if (this.readyState === CLOSED) return;
		this.readyState = CLOSED;
		held.delete(this);
		if (!isClean && error !== undefined) this.tellError(error);
		this.deliver(
			new CloseEvent('close', { __proto__: null, code, reason, wasClean: isClean }),
		);
	}
	// A pair's end that nobody has accepted keeps its events.
	deliver(event) {
		if (this.accepted) {
			dispatch(this.target, makeTrusted(event));
			return;
		}
		this.waiting ??= [];
		this.waiting[this.waiting.length] = event;
	}
	tellError(error) {
		this.deliver(
			new ErrorEvent('error', { __proto__: null, error, message: `${error?.message ?? error}` }),
		);
	}

	// ---- life ----

	// The handshake is done. HEAD: bytes behind it.
	open(socket, head, isServer) {
		this.abort = undefined;
		const endpoint = new Endpoint(this, isServer);
		this.endpoint = endpoint;
		if (isServer) held.add(this);
		else this.readyState = OPEN;
		const { closeWith, queued } = this;
		// What the program has done before.
		endpoint.socket = socket;
		if (queued !== undefined) {
			this.queued = undefined;
			for (let i = 0; i < queued.length; i++) endpoint.send(queued[i].bytes, queued[i].isText);
		}
		if (closeWith !== undefined) endpoint.close(closeWith[0], closeWith[1]);
		if (!isServer) dispatch(this.target, makeTrusted(new Event('open')));
		endpoint.attach(socket, head);
	}
	// The connection was never made.
	fail(error) {
		if (this.readyState === CLOSED) return;
		this.abort = undefined;
		this.onClose(1006, '', false, error);
	}
	send(bytes, isText) {
		if (this.endpoint !== undefined) {
			this.endpoint.send(bytes, isText);
		} else if (this.partner !== undefined && this.partner.accepted && this.partner.target !== undefined) {
			this.partner.onMessage(isText ? native.utf8Decode(bytes, 0) : bytes, isText);
		} else {
			this.queued ??= [];
			this.queued[this.queued.length] = { bytes, isText };
		}
	}
	close(code, reason) {
		if (this.readyState >= CLOSING) return;
		const wasConnecting = this.readyState === CONNECTING;
		this.readyState = CLOSING;
		if (this.endpoint !== undefined) this.endpoint.close(code, reason);
		else if (wasConnecting) this.abort?.();
		else this.closeWith = [code, reason];
	}
}
isolate(SocketState);

// Ends of connections that clients made: a worker that drains tells them.
const held = new SafeSet();

// The worker stops: the clients may go elsewhere (1001).
export function drainWebSockets() {
	const states = [...held];
	for (let i = 0; i < states.length; i++) states[i].close(1001, EMPTY);
}

// ---- arguments ----

// A copy of what send was given, which goes on changing it: [bytes, whether it is text].
function bytesOf(data) {
	if (isBlob(data)) return blobBytes(data);
	if (ArrayBufferIsView(data)) {
		const isTyped = TypedArrayPrototypeGetSymbolToStringTag(data) !== undefined;
		return TypedArrayPrototypeSlice(
			isTyped
				? new Uint8Array(
						TypedArrayPrototypeGetBuffer(data),
						TypedArrayPrototypeGetByteOffset(data),
						TypedArrayPrototypeGetByteLength(data),
					)
				: new Uint8Array(
						DataViewPrototypeGetBuffer(data),
						DataViewPrototypeGetByteOffset(data),
						DataViewPrototypeGetByteLength(data),
					),
		);
	}
	const kind = native.kind(data);
	if (kind === 'ArrayBuffer' || kind === 'SharedArrayBuffer') return TypedArrayPrototypeSlice(new Uint8Array(data));
	return undefined;
}

function protocolsOf(value) {
	const list =
		value === undefined
			? []
			: isObject(value) && value[SymbolIterator] !== undefined
				? toSequence(value, value[SymbolIterator], (item) => `${item}`, 'WebSocket constructor: protocols')
				: [`${value}`];
	const seen = new SafeSet();
	for (let i = 0; i < list.length; i++) {
		const name = StringPrototypeToLowerCase(list[i]);
		if (!isToken(list[i]) || seen.has(name))
			throw new DOMException(`The subprotocol '${list[i]}' is invalid or comes twice`, 'SyntaxError');
		seen.add(name);
	}
	return list;
}

function addressOf(given) {
	let url;
	try {
		url = new URL(toUSVString(given));
	} catch {
		throw new DOMException(`Invalid URL for WebSocket: ${given}`, 'SyntaxError');
	}
	if (url.protocol === 'http:') url.protocol = 'ws:';
	else if (url.protocol === 'https:') url.protocol = 'wss:';
	if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
		throw new DOMException(`Expected a ws: or wss: protocol, got ${url.protocol}`, 'SyntaxError');
	if (url.hash !== '' || url.href[url.href.length - 1] === '#')
		throw new DOMException('A WebSocket URL has no fragment', 'SyntaxError');
	return url;
}

// unsigned short, clamped.
function toClamped(value) {
	const number = +value;
	if (!(number > 0)) return 0;
	return number > 65535 ? 65535 : (number + 0.5) | 0;
}

// ---- the interface ----

let stateOf;
let isWebSocket;

export class WebSocket extends EventTarget {
	#state;

	constructor(url, protocols = undefined) {
		super();
		if (url === internalToken) {
			this.#state = protocols;
			protocols.target = this;
			return;
		}
		requireArguments(arguments.length, 1, 'WebSocket constructor');
		let headers;
		// Node's options.
		if (isObject(protocols) && protocols[SymbolIterator] === undefined) {
			const options = toDictionary(protocols, 'WebSocket constructor');
			headers = options.headers;
			protocols = options.protocols;
		}
		const address = addressOf(url);
		const list = protocolsOf(protocols);
		const state = new SocketState();
		state.target = this;
		state.url = address.href;
		state.origin = `${address.protocol}//${address.host}`;
		this.#state = state;
		connect(state, address, ArrayPrototypeJoin(list, ', '), list, headers);
	}
	get url() {
		return #state in this ? this.#state.url : illegalInvocation();
	}
	get readyState() {
		return #state in this ? this.#state.readyState : illegalInvocation();
	}
	get bufferedAmount() {
		if (!(#state in this)) illegalInvocation();
		const { endpoint, lost } = this.#state;
		return lost + (endpoint?.buffered ?? 0);
	}
	get extensions() {
		return #state in this ? '' : illegalInvocation();
	}
	get protocol() {
		return #state in this ? this.#state.protocol : illegalInvocation();
	}
	get binaryType() {
		return #state in this ? this.#state.binaryType : illegalInvocation();
	}
	set binaryType(value) {
		if (!(#state in this)) illegalInvocation();
		value = `${value}`;
		if (value === 'blob' || value === 'arraybuffer') this.#state.binaryType = value;
	}
	// Not of the standard: an end of a WebSocketPair begins to get its events.
	accept() {
		if (!(#state in this)) illegalInvocation();
		const state = this.#state;
		if (state.partner === undefined) throw new TypeError('accept() is for an end of a WebSocketPair');
		if (state.used) throw new TypeError('This end of the WebSocketPair was given to a Response');
		state.accepted = true;
		const waiting = state.waiting ?? [];
		state.waiting = undefined;
		for (let i = 0; i < waiting.length; i++) state.deliver(waiting[i]);
		state.partner.flush();
	}
	close(code = undefined, reason = undefined) {
		if (!(#state in this)) illegalInvocation();
		if (code !== undefined) {
			code = toClamped(code);
			if (code !== 1000 && (code < 3000 || code > 4999))
				throw new DOMException('A close code is 1000 or from 3000 to 4999', 'InvalidAccessError');
		}
		const bytes = reason === undefined ? EMPTY : native.utf8Encode(toUSVString(reason));
		if (bytes.length > REASON_BYTES)
			throw new DOMException(`A close reason has at most ${REASON_BYTES} bytes`, 'SyntaxError');
		this.#state.close(code === undefined ? (bytes.length > 0 ? 1000 : 1005) : code, bytes);
	}
	send(data) {
		if (!(#state in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'WebSocket.send');
		const state = this.#state;
		let bytes = isObject(data) ? bytesOf(data) : undefined;
		const isText = bytes === undefined;
		if (isText) bytes = native.utf8Encode(toUSVString(data));
		if (state.readyState === CONNECTING)
			throw new DOMException('The WebSocket is still connecting', 'InvalidStateError');
		if (state.readyState === OPEN) state.send(bytes, isText);
		else state.lost += bytes.length;
	}
	static {
		stateOf = (socket) => socket.#state;
		isWebSocket = (value) => isObject(value) && #state in value;
	}
}
defineInterface(WebSocket, 'WebSocket', { CONNECTING, OPEN, CLOSING, CLOSED });
for (const type of ['open', 'error', 'close', 'message']) defineEventHandler(WebSocket.prototype, type);

export { isWebSocket, stateOf };

// An end of a pair.
export function wrapState(state) {
	return new WebSocket(internalToken, state);
}
