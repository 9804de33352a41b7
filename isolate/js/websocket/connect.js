// The client's opening handshake (RFC 6455, section 4.1).

import { Headers } from '../headers.js';
import { native } from '../native.js';
import {
	ArrayPrototypeIncludes,
	Error,
	StringFromCharCode,
	StringPrototypeSlice,
	StringPrototypeToLowerCase,
	Uint8Array,
} from '../primordials.js';

// Node's library, which comes later than the globals.
let library;
export function setLibrary(given) {
	library = given;
}

const { base64Encode, randomFill, websocketAccept } = native;

// The program's own, by name; those of the handshake are not its affair.
function headersOf(given, url, key, protocols) {
	const headers = { __proto__: null };
	if (given !== undefined && given !== null) {
		const list = new Headers(given);
		for (const { 0: name, 1: value } of list.entries()) headers[name] = value;
	}
	headers.host ??= url.host;
	headers.connection = 'Upgrade';
	headers.upgrade = 'websocket';
	headers['sec-websocket-key'] = key;
	headers['sec-websocket-version'] = '13';
	if (protocols !== '') headers['sec-websocket-protocol'] = protocols;
	return headers;
}
function hasToken(value, token) {
	if (typeof value !== 'string') return false;
	const parts = value.split(',');
	for (let i = 0; i < parts.length; i++)
		if (StringPrototypeToLowerCase(parts[i].trim()) === token) return true;
	return false;
}

// What is wrong with the answer; undefined: nothing.
function mistakeOf(response, key, protocols) {
	const { headers } = response;
	if (response.statusCode !== 101) return `the server answered ${response.statusCode} instead of 101`;
	if (StringPrototypeToLowerCase(headers.upgrade ?? '') !== 'websocket') return 'Upgrade is not websocket';
	if (!hasToken(headers.connection, 'upgrade')) return 'Connection is not Upgrade';
	if (headers['sec-websocket-accept'] !== base64Encode(websocketAccept(key)))
		return 'Sec-WebSocket-Accept does not fit the key';
	if (headers['sec-websocket-extensions'] !== undefined) return 'an extension that was not offered';
	const protocol = headers['sec-websocket-protocol'];
	if (protocol !== undefined && !ArrayPrototypeIncludes(protocols, protocol))
		return 'a subprotocol that was not offered';
	return undefined;
}

function streamTo(url) {
	const host = url.hostname[0] === '[' ? StringPrototypeSlice(url.hostname, 1, -1) : url.hostname;
	const isSecure = url.protocol === 'wss:';
	const port = url.port === '' ? (isSecure ? 443 : 80) : +url.port;
	const { connectPlain, connectSecure, isIP } = library;
	if (!isSecure) return connectPlain({ host, port, noDelay: true });
	return connectSecure({
		host,
		port,
		noDelay: true,
		servername: isIP(host) === 0 ? host : '',
		ALPNProtocols: ['http/1.1'],
	});
}

function makeKey() {
	const nonce = new Uint8Array(16);
	let text = '';
	randomFill(nonce);
	for (let i = 0; i < 16; i++) text += StringFromCharCode(nonce[i]);
	return base64Encode(text);
}

function authOf({ username, password }) {
	if (username === '' && password === '') return undefined;
	return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
}

const HANDSHAKE_MS = 30000;

// STATE is told open, or fail.
export function connect(state, url, protocolText, protocols, headers) {
	const key = makeKey();
	const fail = (why, cause) => {
		request.destroy();
		state.fail(new Error(`WebSocket connection to '${url.href}' failed: ${why}`, { cause }));
	};
	const request = new library.ClientRequest({
		method: 'GET',
		path: `${url.pathname}${url.search}`,
		host: url.hostname,
		auth: authOf(url),
		headers: headersOf(headers, url, key, protocolText),
		setHost: false,
		protocol: 'http:',
		timeout: HANDSHAKE_MS,
		createConnection: () => streamTo(url),
	});
	state.abort = () => fail('closed before it was established');
	request.on('error', (error) => fail(error.message, error));
	request.on('timeout', () => fail('the server took too long'));
	request.on('response', (response) => {
		response.resume();
		fail(mistakeOf(response, key, protocols));
	});
	request.on('upgrade', (response, socket, head) => {
		socket.setTimeout(0);
		const mistake = mistakeOf(response, key, protocols);
		if (mistake !== undefined) {
			socket.destroy();
			fail(mistake);
			return;
		}
		state.protocol = response.headers['sec-websocket-protocol'] ?? '';
		state.open(socket, head, false);
	});
	request.end();
}
const { decodeURIComponent } = globalThis;
