// net.Socket: a Duplex over a handle.

import { native } from '../../native.js';
import {
	ArrayBufferIsView,
	ArrayIsArray,
	ArrayPrototypePush,
	Boolean,
	FunctionPrototypeCall,
	Number,
	NumberIsNaN,
	NumberIsInteger,
	ObjectDefineProperty,
	ObjectSetPrototypeOf,
	StringPrototypeSlice,
	Symbol,
	TypedArrayPrototypeSet,
	TypedArrayPrototypeSubarray,
} from '../../primordials.js';
import { enqueueTick } from '../../ticks.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import { isUint8Array } from '../../bytes.js';
import { internalBinding } from '../binding.js';
import { Buffer } from '../buffer.js';
import { codes, ErrnoException } from '../errors.js';
import { symbols } from '../own/internal/async_hooks.js';
import { isIP } from '../own/internal/net.js';
import { Duplex } from '../stream.js';
import blocklist from '../upstream/internal/blocklist.js';
import { validateAbortSignal, validateFunction, validateNumber, validateString } from '../validators.js';
import {
	bufferOf,
	CLOSE,
	CONNECT,
	handleOwner,
	makeHandle,
	onHandle,
	READ,
	SHUTDOWN,
	WRITE,
} from './handle.js';
import { refusalError } from './errors.js';

const DuplexPrototype = Duplex.prototype;
const { pause, read, resume, write } = DuplexPrototype;

const { kReadBytesOrError, streamBaseState } = internalBinding('stream_wrap');
const NOTCONN = -107;
const END_OF_FILE = -4095;

// State that a program has no business with.
const state = Symbol('state');
export const afterConnect = Symbol('afterConnect'); // TLSSocket puts its handle on top
export const attachHandle = Symbol('attachHandle');
export const targetOf = Symbol('target');

function makeState() {
	return {
		__proto__: null,
		timer: undefined,
		timeoutWritten: 0, // of a write under way, when the timer was set
		noDelay: false,
		keepAlive: false,
		keepAliveDelay: 0,
		buffer: undefined, // of onread
		bufferMaker: undefined,
		bufferCallback: undefined,
		bytesRead: 0,
		bytesWritten: 0,
		local: undefined,
		peer: undefined,
		writing: undefined, // the callback of the write under way
		pending: 0, // bytes of the write that waits for the connection
		finishing: undefined, // the callback of _final
		reset: false,
		isException: false,
		referenced: true,
	};
}

function refuseObjectMode(options) {
	for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'])
		if (options[name])
			throw new codes.ERR_INVALID_ARG_VALUE(`options.${name}`, options[name], 'is not supported');
}

function takeOnread(own, onread) {
	if (onread === null || typeof onread !== 'object' || typeof onread.callback !== 'function') return;
	if (typeof onread.buffer === 'function') own.bufferMaker = onread.buffer;
	else if (!isUint8Array(onread.buffer)) return;
	own.buffer = onread.buffer;
	own.bufferCallback = onread.callback;
}

export function Socket(options) {
	if (!(this instanceof Socket)) return new Socket(options);
	if (typeof options === 'number') options = { fd: options };
	else options = { ...options };
	refuseObjectMode(options);
	if (options.fd !== undefined)
		throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('net.Socket({ fd })');
	if (options.keepAliveInitialDelay !== undefined) {
		validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
		if (options.keepAliveInitialDelay < 0) options.keepAliveInitialDelay = 0;
	}
	if (options.blockList && !blocklist.BlockList.isBlockList(options.blockList))
		throw new codes.ERR_INVALID_ARG_TYPE('options.blockList', 'net.BlockList', options.blockList);
	const own = makeState();
	this[state] = own;
	this.connecting = false;
	this._hadError = false;
	this._handle = null;
	this._parent = null;
	this._host = null;
	FunctionPrototypeCall(Duplex, this, {
		...options,
		allowHalfOpen: Boolean(options.allowHalfOpen),
		emitClose: false,
		autoDestroy: true,
		decodeStrings: true,
	});
	takeOnread(own, options.onread);
	own.noDelay = Boolean(options.noDelay);
	own.keepAlive = Boolean(options.keepAlive);
	own.keepAliveDelay = ~~(options.keepAliveInitialDelay / 1000);
	this.server = null;
	this._server = null;
	this[targetOf] = undefined;
	if (options.blockList) this.blockList = options.blockList;
	if (options.signal) validateAbortSignal(options.signal, 'options.signal');
	this.on('end', onEnd);
	if (options.handle) this[attachHandle](options.handle, options);
}
ObjectSetPrototypeOf(Socket.prototype, DuplexPrototype);
ObjectSetPrototypeOf(Socket, Duplex);
const { prototype } = Socket;

