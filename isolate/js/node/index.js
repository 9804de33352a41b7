// Node's built-in modules: `import … from 'node:fs'` and 'fs', import(),
// process.getBuiltinModule.
//
// To add a module, write isolate/js/node/NAME.js, which ends with
//
//     import { registerBuiltin } from './registry.js';
//     registerBuiltin('fs', () => exports);
//     registerBuiltin('fs/promises', () => exports.promises);
//
// and import it below. EXPORTS is the object that `import fs from 'node:fs'` gives; its own
// enumerable properties are the named exports, as they are when a program first imports
// it. All of it is evaluated when the startup snapshot is built: no timers, no
// randomness, no descriptors, no instances of native classes before hooks.afterFork.
//
// What to build on, all of it Node's own code (take_upstream.cjs): './events.js',
// './buffer.js', './stream.js', './path.js', './util.js', './validators.js', and
// './errors.js', which has Node's error classes by code, systemError and accessDenied.
// AsyncLocalStorage follows promises, ticks and timers by itself; a callback that C will call
// goes through bindContext of ../async_context.js first.

import './basics.js';
import './console.js';
import './fs.js';
import './net.js';
import './dns.js';
import './crypto.js';
import './tls.js';
import './http.js';
import './http2.js';
import './v8.js';
import './child_process.js';
import './worker_threads.js';
import './perf_hooks.js';
import './readline.js';
import './zlib.js';
import './sqlite.js';
import './cluster.js';
import './test.js';
import './deprecated.js';
