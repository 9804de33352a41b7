// What upstream/tls.js asks of node:net.
export { isIP } from './internal/net.js';
