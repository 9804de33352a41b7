// What AsyncLocalStorage carries along (node/own/async_hooks.js). V8 does it for promises;
// for ticks and timers we do: whoever keeps a callback for later asks currentContext() for
// its context, and calls it after enterContext(context). As long as no program has ever set
// one, that costs no call into the engine.

import { native } from './native.js';
import { ReflectApply } from './primordials.js';

// Shared with C (isolate/runtime.c): [callbacks wait, rejections wait, contexts are used].
export const tickFlags = new Int32Array(new ArrayBuffer(12));
const USED = 2;

export function currentContext() {
	return tickFlags[USED] === 0 ? undefined : native.getAsyncContext();
}

export function enterContext(context) {
	if (tickFlags[USED] !== 0) native.setAsyncContext(context);
}

export function setContext(context) {
	tickFlags[USED] = 1;
	native.setAsyncContext(context);
}

// CALLBACK for C to call later, in the context of now.
export function bindContext(callback) {
	const context = currentContext();
	if (context === undefined) return callback;
	return function (...args) {
		enterContext(context);
		return ReflectApply(callback, this, args);
	};
}