// Over a handle that is connected already.
prototype[attachHandle] = function (handle, options) {
	this._handle = handle;
	handle[handleOwner] = this;
	if (options.readable === false) return;
	if (options.pauseOnCreate) this.pause();
	else if (!options.manualStart) this.read(0);
};

// ---- the other side has ended ----

function onEnd() {
	if (!this.allowHalfOpen) this.write = writeAfterEnd;
}

function writeAfterEnd(chunk, encoding, callback) {
	if (!this.writableEnded) return FunctionPrototypeCall(write, this, chunk, encoding, callback);
	if (typeof encoding === 'function') callback = encoding;
	const error = new Error('This socket has been ended by the other party');
	error.code = 'EPIPE';
	if (typeof callback === 'function') enqueueTick(callback, [error]);
	this.destroy(error);
	return false;
}

// ---- what the handle says ----

prototype[onHandle] = function (event, value, extra) {
	switch (event) {
		case READ:
			onRead(this, value);
			break;
		case WRITE:
			onWritten(this, value);
			break;
		case SHUTDOWN:
			onFinished(this);
			break;
		case CONNECT:
			onConnect(this, value, extra);
			break;
		case CLOSE:
			this.emit('close', this[state].isException);
			break;
	}
};

function onRead(socket, value) {
	if (socket.destroyed) return;
	if (typeof socket._handle?.onread === 'function') {
		callGuard(socket, value);
		return;
	}
	socket._unrefTimer();
	if (value === undefined) {
		onReadEnd(socket);
	} else if (typeof value === 'number') {
		socket.destroy(new ErrnoException(value, 'read'));
	} else if (!isUint8Array(value)) {
		socket.destroy(value); // an error of TLS
	} else if (socket[state].buffer !== undefined) {
		giveToCallback(socket, value);
	} else if (!socket.push(bufferOf(value))) {
		stopReading(socket);
	}
}

// An agent of node:http watches the connections that nobody uses: what arrives there would be
// taken for the answer to the next request.
function callGuard(socket, value) {
	const handle = socket._handle;
	streamBaseState[kReadBytesOrError] = isUint8Array(value)
		? value.length
		: typeof value === 'number'
			? value
			: END_OF_FILE;
	handle[symbols.owner_symbol] = socket;
	handle.onread();
}

function onReadEnd(socket) {
	// Nothing will be read any more, so 'end' must not wait for somebody who reads.
	if (socket._handle !== null) socket._handle.reading = false;
	socket.push(null);
	socket.read(0);
}

// onread: the bytes go into the program's own buffer.
function giveToCallback(socket, bytes) {
	const own = socket[state];
	while (bytes.length > 0 && !socket.destroyed) {
		if (own.bufferMaker !== undefined) own.buffer = FunctionPrototypeCall(own.bufferMaker, undefined);
		const target = own.buffer;
		if (!isUint8Array(target) || target.length === 0) return;
		const length = bytes.length < target.length ? bytes.length : target.length;
		TypedArrayPrototypeSet(target, TypedArrayPrototypeSubarray(bytes, 0, length), 0);
		bytes = TypedArrayPrototypeSubarray(bytes, length);
		if (FunctionPrototypeCall(own.bufferCallback, undefined, length, target) === false) {
			stopReading(socket);
			// The rest of what was read already comes with the next read.
			if (bytes.length > 0) own.held = bytes;
			return;
		}
	}
}

// Whether it reads is said on the handle, where Node's HTTP library looks, too.
function stopReading(socket) {
	const handle = socket._handle;
	if (handle === null) return;
	handle.reading = false;
	const error = handle.readStop();
	if (error < 0) socket.destroy(new ErrnoException(error, 'read'));
}

function startReading(socket) {
	const own = socket[state];
	const handle = socket._handle;
	if (handle === null || handle.reading) return;
	handle.reading = true;
	if (own.held !== undefined) {
		const bytes = own.held;
		own.held = undefined;
		giveToCallback(socket, bytes);
		if (!handle.reading || socket._handle !== handle) return;
	}
	const error = handle.readStart();
	if (error < 0) socket.destroy(new ErrnoException(error, 'read'));
}

