// ReadableStream, its default controller and its default reader (streams standard,
// sections 4.2 to 4.4, 4.6 and 4.9). The objects that tenants hold are shells around
// state objects, which only the library sees.

import {
	FunctionPrototypeCall,
	isolate,
	PromiseReject,
	PromiseResolve,
	RangeError,
	SymbolAsyncIterator,
} from '../primordials.js';
import { isAbortSignal } from '../abort.js';
import { codedError } from '../errors.js';
import {
	defineAlias,
	defineInterface,
	illegalConstructor,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
	toDictionary,
	toEnforcedUnsignedLongLong,
} from '../webidl.js';
import {
	argumentError,
	callToPromise,
	checkSize,
	convertFunction,
	convertStrategy,
	Deferred,
	extractHighWaterMark,
	extractSize,
	inspectShell,
	markHandled,
	nothing,
	Queue,
	rejectedDeferred,
	rejectedPromise,
	rejectInvocation,
	requireObject,
	resolvedDeferred,
	resolvedPromise,
	stateError,
	transformPromise,
	upon,
} from './shared.js';
import {
	acquireByobReader,
	ByteController,
	byteCancelSteps,
	bytePullSteps,
	byteReleaseSteps,
	startByteController,
	wrapByteController,
} from './bytes.js';
import { fromIterable, StreamIterator } from './iteration.js';
import { pipe } from './pipe.js';
import { tee } from './tee.js';
import { isWritableStream, writableIsLocked, writableState } from './writable.js';

// ---- states ----

class ReadableState {
	constructor(object) {
		this.object = object;
		this.state = 'readable';
		this.storedError = undefined;
		this.disturbed = false;
		this.reader = undefined;
		this.controller = undefined;
		this.finished = undefined; // Deferred, for node:stream
	}
}
isolate(ReadableState);

// Of default and BYOB readers both.
export class ReaderState {
	constructor(stream, byob) {
		this.stream = stream;
		this.byob = byob;
		this.requests = new Queue();
		stream.reader = this;
		if (stream.state === 'readable') this.closed = new Deferred();
		else if (stream.state === 'closed') this.closed = resolvedDeferred(undefined);
		else this.closed = rejectedDeferred(stream.storedError);
	}
}
isolate(ReaderState);

class DefaultController {
	isByte = false;

	constructor(stream, algorithms, highWaterMark, size) {
		this.object = undefined;
		this.stream = stream;
		this.queue = new Queue();
		this.queueSize = 0;
		this.started = false;
		this.closeRequested = false;
		this.pulling = false;
		this.pullAgain = false;
		this.highWaterMark = highWaterMark;
		this.size = size;
		this.pull = algorithms.pull;
		this.cancel = algorithms.cancel;
	}
}
isolate(DefaultController);

// ---- streams ----

export function readableCancel(stream, reason) {
	stream.disturbed = true;
	if (stream.state === 'closed') return resolvedPromise(undefined);
	if (stream.state === 'errored') return rejectedPromise(stream.storedError);
	readableClose(stream);
	const { reader } = stream;
	if (reader !== undefined && reader.byob) {
		const { requests } = reader;
		reader.requests = new Queue();
		while (requests.length > 0) requests.shift().close(undefined);
	}
	const { controller } = stream;
	const promise = controller.isByte
		? byteCancelSteps(controller, reason)
		: cancelSteps(controller, reason);
	return transformPromise(promise, () => undefined);
}

export function readableClose(stream) {
	stream.state = 'closed';
	stream.finished?.fulfill(undefined);
	const { reader } = stream;
	if (reader === undefined) return;
	reader.closed.fulfill(undefined);
	if (reader.byob) return;
	const { requests } = reader;
	reader.requests = new Queue();
	while (requests.length > 0) requests.shift().close();
}

export function readableError(stream, error) {
	stream.state = 'errored';
	stream.storedError = error;
	stream.finished?.fail(error);
	const { reader } = stream;
	if (reader === undefined) return;
	reader.closed.fail(error);
	failRequests(reader, error);
}

