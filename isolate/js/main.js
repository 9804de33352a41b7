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
import { FormData } from './formdata.js';
import { defineClasses, defineFunctions, defineWebGlobals } from './globals.js';
import { Headers } from './headers.js';
import { startClock } from './performance.js';
import { process } from './process.js';
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

defineWebGlobals();
defineClasses({ Blob, File, FormData, Headers, process, Request, Response });
defineFunctions({
	clearImmediate,
	clearInterval,
	clearTimeout,
	setImmediate,
	setInterval,
	setTimeout,
});

registerCloneable(isBlob, (blob) =>
	isFile(blob)
		? makeFile(blobBytes(blob), blob.name, blob.type, blob.lastModified)
		: makeBlob(blobBytes(blob), blob.type),
);

// In a new worker, before anything of the tenant runs.
hooks.afterFork = () => {
	captureLate();
	startClock();
	forgetRandomness();
	resetConsole();
};

// Tenants must not reach the natives.
delete globalThis.native;