function onWritten(socket, status) {
	const own = socket[state];
	const { writing } = own;
	own.writing = undefined;
	if (writing === undefined) return;
	if (socket.destroyed) {
		writing(null);
		return;
	}
	if (typeof status === 'object') {
		writing(status);
	} else if (status < 0) {
		writing(new ErrnoException(status, 'write'));
	} else {
		socket._unrefTimer();
		writing();
	}
}

function onFinished(socket) {
	const own = socket[state];
	const { finishing } = own;
	own.finishing = undefined;
	finishing?.();
}

// ---- connecting ----

function onConnect(socket, refusal, details) {
	if (socket.destroyed) return;
	if (refusal !== 0) {
		socket.connecting = false;
		const error = refusalError(refusal, details[0], details[1], socket[targetOf]);
		const { host } = socket[targetOf];
		if (error.syscall === 'getaddrinfo') socket.emit('lookup', error, undefined, undefined, host);
		socket.destroy(error);
		return;
	}
	const own = socket[state];
	const target = socket[targetOf];
	own.local = undefined;
	if (target.path === undefined) {
		const peer = socket._handle.address(true);
		if (peer !== undefined && isBlocked(socket, peer)) return;
		if (peer !== undefined && isIP(target.host) === 0)
			socket.emit('lookup', null, peer.address, peer.family === 'IPv6' ? 6 : 4, target.host);
		// A listener may have ended it.
		if (socket._handle === null) return;
		if (own.noDelay) socket._handle.setNoDelay(true);
		if (own.keepAlive) socket._handle.setKeepAlive(true, own.keepAliveDelay);
	}
	socket.connecting = false;
	socket._unrefTimer();
	socket[afterConnect]();
	socket.emit('connect');
	socket.emit('ready');
	if (!socket.isPaused()) socket.read(0);
}
prototype[afterConnect] = function () {};

function isBlocked(socket, peer) {
	if (!socket.blockList?.check(peer.address, peer.family === 'IPv6' ? 'ipv6' : 'ipv4')) return false;
	socket.destroy(new codes.ERR_IP_BLOCKED(peer.address));
	return true;
}

export function isPipeName(value) {
	return typeof value === 'string' && toPort(value) === false;
}

function toPort(value) {
	return (value = Number(value)) >= 0 ? value : false;
}

// (options), (port, host), (path), each with a callback: [options, callback].
export function normalizeArgs(args) {
	if (args.length === 1 && ArrayIsArray(args[0]) && args[0][normalized]) return args[0];
	let options = {};
	const first = args[0];
	if (args.length === 0) return mark([options, null]);
	if (typeof first === 'object' && first !== null) {
		options = first;
	} else if (isPipeName(first)) {
		options.path = first;
	} else {
		options.port = first;
		if (args.length > 1 && typeof args[1] === 'string') options.host = args[1];
	}
	const last = args[args.length - 1];
	return mark([options, typeof last === 'function' ? last : null]);
}
const normalized = Symbol('normalizedArgs');
function mark(list) {
	list[normalized] = true;
	return list;
}

// What a connection that was destroyed before leaves behind.
function renew(socket) {
	if (socket.write !== prototype.write) socket.write = prototype.write;
	socket._undestroy();
	const own = socket[state];
	own.peer = own.local = own.held = undefined;
	socket._handle = null;
}

function checkFamily(family) {
	if (family === undefined || family === 0) return 0;
	if (family === 4 || family === 'IPv4') return 4;
	if (family === 6 || family === 'IPv6') return 6;
	throw new codes.ERR_INVALID_ARG_VALUE('family', family, 'must be one of: 0, 4, 6');
}

function checkPort(port) {
	if (port === undefined) throw new codes.ERR_MISSING_ARGS(['options', 'port', 'path']);
	if (typeof port !== 'number' && typeof port !== 'string')
		throw new codes.ERR_INVALID_ARG_TYPE('options.port', ['number', 'string'], port);
	const number = +port;
	if ((typeof port === 'string' && port.trim() === '') || !NumberIsInteger(number) || number < 0 || number > 65535)
		throw new codes.ERR_SOCKET_BAD_PORT('Port', port);
	return number;
}

