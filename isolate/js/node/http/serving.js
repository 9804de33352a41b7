// What the life of a worker wants of the program's own HTTP servers (node:http, node:https):
// their requests are counted, and refused beyond limits.request.concurrent; they take what comes
// to the ports that tenants share, and the http probe; a drain loses none of their requests.
//
// Node's library knows nothing of it. A server learns of a connection and of a request through
// its method `emit`, which is ours.

import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import {
	ArrayPrototypeIndexOf,
	ArrayPrototypePush,
	ArrayPrototypeSplice,
	FunctionPrototypeCall,
	ObjectCreate,
	ObjectDefineProperty,
	ObjectGetOwnPropertySymbols,
	PromiseWithResolvers,
	ReflectApply,
	Symbol,
} from '../../primordials.js';
import { clearInterval, setInterval } from '../../timers.js';
import { EventEmitter } from '../events.js';
import { keepContext } from '../net/handle.js';
import { drained, Server as NetServer, takeShared } from '../net/server.js';
import { Socket } from '../net/socket.js';
import { SecureContext } from '../tls/context.js';
import { TLSSocket } from '../tls/socket.js';
import duplexpair from '../upstream/internal/streams/duplexpair.js';
import client from '../upstream/_http_client.js';
import https from '../upstream/https.js';
import server from '../upstream/_http_server.js';

const DuplexPair = duplexpair.default ?? duplexpair;
const { ServerResponse } = server;
const HttpServer = server.Server;
const HttpsServer = https.Server;
const { emit } = EventEmitter.prototype;

const isShared = Symbol('shared'); // a socket that came to a port of several tenants
const isProbe = Symbol('probe');
const underWay = Symbol('requests under way'); // of a socket
const counted = Symbol('counted'); // of a response

let draining = false;

// ---- requests ----

// Of a connection from a shared port: of the first request somebody has looked where it
// belongs.
function isMisdirected(socket, request) {
	if (socket[isShared] !== true) return false;
	const { host } = request.headers;
	const { url } = request;
	const scheme = socket.encrypted ? 'https' : 'http';
	return (
		typeof host !== 'string' ||
		!native.httpSiteAllows(url[0] === '/' ? `${scheme}://${host}${url}` : url === '*' ? `${scheme}://${host}/` : url)
	);
}

function refuse(request, response, status, fields) {
	response.writeHead(status, fields);
	response.end();
	return true;
}

// Whether the request was answered here.
function begin(request, response) {
	const { socket } = request;
	if (isMisdirected(socket, request)) return refuse(request, response, 421, { Connection: 'close' });
	if (draining) response.shouldKeepAlive = false;
	if (socket[isProbe] === true) return false;
	if (!native.httpBegin()) return refuse(request, response, 503, { 'Retry-After': '1' });
	response[counted] = true;
	socket[underWay] = (socket[underWay] ?? 0) + 1;
	return false;
}

const { detachSocket } = ServerResponse.prototype;
ServerResponse.prototype.detachSocket = function (socket) {
	FunctionPrototypeCall(detachSocket, this, socket);
	if (this[counted] !== true) return;
	this[counted] = false;
	if (!(socket[underWay] > 0)) return;
	socket[underWay]--;
	native.httpDone(true);
};

// What it has not answered it never will.
function onSocketClose() {
	for (; this[underWay] > 0; this[underWay]--) native.httpDone(false);
}

// ---- servers ----

const listening = [];

function forget(owner) {
	const index = ArrayPrototypeIndexOf(listening, owner);
	if (index >= 0) ArrayPrototypeSplice(listening, index, 1);
	if (shared === owner) giveUpShared();
}

function serverEmit(type, first, second) {
	switch (type) {
		case 'request':
		case 'checkContinue':
		case 'checkExpectation':
			if (begin(first, second)) return true;
			break;
		case 'upgrade':
		case 'connect':
			if (isMisdirected(second, first)) {
				second.end('HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\n\r\n');
				return true;
			}
			break;
		case 'connection':
		case 'secureConnection':
			first.on('close', onSocketClose);
			break;
		case 'listening':
			ArrayPrototypePush(listening, this);
			break;
		case 'close':
			forget(this);
			break;
	}
	return ReflectApply(emit, this, arguments);
}
for (const { prototype } of [HttpServer, HttpsServer])
	ObjectDefineProperty(prototype, 'emit', {
		__proto__: null,
		value: serverEmit,
		writable: true,
		enumerable: false,
		configurable: true,
	});

// ---- the ports that tenants share ----

let shared; // the server that takes what comes there
let secureContext;

function giveUpShared() {
	shared = undefined;
	native.netTakeShared(false);
}

// The first server that listens has it. False when nothing of those ports is the tenant's.
function takesShared() {
	if (shared !== undefined && shared._handle !== null) return false;
	if (!native.netTakeShared(true)) return false;
	shared = this;
	return true;
}

