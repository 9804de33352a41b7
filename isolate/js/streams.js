// The streams standard: the classes, and what the library uses of them. Functions whose
// name begins with create make streams whose source or sink is the library's; they and
// all below take and give the objects that tenants see.

import {
	acquireReader,
	controllerClose,
	controllerEnqueue,
	controllerError,
	createByteState,
	createState,
	desiredSize,
	isReadableStream,
	readableCancel,
	readableState,
	readerRead,
	readerRelease,
} from './streams/readable.js';
import {
	byteControllerClose,
	byteControllerEnqueue,
	byteControllerError,
	respond,
} from './streams/bytes.js';
import { pipe } from './streams/pipe.js';
import { markHandled, rejectedPromise, resolvedPromise } from './streams/shared.js';
import { tee } from './streams/tee.js';
import { createWritableState, isWritableStream, writableState } from './streams/writable.js';

export {
	ReadableStream,
	ReadableStreamDefaultController,
	ReadableStreamDefaultReader,
} from './streams/readable.js';
export {
	ReadableByteStreamController,
	ReadableStreamBYOBReader,
	ReadableStreamBYOBRequest,
} from './streams/bytes.js';
export {
	WritableStream,
	WritableStreamDefaultController,
	WritableStreamDefaultWriter,
} from './streams/writable.js';
export {
	createTransformStream,
	TransformStream,
	TransformStreamDefaultController,
	transformEnqueue,
	transformError,
	transformTerminate,
} from './streams/transform.js';
export { ByteLengthQueuingStrategy, CountQueuingStrategy } from './streams/strategies.js';
export { isReadableStream, isWritableStream };

// ---- making streams ----

// A ReadableStream. ALGORITHMS: start(controller), pull(controller) and cancel(reason),
// each optional; pull and cancel may return a promise, and nothing else. CONTROLLER is
// for the stream* functions below.
export function createReadableStream(algorithms, highWaterMark = 1, size = undefined) {
	return make(createState, algorithms, highWaterMark, size).object;
}

// A byte stream: supports BYOB readers; chunks are Uint8Arrays, whose buffers it takes.
export function createReadableByteStream(algorithms, highWaterMark = 0) {
	return make(createByteState, algorithms, highWaterMark, undefined).object;
}

function make(create, { cancel, pull, start }, highWaterMark, size) {
	let controller;
	return create(
		{
			start: (made) => {
				controller = made;
				return start?.(made);
			},
			pull: pull && (() => toPromise(pull, controller)),
			cancel: cancel && ((reason) => toPromise(cancel, reason)),
		},
		highWaterMark,
		size,
	);
}

function toPromise(algorithm, argument) {
	try {
		return resolvedPromise(algorithm(argument));
	} catch (error) {
		return rejectedPromise(error);
	}
}

export function createWritableStream(algorithms, highWaterMark = 1, size = undefined) {
	const { abort, close, start, write } = algorithms;
	return createWritableState(
		{
			start,
			write: write && ((chunk) => toPromise(write, chunk)),
			close: close && (() => toPromise(close)),
			abort: abort && ((reason) => toPromise(abort, reason)),
		},
		highWaterMark,
		size,
	).object;
}

// ---- what a source does ----

// False when the stream has ended or failed already, and CHUNK went nowhere.
export function streamEnqueue(controller, chunk) {
	if (controller.closeRequested || controller.stream.state !== 'readable') return false;
	if (controller.isByte) byteControllerEnqueue(controller, chunk);
	else controllerEnqueue(controller, chunk);
	return true;
}

export function streamClose(controller) {
	if (!controller.isByte) {
		controllerClose(controller);
		return;
	}
	const { pullIntos, stream } = controller;
	byteControllerClose(controller);
	// Readers that wait with a buffer of their own get it back empty.
	if (stream.state === 'closed' && pullIntos.length > 0) respond(controller, 0);
}

export function streamError(controller, error) {
	if (controller.isByte) byteControllerError(controller, error);
	else controllerError(controller, error);
}

// How much more it should enqueue: null when it failed, 0 when it ended.
export function streamDesiredSize(controller) {
	return desiredSize(controller);
}

// ---- asking ----

export function isLocked(stream) {
	return readableState(stream).reader !== undefined;
}

export function isDisturbed(stream) {
	return readableState(stream).disturbed;
}

// "readable", "closed" or "errored".
export function streamState(stream) {
	return readableState(stream).state;
}

export function streamStoredError(stream) {
	return readableState(stream).storedError;
}

// ---- reading ----

// Locks STREAM. The result is for readChunk, releaseReader and cancelReader.
export function lockReader(stream) {
	return acquireReader(readableState(stream));
}

// REQUEST: chunk(value), close(), error(reason): one of them is called, perhaps at once.
export { readerRead as readChunk, readerRelease as releaseReader };

export function cancelReader(reader, reason) {
	return readableCancel(reader.stream, reason);
}

// Cancels STREAM whether it is locked or not: a promise, marked as handled.
export function cancelStream(stream, reason) {
	const promise = readableCancel(readableState(stream), reason);
	markHandled(promise);
	return promise;
}

export function teeStream(stream, cloneForSecond = false) {
	const branches = tee(readableState(stream), cloneForSecond);
	return [branches[0].object, branches[1].object];
}

// pipeTo with OPTIONS { preventAbort, preventCancel, preventClose, signal }.
export function pipeStream(source, destination, options = {}) {
	return pipe(readableState(source), writableState(destination), options);
}
