// node:zlib: Node's own code.

import './zlib_binding.js';
import zlib from './upstream/zlib.js';
import { registerBuiltin } from './registry.js';

registerBuiltin('zlib', () => zlib);
