export { connect, TLSSocket } from '../../../tls/socket.js';
export { createServer, Server } from '../../../tls/server.js';
