// WritableStream, its controller and its writer (streams standard, section 5).

import {
	FunctionPrototypeCall,
	isolate,
	PromiseReject,
	RangeError,
	String,
} from '../primordials.js';
import { createAbortSignal, signalAbort } from '../abort.js';
import { codedError } from '../errors.js';
import {
	defineInterface,
	illegalConstructor,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
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
	nothing,
	Queue,
	rejectedDeferred,
	rejectInvocation,
	requireObject,
	resolvedDeferred,
	resolvedPromise,
	stateError,
	upon,
} from './shared.js';

const CLOSE = { __proto__: null }; // in the queue: the stream is to be closed

// ---- states ----

class WritableState {
	constructor(object) {
		this.object = object;
		this.state = 'writable';
		this.storedError = undefined;
		this.backpressure = false;
		this.writer = undefined;
		this.controller = undefined;
		this.writeRequests = new Queue();
		this.inFlightWrite = undefined;
		this.closeRequest = undefined;
		this.inFlightClose = undefined;
		this.pendingAbort = undefined; // { deferred, reason, wasErroring }
		this.finished = undefined; // Deferred, for node:stream
	}
}
isolate(WritableState);

class WritableController {
	constructor(stream, algorithms, highWaterMark, size) {
		this.object = undefined;
		this.stream = stream;
		this.queue = new Queue();
		this.queueSize = 0;
		this.started = false;
		this.highWaterMark = highWaterMark;
		this.size = size;
		this.write = algorithms.write;
		this.close = algorithms.close;
		this.abort = algorithms.abort;
		this.signal = undefined; // made when asked for
		this.aborted = false;
		this.abortReason = undefined;
		stream.controller = this;
	}
}
isolate(WritableController);

class WriterState {
	constructor(stream) {
		this.stream = stream;
		stream.writer = this;
		const { state, storedError } = stream;
		if (state === 'writable') {
			const waits = !closeQueuedOrInFlight(stream) && stream.backpressure;
			this.ready = waits ? new Deferred() : resolvedDeferred(undefined);
			this.closed = new Deferred();
		} else if (state === 'erroring') {
			this.ready = rejectedDeferred(storedError);
			this.closed = new Deferred();
		} else if (state === 'closed') {
			this.ready = resolvedDeferred(undefined);
			this.closed = resolvedDeferred(undefined);
		} else {
			this.ready = rejectedDeferred(storedError);
			this.closed = rejectedDeferred(storedError);
		}
	}
}
isolate(WriterState);

// ---- streams ----

export function closeQueuedOrInFlight(stream) {
	return stream.closeRequest !== undefined || stream.inFlightClose !== undefined;
}

export function writableAbort(stream, reason) {
	if (stream.state === 'closed' || stream.state === 'errored') return resolvedPromise(undefined);
	const { controller } = stream;
	if (!controller.aborted) {
		controller.aborted = true;
		controller.abortReason = reason;
		if (controller.signal !== undefined) signalAbort(controller.signal, reason);
	}
	const { state } = stream;
	if (state === 'closed' || state === 'errored') return resolvedPromise(undefined);
	if (stream.pendingAbort !== undefined) return stream.pendingAbort.deferred.promise;
	const wasErroring = state === 'erroring';
	const deferred = new Deferred();
	stream.pendingAbort = { deferred, reason: wasErroring ? undefined : reason, wasErroring };
	if (!wasErroring) startErroring(stream, reason);
	return deferred.promise;
}

function writableClose(stream) {
	if (stream.state === 'closed' || stream.state === 'errored')
		return PromiseReject(stateError(`WritableStream is ${stream.state}`));
	const deferred = new Deferred();
	stream.closeRequest = deferred;
	if (stream.writer !== undefined && stream.backpressure && stream.state === 'writable')
		stream.writer.ready.fulfill(undefined);
	stream.controller.queue.push({ value: CLOSE, size: 0 });
	advanceQueue(stream.controller);
	return deferred.promise;
}

function startErroring(stream, reason) {
	stream.state = 'erroring';
	stream.storedError = reason;
	if (stream.writer !== undefined) ensureReadyRejected(stream.writer, reason);
	const inFlight = stream.inFlightWrite !== undefined || stream.inFlightClose !== undefined;
	if (!inFlight && stream.controller.started) finishErroring(stream);
}