// Only the egress process connects, and from where is its affair.
function refuseLocal(options) {
	if (options.localAddress !== undefined && isIP(options.localAddress) === 0)
		throw new codes.ERR_INVALID_IP_ADDRESS(options.localAddress);
	if (options.localAddress !== undefined || options.localPort)
		throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('options.localAddress and options.localPort');
}

prototype.connect = function (...args) {
	const [options, callback] = normalizeArgs(args);
	const own = this[state];
	if (callback !== null) this.once('connect', callback);
	if (this._parent?.connecting) return this;
	if (options.onread) takeOnread(own, options.onread);
	if (options.noDelay !== undefined) own.noDelay = Boolean(options.noDelay);
	if (options.keepAlive !== undefined) own.keepAlive = Boolean(options.keepAlive);
	if (options.keepAliveInitialDelay !== undefined)
		own.keepAliveDelay = ~~(options.keepAliveInitialDelay / 1000);
	const usesPath = !!options.path;
	if (usesPath) validateString(options.path, 'options.path');
	const port = usesPath ? 0 : checkPort(options.port);
	const family = usesPath ? 0 : checkFamily(options.family);
	if (!usesPath) refuseLocal(options);
	const host = options.host || 'localhost';
	if (!usesPath && typeof host !== 'string')
		throw new codes.ERR_INVALID_ARG_TYPE('options.host', 'string', host);
	if (options.lookup !== undefined && options.lookup !== null)
		validateFunction(options.lookup, 'options.lookup');
	if (this.destroyed || (this._handle !== null && !this.connecting)) renew(this);
	this.connecting = true;
	this._unrefTimer();
	if (usesPath) {
		connectTo(this, { path: options.path, host: undefined, port: undefined }, 0);
		return this;
	}
	this._host = host;
	if (options.lookup && isIP(host) === 0) lookUp(this, options, host, port, family);
	else connectTo(this, { path: undefined, host, port }, family);
	return this;
};

function connectTo(socket, target, family) {
	const handle = makeHandle();
	handle[handleOwner] = socket;
	socket._handle = handle;
	socket[targetOf] = target;
	if (!socket[state].referenced) handle.unref();
	const error = handle.connect(target.path ?? target.host, target.port ?? 0, target.path !== undefined, family, 0);
	if (error < 0) enqueueTick((failure) => socket.destroy(failure), [new ErrnoException(error, 'connect')]);
}

// The program has a resolver of its own. The address it finds must be granted itself.
function lookUp(socket, options, host, port, family) {
	const wanted = { family, hints: options.hints || 0 };
	options.lookup(host, wanted, (error, address, found) => {
		if (ArrayIsArray(address)) ({ address, family: found } = address[0] ?? {});
		socket.emit('lookup', error, address, found, host);
		if (!socket.connecting || socket.destroyed) return;
		if (!error && isIP(address) === 0) error = new codes.ERR_INVALID_IP_ADDRESS(address);
		if (error) enqueueTick((failure) => socket.destroy(failure), [error]);
		else connectTo(socket, { path: undefined, host: address, port }, 0);
	});
}

// ---- reading ----

prototype._read = function (size) {
	if (this.connecting || this._handle === null) this.once('connect', () => this._read(size));
	else startReading(this);
};

// With onread nothing is buffered, so flowing or not is reading or not.
function startCallback(socket) {
	if (socket[state].buffer !== undefined && !socket.connecting) startReading(socket);
}

prototype.pause = function () {
	const own = this[state];
	if (own.buffer !== undefined && !this.connecting && this._handle?.reading && !this.destroyed)
		stopReading(this);
	return FunctionPrototypeCall(pause, this);
};
prototype.resume = function () {
	startCallback(this);
	return FunctionPrototypeCall(resume, this);
};
prototype.read = function (size) {
	startCallback(this);
	return FunctionPrototypeCall(read, this, size);
};

// ---- writing ----

function writeNow(socket, chunks, callback) {
	const own = socket[state];
	if (socket._handle === null) {
		callback(new codes.ERR_SOCKET_CLOSED());
		return;
	}
	socket._unrefTimer();
	const result = socket._handle.write(chunks);
	if (result === 0) callback();
	else if (result === 1) own.writing = callback;
	else if (typeof result === 'object') callback(result);
	else callback(new ErrnoException(result, 'write'));
}

