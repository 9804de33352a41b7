// TransformStream (streams standard, section 6).

import { FunctionPrototypeCall, isolate, RangeError } from '../primordials.js';
import { codedError } from '../errors.js';
import { defineInterface, illegalConstructor, illegalInvocation, inspectCustom, internalToken, isObject } from '../webidl.js';
import {
	canCloseOrEnqueue,
	controllerClose,
	controllerEnqueue,
	controllerError,
	createState,
	desiredSize,
	hasDefaultReader,
} from './readable.js';
import {
	adopt,
	callToPromise,
	chain,
	convertFunction,
	convertStrategy,
	Deferred,
	extractHighWaterMark,
	extractSize,
	inspectShell,
	nothing,
	rejectedPromise,
	requireObject,
	resolvedPromise,
	stateError,
	transformPromise,
	upon,
} from './shared.js';
import { createWritableState, writableErrorIfNeeded } from './writable.js';

class TransformState {
	constructor(algorithms) {
		this.readable = undefined; // stream states
		this.writable = undefined;
		this.backpressure = undefined;
		this.backpressureChange = undefined;
		this.controller = undefined; // the tenant's, if there is one
		this.transform = algorithms.transform;
		this.flush = algorithms.flush;
		this.cancel = algorithms.cancel;
		this.finish = undefined;
	}
}
isolate(TransformState);

function setBackpressure(stream, backpressure) {
	stream.backpressureChange?.resolve(undefined);
	stream.backpressureChange = new Deferred();
	stream.backpressure = backpressure;
}

function clearAlgorithms(stream) {
	stream.transform = undefined;
	stream.flush = undefined;
	stream.cancel = undefined;
}

function unblockWrite(stream) {
	if (stream.backpressure) setBackpressure(stream, false);
}

function errorWritable(stream, error) {
	clearAlgorithms(stream);
	writableErrorIfNeeded(stream.writable.controller, error);
	unblockWrite(stream);
}

function transformError(stream, error) {
	controllerError(stream.readable.controller, error);
	errorWritable(stream, error);
}

export function transformEnqueue(stream, chunk) {
	const { controller } = stream.readable;
	if (!canCloseOrEnqueue(controller)) throw stateError('Unable to enqueue');
	try {
		controllerEnqueue(controller, chunk);
	} catch (error) {
		errorWritable(stream, error);
		throw stream.readable.storedError;
	}
	const { readable } = stream;
	const wanted =
		(hasDefaultReader(readable) && readable.reader.requests.length > 0) ||
		desiredSize(controller) > 0;
	const pulls = canCloseOrEnqueue(controller) && controller.started && wanted;
	if (!pulls && !stream.backpressure) setBackpressure(stream, true);
}

function transformTerminate(stream) {
	controllerClose(stream.readable.controller);
	errorWritable(stream, stateError('TransformStream has been terminated'));
}

function performTransform(stream, chunk) {
	return transformPromise(stream.transform(chunk), undefined, (error) => {
		transformError(stream, error);
		throw error;
	});
}

// ---- sink ----

function sinkWrite(stream, chunk) {
	if (!stream.backpressure) return performTransform(stream, chunk);
	return chain(stream.backpressureChange.promise, () => {
		const { writable } = stream;
		if (writable.state === 'erroring') throw writable.storedError;
		return performTransform(stream, chunk);
	});
}

function sinkAbort(stream, reason) {
	if (stream.finish !== undefined) return stream.finish.promise;
	const { readable } = stream;
	stream.finish = new Deferred();
	const promise = stream.cancel(reason);
	clearAlgorithms(stream);
	upon(
		promise,
		() => {
			if (readable.state === 'errored') {
				stream.finish.reject(readable.storedError);
			} else {
				controllerError(readable.controller, reason);
				stream.finish.resolve(undefined);
			}
		},
		(error) => {
			controllerError(readable.controller, error);
			stream.finish.reject(error);
		},
	);
	return stream.finish.promise;
}

function sinkClose(stream) {
	if (stream.finish !== undefined) return stream.finish.promise;
	const { readable } = stream;
	stream.finish = new Deferred();
	const promise = stream.flush();
	clearAlgorithms(stream);
	upon(
		promise,
		() => {
			if (readable.state === 'errored') {
				stream.finish.reject(readable.storedError);
			} else {
				controllerClose(readable.controller);
				stream.finish.resolve(undefined);
			}
		},
		(error) => {
			controllerError(readable.controller, error);
			stream.finish.reject(error);
		},
	);
	return stream.finish.promise;
}

// ---- source ----

function sourcePull(stream) {
	setBackpressure(stream, false);
	return stream.backpressureChange.promise;
}

function sourceCancel(stream, reason) {
	if (stream.finish !== undefined) return stream.finish.promise;
	const { writable } = stream;
	stream.finish = new Deferred();
	const promise = stream.cancel(reason);
	clearAlgorithms(stream);
	upon(
		promise,
		() => {
			if (writable.state === 'errored') {
				stream.finish.reject(writable.storedError);
			} else {
				writableErrorIfNeeded(writable.controller, reason);
				unblockWrite(stream);
				stream.finish.resolve(undefined);
			}
		},
		(error) => {
			writableErrorIfNeeded(writable.controller, error);
			unblockWrite(stream);
			stream.finish.reject(error);
		},
	);
	return stream.finish.promise;
}

