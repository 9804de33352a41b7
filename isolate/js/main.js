// The JavaScript library: runs once, while the startup snapshot is built. Its state is
// frozen into the snapshot and forked with every worker, so nothing in it may depend on
// time or randomness before hooks.afterFork.

import './native.js';
import { captureLate } from './primordials.js';
import { hooks } from './hooks.js';
import { Blob, blobBytes, File, isBlob, isFile, makeBlob, makeFile } from './blob.js';
import { resetConsole } from './console.js';
import { DOMException, isDOMException } from './errors.js';
import { forgetRandomness } from './crypto.js';
import { Request, Response } from './fetch.js';
import { Cache, caches, CacheStorage } from './cache.js';
import { fetch } from './fetch_client.js';
import { FormData } from './formdata.js';
import { defineAttribute, defineClasses, defineFunctions, defineWebGlobals } from './globals.js';
import { Headers } from './headers.js';
import { startClock } from './performance.js';
import { BroadcastChannel, MessageChannel, MessagePort, setPortTasks } from './messaging/port.js';
import { registerSerializable } from './messaging/serialize.js';
import './messaging/streams.js';
import './server.js';
import {
	clearImmediate,
	clearInterval,
	clearTimeout,
	setImmediate,
	setInterval,
	setTimeout,
} from './timers.js';
import { EventSource } from './eventsource.js';
import { CloseEvent, WebSocket } from './websocket.js';
import { WebSocketPair } from './websocket/pair.js';
import './warm.js';
import { defineStreamingCompilation } from './wasm.js';
// Node's modules come last: what every worker writes to then lies close together.
import { process } from './process.js';
import { Buffer } from './node/basics.js';
import './process_extras.js';
import './node/index.js';
import { crypto, Crypto, CryptoKey, SubtleCrypto } from './node/crypto/web.js';
import { finishModules } from './node/modules.js';
import './lifecycle.js';
import { restoreNames } from './node/names.js';
import { eachBuiltin } from './node/registry.js';

defineWebGlobals();
defineClasses({ Blob, BroadcastChannel, Buffer, File, FormData, Headers, MessageChannel, MessagePort, process, Request, Response, CloseEvent, EventSource, WebSocket, WebSocketPair });
defineClasses({ Crypto, CryptoKey, SubtleCrypto });
defineAttribute('crypto', crypto, false);
defineClasses({ Cache, CacheStorage });
defineAttribute('caches', caches, false);
Object.defineProperty(globalThis, 'global', {
	__proto__: null,
	value: globalThis,
	writable: true,
	configurable: true,
});
defineFunctions({
	clearImmediate,
	clearInterval,
	clearTimeout,
	fetch,
	setImmediate,
	setInterval,
	setTimeout,
});

registerSerializable(
	'Blob',
	isBlob,
	(blob) =>
		isFile(blob)
			? [blobBytes(blob), blob.type, blob.name, blob.lastModified]
			: [blobBytes(blob), blob.type],
	(parts) =>
		parts.length === 2
			? makeBlob(parts[0], parts[1])
			: makeFile(parts[0], parts[2], parts[1], parts[3]),
);
registerSerializable(
	'DOMException',
	isDOMException,
	(error) => [error.message, error.name, error.stack],
	([message, name, stack]) => {
		const error = new DOMException(message, name);
		Object.defineProperty(error, 'stack', {
			__proto__: null,
			value: stack,
			writable: true,
			configurable: true,
		});
		return error;
	},
);
setPortTasks(setImmediate);

finishModules();
eachBuiltin(restoreNames);

// In a new worker, before anything of the tenant runs.
hooks.afterFork = () => {
	captureLate();
	defineStreamingCompilation();
	startClock();
	forgetRandomness();
	resetConsole();
};

// Tenants must not reach the natives.
delete globalThis.native;
