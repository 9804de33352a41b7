// The modules that need nothing of the world: Node's own code, and ours where it is not.

import assert from 'assert';
import buffer, { Buffer } from './buffer.js';
import diagnosticsChannel from 'diagnostics_channel';
import debuglog from 'internal/util/debuglog';
import consumers from 'stream/consumers';
import diff from 'internal/util/diff';
import EventEmitter from './events.js';
import mime from 'internal/mime';
import parseArgs from 'internal/util/parse_args/parse_args';
import path from './path.js';
import querystring from 'querystring';
import stringDecoder from 'string_decoder';
import timersPromises from 'timers/promises';
import types from 'internal/util/types';
import url from 'url';
import AsyncContextFrame from 'internal/async_context_frame';
import AsyncLocalStorage from 'internal/async_local_storage/async_context_frame';
import { atob, btoa } from '../base64.js';
import { File } from '../blob.js';
import * as asyncHooks from './own/async_hooks.js';
import * as blob from './own/internal/blob.js';
import * as encoding from './own/internal/encoding.js';
import timers from './own/timers/index.js';
import { setMakeBuffer } from './buffer_binding.js';
import { internalBinding, registerLazy } from './binding.js';
import { registerBuiltin } from './registry.js';
import { os } from './os.js';
import stream from './stream.js';
import util from './util.js';
import { formatURL } from './own/internal/url.js';
import { URLPattern } from '../url_pattern.js';
import * as webStreams from '../streams.js';
import { TextDecoderStream, TextEncoderStream } from '../encoding.js';
import './web_streams.js';
import { CompressionStream, DecompressionStream } from '../compression.js';
import { console } from '../console.js';

// Asking whether contexts are carried along makes them so.
if (!AsyncContextFrame.enabled) throw new Error('AsyncLocalStorage needs --async-context-frame');
setMakeBuffer(Buffer.from);
url.URLPattern = URLPattern;
buffer.atob = atob; // the same as the global's
buffer.btoa = btoa;

debuglog.initializeDebugEnv(undefined);
internalBinding('url').format = formatURL;
registerLazy('internal/blob', () => blob);
registerLazy('internal/encoding', () => encoding);
registerLazy('internal/file', () => ({ File }));
registerLazy('internal/mime', () => mime);
registerLazy('internal/util/diff', () => diff);
registerLazy('internal/util/parse_args/parse_args', () => parseArgs);

// There is no terminal whose signals to trace.
delete util.setTraceSigInt;

// promisify(setTimeout)(ms, value) is timers/promises.
function definePromisified(target, name) {
	Object.defineProperty(target, util.promisify.custom, {
		__proto__: null,
		get: () => timersPromises[name],
		enumerable: true,
	});
}
definePromisified(timers.setTimeout, 'setTimeout');
definePromisified(timers.setImmediate, 'setImmediate');

const asyncHooksExports = { ...asyncHooks, AsyncLocalStorage };
timers.promises = timersPromises;
const webExports = { ...webStreams, TextDecoderStream, TextEncoderStream, CompressionStream, DecompressionStream };

const modules = {
	__proto__: null,
	assert,
	'assert/strict': assert.strict,
	async_hooks: asyncHooksExports,
	buffer,
	console,
	diagnostics_channel: diagnosticsChannel,
	events: EventEmitter,
	os,
	path,
	'path/posix': path.posix,
	'path/win32': path.win32,
	querystring,
	stream,
	'stream/consumers': consumers,
	'stream/promises': stream.promises,
	'stream/web': webExports,
	string_decoder: stringDecoder,
	timers,
	'timers/promises': timersPromises,
	url,
	util,
	'util/types': types,
};
for (const name of Object.keys(modules)) registerBuiltin(name, () => modules[name]);

export { Buffer };