function finishErroring(stream) {
	stream.state = 'errored';
	const { controller, storedError, writeRequests } = stream;
	controller.queue.clear();
	controller.queueSize = 0;
	stream.writeRequests = new Queue();
	while (writeRequests.length > 0) writeRequests.shift().reject(storedError);
	const { pendingAbort } = stream;
	if (pendingAbort === undefined) {
		rejectClose(stream);
		return;
	}
	stream.pendingAbort = undefined;
	if (pendingAbort.wasErroring) {
		pendingAbort.deferred.reject(storedError);
		rejectClose(stream);
		return;
	}
	const promise = controller.abort(pendingAbort.reason);
	clearAlgorithms(controller);
	upon(
		promise,
		() => {
			pendingAbort.deferred.resolve(undefined);
			rejectClose(stream);
		},
		(error) => {
			pendingAbort.deferred.reject(error);
			rejectClose(stream);
		},
	);
}

function rejectClose(stream) {
	stream.finished?.fail(stream.storedError);
	if (stream.closeRequest !== undefined) {
		stream.closeRequest.reject(stream.storedError);
		stream.closeRequest = undefined;
	}
	stream.writer?.closed.fail(stream.storedError);
}

function dealWithRejection(stream, error) {
	if (stream.state === 'writable') startErroring(stream, error);
	else finishErroring(stream);
}

function updateBackpressure(stream, backpressure) {
	const { writer } = stream;
	if (writer !== undefined && backpressure !== stream.backpressure) {
		if (backpressure) writer.ready = new Deferred();
		else writer.ready.fulfill(undefined);
	}
	stream.backpressure = backpressure;
}

// ---- the controller ----

function clearAlgorithms(controller) {
	controller.write = undefined;
	controller.close = undefined;
	controller.abort = undefined;
	controller.size = undefined;
}

function hasBackpressure(controller) {
	return controller.highWaterMark - controller.queueSize <= 0;
}

export function writableErrorIfNeeded(controller, error) {
	if (controller.stream.state !== 'writable') return;
	clearAlgorithms(controller);
	startErroring(controller.stream, error);
}

function advanceQueue(controller) {
	const { stream } = controller;
	if (!controller.started || stream.inFlightWrite !== undefined) return;
	if (stream.state === 'erroring') {
		finishErroring(stream);
		return;
	}
	if (controller.queue.length === 0) return;
	const { value } = controller.queue.peek();
	if (value === CLOSE) processClose(controller);
	else processWrite(controller, value);
}

function processClose(controller) {
	const { stream } = controller;
	stream.inFlightClose = stream.closeRequest;
	stream.closeRequest = undefined;
	controller.queue.shift();
	const promise = controller.close();
	clearAlgorithms(controller);
	upon(
		promise,
		() => finishClose(stream),
		(error) => {
			stream.inFlightClose.reject(error);
			stream.inFlightClose = undefined;
			if (stream.pendingAbort !== undefined) {
				stream.pendingAbort.deferred.reject(error);
				stream.pendingAbort = undefined;
			}
			dealWithRejection(stream, error);
		},
	);
}

function finishClose(stream) {
	stream.inFlightClose.resolve(undefined);
	stream.inFlightClose = undefined;
	if (stream.state === 'erroring') {
		stream.storedError = undefined;
		if (stream.pendingAbort !== undefined) {
			stream.pendingAbort.deferred.resolve(undefined);
			stream.pendingAbort = undefined;
		}
	}
	stream.state = 'closed';
	stream.finished?.fulfill(undefined);
	stream.writer?.closed.fulfill(undefined);
}

function processWrite(controller, chunk) {
	const { stream } = controller;
	stream.inFlightWrite = stream.writeRequests.shift();
	upon(
		controller.write(chunk),
		() => {
			stream.inFlightWrite.resolve(undefined);
			stream.inFlightWrite = undefined;
			if (controller.queue.length > 0) {
				controller.queueSize -= controller.queue.shift().size;
				if (controller.queueSize < 0) controller.queueSize = 0; // rounding
			}
			if (!closeQueuedOrInFlight(stream) && stream.state === 'writable')
				updateBackpressure(stream, hasBackpressure(controller));
			advanceQueue(controller);
		},
		(error) => {
			if (stream.state === 'writable') clearAlgorithms(controller);
			stream.inFlightWrite.reject(error);
			stream.inFlightWrite = undefined;
			dealWithRejection(stream, error);
		},
	);
}

function setUpController(stream, algorithms, highWaterMark, size) {
	const controller = new WritableController(stream, algorithms, highWaterMark, size);
	updateBackpressure(stream, hasBackpressure(controller));
	upon(
		algorithms.startPromise ?? resolvedPromise(algorithms.start?.(controller)),
		() => {
			controller.started = true;
			advanceQueue(controller);
		},
		(error) => {
			controller.started = true;
			dealWithRejection(stream, error);
		},
	);
	return controller;
}

