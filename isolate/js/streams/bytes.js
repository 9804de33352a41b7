// Byte streams: ReadableByteStreamController, ReadableStreamBYOBRequest and
// ReadableStreamBYOBReader (streams standard, sections 4.5, 4.7, 4.8 and 4.9.5).

import {
	ArrayBuffer,
	ArrayBufferIsView,
	ArrayBufferPrototypeGetByteLength,
	ArrayBufferPrototypeGetDetached,
	ArrayBufferPrototypeGetResizable,
	ArrayBufferPrototypeSlice,
	ArrayBufferPrototypeTransfer,
	BigInt64Array,
	BigUint64Array,
	DataView,
	Float16Array,
	Float32Array,
	Float64Array,
	Int16Array,
	Int32Array,
	Int8Array,
	isolate,
	MathMin,
	PromiseReject,
	RangeError,
	TypedArrayPrototypeSet,
	TypeError,
	Uint16Array,
	Uint32Array,
	Uint8Array,
	Uint8ClampedArray,
} from '../primordials.js';
import {
	isSharedArrayBuffer,
	typedArrayName,
	viewBuffer,
	viewByteLength,
	viewByteOffset,
} from '../bytes.js';
import { codedError } from '../errors.js';
import {
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
	genericCancel,
	hasDefaultReader,
	isReadableStream,
	readableClose,
	readableError,
	readableState,
	readerGenericRelease,
	ReaderState,
} from './readable.js';
import {
	argumentError,
	Deferred,
	inspectShell,
	Queue,
	rejectInvocation,
	resolvedPromise,
	stateError,
	upon,
} from './shared.js';

const constructors = {
	__proto__: null,
	BigInt64Array,
	BigUint64Array,
	Float16Array,
	Float32Array,
	Float64Array,
	Int16Array,
	Int32Array,
	Int8Array,
	Uint16Array,
	Uint32Array,
	Uint8Array,
	Uint8ClampedArray,
};
const elementSizes = {
	__proto__: null,
	BigInt64Array: 8,
	BigUint64Array: 8,
	Float16Array: 2,
	Float32Array: 4,
	Float64Array: 8,
	Int16Array: 2,
	Int32Array: 4,
	Int8Array: 1,
	Uint16Array: 2,
	Uint32Array: 4,
	Uint8Array: 1,
	Uint8ClampedArray: 1,
};

// ---- states ----

export class ByteController {
	isByte = true;

	constructor(stream, algorithms, highWaterMark, autoAllocateChunkSize) {
		this.object = undefined;
		this.stream = stream;
		this.queue = new Queue(); // of { buffer, byteOffset, byteLength }
		this.queueSize = 0;
		this.started = false;
		this.closeRequested = false;
		this.pulling = false;
		this.pullAgain = false;
		this.highWaterMark = highWaterMark;
		this.autoAllocateChunkSize = autoAllocateChunkSize;
		this.byobRequest = null;
		this.pullIntos = new Queue();
		this.start = algorithms.start;
		this.pull = algorithms.pull;
		this.cancel = algorithms.cancel;
		stream.controller = this;
	}
}
isolate(ByteController);

// A buffer that waits to be filled.
class PullInto {
	constructor(buffer, byteOffset, byteLength, minimumFill, name, readerType) {
		this.buffer = buffer;
		this.bufferByteLength = ArrayBufferPrototypeGetByteLength(buffer);
		this.byteOffset = byteOffset;
		this.byteLength = byteLength;
		this.bytesFilled = 0;
		this.minimumFill = minimumFill;
		this.elementSize = name === undefined ? 1 : elementSizes[name];
		this.Constructor = name === undefined ? DataView : constructors[name];
		this.readerType = readerType;
	}
}
isolate(PullInto);

export function startByteController(controller) {
	const { start } = controller;
	controller.start = undefined;
	upon(
		resolvedPromise(start?.(controller)),
		() => {
			controller.started = true;
			pullIfNeeded(controller);
		},
		(error) => byteControllerError(controller, error),
	);
}

