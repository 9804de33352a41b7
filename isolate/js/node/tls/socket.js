// tls.TLSSocket: a net.Socket whose handle encrypts. tls.connect.

import {
	Boolean,
	Error,
	FunctionPrototypeCall,
	ObjectSetPrototypeOf,
	Symbol,
} from '../../primordials.js';
import { enqueueTick } from '../../ticks.js';
import { Buffer } from '../buffer.js';
import { codes } from '../errors.js';
import { isIP } from '../own/internal/net.js';
import { afterConnect, attachHandle, normalizeArgs, Socket } from '../net/socket.js';
import { bufferOf, handleOwner } from '../net/handle.js';
import { certificateOf, translatePeerCertificate } from './certificate.js';
import { validateFunction, validateNumber, validateString, validateUint32 } from '../validators.js';
import { createSecureContext, defaults, SecureContext } from './context.js';
import { DuplexHandle, onSecure, onServername, onTicket, takeBuffered, TlsHandle } from './handle.js';

const state = Symbol('tls');
const connectOptions = Symbol('connect options');

function setProtocols(session, protocols) {
	if (!protocols) return;
	const converted = { __proto__: null };
	defaults.tls.convertALPNProtocols(protocols, converted);
	if (converted.ALPNProtocols?.length > 0) session.setAlpn(converted.ALPNProtocols);
}

export function TLSSocket(socket, options) {
	if (!(this instanceof TLSSocket)) return new TLSSocket(socket, options);
	options = { ...options };
	if (options.secureContext !== undefined && !(options.secureContext instanceof SecureContext))
		throw new codes.ERR_TLS_INVALID_CONTEXT('context');
	if (options.ALPNCallback)
		throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('options.ALPNCallback');
	const secure = options.secureContext ?? createSecureContext(options);
	const handle = new TlsHandle(secure.context, Boolean(options.isServer));
	this[state] = { __proto__: null, handle, verified: false, ticket: undefined };
	FunctionPrototypeCall(Socket, this, {
		allowHalfOpen: socket ? socket.allowHalfOpen : options.allowHalfOpen,
		manualStart: true,
		highWaterMark: options.highWaterMark,
		onread: socket ? undefined : options.onread,
		signal: options.signal,
		noDelay: options.noDelay,
		keepAlive: options.keepAlive,
		keepAliveInitialDelay: options.keepAliveInitialDelay,
	});
	this._tlsOptions = options;
	this._secureEstablished = false;
	this._securePending = false;
	this.secureConnecting = true;
	this.servername = null;
	this.alpnProtocol = null;
	this.authorized = false;
	this.authorizationError = null;
	this.encrypted = true;
	this.ssl = null;
	handle[handleOwner] = this;
	const { session } = handle;
	if (options.isServer)
		session.setVerify(
			Boolean(options.requestCert || options.rejectUnauthorized),
			Boolean(options.requestCert && options.rejectUnauthorized),
		);
	setProtocols(session, options.ALPNProtocols);
	if (options.session) this.setSession(options.session);
	if (socket) wrap(this, socket);
}
ObjectSetPrototypeOf(TLSSocket.prototype, Socket.prototype);
ObjectSetPrototypeOf(TLSSocket, Socket);
const { prototype } = TLSSocket;

// ---- over a stream that is there already ----

// Takes the handle from a net.Socket; what else it was asked goes over its own methods.
function wrap(tls, socket) {
	tls._parent = socket;
	socket.on('close', () => tls.destroy());
	if (!(socket instanceof Socket)) {
		attach(tls, new DuplexHandle(socket));
		return;
	}
	socket.on('error', (error) => tls.destroy(error));
	if (socket.connecting || socket._handle === null) {
		tls.connecting = true;
		socket.once('connect', () => {
			tls.connecting = false;
			if (tls.destroyed) return;
			attach(tls, socket._handle);
			tls.emit('connect');
			begin(tls);
		});
		return;
	}
	attach(tls, socket._handle);
}

function attach(tls, lower) {
	const { handle } = tls[state];
	const buffered = tls._parent instanceof Socket ? takeBuffered(tls._parent) : [];
	handle.attach(lower, tls._parent);
	tls._handle = handle;
	tls.ssl = handle;
	for (let i = 0; i < buffered.length; i++) handle.receive(buffered[i]);
	// A server waits for the client; listeners come first.
	if (tls._tlsOptions.isServer) enqueueTick(begin, [tls]);
}

