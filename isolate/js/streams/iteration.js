// Async iteration of a ReadableStream, and the making of one from an iterable (streams
// standard, sections 4.2.5 and 4.2.4).

import {
	AsyncIteratorPrototype,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	ObjectSetPrototypeOf,
	PromiseReject,
	PromiseResolve,
	SymbolAsyncIterator,
	SymbolIterator,
} from '../primordials.js';
import { defineTag, isObject } from '../webidl.js';
import {
	controllerClose,
	controllerEnqueue,
	createState,
	genericCancel,
	readerRead,
	readerRelease,
} from './readable.js';
import {
	argumentError,
	chain,
	Deferred,
	nothing,
	rejectInvocation,
	transformPromise,
} from './shared.js';

// ---- async iteration ----

export class StreamIterator {
	#reader;
	#preventCancel;
	#ongoing;
	#finished = false;

	constructor(reader, preventCancel) {
		this.#reader = reader;
		this.#preventCancel = preventCancel;
	}
	next() {
		if (!isObject(this) || !(#reader in this)) return rejectInvocation();
		const step = () => this.#next();
		return (this.#ongoing =
			this.#ongoing === undefined ? step() : chain(this.#ongoing, step, step));
	}
	return(value) {
		if (!isObject(this) || !(#reader in this)) return rejectInvocation();
		const step = () => this.#return(value);
		this.#ongoing =
			this.#ongoing === undefined ? step() : chain(this.#ongoing, step, step);
		return this.#ongoing;
	}
	#next() {
		if (this.#finished) return PromiseResolve({ value: undefined, done: true });
		const deferred = new Deferred();
		const reader = this.#reader;
		readerRead(reader, {
			chunk: (value) => deferred.resolve({ __proto__: null, value, done: false }),
			close: () => {
				readerRelease(reader);
				deferred.resolve({ __proto__: null, value: undefined, done: true });
			},
			error: (error) => {
				readerRelease(reader);
				deferred.reject(error);
			},
		});
		return transformPromise(
			deferred.promise,
			({ done, value }) => {
				this.#ongoing = undefined;
				if (done) this.#finished = true;
				return { value, done };
			},
			(error) => {
				this.#ongoing = undefined;
				this.#finished = true;
				throw error;
			},
		);
	}
	#return(value) {
		if (this.#finished) return PromiseResolve({ value, done: true });
		this.#finished = true;
		const reader = this.#reader;
		const canceled = this.#preventCancel ? nothing() : genericCancel(reader, value);
		readerRelease(reader);
		return transformPromise(canceled, () => ({ value, done: true }));
	}
}
const iteratorPrototype = StreamIterator.prototype;
delete iteratorPrototype.constructor;
ObjectSetPrototypeOf(iteratorPrototype, AsyncIteratorPrototype);
ObjectDefineProperty(iteratorPrototype, 'next', { __proto__: null, enumerable: true });
ObjectDefineProperty(iteratorPrototype, 'return', { __proto__: null, enumerable: true });
defineTag(iteratorPrototype, 'ReadableStream AsyncIterator');

// ---- ReadableStream.from ----

function getIterator(object) {
	const asyncMethod = object?.[SymbolAsyncIterator];
	if (asyncMethod !== undefined && asyncMethod !== null) {
		if (typeof asyncMethod !== 'function')
			throw argumentError('Symbol.asyncIterator is not a function');
		const iterator = FunctionPrototypeCall(asyncMethod, object);
		if (!isObject(iterator)) throw argumentError('The iterator is not an object');
		return { iterator, next: iterator.next, sync: false };
	}
	const method = object?.[SymbolIterator];
	if (typeof method !== 'function') throw argumentError('The argument is not iterable');
	const iterator = FunctionPrototypeCall(method, object);
	if (!isObject(iterator)) throw argumentError('The iterator is not an object');
	return { iterator, next: iterator.next, sync: true };
}

// The promise of a step. A synchronous iterator's value may be a promise itself, and
// when that rejects the iterator is closed (ECMAScript, AsyncFromSyncIterator).
function stepOf(record, result, closeOnRejection) {
	if (!record.sync || !isObject(result)) return PromiseResolve(result);
	const { done } = result;
	let value;
	try {
		value = PromiseResolve(result.value);
	} catch (error) {
		if (!done && closeOnRejection) closeIterator(record.iterator);
		return PromiseReject(error);
	}
	return transformPromise(
		value,
		(settled) => ({ value: settled, done }),
		(error) => {
			if (!done && closeOnRejection) closeIterator(record.iterator);
			throw error;
		},
	);
}

function closeIterator(iterator) {
	try {
		const method = iterator.return;
		if (typeof method === 'function') FunctionPrototypeCall(method, iterator);
	} catch {
		// The error that closed it matters more.
	}
}

export function fromIterable(object) {
	const record = getIterator(object);
	const pull = () => {
		let step;
		try {
			const result = FunctionPrototypeCall(record.next, record.iterator);
			if (record.sync && !isObject(result))
				throw argumentError('The iterator result is not an object');
			step = stepOf(record, result, true);
		} catch (error) {
			return PromiseReject(error);
		}
		return transformPromise(step, (result) => {
			if (!isObject(result))
				throw argumentError('The promise of the iterator result must fulfill with an object');
			if (result.done) controllerClose(stream.controller);
			else controllerEnqueue(stream.controller, result.value);
		});
	};
	const cancel = (reason) => {
		const { iterator } = record;
		let step;
		try {
			const method = iterator.return;
			if (method === undefined || method === null) return PromiseResolve(undefined);
			if (typeof method !== 'function') throw argumentError('return is not a function');
			const result = FunctionPrototypeCall(method, iterator, reason);
			if (record.sync && !isObject(result))
				throw argumentError('The iterator result is not an object');
			step = stepOf(record, result, false);
		} catch (error) {
			return PromiseReject(error);
		}
		return transformPromise(step, (result) => {
			if (!isObject(result))
				throw argumentError('The promise of the iterator result must fulfill with an object');
		});
	};
	const stream = createState({ pull, cancel }, 0, undefined);
	return stream.object;
}