function writeLater(socket, chunks, length, callback) {
	const own = socket[state];
	own.pending = length;
	const onClose = () => {
		socket.off('connect', onConnected);
		own.pending = 0;
		callback(new codes.ERR_SOCKET_CLOSED_BEFORE_CONNECTION());
	};
	const onConnected = () => {
		socket.off('close', onClose);
		own.pending = 0;
		writeNow(socket, chunks, callback);
	};
	socket.once('connect', onConnected);
	socket.once('close', onClose);
}

prototype._write = function (chunk, encoding, callback) {
	if (this.connecting) writeLater(this, chunk, chunk.length, callback);
	else writeNow(this, chunk, callback);
};

prototype._writev = function (items, callback) {
	const chunks = [];
	let length = 0;
	for (let i = 0; i < items.length; i++) {
		const { chunk } = items[i];
		length += chunk.length;
		ArrayPrototypePush(chunks, chunk);
	}
	if (this.connecting) writeLater(this, chunks, length, callback);
	else writeNow(this, chunks, callback);
};

prototype._final = function (callback) {
	if (this.connecting) {
		this.once('connect', () => this._final(callback));
		return;
	}
	if (this._handle === null) {
		callback();
		return;
	}
	this[state].finishing = callback;
	const error = this._handle.shutdown();
	if (error >= 0) return;
	this[state].finishing = undefined;
	callback(error === NOTCONN ? undefined : new ErrnoException(error, 'shutdown'));
};

// ---- the end ----

prototype.end = function (data, encoding, callback) {
	FunctionPrototypeCall(DuplexPrototype.end, this, data, encoding, callback);
	return this;
};

prototype.destroySoon = function () {
	if (this.writable) this.end();
	if (this.writableFinished) this.destroy();
	else this.once('finish', this.destroy);
};

prototype.resetAndDestroy = function () {
	if (this._handle === null) {
		this.destroy(new codes.ERR_SOCKET_CLOSED());
		return this;
	}
	if (this.connecting) {
		this.once('connect', () => this._reset());
		return this;
	}
	return this._reset();
};
prototype._reset = function () {
	this[state].reset = true;
	return this.destroy();
};

prototype._destroy = function (error, callback) {
	const own = this[state];
	this.connecting = false;
	for (let socket = this; socket !== null && socket !== undefined; socket = socket._parent)
		if (socket[state] !== undefined) clearTimer(socket[state]);
	own.isException = Boolean(error);
	const handle = this._handle;
	if (handle !== null) {
		own.bytesRead = handle.bytesRead;
		own.bytesWritten = handle.bytesWritten;
		own.peer ??= handle.address?.(true);
		this._handle = null;
		own.local = undefined;
	}
	const closes = handle !== null && handle.close(own.reset);
	callback(error);
	if (!closes) enqueueTick(emitClose, [this]);
	if (this._server !== null && this._server !== undefined) {
		this._server._connections--;
		this._server._emitCloseIfDrained?.();
	}
};

function emitClose(socket) {
	socket.emit('close', socket[state].isException);
}

// ---- time ----

function clearTimer(own) {
	if (own.timer !== undefined) clearTimeout(own.timer);
	own.timer = undefined;
}

prototype._unrefTimer = function () {
	for (let socket = this; socket !== null && socket !== undefined; socket = socket._parent)
		socket[state]?.timer?.refresh();
};

prototype._onTimeout = function () {
	const own = this[state];
	// A large write that goes on is no silence.
	const written = this._handle?.bytesWritten ?? 0;
	if (own.writing !== undefined && written !== own.timeoutWritten) {
		own.timeoutWritten = written;
		own.timer?.refresh();
		return;
	}
	this.emit('timeout');
};

const TIMEOUT_MAX = 2 ** 31 - 1;

prototype.setTimeout = function (milliseconds, callback) {
	if (this.destroyed) return this;
	const own = this[state];
	this.timeout = milliseconds;
	validateNumber(milliseconds, 'msecs');
	if (milliseconds < 0 || NumberIsNaN(milliseconds) || milliseconds === Infinity)
		throw new codes.ERR_OUT_OF_RANGE('msecs', 'a non-negative finite number', milliseconds);
	clearTimer(own);
	if (milliseconds === 0) {
		if (callback !== undefined) {
			validateFunction(callback, 'callback');
			this.removeListener('timeout', callback);
		}
		return this;
	}
	if (callback !== undefined) {
		validateFunction(callback, 'callback');
		this.once('timeout', callback);
	}
	own.timeoutWritten = this._handle?.bytesWritten ?? 0;
	own.timer = setTimeout(() => this._onTimeout(), milliseconds < TIMEOUT_MAX ? milliseconds : TIMEOUT_MAX);
	own.timer.unref();
	return this;
};

