// net.Server: takes a listener over that the policy grants (net.listen) and the supervisor
// bound: by port, address, path or name.

import { native } from '../../native.js';
import {
	Boolean,
	FunctionPrototypeCall,
	Number,
	ObjectDefineProperty,
	ObjectSetPrototypeOf,
	PromiseWithResolvers,
	Symbol,
} from '../../primordials.js';
import { enqueueTick } from '../../ticks.js';
import { codes, UVExceptionWithHostPort } from '../errors.js';
import { EventEmitter } from '../events.js';
import { isIP } from '../own/internal/net.js';
import blocklist from '../upstream/internal/blocklist.js';
import { validateAbortSignal, validateNumber, validatePort, validateString } from '../validators.js';
import { canonicalizeIP } from './addresses.js';
import { listenDenied } from './errors.js';
import { CLOSE, CONNECTION, handleOwner, makeHandle, onHandle } from './handle.js';
import { isPipeName, listenersOf, normalizeArgs, Socket } from './socket.js';

const listener = Symbol('listener');
// Methods of servers that are more than these (../http/serving.js).
export const drained = Symbol('drained'); // nothing more is accepted
export const takeShared = Symbol('takeShared'); // may it have what comes to shared ports?

export function Server(options, onConnection) {
	if (!(this instanceof Server)) return new Server(options, onConnection);
	FunctionPrototypeCall(EventEmitter, this);
	if (typeof options === 'function') {
		onConnection = options;
		options = {};
	} else if (options === undefined || options === null || typeof options === 'object') {
		options = { ...options };
	} else {
		throw new codes.ERR_INVALID_ARG_TYPE('options', 'Object', options);
	}
	if (typeof onConnection === 'function') this.on('connection', onConnection);
	if (options.keepAliveInitialDelay !== undefined)
		validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
	if (options.highWaterMark !== undefined) validateNumber(options.highWaterMark, 'options.highWaterMark');
	if (options.blockList && !blocklist.BlockList.isBlockList(options.blockList))
		throw new codes.ERR_INVALID_ARG_TYPE('options.blockList', 'net.BlockList', options.blockList);
	this._connections = 0;
	this._handle = null;
	this._unref = false;
	this[listener] = undefined;
	this.allowHalfOpen = options.allowHalfOpen || false;
	this.pauseOnConnect = Boolean(options.pauseOnConnect);
	this.noDelay = Boolean(options.noDelay);
	this.keepAlive = Boolean(options.keepAlive);
	this.keepAliveInitialDelay = ~~(options.keepAliveInitialDelay / 1000);
	this.highWaterMark = options.highWaterMark;
	if (options.blockList) this.blockList = options.blockList;
}
ObjectSetPrototypeOf(Server.prototype, EventEmitter.prototype);
ObjectSetPrototypeOf(Server, EventEmitter);
const { prototype } = Server;

// ---- which listener is meant ----

const ANY = { __proto__: null, '0.0.0.0': true, '::': true };

// Node listens on all addresses where none is named: the policy says which those are.
function hostMatches(item, host) {
	if (host === undefined || ANY[host]) return true;
	if (host === 'localhost') return item.host === '127.0.0.1' || item.host === '::1';
	return isIP(host) !== 0 && canonicalizeIP(host) === canonicalizeIP(item.host);
}

// Port 0 is any free one: the first that is granted and that nobody has taken.
function portMatches(item, port) {
	return port === 0 || item.port === port;
}

function resourceOf(wanted) {
	if (wanted.name !== undefined) return wanted.name;
	if (wanted.path !== undefined) return `unix:${wanted.path}`;
	const host = wanted.host ?? '::';
	return isIP(host) === 6 ? `[${host}]:${wanted.port}` : `${host}:${wanted.port}`;
}

function describe(list) {
	let text = '';
	for (let i = 0; i < list.length; i++)
		text += `${i > 0 ? ', ' : ''}${list[i].name === '' ? '' : `${list[i].name}=`}${list[i].address}`;
	return text;
}

// The candidates in the order of the policy.
function matches(item, wanted) {
	if (wanted.name !== undefined) return item.name === wanted.name;
	if (wanted.path !== undefined) return item.path === wanted.path;
	return item.path === undefined && portMatches(item, wanted.port) && hostMatches(item, wanted.host);
}

// { name }, { path } or { host, port } of what listen was called with.
function wantedOf(options, args) {
	if (options.name !== undefined) {
		validateString(options.name, 'options.name');
		return { name: options.name };
	}
	if (options.path && isPipeName(options.path)) return { path: options.path };
	let { port } = options;
	if (
		args.length === 0 ||
		typeof args[0] === 'function' ||
		(port === undefined && 'port' in options) ||
		port === null
	)
		port = 0;
	if (typeof port === 'number' || typeof port === 'string') {
		validatePort(port, 'options.port');
		return { port: Number(port), host: options.host || undefined };
	}
	if (typeof options.fd === 'number')
		throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('server.listen({ fd })');
	if (!('port' in options || 'path' in options))
		throw new codes.ERR_INVALID_ARG_VALUE('options', options, 'must have the property "port" or "path"');
	throw new codes.ERR_INVALID_ARG_VALUE('options', options);
}

// ---- listening ----

const ADDRINUSE = -98;

