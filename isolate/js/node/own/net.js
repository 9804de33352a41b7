// What upstream files ask of node:net.
import { net } from '../net.js';

export const {
	_normalizeArgs,
	BlockList,
	connect,
	createConnection,
	createServer,
	isIP,
	isIPv4,
	isIPv6,
	Server,
	Socket,
	SocketAddress,
	Stream,
} = net;