function begin(tls) {
	if (tls.destroyed || tls._handle === null) return;
	if (!tls.isPaused()) tls.read(0);
	tls._handle.start();
}

// tls.connect without a socket of its own: the connection is there.
prototype[afterConnect] = function () {
	const { handle } = this[state];
	handle.attach(this._handle, undefined);
	this._handle = handle;
	this.ssl = handle;
	enqueueTick(begin, [this]);
};

prototype._start = function () {
	if (this.connecting || this._handle === null) return;
	enqueueTick(begin, [this]);
};
prototype._init = function () {};
prototype._releaseControl = function () {
	return true;
};
prototype[attachHandle] = Socket.prototype[attachHandle];

// ---- the handshake is done ----

prototype[onSecure] = function () {
	const { session } = this[state].handle;
	const description = session.describe();
	this.alpnProtocol = description[4];
	if (this._tlsOptions.isServer) this.servername = description[5];
	else this.servername ??= description[5];
	this._secureEstablished = true;
	this.secureConnecting = false;
	this.emit('secure');
	if (this._tlsOptions.isServer) this.emit('secureConnect');
};

// Sessions are for the program when it knows whom it talks to.
prototype[onTicket] = function (ticket) {
	const own = this[state];
	if (own.verified) this.emit('session', bufferOf(ticket));
	else own.ticket = ticket;
};

prototype[onServername] = function () {
	const { handle } = this[state];
	const name = handle.session.describe()[5];
	const { SNICallback } = this._tlsOptions;
	const go = (context) => {
		handle.session.setContext(context?.context);
		handle.advance();
	};
	if (name === false || typeof SNICallback !== 'function') {
		go(undefined);
		return;
	}
	let answered = false;
	SNICallback(name, (error, context) => {
		if (answered || this.destroyed) return;
		answered = true;
		if (error) this.destroy(error);
		else if (context && !(context instanceof SecureContext) && !(context.context instanceof Object))
			this.destroy(new codes.ERR_TLS_INVALID_CONTEXT('context'));
		else enqueueTick(go, [context]);
	});
};

function verifyErrorOf(tls) {
	const result = tls[state].handle.session.verifyError();
	if (result === undefined) return null;
	const error = new Error(result[1]);
	error.code = result[0];
	return error;
}
export { verifyErrorOf };

function onConnectSecure() {
	const options = this[connectOptions];
	let error = verifyErrorOf(this);
	// Also of a resumed session: it may have been another server's.
	if (error === null)
		error = options.checkServerIdentity(identityOf(options), this.getPeerCertificate(true)) ?? null;
	if (error) {
		this.authorized = false;
		this.authorizationError = error.code || error.message;
		if (options.rejectUnauthorized !== false) {
			this.destroy(error);
			return;
		}
	} else {
		this.authorized = true;
	}
	this.secureConnecting = false;
	this.emit('secureConnect');
	const own = this[state];
	own.verified = true;
	const { ticket } = own;
	own.ticket = undefined;
	if (ticket !== undefined) this.emit('session', bufferOf(ticket));
}

// Whom the certificate must name.
function identityOf(options) {
	return options.servername || options.host || options.socket?._host || 'localhost';
}

// ---- what programs ask ----

function sessionOf(tls) {
	return tls[state].handle.session;
}

prototype.setServername = function (name) {
	validateString(name, 'name');
	if (this._tlsOptions.isServer) throw new codes.ERR_TLS_SNI_FROM_SERVER();
	sessionOf(this).setServername(name);
};

prototype.setSession = function (session) {
	if (typeof session === 'string') session = Buffer.from(session, 'latin1');
	sessionOf(this).setSession(session);
};

prototype.getSession = function () {
	if (this._handle === null) return null;
	const session = sessionOf(this).session();
	return session === undefined ? undefined : bufferOf(session);
};
prototype.isSessionReused = function () {
	return sessionOf(this).describe()[6];
};
prototype.getTLSTicket = function () {
	return undefined;
};

