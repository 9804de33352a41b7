// WebSocketPair, as Workers have it: of `const { 0: client, 1: server } = new WebSocketPair()`
// one end goes to the client, in `new Response(null, { status: 101, webSocket: client })`, and
// the service talks to it with the other, after server.accept().

import { native } from '../native.js';
import {
	ObjectDefineProperty,
	RegExpPrototypeExec,
	StringPrototypeSplit,
	StringPrototypeToLowerCase,
	StringPrototypeTrim,
	TypeError,
} from '../primordials.js';
import { isWebSocket, SocketState, stateOf, wrapState } from '../websocket.js';

const OPEN = 1;

SocketState.prototype.flush = function () {
	const { queued } = this;
	if (queued === undefined || !this.partner.accepted) return;
	this.queued = undefined;
	for (let i = 0; i < queued.length; i++) this.send(queued[i].bytes, queued[i].isText);
};

function makeEnd() {
	const state = new SocketState();
	state.readyState = OPEN;
	state.accepted = false;
	state.binaryType = 'arraybuffer';
	return state;
}

export class WebSocketPair {
	constructor() {
		const ends = [makeEnd(), makeEnd()];
		ends[0].partner = ends[1];
		ends[1].partner = ends[0];
		for (let i = 0; i < 2; i++)
			ObjectDefineProperty(this, i, {
				__proto__: null,
				value: wrapState(ends[i]),
				writable: true,
				enumerable: true,
				configurable: true,
			});
	}
}

// For `webSocket` of a ResponseInit: throws what is wrong with it.
export function checkWebSocket(value, status) {
	if (!isWebSocket(value) || stateOf(value).partner === undefined)
		throw new TypeError('Response constructor: webSocket is not an end of a WebSocketPair');
	if (status !== 101) throw new TypeError('Response constructor: webSocket needs status 101');
	if (stateOf(value).used || stateOf(value).accepted)
		throw new TypeError('Response constructor: this end of the WebSocketPair is in use');
}

// ---- the server's opening handshake (RFC 6455, section 4.2) ----

function hasToken(value, token) {
	const parts = StringPrototypeSplit(value ?? '', ',');
	for (let i = 0; i < parts.length; i++)
		if (StringPrototypeToLowerCase(StringPrototypeTrim(parts[i])) === token) return true;
	return false;
}

const KEY = /^[A-Za-z0-9+/]{22}==$/;

// Sec-WebSocket-Accept for a request with the fields of LIST; undefined when it asks for no
// WebSocket.
export function acceptOf(method, list) {
	const key = list.get('sec-websocket-key');
	if (
		method !== 'GET' ||
		key === null ||
		RegExpPrototypeExec(KEY, key) === null ||
		!hasToken(list.get('upgrade'), 'websocket') ||
		!hasToken(list.get('connection'), 'upgrade') ||
		list.get('sec-websocket-version') !== '13'
	)
		return undefined;
	return native.base64Encode(native.websocketAccept(key));
}

// The connection is there: SOCKET, with HEAD read from it. WEBSOCKET is the client's end.
export function serve(webSocket, url, protocol, socket, head) {
	const given = stateOf(webSocket);
	const own = given.partner;
	own.protocol = protocol;
	own.url = url;
	own.open(socket, head, true);
}

// Nobody will come.
export function giveUp(webSocket, error) {
	stateOf(webSocket).partner.fail(error);
}

export function markUsed(webSocket) {
	stateOf(webSocket).used = true;
}
