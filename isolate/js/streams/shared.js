// What all streams need: promises that their resolvers travel with, queues, strategies,
// and the conversion of underlying sources, sinks and transformers.

import {
	FunctionPrototypeCall,
	hidePromise,
	isolate,
	NumberIsNaN,
	Promise,
	PromisePrototypeThen,
	PromiseReject,
	PromiseResolve,
	RangeError,
	ReflectApply,
	TypeError,
} from '../primordials.js';
import { codedError } from '../errors.js';
import { isObject } from '../webidl.js';

// ---- promises ----

export class Deferred {
	constructor() {
		this.promise = new Promise((resolve, reject) => {
			this.resolve = resolve;
			this.reject = reject;
		});
		this.settled = false;
	}
	fulfill(value) {
		this.settled = true;
		this.resolve(value);
	}
	fail(reason) {
		this.settled = true;
		markHandled(this.promise);
		this.reject(reason);
	}
}
isolate(Deferred);

export function resolvedDeferred(value) {
	return { promise: PromiseResolve(value), settled: true };
}

export function rejectedDeferred(reason) {
	const promise = PromiseReject(reason);
	markHandled(promise);
	return { promise, settled: true };
}

function ignore() {}

export function markHandled(promise) {
	PromisePrototypeThen(promise, undefined, ignore);
}

// Reacts without anybody seeing the promise that `then` makes.
export function upon(promise, fulfilled, rejected) {
	PromisePrototypeThen(promise, fulfilled, rejected);
}

export const transformPromise = PromisePrototypeThen;

// "A promise resolved with VALUE" of WebIDL: a new one, even if VALUE is a promise.
export function resolvedPromise(value) {
	return isObject(value) ? new Promise((resolve) => resolve(value)) : PromiseResolve(value);
}

export const rejectedPromise = PromiseReject;

const settled = hidePromise(PromiseResolve(undefined));

// Makes DEFERRED follow PROMISE, in as many steps as resolving it with PROMISE would take,
// but without looking up PROMISE's `then`, which a tenant may have replaced.
export function follow(deferred, promise) {
	// The reaction returns nothing: a promise would be resolved, by its `then`.
	PromisePrototypeThen(settled, () => {
		PromisePrototypeThen(promise, deferred.resolve, deferred.reject);
	});
}

// A promise that follows PROMISE, as "a promise resolved with PROMISE".
export function adopt(promise) {
	const deferred = new Deferred();
	follow(deferred, promise);
	return deferred.promise;
}

// Like transformPromise, for reactions that return a promise of the library's.
export function chain(promise, fulfilled, rejected) {
	const deferred = new Deferred();
	const react = (reaction) => (value) => {
		try {
			follow(deferred, reaction(value));
		} catch (error) {
			deferred.reject(error);
		}
	};
	PromisePrototypeThen(
		promise,
		react(fulfilled),
		rejected === undefined ? deferred.reject : react(rejected),
	);
	return deferred.promise;
}

// Calls a tenant's FUNCTION as an algorithm: always a promise.
export function callToPromise(method, receiver, args) {
	try {
		return resolvedPromise(ReflectApply(method, receiver, args));
	} catch (error) {
		return PromiseReject(error);
	}
}

export function nothing() {
	return PromiseResolve(undefined);
}

// ---- errors ----

export function stateError(message) {
	return codedError(TypeError, 'ERR_INVALID_STATE', `Invalid state: ${message}`);
}

export function argumentError(message) {
	return codedError(TypeError, 'ERR_INVALID_ARG_TYPE', message);
}

// ---- queues ----

// First in, first out, in constant time.
export class Queue {
	#items = [];
	#head = 0;

	get length() {
		return this.#items.length - this.#head;
	}
	push(item) {
		this.#items[this.#items.length] = item;
	}
	peek() {
		return this.#items[this.#head];
	}
	// The item that was put in last.
	last() {
		return this.#items[this.#items.length - 1];
	}
	shift() {
		const item = this.#items[this.#head];
		this.#items[this.#head++] = undefined;
		if (this.#head === this.#items.length) {
			this.#items.length = 0;
			this.#head = 0;
		} else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
			const rest = [];
			for (let i = this.#head; i < this.#items.length; i++) rest[i - this.#head] = this.#items[i];
			this.#items = rest;
			this.#head = 0;
		}
		return item;
	}
	clear() {
		this.#items = [];
		this.#head = 0;
	}
}
isolate(Queue);

export function checkSize(size) {
	if (NumberIsNaN(size) || size < 0 || size === Infinity)
		throw codedError(RangeError, 'ERR_INVALID_ARG_VALUE', `The chunk size ${size} is invalid`);
	return size;
}

// ---- dictionaries ----

// { highWaterMark, size }, either undefined, of a QueuingStrategy.
export function convertStrategy(strategy) {
	if (strategy === undefined || strategy === null)
		return { __proto__: null, highWaterMark: undefined, size: undefined };
	if (!isObject(strategy)) throw argumentError('The strategy must be an object');
	let { highWaterMark } = strategy;
	if (highWaterMark !== undefined) highWaterMark = +highWaterMark;
	const size = convertFunction(strategy, 'size');
	return { __proto__: null, highWaterMark, size };
}

export function extractHighWaterMark(strategy, defaultMark) {
	const { highWaterMark } = strategy;
	if (highWaterMark === undefined) return defaultMark;
	if (NumberIsNaN(highWaterMark) || highWaterMark < 0)
		throw codedError(
			RangeError,
			'ERR_INVALID_ARG_VALUE',
			`The property 'strategy.highWaterMark' is invalid. Received ${highWaterMark}`,
		);
	return highWaterMark;
}

export function extractSize(strategy) {
	const { size } = strategy;
	if (size === undefined) return undefined; // each chunk counts as 1
	return (chunk) => +FunctionPrototypeCall(size, undefined, chunk);
}

// A member of callback type: a function or undefined.
export function convertFunction(object, name) {
	const value = object[name];
	if (value !== undefined && typeof value !== 'function')
		throw argumentError(`The "${name}" property must be of type function`);
	return value;
}

export function requireObject(value, what) {
	if (!isObject(value)) throw argumentError(`The ${what} must be an object`);
}

// ---- methods ----

// Methods that return promises reject instead of throwing.
export function rejectInvocation() {
	return PromiseReject(new TypeError('Illegal invocation'));
}

// What Node shows of stream objects.
export function inspectShell(name, shown, depth, options, inspect) {
	if (typeof depth === 'number' && depth < 0) return name;
	const inner = { __proto__: null, ...options };
	if (options.depth !== null) inner.depth = options.depth - 1;
	return `${name} ${inspect(shown, inner)}`;
}
