// The JavaScript library: runs once, while the startup snapshot is built. Its state is
// frozen into the snapshot and forked with every worker, so nothing in it may depend on
// time or randomness before hooks.afterFork.

import './native.js';
import { captureLate } from './primordials.js';
import { hooks } from './hooks.js';
import { Blob, blobBytes, File, isBlob, isFile, makeBlob, makeFile } from './blob.js';
import { registerCloneable } from './clone.js';
import { resetConsole } from './console.js';
import { forgetRandomness } from './crypto.js';
import { Request, Response } from './fetch.js';
import { fetch } from './fetch_client.js';
import { FormData } from './formdata.js';
import { defineClasses, defineFunctions, defineWebGlobals } from './globals.js';
import { Headers } from './headers.js';
import { startClock } from './performance.js';
import './server.js';
import {
	clearImmediate,
	clearInterval,
	clearTimeout,
	setImmediate,
	setInterval,
	setTimeout,
} from './timers.js';
import './warm.js';
// Node's modules come last: what every worker writes to then lies close together.
import { process } from './process.js';
import { Buffer } from './node/basics.js';
import './node/index.js';
import './lifecycle.js';
import { restoreNames } from './node/names.js';
import { eachBuiltin } from './node/registry.js';

defineWebGlobals();
defineClasses({ Blob, Buffer, File, FormData, Headers, process, Request, Response });
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

registerCloneable(isBlob, (blob) =>
	isFile(blob)
		? makeFile(blobBytes(blob), blob.name, blob.type, blob.lastModified)
		: makeBlob(blobBytes(blob), blob.type),
);

eachBuiltin(restoreNames);

// In a new worker, before anything of the tenant runs.
hooks.afterFork = () => {
	captureLate();
	startClock();
	forgetRandomness();
	resetConsole();
};

// Tenants must not reach the natives.
delete globalThis.native;
