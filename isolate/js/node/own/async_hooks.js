// node:async_hooks: AsyncLocalStorage on what V8 carries along with promises, AsyncResource,
// and hooks for the AsyncResources of programs: promises, timers and handles have no ids here.
// What runs for long in the context of a resource (its promises, its timers) has the resource's
// id; it is carried as AsyncLocalStorage's values are, and only once there is a hook.

import {
	ArrayPrototypeIncludes,
	ArrayPrototypePush,
	ArrayPrototypeSlice,
	ArrayPrototypeFilter,
	ReflectApply,
} from '../../primordials.js';
import { currentContext, enterContext, setContext } from '../../async_context.js';
import { codes } from '../errors.js';
import AsyncContextFrame from 'internal/async_context_frame';

let lastId = 1;

// ---- hooks ----

let hooks = []; // that are enabled
let everHooked = false;
const resourceKey = {}; // in a context: the AsyncResource that runs

function emit(kind, args) {
	const list = hooks;
	for (let i = 0; i < list.length; i++) {
		const callback = list[i].callbacks[kind];
		if (callback !== undefined) ReflectApply(callback, list[i].hook, args);
	}
}

const runningResource = () => (everHooked ? currentContext()?.get(resourceKey) : undefined);

export function executionAsyncId() {
	return runningResource()?.asyncId() ?? 1;
}
export function triggerAsyncId() {
	return runningResource()?.triggerAsyncId() ?? 0;
}
const topResource = {};
export function executionAsyncResource() {
	return runningResource() ?? topResource;
}

// CONTEXT, with RESOURCE as what runs.
function contextOf(context, resource) {
	enterContext(context);
	const frame = new AsyncContextFrame(resourceKey, resource);
	setContext(frame);
}

export class AsyncResource {
	#context = currentContext();
	#id = ++lastId;
	#trigger;

	constructor(type, options = undefined) {
		if (typeof type !== 'string') throw new codes.ERR_INVALID_ARG_TYPE('type', 'string', type);
		const trigger = typeof options === 'number' ? options : options?.triggerAsyncId ?? executionAsyncId();
		if (!Number.isSafeInteger(trigger) || trigger < -1)
			throw new codes.ERR_INVALID_ASYNC_ID('triggerAsyncId', trigger);
		this.#trigger = trigger;
		if (hooks.length > 0) {
			if (type.length === 0) throw new codes.ERR_ASYNC_TYPE(type);
			emit('init', [this.#id, type, trigger, this]);
		}
	}
	runInAsyncScope(callback, thisArg, ...args) {
		const before = currentContext();
		if (everHooked) contextOf(this.#context, this);
		else enterContext(this.#context);
		try {
			if (hooks.length > 0) emit('before', [this.#id]);
			const result = ReflectApply(callback, thisArg, args);
			if (hooks.length > 0) emit('after', [this.#id]);
			return result;
		} finally {
			enterContext(before);
		}
	}
	emitDestroy() {
		if (hooks.length > 0) emit('destroy', [this.#id]);
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

// ---- createHook ----

class AsyncHook {
	#entry;

	constructor(callbacks) {
		this.#entry = { __proto__: null, hook: this, callbacks };
	}
	enable() {
		everHooked = true;
		// Hooks that are running do not see it: they have their own list.
		if (!ArrayPrototypeIncludes(hooks, this.#entry)) {
			hooks = ArrayPrototypeSlice(hooks);
			ArrayPrototypePush(hooks, this.#entry);
		}
		return this;
	}
	disable() {
		const entry = this.#entry;
		hooks = ArrayPrototypeFilter(hooks, (other) => other !== entry);
		return this;
	}
}

const hookNames = ['init', 'before', 'after', 'destroy', 'promiseResolve'];

export function createHook(callbacks) {
	if (typeof callbacks !== 'object' || callbacks === null)
		throw new codes.ERR_INVALID_ARG_TYPE('callbacks', 'object', callbacks);
	const taken = { __proto__: null };
	for (let i = 0; i < hookNames.length; i++) {
		const name = hookNames[i];
		taken[name] = callbacks[name];
		if (taken[name] !== undefined && typeof taken[name] !== 'function')
			throw new codes.ERR_ASYNC_CALLBACK(`hook.${name}`);
	}
	return new AsyncHook(taken);
}

export const asyncWrapProviders = Object.freeze({ __proto__: null });