// ---- pulling ----

function hasByobReader(stream) {
	return stream.reader !== undefined && stream.reader.byob;
}

function shouldPull(controller) {
	const { stream } = controller;
	if (stream.state !== 'readable' || controller.closeRequested || !controller.started)
		return false;
	if (stream.reader !== undefined && stream.reader.requests.length > 0) return true;
	return controller.highWaterMark - controller.queueSize > 0;
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
		(error) => byteControllerError(controller, error),
	);
}

function clearAlgorithms(controller) {
	controller.pull = undefined;
	controller.cancel = undefined;
}

function invalidateRequest(controller) {
	if (controller.byobRequest === null) return;
	detachRequest(controller.byobRequest);
	controller.byobRequest = null;
}

function clearPullIntos(controller) {
	invalidateRequest(controller);
	controller.pullIntos = new Queue();
}

export function byteCancelSteps(controller, reason) {
	clearPullIntos(controller);
	controller.queue.clear();
	controller.queueSize = 0;
	const promise = controller.cancel(reason);
	clearAlgorithms(controller);
	return promise;
}

export function byteReleaseSteps(controller) {
	if (controller.pullIntos.length === 0) return;
	const first = controller.pullIntos.peek();
	first.readerType = 'none';
	controller.pullIntos = new Queue();
	controller.pullIntos.push(first);
}

export function bytePullSteps(controller, request) {
	if (controller.queueSize > 0) {
		fillRequest(controller, request);
		return;
	}
	const size = controller.autoAllocateChunkSize;
	if (size !== undefined) {
		let buffer;
		try {
			buffer = new ArrayBuffer(size);
		} catch (error) {
			request.error(error);
			return;
		}
		controller.pullIntos.push(new PullInto(buffer, 0, size, 1, 'Uint8Array', 'default'));
	}
	controller.stream.reader.requests.push(request);
	pullIfNeeded(controller);
}

function drained(controller) {
	if (controller.queueSize === 0 && controller.closeRequested) {
		clearAlgorithms(controller);
		readableClose(controller.stream);
	} else {
		pullIfNeeded(controller);
	}
}

function fillRequest(controller, request) {
	const entry = controller.queue.shift();
	controller.queueSize -= entry.byteLength;
	drained(controller);
	request.chunk(new Uint8Array(entry.buffer, entry.byteOffset, entry.byteLength));
}

// ---- closing, erroring ----

export function byteControllerClose(controller) {
	const { stream } = controller;
	if (controller.closeRequested || stream.state !== 'readable') return;
	if (controller.queueSize > 0) {
		controller.closeRequested = true;
		return;
	}
	if (controller.pullIntos.length > 0) {
		const first = controller.pullIntos.peek();
		if (first.bytesFilled % first.elementSize !== 0) {
			const error = new TypeError('Insufficient bytes to fill elements in the given buffer');
			byteControllerError(controller, error);
			throw error;
		}
	}
	clearAlgorithms(controller);
	readableClose(stream);
}

export function byteControllerError(controller, error) {
	if (controller.stream.state !== 'readable') return;
	clearPullIntos(controller);
	controller.queue.clear();
	controller.queueSize = 0;
	clearAlgorithms(controller);
	readableError(controller.stream, error);
}

// ---- enqueueing ----

function enqueueToQueue(controller, buffer, byteOffset, byteLength) {
	controller.queue.push({ buffer, byteOffset, byteLength });
	controller.queueSize += byteLength;
}

function enqueueClone(controller, buffer, byteOffset, byteLength) {
	let clone;
	try {
		clone = ArrayBufferPrototypeSlice(buffer, byteOffset, byteOffset + byteLength);
	} catch (error) {
		byteControllerError(controller, error);
		throw error;
	}
	enqueueToQueue(controller, clone, 0, byteLength);
}