function takeOver(server, wanted) {
	const list = listenersOf();
	let failure = 0;
	for (let i = 0; i < list.length; i++) {
		if (!matches(list[i], wanted)) continue;
		const handle = makeHandle();
		handle[handleOwner] = server;
		const error = handle.listen(i);
		if (error === 0) {
			server._handle = handle;
			server[listener] = list[i];
			server[takeShared]?.();
			native.netListenAudit(true, resourceOf(wanted));
			return undefined;
		}
		failure = error;
		if (error !== ADDRINUSE) break;
	}
	// What comes there comes by the name of a site: any port will do.
	if (failure === 0 && wanted.name === undefined && server[takeShared]?.()) {
		server._handle = new SharedHandle(wanted);
		return undefined;
	}
	if (failure === 0) {
		native.netListenAudit(false, resourceOf(wanted));
		return listenDenied(resourceOf(wanted), describe(list));
	}
	return new UVExceptionWithHostPort(failure, 'listen', wanted.path ?? wanted.name ?? wanted.host ?? '::', wanted.port);
}

// Of a server that has no listener of its own.
class SharedHandle {
	constructor({ host, path, port }) {
		this.path = path;
		this.port = port;
		this.host = host === undefined || isIP(host) === 0 ? '::' : host;
	}
	address() {
		return { address: this.host, family: isIP(this.host) === 6 ? 'IPv6' : 'IPv4', port: this.port };
	}
	close() {}
	ref() {}
	unref() {}
}

function emitError(server, error) {
	server.emit('error', error);
}

function emitListening(server) {
	if (server._handle !== null) server.emit('listening');
}

function closeWithSignal(server, signal) {
	if (signal === undefined) return;
	validateAbortSignal(signal, 'options.signal');
	const onAbort = () => server.close();
	if (signal.aborted) {
		enqueueTick(onAbort, []);
		return;
	}
	signal.addEventListener('abort', onAbort, { once: true });
	server.once('close', () => signal.removeEventListener('abort', onAbort));
}

prototype.listen = function (...args) {
	const [options, callback] = normalizeArgs(args);
	if (this._handle !== null) throw new codes.ERR_SERVER_ALREADY_LISTEN();
	const wanted = wantedOf(options, args);
	if (callback !== null) this.once('listening', callback);
	closeWithSignal(this, options.signal);
	const error = takeOver(this, wanted);
	if (error !== undefined) {
		enqueueTick(emitError, [this, error]);
		return this;
	}
	if (this._unref) this._handle.unref();
	enqueueTick(emitListening, [this]);
	return this;
};

// ---- connections ----

function addressesOf(handle) {
	const local = handle.address(false);
	const peer = handle.address(true);
	return {
		localAddress: local?.address,
		localPort: local?.port,
		localFamily: local?.family,
		remoteAddress: peer?.address,
		remotePort: peer?.port,
		remoteFamily: peer?.family,
	};
}

function refuses(server, handle) {
	if (server.maxConnections > 0 || server.maxConnections === 0) {
		if (server._connections >= server.maxConnections) {
			server.emit('drop', addressesOf(handle));
			return true;
		}
	}
	const address = server.blockList === undefined ? undefined : handle.address(true)?.address;
	return address !== undefined && server.blockList.check(address, `ipv${isIP(address)}`);
}

function onConnection(server, handle) {
	if (refuses(server, handle)) {
		handle.close(false);
		return;
	}
	const socket = new Socket({
		handle,
		allowHalfOpen: server.allowHalfOpen,
		pauseOnCreate: server.pauseOnConnect,
		readable: true,
		writable: true,
		readableHighWaterMark: server.highWaterMark,
		writableHighWaterMark: server.highWaterMark,
	});
	if (server.noDelay) socket.setNoDelay(true);
	if (server.keepAlive) socket.setKeepAlive(true, server.keepAliveInitialDelay * 1000);
	server._connections++;
	socket.server = server;
	socket._server = server;
	server.emit('connection', socket);
}

prototype[onHandle] = function (event, value) {
	if (event === CONNECTION) onConnection(this, value);
	// The worker drains: nothing more is accepted.
	else if (event === CLOSE && this._handle !== null)
		if (this[drained] === undefined) this.close();
		else this[drained]();
};

prototype.getConnections = function (callback) {
	enqueueTick(callback, [null, this._connections]);
	return this;
};

prototype._emitCloseIfDrained = function () {
	if (this._handle === null && this._connections === 0) enqueueTick((server) => server.emit('close'), [this]);
};

prototype.close = function (callback) {
	if (typeof callback === 'function') {
		if (this._handle === null)
			this.once('close', () => callback(new codes.ERR_SERVER_NOT_RUNNING()));
		else this.once('close', callback);
	}
	if (this._handle !== null) {
		const handle = this._handle;
		this._handle = null;
		handle.close(false);
	}
	this._emitCloseIfDrained();
	return this;
};

prototype[Symbol.asyncDispose] = async function () {
	if (this._handle === null) return;
	const { promise, reject, resolve } = PromiseWithResolvers();
	this.close((error) => (error ? reject(error) : resolve()));
	await promise;
};

prototype.address = function () {
	if (this._handle === null) return null;
	return this._handle.path ?? this[listener]?.path ?? this._handle.address(false) ?? null;
};

prototype.ref = function () {
	this._unref = false;
	this._handle?.ref();
	return this;
};
prototype.unref = function () {
	this._unref = true;
	this._handle?.unref();
	return this;
};

ObjectDefineProperty(prototype, 'listening', {
	__proto__: null,
	get() {
		return this._handle !== null;
	},
	enumerable: true,
	configurable: true,
});