function failRequests(reader, error) {
	const { requests } = reader;
	reader.requests = new Queue();
	while (requests.length > 0) requests.shift().error(error);
}

export function hasDefaultReader(stream) {
	return stream.reader !== undefined && !stream.reader.byob;
}

// ---- the default controller ----

function cancelSteps(controller, reason) {
	resetQueue(controller);
	const promise = controller.cancel(reason);
	clearAlgorithms(controller);
	return promise;
}

function resetQueue(controller) {
	controller.queue.clear();
	controller.queueSize = 0;
}

function clearAlgorithms(controller) {
	controller.pull = undefined;
	controller.cancel = undefined;
	controller.size = undefined;
}

function dequeue(controller) {
	const entry = controller.queue.shift();
	controller.queueSize -= entry.size;
	if (controller.queueSize < 0) controller.queueSize = 0; // rounding
	return entry.value;
}

function pullSteps(controller, request) {
	const { stream } = controller;
	if (controller.queue.length > 0) {
		const chunk = dequeue(controller);
		if (controller.closeRequested && controller.queue.length === 0) {
			clearAlgorithms(controller);
			readableClose(stream);
		} else {
			pullIfNeeded(controller);
		}
		request.chunk(chunk);
	} else {
		stream.reader.requests.push(request);
		pullIfNeeded(controller);
	}
}

function shouldPull(controller) {
	const { stream } = controller;
	if (!canCloseOrEnqueue(controller) || !controller.started) return false;
	if (hasDefaultReader(stream) && stream.reader.requests.length > 0) return true;
	return desiredSize(controller) > 0;
}

function pullIfNeeded(controller) {
	if (!shouldPull(controller)) return;
	if (controller.pulling) {
		controller.pullAgain = true;
		return;
	}
	controller.pulling = true;
	upon(
		controller.pull(),
		() => {
			controller.pulling = false;
			if (!controller.pullAgain) return;
			controller.pullAgain = false;
			pullIfNeeded(controller);
		},
		(error) => controllerError(controller, error),
	);
}

export function canCloseOrEnqueue(controller) {
	return !controller.closeRequested && controller.stream.state === 'readable';
}

export function desiredSize(controller) {
	const { state } = controller.stream;
	if (state === 'errored') return null;
	return state === 'closed' ? 0 : controller.highWaterMark - controller.queueSize;
}

export function controllerClose(controller) {
	if (!canCloseOrEnqueue(controller)) return;
	controller.closeRequested = true;
	if (controller.queue.length > 0) return;
	clearAlgorithms(controller);
	readableClose(controller.stream);
}

export function controllerEnqueue(controller, chunk) {
	if (!canCloseOrEnqueue(controller)) return;
	const { stream } = controller;
	if (hasDefaultReader(stream) && stream.reader.requests.length > 0) {
		stream.reader.requests.shift().chunk(chunk);
	} else {
		let size = 1;
		try {
			if (controller.size !== undefined) size = checkSize(controller.size(chunk));
		} catch (error) {
			controllerError(controller, error);
			throw error;
		}
		controller.queue.push({ value: chunk, size });
		controller.queueSize += size;
	}
	pullIfNeeded(controller);
}

export function controllerError(controller, error) {
	if (controller.stream.state !== 'readable') return;
	resetQueue(controller);
	clearAlgorithms(controller);
	readableError(controller.stream, error);
}

// START is called at once; what it throws is the caller's.
function setUpDefaultController(stream, algorithms, highWaterMark, size) {
	const controller = new DefaultController(stream, algorithms, highWaterMark, size);
	stream.controller = controller;
	upon(
		algorithms.startPromise ?? resolvedPromise(algorithms.start?.(controller)),
		() => {
			controller.started = true;
			pullIfNeeded(controller);
		},
		(error) => controllerError(controller, error),
	);
	return controller;
}

let wrapController;