// What a released reader's buffer got already goes to the next reader.
function enqueueDetached(controller, pullInto) {
	if (pullInto.bytesFilled > 0)
		enqueueClone(controller, pullInto.buffer, pullInto.byteOffset, pullInto.bytesFilled);
	controller.pullIntos.shift();
}

function transfer(buffer) {
	return ArrayBufferPrototypeTransfer(buffer);
}

export function byteControllerEnqueue(controller, chunk) {
	const { stream } = controller;
	if (controller.closeRequested || stream.state !== 'readable') return;
	const buffer = viewBuffer(chunk);
	const byteOffset = viewByteOffset(chunk);
	const byteLength = viewByteLength(chunk);
	if (ArrayBufferPrototypeGetDetached(buffer)) throw new TypeError("chunk's buffer is detached");
	const transferred = transfer(buffer);
	if (controller.pullIntos.length > 0) {
		const first = controller.pullIntos.peek();
		if (ArrayBufferPrototypeGetDetached(first.buffer))
			throw new TypeError("The BYOB request's buffer has been detached");
		invalidateRequest(controller);
		first.buffer = transfer(first.buffer);
		if (first.readerType === 'none') enqueueDetached(controller, first);
	}
	if (hasDefaultReader(stream)) {
		const { requests } = stream.reader;
		while (requests.length > 0 && controller.queueSize > 0)
			fillRequest(controller, requests.shift());
		if (requests.length === 0) {
			enqueueToQueue(controller, transferred, byteOffset, byteLength);
		} else {
			if (controller.pullIntos.length > 0) controller.pullIntos.shift();
			requests.shift().chunk(new Uint8Array(transferred, byteOffset, byteLength));
		}
	} else {
		enqueueToQueue(controller, transferred, byteOffset, byteLength);
		if (hasByobReader(stream)) commitAll(stream, processPullIntos(controller));
	}
	pullIfNeeded(controller);
}

// ---- filling buffers ----

function fillFromQueue(controller, pullInto) {
	const most = MathMin(controller.queueSize, pullInto.byteLength - pullInto.bytesFilled);
	const mostFilled = pullInto.bytesFilled + most;
	const aligned = mostFilled - (mostFilled % pullInto.elementSize);
	const ready = aligned >= pullInto.minimumFill;
	let left = ready ? aligned - pullInto.bytesFilled : most;
	const { queue } = controller;
	while (left > 0) {
		const head = queue.peek();
		const count = MathMin(left, head.byteLength);
		TypedArrayPrototypeSet(
			new Uint8Array(pullInto.buffer, pullInto.byteOffset + pullInto.bytesFilled, count),
			new Uint8Array(head.buffer, head.byteOffset, count),
		);
		if (head.byteLength === count) {
			queue.shift();
		} else {
			head.byteOffset += count;
			head.byteLength -= count;
		}
		controller.queueSize -= count;
		pullInto.bytesFilled += count;
		left -= count;
	}
	return ready;
}

function processPullIntos(controller) {
	const filled = [];
	while (controller.pullIntos.length > 0 && controller.queueSize > 0)
		if (fillFromQueue(controller, controller.pullIntos.peek()))
			filled[filled.length] = controller.pullIntos.shift();
	return filled;
}

function toView(pullInto) {
	return new pullInto.Constructor(
		transfer(pullInto.buffer),
		pullInto.byteOffset,
		pullInto.bytesFilled / pullInto.elementSize,
	);
}

function commit(stream, pullInto) {
	const view = toView(pullInto);
	const request = stream.reader.requests.shift();
	if (stream.state !== 'closed') request.chunk(view);
	else if (pullInto.readerType === 'default') request.close();
	else request.close(view);
}

function commitAll(stream, pullIntos) {
	for (let i = 0; i < pullIntos.length; i++) commit(stream, pullIntos[i]);
}

