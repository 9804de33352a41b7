// node:readline, node:readline/promises and node:tty: Node's own code.

import './tty_binding.js';
import readline from './upstream/readline.js';
import promises from './upstream/readline/promises.js';
import tty from './upstream/tty.js';
import { registerBuiltin } from './registry.js';

registerBuiltin('readline', () => readline);
registerBuiltin('readline/promises', () => promises);
registerBuiltin('tty', () => tty);