function setUp(stream, startPromise, writableMark, writableSize, readableMark, readableSize) {
	stream.writable = createWritableState(
		{
			startPromise: adopt(startPromise),
			write: (chunk) => sinkWrite(stream, chunk),
			close: () => sinkClose(stream),
			abort: (reason) => sinkAbort(stream, reason),
		},
		writableMark,
		writableSize,
	);
	stream.readable = createState(
		{
			startPromise: adopt(startPromise),
			pull: () => sourcePull(stream),
			cancel: (reason) => sourceCancel(stream, reason),
		},
		readableMark,
		readableSize,
	);
	setBackpressure(stream, true);
}

// ---- what tenants see ----

let wrapController;

export class TransformStreamDefaultController {
	#state;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get desiredSize() {
		return #state in this ? desiredSize(this.#state.readable.controller) : illegalInvocation();
	}
	enqueue(chunk = undefined) {
		if (!(#state in this)) illegalInvocation();
		transformEnqueue(this.#state, chunk);
	}
	error(reason = undefined) {
		if (!(#state in this)) illegalInvocation();
		transformError(this.#state, reason);
	}
	terminate() {
		if (!(#state in this)) illegalInvocation();
		transformTerminate(this.#state);
	}
	[inspectCustom](depth, options, inspect) {
		return inspectShell('TransformStreamDefaultController', {}, depth, options, inspect);
	}
	static {
		wrapController = (state) => {
			state.controller = new TransformStreamDefaultController(internalToken);
			state.controller.#state = state;
			return state.controller;
		};
	}
}
defineInterface(TransformStreamDefaultController, 'TransformStreamDefaultController');

function refuseType(transformer, name) {
	if (transformer[name] === undefined) return;
	throw codedError(
		RangeError,
		'ERR_INVALID_ARG_VALUE',
		`The property 'transformer.${name}' must be undefined`,
	);
}

function convertTransformer(transformer) {
	const cancel = convertFunction(transformer, 'cancel');
	const flush = convertFunction(transformer, 'flush');
	refuseType(transformer, 'readableType');
	const start = convertFunction(transformer, 'start');
	const transform = convertFunction(transformer, 'transform');
	refuseType(transformer, 'writableType');
	return { cancel, flush, start, transform };
}

function transformerAlgorithms(transformer, members, getState) {
	const { cancel, flush, transform } = members;
	const identity = (chunk) => {
		try {
			transformEnqueue(getState(), chunk);
			return resolvedPromise(undefined);
		} catch (error) {
			return rejectedPromise(error);
		}
	};
	return {
		transform:
			transform === undefined
				? identity
				: (chunk) => callToPromise(transform, transformer, [chunk, getState().controller]),
		flush:
			flush === undefined
				? nothing
				: () => callToPromise(flush, transformer, [getState().controller]),
		cancel:
			cancel === undefined ? nothing : (reason) => callToPromise(cancel, transformer, [reason]),
	};
}

let isTransformStream, sidesOf;

export class TransformStream {
	#state;

	constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
		if (transformer === internalToken) {
			this.#state = writableStrategy;
			return;
		}
		if (transformer !== undefined) requireObject(transformer, 'transformer');
		const writableConverted = convertStrategy(writableStrategy);
		const readableConverted = convertStrategy(readableStrategy);
		transformer ??= { __proto__: null };
		const members = convertTransformer(transformer);
		const readableMark = extractHighWaterMark(readableConverted, 0);
		const readableSize = extractSize(readableConverted);
		const writableMark = extractHighWaterMark(writableConverted, 1);
		const writableSize = extractSize(writableConverted);
		const started = new Deferred();
		const stream = new TransformState(
			transformerAlgorithms(transformer, members, () => stream),
		);
		this.#state = stream;
		setUp(stream, started.promise, writableMark, writableSize, readableMark, readableSize);
		const controller = wrapController(stream);
		started.resolve(
			members.start === undefined
				? undefined
				: FunctionPrototypeCall(members.start, transformer, controller),
		);
	}
	get readable() {
		return #state in this ? this.#state.readable.object : illegalInvocation();
	}
	get writable() {
		return #state in this ? this.#state.writable.object : illegalInvocation();
	}
	[inspectCustom](depth, options, inspect) {
		const { backpressure, readable, writable } = this.#state;
		const shown = { readable: readable.object, writable: writable.object, backpressure };
		return inspectShell('TransformStream', shown, depth, options, inspect);
	}
	static {
		isTransformStream = (value) => isObject(value) && #state in value;
		sidesOf = (stream) => stream.#state;
	}
}
defineInterface(TransformStream, 'TransformStream');

// ---- for the library ----

// SIDES: the states of both streams.
export { isTransformStream, sidesOf };

// One whose sides are those; they do what it does.
export function makeTransformStream(readable, writable) {
	return new TransformStream(internalToken, { readable, writable, backpressure: false });
}

// Undefined when the readable side wants more; else a promise of the moment when it does.
export function transformBlocked(stream) {
	return stream.backpressure ? stream.backpressureChange.promise : undefined;
}

// { readable, writable } around functions transform(chunk, controller) and
// flush(controller), which may return a promise of the library's; what they throw errors
// both sides. CONTROLLER is for transformEnqueue and the like.
export function createTransformStream({ transform, flush }) {
	const run = (algorithm, argument) => {
		try {
			return algorithm?.(argument, stream) ?? resolvedPromise(undefined);
		} catch (error) {
			return rejectedPromise(error);
		}
	};
	const stream = new TransformState({
		transform: (chunk) => run(transform, chunk),
		flush: () => run((argument, controller) => flush?.(controller)),
		cancel: nothing,
	});
	setUp(stream, resolvedPromise(undefined), 1, undefined, 0, undefined);
	return { readable: stream.readable.object, writable: stream.writable.object };
}