function controllerSignal(controller) {
	if (controller.signal === undefined) {
		controller.signal = createAbortSignal();
		if (controller.aborted) signalAbort(controller.signal, controller.abortReason);
	}
	return controller.signal;
}

let wrapController;

export class WritableStreamDefaultController {
	#state;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get signal() {
		return #state in this ? controllerSignal(this.#state) : illegalInvocation();
	}
	error(error = undefined) {
		if (!(#state in this)) illegalInvocation();
		writableErrorIfNeeded(this.#state, error);
	}
	[inspectCustom](depth, options, inspect) {
		const { stream } = this.#state;
		return inspectShell(
			'WritableStreamDefaultController',
			{ stream: stream.object },
			depth,
			options,
			inspect,
		);
	}
	static {
		wrapController = (state) => {
			state.object = new WritableStreamDefaultController(internalToken);
			state.object.#state = state;
			return state.object;
		};
	}
}
defineInterface(WritableStreamDefaultController, 'WritableStreamDefaultController');

// ---- writers ----

export function acquireWriter(stream) {
	if (stream.writer !== undefined) throw stateError('WritableStream is locked');
	return new WriterState(stream);
}

function ensureReadyRejected(writer, error) {
	if (writer.ready.settled) writer.ready = rejectedDeferred(error);
	else writer.ready.fail(error);
}

function ensureClosedRejected(writer, error) {
	if (writer.closed.settled) writer.closed = rejectedDeferred(error);
	else writer.closed.fail(error);
}

export function writerRelease(writer) {
	const { stream } = writer;
	if (stream === undefined) return;
	const error = stateError('Writer has been released');
	ensureReadyRejected(writer, error);
	ensureClosedRejected(writer, error);
	stream.writer = undefined;
	writer.stream = undefined;
}

export function writerWrite(writer, chunk) {
	const { stream } = writer;
	const { controller } = stream;
	let size = 1;
	try {
		if (controller.size !== undefined) size = controller.size(chunk);
	} catch (error) {
		writableErrorIfNeeded(controller, error);
	}
	if (writer.stream !== stream) return PromiseReject(stateError('Mismatched WritableStreams'));
	const { state } = stream;
	if (state === 'errored') return PromiseReject(stream.storedError);
	if (closeQueuedOrInFlight(stream) || state === 'closed')
		return PromiseReject(stateError('WritableStream is closed'));
	if (state === 'erroring') return PromiseReject(stream.storedError);
	const deferred = new Deferred();
	stream.writeRequests.push(deferred);
	controllerWrite(controller, chunk, size);
	return deferred.promise;
}

function controllerWrite(controller, chunk, size) {
	try {
		controller.queue.push({ value: chunk, size: checkSize(size) });
	} catch (error) {
		writableErrorIfNeeded(controller, error);
		return;
	}
	controller.queueSize += size;
	const { stream } = controller;
	if (!closeQueuedOrInFlight(stream) && stream.state === 'writable')
		updateBackpressure(stream, hasBackpressure(controller));
	advanceQueue(controller);
}

export function writerCloseWithErrorPropagation(writer) {
	const { stream } = writer;
	if (closeQueuedOrInFlight(stream) || stream.state === 'closed')
		return resolvedPromise(undefined);
	if (stream.state === 'errored') return PromiseReject(stream.storedError);
	return writableClose(stream);
}

function writerDesiredSize(writer) {
	const { stream } = writer;
	if (stream === undefined) throw stateError('Writer is not bound to a WritableStream');
	if (stream.state === 'errored' || stream.state === 'erroring') return null;
	if (stream.state === 'closed') return 0;
	return stream.controller.highWaterMark - stream.controller.queueSize;
}

export class WritableStreamDefaultWriter {
	#state;

	constructor(stream) {
		requireArguments(arguments.length, 1, 'WritableStreamDefaultWriter constructor');
		if (!isWritableStream(stream))
			throw argumentError('The "stream" argument must be an instance of WritableStream');
		this.#state = acquireWriter(writableState(stream));
	}
	get closed() {
		return isObject(this) && #state in this ? this.#state.closed.promise : rejectInvocation();
	}
	get desiredSize() {
		return #state in this ? writerDesiredSize(this.#state) : illegalInvocation();
	}
	get ready() {
		return isObject(this) && #state in this ? this.#state.ready.promise : rejectInvocation();
	}
	abort(reason = undefined) {
		if (!isObject(this) || !(#state in this)) return rejectInvocation();
		const { stream } = this.#state;
		if (stream === undefined) return PromiseReject(releasedError());
		return writableAbort(stream, reason);
	}
	close() {
		if (!isObject(this) || !(#state in this)) return rejectInvocation();
		const { stream } = this.#state;
		if (stream === undefined) return PromiseReject(releasedError());
		if (closeQueuedOrInFlight(stream))
			return PromiseReject(stateError('Failure to close WritableStream'));
		return writableClose(stream);
	}
	releaseLock() {
		if (!(#state in this)) illegalInvocation();
		writerRelease(this.#state);
	}
	write(chunk = undefined) {
		if (!isObject(this) || !(#state in this)) return rejectInvocation();
		if (this.#state.stream === undefined) return PromiseReject(releasedError());
		return writerWrite(this.#state, chunk);
	}
	[inspectCustom](depth, options, inspect) {
		const { closed, ready, stream } = this.#state;
		const shown = {
			stream: stream?.object,
			close: closed.promise,
			ready: ready.promise,
			desiredSize: stream === undefined ? undefined : writerDesiredSize(this.#state),
		};
		return inspectShell('WritableStreamDefaultWriter', shown, depth, options, inspect);
	}
}
defineInterface(WritableStreamDefaultWriter, 'WritableStreamDefaultWriter');

function releasedError() {
	return stateError('Writer is not bound to a WritableStream');
}

// ---- WritableStream ----

function convertSink(sink) {
	const abort = convertFunction(sink, 'abort');
	const close = convertFunction(sink, 'close');
	const start = convertFunction(sink, 'start');
	const { type } = sink;
	const write = convertFunction(sink, 'write');
	if (type !== undefined)
		throw codedError(
			RangeError,
			'ERR_INVALID_ARG_VALUE',
			`The property 'sink.type' is invalid. Received ${String(type)}`,
		);
	return { abort, close, start, write };
}

function sinkAlgorithms(sink, members) {
	const { abort, close, start, write } = members;
	let wrapped;
	return {
		__proto__: null,
		start: (controller) => {
			wrapped = wrapController(controller);
			return start === undefined ? undefined : FunctionPrototypeCall(start, sink, wrapped);
		},
		write: write === undefined ? nothing : (chunk) => callToPromise(write, sink, [chunk, wrapped]),
		close: close === undefined ? nothing : () => callToPromise(close, sink, []),
		abort: abort === undefined ? nothing : (reason) => callToPromise(abort, sink, [reason]),
	};
}

export let isWritableStream;
export let writableState;

export class WritableStream {
	#state;

	constructor(underlyingSink = undefined, strategy = undefined) {
		this.#state = new WritableState(this);
		if (underlyingSink === internalToken) return;
		if (underlyingSink !== undefined) requireObject(underlyingSink, 'underlying sink');
		const converted = convertStrategy(strategy);
		const sink = underlyingSink ?? { __proto__: null };
		const members = convertSink(sink);
		const size = extractSize(converted);
		const mark = extractHighWaterMark(converted, 1);
		setUpController(this.#state, sinkAlgorithms(sink, members), mark, size);
	}
	get locked() {
		return #state in this ? this.#state.writer !== undefined : illegalInvocation();
	}
	abort(reason = undefined) {
		if (!isWritableStream(this)) return rejectInvocation();
		if (this.#state.writer !== undefined)
			return PromiseReject(stateError('WritableStream is locked'));
		return writableAbort(this.#state, reason);
	}
	close() {
		if (!isWritableStream(this)) return rejectInvocation();
		if (this.#state.writer !== undefined)
			return PromiseReject(stateError('WritableStream is locked'));
		if (closeQueuedOrInFlight(this.#state))
			return PromiseReject(stateError('Failure closing WritableStream'));
		return writableClose(this.#state);
	}
	getWriter() {
		if (!(#state in this)) illegalInvocation();
		return new WritableStreamDefaultWriter(this);
	}
	[inspectCustom](depth, options, inspect) {
		const shown = { locked: this.#state.writer !== undefined, state: this.#state.state };
		return inspectShell('WritableStream', shown, depth, options, inspect);
	}
	static {
		writableState = (object) => object.#state;
		isWritableStream = (value) => isObject(value) && #state in value;
	}
}
defineInterface(WritableStream, 'WritableStream');

export function writableIsLocked(object) {
	return writableState(object).writer !== undefined;
}

// A stream state whose sink is ALGORITHMS: start(controller), write(chunk), close(),
// abort(reason), the latter three returning promises; each may be missing.
export function createWritableState(algorithms, highWaterMark = 1, size = undefined) {
	const stream = writableState(new WritableStream(internalToken));
	const own = { __proto__: null, ...algorithms };
	const full = {
		__proto__: null,
		start: own.start,
		startPromise: own.startPromise,
		write: own.write ?? nothing,
		close: own.close ?? nothing,
		abort: own.abort ?? nothing,
	};
	setUpController(stream, full, highWaterMark, size);
	return stream;
}
