// node:net. Clients connect through the egress process, by the policy's net.connect;
// servers take over listeners of net.listen, which the supervisor has bound.

import { validateBoolean, validateInt32 } from './validators.js';
import { isIP, isIPv4, isIPv6 } from './own/internal/net.js';
import { normalizeArgs, Socket } from './net/socket.js';
import { Server } from './net/server.js';
import { registerBuiltin } from './registry.js';
import blocklist from './upstream/internal/blocklist.js';
import socketaddress from './upstream/internal/socketaddress.js';

function connect(...args) {
	const normalized = normalizeArgs(args);
	const [options] = normalized;
	const socket = new Socket(options);
	if (options.timeout) socket.setTimeout(options.timeout);
	return socket.connect(normalized);
}

function createServer(options, listener) {
	return new Server(options, listener);
}

// The egress process tries the addresses of a name side by side (RFC 8305): these say what
// a program has set, and change nothing.
let autoSelectFamily = true;
let autoSelectTimeout = 500;

export const net = {
	_normalizeArgs: normalizeArgs,
	BlockList: blocklist.BlockList,
	connect,
	createConnection: connect,
	createServer,
	isIP,
	isIPv4,
	isIPv6,
	Server,
	Socket,
	SocketAddress: socketaddress.SocketAddress,
	Stream: Socket,
	getDefaultAutoSelectFamily: () => autoSelectFamily,
	setDefaultAutoSelectFamily(value) {
		validateBoolean(value, 'value');
		autoSelectFamily = value;
	},
	getDefaultAutoSelectFamilyAttemptTimeout: () => autoSelectTimeout,
	setDefaultAutoSelectFamilyAttemptTimeout(value) {
		validateInt32(value, 'value', 1);
		autoSelectTimeout = value < 10 ? 10 : value;
	},
};

registerBuiltin('net', () => net);
