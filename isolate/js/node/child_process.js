// node:child_process: Node's own functions (upstream/child_process.js) over our ChildProcess
// (own/internal/child_process.js). There is no fork(): it would be another worker, which
// only the operator can deploy.

import { registerBinding } from './binding.js';
import { codes } from './errors.js';
import { registerBuiltin } from './registry.js';

// What only fork() uses.
registerBinding('pipe_wrap', { Pipe: class Pipe {}, constants: { SOCKET: 0, IPC: 2 } });

function fork() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('child_process.fork()');
}

const get = () => ({ ...require('child_process'), fork, _forkChild: fork });
let exported;
registerBuiltin('child_process', () => (exported ??= get()));
