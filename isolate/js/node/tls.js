// node:tls: Node's own rules of names and defaults (upstream/tls.js) on our sockets.

import tls from './upstream/tls.js';
import { registerBuiltin } from './registry.js';
import { defaults } from './tls/context.js';

defaults.tls = tls;
export { tls };

registerBuiltin('tls', () => tls);