function pullInto(controller, view, min, request) {
	const { stream } = controller;
	const name = typedArrayName(view);
	const elementSize = name === undefined ? 1 : elementSizes[name];
	const byteOffset = viewByteOffset(view);
	const byteLength = viewByteLength(view);
	let buffer;
	try {
		buffer = transfer(viewBuffer(view));
	} catch (error) {
		request.error(error);
		return;
	}
	const entry = new PullInto(buffer, byteOffset, byteLength, min * elementSize, name, 'byob');
	if (controller.pullIntos.length > 0) {
		controller.pullIntos.push(entry);
		stream.reader.requests.push(request);
		return;
	}
	if (stream.state === 'closed') {
		request.close(new entry.Constructor(entry.buffer, entry.byteOffset, 0));
		return;
	}
	if (controller.queueSize > 0) {
		if (fillFromQueue(controller, entry)) {
			const filled = toView(entry);
			drained(controller);
			request.chunk(filled);
			return;
		}
		if (controller.closeRequested) {
			const error = new TypeError('Insufficient bytes to fill elements in the given buffer');
			byteControllerError(controller, error);
			request.error(error);
			return;
		}
	}
	controller.pullIntos.push(entry);
	stream.reader.requests.push(request);
	pullIfNeeded(controller);
}

// ---- responding ----

export function respond(controller, bytesWritten) {
	const first = controller.pullIntos.peek();
	if (controller.stream.state === 'closed') {
		if (bytesWritten !== 0)
			throw new TypeError('bytesWritten must be 0 when calling respond() on a closed stream');
	} else {
		if (bytesWritten === 0)
			throw new TypeError('bytesWritten must be greater than 0 on a readable stream');
		if (first.bytesFilled + bytesWritten > first.byteLength)
			throw new RangeError('bytesWritten out of range');
	}
	first.buffer = transfer(first.buffer);
	respondInternal(controller, bytesWritten);
}

export function respondWithNewView(controller, view) {
	const first = controller.pullIntos.peek();
	const byteLength = viewByteLength(view);
	const buffer = viewBuffer(view);
	if (controller.stream.state === 'closed') {
		if (byteLength !== 0)
			throw new TypeError("The view's length must be 0 on a closed stream");
	} else if (byteLength === 0) {
		throw new TypeError("The view's length must be greater than 0 on a readable stream");
	}
	if (first.byteOffset + first.bytesFilled !== viewByteOffset(view))
		throw new RangeError('The region specified by view does not match byobRequest');
	if (first.bufferByteLength !== ArrayBufferPrototypeGetByteLength(buffer))
		throw new RangeError('The buffer of view has a different capacity than byobRequest');
	if (first.bytesFilled + byteLength > first.byteLength)
		throw new RangeError('The region specified by view is larger than byobRequest');
	first.buffer = transfer(buffer);
	respondInternal(controller, byteLength);
}

function respondInternal(controller, bytesWritten) {
	const first = controller.pullIntos.peek();
	invalidateRequest(controller);
	if (controller.stream.state === 'closed') respondClosed(controller, first);
	else respondReadable(controller, bytesWritten, first);
	pullIfNeeded(controller);
}

function respondClosed(controller, first) {
	const { stream } = controller;
	if (first.readerType === 'none') controller.pullIntos.shift();
	if (!hasByobReader(stream)) return;
	const filled = [];
	while (filled.length < stream.reader.requests.length)
		filled[filled.length] = controller.pullIntos.shift();
	commitAll(stream, filled);
}

function respondReadable(controller, bytesWritten, first) {
	const { stream } = controller;
	first.bytesFilled += bytesWritten;
	if (first.readerType === 'none') {
		enqueueDetached(controller, first);
		commitAll(stream, processPullIntos(controller));
		return;
	}
	if (first.bytesFilled < first.minimumFill) return;
	controller.pullIntos.shift();
	const remainder = first.bytesFilled % first.elementSize;
	if (remainder > 0) {
		const end = first.byteOffset + first.bytesFilled;
		enqueueClone(controller, first.buffer, end - remainder, remainder);
	}
	first.bytesFilled -= remainder;
	const filled = processPullIntos(controller);
	commit(stream, first);
	commitAll(stream, filled);
}

