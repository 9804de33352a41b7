// Modules that only old programs ask for, and are told so.

import { process } from './process_object.js';
import { registerBuiltin, registerLateBuiltin } from './registry.js';
import stream from './stream.js';
import util from './util.js';

registerLateBuiltin('constants', () => require('./upstream/constants.js'));
registerLateBuiltin('punycode', () => require('./upstream/punycode.js'));
registerLateBuiltin('sys', () => {
	process.emitWarning('sys is deprecated. Use util instead.', 'DeprecationWarning', 'DEP0025');
	return util;
});

// The parts of stream, as they were named once.
const streamParts = ['Duplex', 'PassThrough', 'Readable', 'Transform', 'Writable'];
for (let i = 0; i < streamParts.length; i++) {
	const part = streamParts[i];
	registerBuiltin(`_stream_${part.toLowerCase()}`, () => stream[part]);
}