// ---- options of the connection ----

prototype.setNoDelay = function (enable) {
	const own = this[state];
	own.noDelay = Boolean(enable === undefined ? true : enable);
	if (this._handle !== null && !this.connecting) this._handle.setNoDelay(own.noDelay);
	return this;
};

prototype.setKeepAlive = function (enable, initialDelay) {
	const own = this[state];
	if (enable !== null && typeof enable === 'object') ({ enable, initialDelay } = enable);
	own.keepAlive = Boolean(enable);
	own.keepAliveDelay = ~~(initialDelay / 1000);
	if (this._handle !== null && !this.connecting)
		this._handle.setKeepAlive(own.keepAlive, own.keepAliveDelay);
	return this;
};

function setReference(socket, wanted) {
	socket[state].referenced = wanted;
	if (wanted) socket._handle?.ref?.();
	else socket._handle?.unref?.();
	return socket;
}
prototype.ref = function () {
	return setReference(this, true);
};
prototype.unref = function () {
	return setReference(this, false);
};

// ---- what it knows of itself ----

prototype.address = function () {
	return localOf(this);
};

function localOf(socket) {
	const own = socket[state];
	if (socket._handle === null || socket.connecting) return own.local ?? {};
	return (own.local ??= socket._handle.address?.(false)) ?? {};
}
prototype._getsockname = function () {
	return localOf(this);
};
prototype._getpeername = function () {
	const own = this[state];
	if (this._handle === null || this.connecting) return own.peer ?? {};
	return (own.peer ??= this._handle.address?.(true)) ?? {};
};

const getters = {
	bytesRead() {
		return this._handle === null ? this[state].bytesRead : this._handle.bytesRead;
	},
	bytesWritten() {
		let bytes = this._handle === null ? this[state].bytesWritten : this._handle.bytesWritten;
		bytes += this[state].pending;
		const waiting = this.writableBuffer;
		if (!waiting) return undefined;
		for (let i = 0; i < waiting.length; i++) {
			const { chunk, encoding } = waiting[i];
			bytes += ArrayBufferIsView(chunk) ? chunk.length : Buffer.byteLength(chunk, encoding);
		}
		return bytes;
	},
	_bytesDispatched() {
		return this._handle === null ? this[state].bytesWritten : this._handle.bytesWritten;
	},
	remoteAddress() {
		return this._getpeername().address;
	},
	remoteFamily() {
		return this._getpeername().family;
	},
	remotePort() {
		return this._getpeername().port;
	},
	localAddress() {
		return localOf(this).address;
	},
	localFamily() {
		return localOf(this).family;
	},
	localPort() {
		return localOf(this).port;
	},
	bufferSize() {
		return this._handle === null ? undefined : this.writableLength;
	},
	pending() {
		return this._handle === null || this.connecting;
	},
	_connecting() {
		return this.connecting;
	},
	readyState() {
		if (this.connecting) return 'opening';
		if (this.readable && this.writable) return 'open';
		if (this.readable) return 'readOnly';
		return this.writable ? 'writeOnly' : 'closed';
	},
};
for (const name of Object.keys(getters))
	ObjectDefineProperty(prototype, name, {
		__proto__: null,
		get: getters[name],
		enumerable: true,
		configurable: true,
	});

// A net.Socket over a connected descriptor that C holds in HANDLE (native.NetStream): for
// the pipes of children.
export function socketOver(handle, options) {
	return new Socket({ ...options, handle });
}

// "tcp:127.0.0.1:80" of START in its parts.
export function listenersOf() {
	const list = native.netListeners();
	for (let i = 0; i < list.length; i++) {
		const [name, address] = [list[i][0], list[i][1]];
		const item = { __proto__: null, index: i, name, address, path: undefined, host: undefined, port: 0 };
		if (StringPrototypeSlice(address, 0, 5) === 'unix:') {
			item.path = StringPrototypeSlice(address, 5);
		} else {
			const colon = address.lastIndexOf(':');
			const host = StringPrototypeSlice(address, 4, colon);
			item.port = +StringPrototypeSlice(address, colon + 1);
			item.host = host[0] === '[' ? StringPrototypeSlice(host, 1, -1) : host;
		}
		list[i] = item;
	}
	return list;
}