// DETAILED: with issuerCertificate up to the root, which is its own issuer.
prototype.getPeerCertificate = function (detailed) {
	if (this._handle === null || this.ssl === null) return null;
	const chain = sessionOf(this).peerCertificate(Boolean(detailed));
	if (chain.length === 0) return {};
	for (let i = chain.length - 1; i >= 0; i--) {
		translatePeerCertificate(certificateOf(chain[i]));
		if (!detailed) continue;
		if (i + 1 < chain.length) chain[i].issuerCertificate = chain[i + 1];
		else if (namesItself(chain[i])) chain[i].issuerCertificate = chain[i];
	}
	return chain[0];
};
function namesItself(certificate) {
	return JSON.stringify(certificate.subject) === JSON.stringify(certificate.issuer);
}
prototype.getCertificate = function () {
	if (this._handle === null) return null;
	const own = sessionOf(this).certificate();
	return own === undefined ? {} : translatePeerCertificate(certificateOf(own));
};
prototype.getProtocol = function () {
	return this._handle === null || this.ssl === null ? null : sessionOf(this).describe()[0];
};
prototype.getCipher = function () {
	if (this._handle === null || this.ssl === null) return null;
	const [, name, standardName, version] = sessionOf(this).describe();
	return name === '' ? undefined : { name, standardName, version };
};
prototype.getEphemeralKeyInfo = function () {
	if (this._tlsOptions.isServer || this._handle === null) return null;
	const [type, name, size] = sessionOf(this).ephemeralKey();
	if (type === '') return {};
	return name === '' ? { type, size } : { type, name, size };
};
prototype.getSharedSigalgs = function () {
	return [];
};
prototype.getFinished = function () {
	const bytes = sessionOf(this).finished(false);
	return bytes === undefined ? undefined : bufferOf(bytes);
};
prototype.getPeerFinished = function () {
	const bytes = sessionOf(this).finished(true);
	return bytes === undefined ? undefined : bufferOf(bytes);
};
prototype.exportKeyingMaterial = function (length, label, context) {
	validateUint32(length, 'length', true);
	validateString(label, 'label');
	if (!this._secureEstablished) throw new codes.ERR_TLS_INVALID_STATE();
	return bufferOf(sessionOf(this).exportKeys(length, label, context));
};
prototype.setMaxSendFragment = function (size) {
	validateNumber(size, 'size');
	return false;
};
// TLS 1.3 has none, and in 1.2 it is a way to attack.
prototype.disableRenegotiation = function () {};
prototype.renegotiate = function (options, callback) {
	if (callback !== undefined) {
		validateFunction(callback, 'callback');
		enqueueTick(callback, [new codes.ERR_TLS_RENEGOTIATION_DISABLED()]);
	}
	return false;
};
prototype.enableTrace = function () {};
prototype.setKeyCert = function () {
	throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('tlsSocket.setKeyCert');
};
prototype.getX509Certificate = prototype.getPeerX509Certificate = function () {
	throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('X509Certificate');
};

// ---- tls.connect ----

// (options), (port, host, options), (path, options), each with a callback.
function connectArguments(args) {
	const [first, callback] = normalizeArgs(args);
	let options = first;
	for (let i = 1; i < 3; i++)
		if (args[i] !== null && typeof args[i] === 'object') options = { ...options, ...args[i] };
	return [options, callback];
}

export function connect(...args) {
	const [given, callback] = connectArguments(args);
	const options = {
		rejectUnauthorized: true,
		ciphers: defaults.tls.DEFAULT_CIPHERS,
		checkServerIdentity: defaults.tls.checkServerIdentity,
		minDHSize: 1024,
		...given,
	};
	validateFunction(options.checkServerIdentity, 'options.checkServerIdentity');
	validateNumber(options.minDHSize, 'options.minDHSize', 1);
	options.rejectUnauthorized = options.rejectUnauthorized !== false;
	const tls = new TLSSocket(options.socket, {
		allowHalfOpen: options.allowHalfOpen,
		secureContext: options.secureContext || createSecureContext(options),
		isServer: false,
		rejectUnauthorized: options.rejectUnauthorized,
		session: options.session,
		ALPNProtocols: options.ALPNProtocols,
		highWaterMark: options.highWaterMark,
		onread: options.onread,
		signal: options.signal,
		noDelay: options.noDelay,
		keepAlive: options.keepAlive,
		keepAliveInitialDelay: options.keepAliveInitialDelay,
	});
	tls[connectOptions] = options;
	if (callback !== null) tls.once('secureConnect', callback);
	if (options.servername && isIP(options.servername) === 0) tls.setServername(options.servername);
	tls.on('secure', onConnectSecure);
	if (!options.socket) {
		if (options.timeout) tls.setTimeout(options.timeout);
		tls.connect(options);
	} else {
		tls._start();
	}
	return tls;
}