// TLS ends here, with the tenant's certificate.
function secured(socket) {
	if (secureContext === undefined) {
		const context = native.tlsServerContext();
		if (context === undefined) return undefined;
		secureContext = ObjectCreate(SecureContext.prototype);
		secureContext.context = context;
	}
	return new TLSSocket(socket, { secureContext, isServer: true });
}

function serveSecure(owner, socket) {
	const tls = secured(socket);
	if (tls === undefined) {
		socket.destroy();
		return;
	}
	tls[isShared] = true;
	tls.server = owner;
	const fail = () => tls.destroy();
	tls.on('error', fail);
	tls.setTimeout(HANDSHAKE_MS, fail);
	tls.once('secure', () => {
		tls.setTimeout(0);
		tls.removeListener('timeout', fail);
		tls.removeListener('error', fail);
		owner.emit(owner instanceof HttpsServer ? 'secureConnection' : 'connection', tls);
	});
}
const HANDSHAKE_MS = 10000;

hooks.sharedConnection = (handle, encrypted) => {
	const owner = shared;
	if (owner === undefined || (!encrypted && owner instanceof HttpsServer)) {
		handle.close(false);
		return;
	}
	keepContext(handle);
	const socket = new Socket({ handle, allowHalfOpen: true, readable: true, writable: true, manualStart: encrypted });
	socket.setNoDelay(true);
	socket[isShared] = true;
	owner._connections++;
	socket.server = socket._server = owner;
	if (encrypted) serveSecure(owner, socket);
	else owner.emit('connection', socket);
};

// ---- draining ----

const SWEEP_MS = 50;
// As http_limits.h: a request may be on its way on a connection that was used, or made, just
// now.
const QUIET_MS = 500;
const FRESH_MS = 1000;

let connectionsOf;

// The ConnectionsList of a server is behind a symbol that Node's library keeps to itself.
function listOf(owner) {
	if (connectionsOf === undefined) {
		const symbols = ObjectGetOwnPropertySymbols(owner);
		for (let i = 0; i < symbols.length; i++)
			if (owner[symbols[i]] instanceof native.ConnectionsList) connectionsOf = symbols[i];
	}
	return connectionsOf === undefined ? undefined : owner[connectionsOf];
}

function isAnswering({ _httpMessage: message }) {
	return message !== null && message !== undefined && !message.finished;
}

function hasInput(socket) {
	for (let lower = socket; lower; lower = lower._parent)
		if (lower._handle?.hasInput?.()) return true;
	return false;
}

// No response may promise that the connection stays.
function announceEnd(socket) {
	const message = socket._httpMessage;
	if (!message) return;
	if (!message.headersSent) message.shouldKeepAlive = false;
	else if (!(socket[underWay] > 1)) message._last = true;
}

function sweep(owner) {
	const list = listOf(owner);
	if (list === undefined) return;
	const all = list.all();
	for (let i = 0; i < all.length; i++) if (all[i].socket) announceEnd(all[i].socket);
	const quiet = list.quiet(QUIET_MS, FRESH_MS);
	for (let i = 0; i < quiet.length; i++) {
		const { socket } = quiet[i];
		if (socket && !isAnswering(socket) && !hasInput(socket)) socket.destroySoon();
	}
}

function sweepAll() {
	for (let i = 0; i < listening.length; i++) sweep(listening[i]);
}

// The worker is told to stop. Its connections hold it until they are closed.
export function drainServers() {
	if (draining) return;
	draining = true;
	if (listening.length === 0) return;
	const timer = setInterval(() => {
		sweepAll();
		if (listening.length === 0) clearInterval(timer);
	}, SWEEP_MS).unref();
	sweepAll();
}

// Its listener is closed. Unlike server.close() of a program's, this ends no connection on
// which a request may be on its way.
function onDrained() {
	FunctionPrototypeCall(NetServer.prototype.close, this);
}

for (const { prototype } of [HttpServer, HttpsServer]) {
	prototype[drained] = onDrained;
	prototype[takeShared] = takesShared;
}

// ---- the http probe ----

// Is there a server that can be asked?
export function hasServer() {
	return listening.length > 0;
}

// GET of PATH, over no network. A promise of the status.
export function probeServer(path) {
	const { promise, reject, resolve } = PromiseWithResolvers();
	const owner = listening[0];
	const [near, far] = new DuplexPair();
	far[isProbe] = true;
	far.server = owner;
	far.encrypted = owner instanceof HttpsServer;
	far.setTimeout = near.setTimeout = () => {};
	owner.emit(far.encrypted ? 'secureConnection' : 'connection', far);
	const request = new client.ClientRequest({
		createConnection: () => near,
		path,
		headers: { host: 'localhost', 'user-agent': 'tenantd-probe/1', connection: 'close' },
	});
	request.on('response', (response) => {
		response.resume();
		resolve(response.statusCode);
		response.on('error', () => {});
	});
	request.on('error', reject);
	request.end();
	return promise;
}