export class ReadableStreamDefaultController {
	#state;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get desiredSize() {
		return #state in this ? desiredSize(this.#state) : illegalInvocation();
	}
	close() {
		if (!(#state in this)) illegalInvocation();
		if (!canCloseOrEnqueue(this.#state)) throw stateError('Controller is already closed');
		controllerClose(this.#state);
	}
	enqueue(chunk = undefined) {
		if (!(#state in this)) illegalInvocation();
		if (!canCloseOrEnqueue(this.#state)) throw stateError('Controller is already closed');
		controllerEnqueue(this.#state, chunk);
	}
	error(error = undefined) {
		if (!(#state in this)) illegalInvocation();
		controllerError(this.#state, error);
	}
	[inspectCustom](depth, options, inspect) {
		return inspectShell('ReadableStreamDefaultController', {}, depth, options, inspect);
	}
	static {
		wrapController = (state) => {
			if (state.object === undefined) {
				state.object = new ReadableStreamDefaultController(internalToken);
				state.object.#state = state;
			}
			return state.object;
		};
	}
}
defineInterface(ReadableStreamDefaultController, 'ReadableStreamDefaultController');

// ---- readers ----

export function acquireReader(stream) {
	if (stream.reader !== undefined) throw stateError('ReadableStream is locked');
	return new ReaderState(stream, false);
}

// REQUEST: chunk(value), close(), error(reason), one of which is called.
export function readerRead(reader, request) {
	const { stream } = reader;
	stream.disturbed = true;
	if (stream.state === 'closed') request.close();
	else if (stream.state === 'errored') request.error(stream.storedError);
	else if (stream.controller.isByte) bytePullSteps(stream.controller, request);
	else pullSteps(stream.controller, request);
}

export function readerGenericRelease(reader) {
	const { stream } = reader;
	const error = stateError('Reader was released and can no longer be used');
	if (stream.state === 'readable') {
		if (!reader.closed.settled) reader.closed.fail(error);
		else reader.closed = rejectedDeferred(error);
	} else {
		reader.closed = rejectedDeferred(error);
	}
	if (stream.controller.isByte) byteReleaseSteps(stream.controller);
	stream.reader = undefined;
	reader.stream = undefined;
	return error;
}

export function readerRelease(reader) {
	if (reader.stream === undefined) return;
	readerGenericRelease(reader);
	failRequests(reader, stateError('Releasing reader'));
}

function releasedError() {
	return stateError('The reader is not attached to a stream');
}

// The read of a tenant: a promise.
class ReadPromise {
	constructor() {
		this.deferred = new Deferred();
	}
	get promise() {
		return this.deferred.promise;
	}
	chunk(value) {
		this.deferred.resolve({ value, done: false });
	}
	close() {
		this.deferred.resolve({ value: undefined, done: true });
	}
	error(reason) {
		this.deferred.reject(reason);
	}
}
isolate(ReadPromise);

function readToPromise(reader) {
	const { stream } = reader;
	if (stream === undefined) return PromiseReject(releasedError());
	const { controller } = stream;
	// A chunk that waits needs no request.
	if (stream.state === 'readable' && !controller.isByte && controller.queue.length > 0) {
		let result;
		stream.disturbed = true;
		pullSteps(controller, { chunk: (value) => (result = { value, done: false }) });
		return PromiseResolve(result);
	}
	const request = new ReadPromise();
	readerRead(reader, request);
	return request.promise;
}

export function genericCancel(reader, reason) {
	if (reader.stream === undefined) return PromiseReject(releasedError());
	return readableCancel(reader.stream, reason);
}

export class ReadableStreamDefaultReader {
	#state;

	constructor(stream) {
		requireArguments(arguments.length, 1, 'ReadableStreamDefaultReader constructor');
		if (!isReadableStream(stream))
			throw argumentError('The "stream" argument must be an instance of ReadableStream');
		this.#state = acquireReader(readableState(stream));
	}
	get closed() {
		return isObject(this) && #state in this ? this.#state.closed.promise : rejectInvocation();
	}
	cancel(reason = undefined) {
		return isObject(this) && #state in this
			? genericCancel(this.#state, reason)
			: rejectInvocation();
	}
	read() {
		return isObject(this) && #state in this ? readToPromise(this.#state) : rejectInvocation();
	}
	releaseLock() {
		if (!(#state in this)) illegalInvocation();
		readerRelease(this.#state);
	}
	[inspectCustom](depth, options, inspect) {
		const { stream, requests, closed } = this.#state;
		const shown = { stream: stream?.object, readRequests: requests.length, close: closed.promise };
		return inspectShell('ReadableStreamDefaultReader', shown, depth, options, inspect);
	}
}
defineInterface(ReadableStreamDefaultReader, 'ReadableStreamDefaultReader');

// ---- ReadableStream ----

function convertSource(source) {
	let { autoAllocateChunkSize } = source;
	if (autoAllocateChunkSize !== undefined)
		autoAllocateChunkSize = toEnforcedUnsignedLongLong(
			autoAllocateChunkSize,
			'autoAllocateChunkSize',
		);
	const cancel = convertFunction(source, 'cancel');
	const pull = convertFunction(source, 'pull');
	const start = convertFunction(source, 'start');
	let { type } = source;
	if (type !== undefined) {
		type = `${type}`;
		if (type !== 'bytes')
			throw argumentError(`The property 'source.type' is invalid. Received '${type}'`);
	}
	return { autoAllocateChunkSize, cancel, pull, start, type };
}

function sourceAlgorithms(source, members, wrap) {
	const { cancel, pull, start } = members;
	let wrapped;
	return {
		__proto__: null,
		start: (controller) => {
			wrapped = wrap(controller);
			return start === undefined ? undefined : FunctionPrototypeCall(start, source, wrapped);
		},
		pull: pull === undefined ? nothing : () => callToPromise(pull, source, [wrapped]),
		cancel: cancel === undefined ? nothing : (reason) => callToPromise(cancel, source, [reason]),
	};
}

function convertPipeOptions(options) {
	const dictionary = toDictionary(options, 'The options');
	const preventAbort = !!dictionary.preventAbort;
	const preventCancel = !!dictionary.preventCancel;
	const preventClose = !!dictionary.preventClose;
	const { signal } = dictionary;
	if (signal !== undefined && !isAbortSignal(signal))
		throw argumentError('The "options.signal" property must be an instance of AbortSignal');
	return { preventAbort, preventCancel, preventClose, signal };
}

let readableState;
let isReadableStream;

export class ReadableStream {
	#state;

	constructor(underlyingSource = undefined, strategy = undefined) {
		if (underlyingSource === internalToken) {
			this.#state = new ReadableState(this);
			return;
		}
		if (underlyingSource !== undefined) requireObject(underlyingSource, 'underlying source');
		const { highWaterMark, size } = convertStrategy(strategy);
		const source = underlyingSource ?? { __proto__: null };
		const members = convertSource(source);
		const stream = new ReadableState(this);
		this.#state = stream;
		if (members.type === 'bytes') {
			if (size !== undefined)
				throw codedError(
					RangeError,
					'ERR_INVALID_ARG_VALUE',
					"The property 'strategy.size' must be undefined for a byte stream",
				);
			const mark = extractHighWaterMark({ highWaterMark }, 0);
			if (members.autoAllocateChunkSize === 0)
				throw argumentError('autoAllocateChunkSize must be greater than 0');
			const controller = new ByteController(
				stream,
				sourceAlgorithms(source, members, wrapByteController),
				mark,
				members.autoAllocateChunkSize,
			);
			startByteController(controller);
			return;
		}
		const sizeAlgorithm = extractSize({ size });
		const mark = extractHighWaterMark({ highWaterMark }, 1);
		const algorithms = sourceAlgorithms(source, members, wrapController);
		setUpDefaultController(stream, algorithms, mark, sizeAlgorithm);
	}
	static from(asyncIterable) {
		requireArguments(arguments.length, 1, 'ReadableStream.from');
		return fromIterable(asyncIterable);
	}
	get locked() {
		return #state in this ? this.#state.reader !== undefined : illegalInvocation();
	}
	cancel(reason = undefined) {
		if (!isReadableStream(this)) return rejectInvocation();
		if (this.#state.reader !== undefined)
			return PromiseReject(stateError('ReadableStream is locked'));
		return readableCancel(this.#state, reason);
	}
	getReader(options = undefined) {
		if (!(#state in this)) illegalInvocation();
		let { mode } = toDictionary(options, 'The options');
		if (mode === undefined) return new ReadableStreamDefaultReader(this);
		mode = `${mode}`;
		if (mode !== 'byob') throw argumentError(`The mode '${mode}' is invalid`);
		return acquireByobReader(this);
	}
	pipeThrough(transform, options = undefined) {
		if (!(#state in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ReadableStream.pipeThrough');
		requireObject(transform, 'transform');
		const { readable } = transform;
		if (!isReadableStream(readable))
			throw argumentError('The "transform.readable" property must be a ReadableStream');
		const { writable } = transform;
		if (!isWritableStream(writable))
			throw argumentError('The "transform.writable" property must be a WritableStream');
		const converted = convertPipeOptions(options);
		if (this.#state.reader !== undefined) throw stateError('The ReadableStream is locked');
		if (writableIsLocked(writable)) throw stateError('The WritableStream is locked');
		markHandled(pipe(this.#state, writableState(writable), converted));
		return readable;
	}
	pipeTo(destination, options = undefined) {
		if (!isReadableStream(this)) return rejectInvocation();
		let converted;
		try {
			requireArguments(arguments.length, 1, 'ReadableStream.pipeTo');
			if (!isWritableStream(destination))
				throw argumentError('The "destination" argument must be a WritableStream');
			converted = convertPipeOptions(options);
			if (this.#state.reader !== undefined) throw stateError('The ReadableStream is locked');
			if (writableIsLocked(destination)) throw stateError('The WritableStream is locked');
		} catch (error) {
			return PromiseReject(error);
		}
		return pipe(this.#state, writableState(destination), converted);
	}
	tee() {
		if (!(#state in this)) illegalInvocation();
		const branches = tee(this.#state, false);
		return [branches[0].object, branches[1].object];
	}
	values(options = undefined) {
		if (!(#state in this)) illegalInvocation();
		const preventCancel = !!toDictionary(options, 'The options').preventCancel;
		return new StreamIterator(acquireReader(this.#state), preventCancel);
	}
	[inspectCustom](depth, options, inspect) {
		const { controller, reader, state } = this.#state;
		const shown = { locked: reader !== undefined, state, supportsBYOB: controller.isByte };
		return inspectShell('ReadableStream', shown, depth, options, inspect);
	}
	static {
		readableState = (object) => object.#state;
		isReadableStream = (value) => isObject(value) && #state in value;
	}
}
defineInterface(ReadableStream, 'ReadableStream');
defineAlias(ReadableStream.prototype, SymbolAsyncIterator, ReadableStream.prototype.values);

export { isReadableStream, readableState };

// ---- streams of the library's own ----

// A stream state whose source is ALGORITHMS: start(controller), pull(), cancel(reason),
// the latter two returning promises; each may be missing. SIZE(chunk) may be undefined.
export function createState(algorithms, highWaterMark = 1, size = undefined) {
	const stream = readableState(new ReadableStream(internalToken));
	const own = { __proto__: null, ...algorithms };
	const full = {
		__proto__: null,
		start: own.start,
		startPromise: own.startPromise,
		pull: own.pull ?? nothing,
		cancel: own.cancel ?? nothing,
	};
	setUpDefaultController(stream, full, highWaterMark, size);
	return stream;
}

export function createByteState(algorithms, highWaterMark = 0) {
	const stream = readableState(new ReadableStream(internalToken));
	const own = { __proto__: null, ...algorithms };
	const full = {
		__proto__: null,
		start: own.start,
		pull: own.pull ?? nothing,
		cancel: own.cancel ?? nothing,
	};
	startByteController(new ByteController(stream, full, highWaterMark, undefined));
	return stream;
}