// The current request, made when first asked for.
export function getByobRequest(controller) {
	if (controller.byobRequest === null && controller.pullIntos.length > 0) {
		const first = controller.pullIntos.peek();
		const view = new Uint8Array(
			first.buffer,
			first.byteOffset + first.bytesFilled,
			first.byteLength - first.bytesFilled,
		);
		controller.byobRequest = makeRequest(controller, view);
	}
	return controller.byobRequest;
}

// ---- what tenants see ----

// ArrayBufferView, neither shared nor resizable.
function requireView(value, what) {
	if (!ArrayBufferIsView(value)) throw argumentError(`The ${what} must be an ArrayBufferView`);
	const buffer = viewBuffer(value);
	if (isSharedArrayBuffer(buffer)) throw argumentError(`The ${what} must not be shared`);
	if (ArrayBufferPrototypeGetResizable(buffer))
		throw argumentError(`The ${what} must not be resizable`);
	return buffer;
}

let makeRequest;
let detachRequest;

export class ReadableStreamBYOBRequest {
	#controller;
	#view = null;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get view() {
		return #view in this ? this.#view : illegalInvocation();
	}
	respond(bytesWritten) {
		if (!(#view in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ReadableStreamBYOBRequest.respond');
		const count = toEnforcedUnsignedLongLong(bytesWritten, 'bytesWritten');
		if (this.#controller === undefined) throw stateError('This BYOB request is invalidated');
		if (ArrayBufferPrototypeGetDetached(viewBuffer(this.#view)))
			throw stateError("The BYOB request's buffer has been detached");
		respond(this.#controller, count);
	}
	respondWithNewView(view) {
		if (!(#view in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ReadableStreamBYOBRequest.respondWithNewView');
		const buffer = requireView(view, 'view');
		if (this.#controller === undefined) throw stateError('This BYOB request is invalidated');
		if (ArrayBufferPrototypeGetDetached(buffer))
			throw stateError("The view's buffer has been detached");
		respondWithNewView(this.#controller, view);
	}
	[inspectCustom](depth, options, inspect) {
		const shown = { view: this.#view, controller: this.#controller?.object };
		return inspectShell('ReadableStreamBYOBRequest', shown, depth, options, inspect);
	}
	static {
		makeRequest = (controller, view) => {
			const request = new ReadableStreamBYOBRequest(internalToken);
			request.#controller = controller;
			request.#view = view;
			return request;
		};
		detachRequest = (request) => {
			request.#controller = undefined;
			request.#view = null;
		};
	}
}
defineInterface(ReadableStreamBYOBRequest, 'ReadableStreamBYOBRequest');

export let wrapByteController;

export class ReadableByteStreamController {
	#state;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get byobRequest() {
		return #state in this ? getByobRequest(this.#state) : illegalInvocation();
	}
	get desiredSize() {
		if (!(#state in this)) illegalInvocation();
		const { highWaterMark, queueSize, stream } = this.#state;
		if (stream.state === 'errored') return null;
		return stream.state === 'closed' ? 0 : highWaterMark - queueSize;
	}
	close() {
		if (!(#state in this)) illegalInvocation();
		if (this.#state.closeRequested) throw stateError('Controller is already closed');
		if (this.#state.stream.state !== 'readable') throw stateError('ReadableStream is not readable');
		byteControllerClose(this.#state);
	}
	enqueue(chunk) {
		if (!(#state in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'ReadableByteStreamController.enqueue');
		const buffer = requireView(chunk, 'chunk');
		if (viewByteLength(chunk) === 0) throw stateError('chunk ArrayBuffer is zero-length or detached');
		if (ArrayBufferPrototypeGetByteLength(buffer) === 0)
			throw stateError('chunk ArrayBuffer is zero-length or detached');
		if (this.#state.closeRequested) throw stateError('Controller is already closed');
		if (this.#state.stream.state !== 'readable') throw stateError('ReadableStream is not readable');
		byteControllerEnqueue(this.#state, chunk);
	}
	error(error = undefined) {
		if (!(#state in this)) illegalInvocation();
		byteControllerError(this.#state, error);
	}
	[inspectCustom](depth, options, inspect) {
		return inspectShell('ReadableByteStreamController', {}, depth, options, inspect);
	}
	static {
		wrapByteController = (state) => {
			state.object = new ReadableByteStreamController(internalToken);
			state.object.#state = state;
			return state.object;
		};
	}
}
defineInterface(ReadableByteStreamController, 'ReadableByteStreamController');

// ---- the BYOB reader ----

export function acquireByobState(stream) {
	if (stream.reader !== undefined) throw stateError('ReadableStream is locked');
	if (!stream.controller.isByte) throw argumentError('The stream is not a byte stream');
	return new ReaderState(stream, true);
}

// REQUEST: chunk(view), close(view or undefined), error(reason).
export function byobRead(reader, view, min, request) {
	const { stream } = reader;
	stream.disturbed = true;
	if (stream.state === 'errored') request.error(stream.storedError);
	else pullInto(stream.controller, view, min, request);
}

export function byobRelease(reader) {
	if (reader.stream === undefined) return;
	readerGenericRelease(reader);
	const { requests } = reader;
	reader.requests = new Queue();
	const error = stateError('Releasing reader');
	while (requests.length > 0) requests.shift().error(error);
}

function readView(state, view, options) {
	const buffer = requireView(view, 'view');
	const { min: given } = toDictionary(options, 'The options');
	const min = given === undefined ? 1 : toEnforcedUnsignedLongLong(given, 'min');
	if (viewByteLength(view) === 0) throw stateError('View ArrayBuffer is zero-length or detached');
	if (ArrayBufferPrototypeGetByteLength(buffer) === 0)
		throw stateError('View ArrayBuffer is zero-length or detached');
	if (min === 0)
		throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', 'options.min must be greater than 0');
	const name = typedArrayName(view);
	const length = viewByteLength(view) / (name === undefined ? 1 : elementSizes[name]);
	if (min > length) throw new RangeError("options.min must not exceed the view's length");
	if (state.stream === undefined) throw stateError('The reader is not attached to a stream');
	const deferred = new Deferred();
	byobRead(state, view, min, {
		chunk: (value) => deferred.resolve({ value, done: false }),
		close: (value) => deferred.resolve({ value, done: true }),
		error: deferred.reject,
	});
	return deferred.promise;
}

export class ReadableStreamBYOBReader {
	#state;

	constructor(stream) {
		requireArguments(arguments.length, 1, 'ReadableStreamBYOBReader constructor');
		if (!isReadableStream(stream))
			throw argumentError('The "stream" argument must be an instance of ReadableStream');
		this.#state = acquireByobState(readableState(stream));
	}
	get closed() {
		return isObject(this) && #state in this ? this.#state.closed.promise : rejectInvocation();
	}
	cancel(reason = undefined) {
		return isObject(this) && #state in this
			? genericCancel(this.#state, reason)
			: rejectInvocation();
	}
	read(view, options = undefined) {
		if (!isObject(this) || !(#state in this)) return rejectInvocation();
		try {
			requireArguments(arguments.length, 1, 'ReadableStreamBYOBReader.read');
			return readView(this.#state, view, options);
		} catch (error) {
			return PromiseReject(error);
		}
	}
	releaseLock() {
		if (!(#state in this)) illegalInvocation();
		byobRelease(this.#state);
	}
	[inspectCustom](depth, options, inspect) {
		const { stream, requests, closed } = this.#state;
		const shown = {
			stream: stream?.object,
			requests: requests.length,
			close: closed.promise,
		};
		return inspectShell('ReadableStreamBYOBReader', shown, depth, options, inspect);
	}
}
defineInterface(ReadableStreamBYOBReader, 'ReadableStreamBYOBReader');

export function acquireByobReader(object) {
	return new ReadableStreamBYOBReader(object);
}
