// tls.Server: TLS that ends in the tenant, on a listener of node:net.

import {
	ArrayPrototypePush,
	FunctionPrototypeCall,
	ObjectSetPrototypeOf,
	RegExp,
	RegExpPrototypeExec,
	StringPrototypeReplace,
	StringPrototypeReplaceAll,
	StringPrototypeToLowerCase,
	Symbol,
} from '../../primordials.js';
import { enqueueTick } from '../../ticks.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import { codes } from '../errors.js';
import { Server as NetServer } from '../net/server.js';
import { connectionReset } from '../net/errors.js';
import { validateNumber, validateString } from '../validators.js';
import { createSecureContext, SecureContext } from './context.js';
import { TLSSocket, verifyErrorOf } from './socket.js';

const HANDSHAKE_MS = 120000;
const contexts = Symbol('contexts');
const shared = Symbol('shared');
const settings = Symbol('settings');

export function Server(options, listener) {
	if (!(this instanceof Server)) return new Server(options, listener);
	if (typeof options === 'function') {
		listener = options;
		options = {};
	} else if (options === null || (options !== undefined && typeof options !== 'object')) {
		throw new codes.ERR_INVALID_ARG_TYPE('options', 'Object', options);
	}
	options = { ...options };
	const timeout = options.handshakeTimeout || HANDSHAKE_MS;
	validateNumber(timeout, 'options.handshakeTimeout');
	this[contexts] = [];
	this[settings] = {
		__proto__: null,
		timeout,
		requestCert: options.requestCert === true,
		rejectUnauthorized: options.rejectUnauthorized !== false,
		ALPNProtocols: options.ALPNProtocols,
		SNICallback: options.SNICallback,
	};
	this.requestCert = this[settings].requestCert;
	this.rejectUnauthorized = this[settings].rejectUnauthorized;
	this.setSecureContext(options);
	FunctionPrototypeCall(NetServer, this, options, onConnection);
	if (listener) this.on('secureConnection', listener);
}
ObjectSetPrototypeOf(Server.prototype, NetServer.prototype);
ObjectSetPrototypeOf(Server, NetServer);
const { prototype } = Server;

prototype.setSecureContext = function (options) {
	if (options === null || typeof options !== 'object')
		throw new codes.ERR_INVALID_ARG_TYPE('options', 'Object', options);
	this[shared] = createSecureContext({ honorCipherOrder: true, ...options });
};

// *.example.com stands for one label.
prototype.addContext = function (servername, context) {
	if (!servername) throw new codes.ERR_TLS_REQUIRED_SERVER_NAME();
	validateString(servername, 'hostname');
	const escaped = StringPrototypeReplace(servername, /([.^$+?\-\\[\]{}])/g, '\\$1');
	const pattern = new RegExp(`^${StringPrototypeReplaceAll(escaped, '*', '[^.]*')}$`, 'i');
	const secure = context instanceof SecureContext ? context : createSecureContext(context);
	ArrayPrototypePush(this[contexts], { pattern, secure });
};

// The newest that matches, else the server's own.
function contextFor(server, servername, callback) {
	const list = server[contexts];
	const name = StringPrototypeToLowerCase(servername);
	for (let i = list.length - 1; i >= 0; i--) {
		if (RegExpPrototypeExec(list[i].pattern, name) === null) continue;
		callback(null, list[i].secure);
		return;
	}
	callback(null, undefined);
}

function onConnection(raw) {
	const own = this[settings];
	const socket = new TLSSocket(raw, {
		secureContext: this[shared],
		isServer: true,
		requestCert: own.requestCert,
		rejectUnauthorized: own.rejectUnauthorized,
		ALPNProtocols: own.ALPNProtocols,
		SNICallback: own.SNICallback ?? ((name, callback) => contextFor(this, name, callback)),
		highWaterMark: this.highWaterMark,
	});
	socket.server = this;
	let established = false;
	const fail = (error) => {
		if (established) return;
		established = true;
		clearTimeout(timer);
		this.emit('tlsClientError', error, socket);
	};
	const timer = setTimeout(() => {
		const error = new codes.ERR_TLS_HANDSHAKE_TIMEOUT();
		fail(error);
		socket.destroy();
	}, own.timeout);
	timer.unref();
	// Until the client is known, its errors are the server's.
	socket.on('error', fail);
	socket.on('close', () => {
		if (!established) fail(connectionReset('socket hang up'));
	});
	socket.on('secure', () => {
		if (established || socket.destroyed) return;
		established = true;
		clearTimeout(timer);
		if (own.requestCert && !checkClient(socket, own, this)) return;
		socket.removeListener('error', fail);
		this.emit('secureConnection', socket);
	});
}

// Whether the client may stay.
function checkClient(socket, own, server) {
	const error = verifyErrorOf(socket);
	socket.authorized = error === null;
	socket.authorizationError = error === null ? null : error.code;
	if (error === null || !own.rejectUnauthorized) return true;
	enqueueTick(() => {
		server.emit('tlsClientError', error, socket);
		socket.destroy();
	}, []);
	return false;
}

prototype.getTicketKeys = prototype.setTicketKeys = function () {
	throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('ticket keys');
};

export function createServer(options, listener) {
	return new Server(options, listener);
}
