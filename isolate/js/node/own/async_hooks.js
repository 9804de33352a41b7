// node:async_hooks: AsyncLocalStorage on what V8 carries along with promises, and
// AsyncResource. There are no hooks: nothing here has an id that is worth one.

import { ReflectApply } from '../../primordials.js';
import { currentContext, enterContext } from '../../async_context.js';
import { codes } from '../errors.js';

let lastId = 1;

export function executionAsyncId() {
	return 1;
}
export function triggerAsyncId() {
	return 0;
}
const topResource = {};
export function executionAsyncResource() {
	return topResource;
}

export class AsyncResource {
	#context = currentContext();
	#id = ++lastId;
	#trigger;

	constructor(type, options = undefined) {
		if (typeof type !== 'string') throw new codes.ERR_INVALID_ARG_TYPE('type', 'string', type);
		const trigger = typeof options === 'number' ? options : options?.triggerAsyncId ?? 1;
		if (!Number.isSafeInteger(trigger) || trigger < -1)
			throw new codes.ERR_INVALID_ASYNC_ID('triggerAsyncId', trigger);
		this.#trigger = trigger;
	}
	runInAsyncScope(callback, thisArg, ...args) {
		const before = currentContext();
		enterContext(this.#context);
		try {
			return ReflectApply(callback, thisArg, args);
		} finally {
			enterContext(before);
		}
	}
	emitDestroy() {
		return this;
	}
	asyncId() {
		return this.#id;
	}
	triggerAsyncId() {
		return this.#trigger;
	}
	bind(callback, thisArg) {
		if (typeof callback !== 'function')
			throw new codes.ERR_INVALID_ARG_TYPE('fn', 'function', callback);
		const resource = this;
		const bound = function (...args) {
			return resource.runInAsyncScope(callback, thisArg === undefined ? this : thisArg, ...args);
		};
		Object.defineProperty(bound, 'length', { __proto__: null, value: callback.length, configurable: true });
		return bound;
	}
	static bind(callback, type, thisArg) {
		return new AsyncResource(type || callback?.name || 'bound-anonymous-fn').bind(callback, thisArg);
	}
}

// Hooks are accepted, and never called.
class AsyncHook {
	enable() {
		return this;
	}
	disable() {
		return this;
	}
}
export function createHook(callbacks) {
	if (typeof callbacks !== 'object' || callbacks === null)
		throw new codes.ERR_INVALID_ARG_TYPE('callbacks', 'object', callbacks);
	return new AsyncHook();
}

export const asyncWrapProviders = Object.freeze({ __proto__: null });
