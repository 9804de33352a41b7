// Streams that are transferred (Streams, 8.2): a pipe through a pair of ports.

import { hidePromise, Promise, PromisePrototypeThen, PromiseReject, PromiseResolve, isolate } from '../primordials.js';
import { DOMException } from '../errors.js';
import { native } from '../native.js';
import { pipe } from '../streams/pipe.js';
import {
	controllerClose,
	controllerEnqueue,
	controllerError,
	createState,
	isReadableStream,
	readableState,
} from '../streams/readable.js';
import { markHandled } from '../streams/shared.js';
import { isTransformStream, makeTransformStream, sidesOf } from '../streams/transform.js';
import {
	createWritableState,
	isWritableStream,
	writableErrorIfNeeded,
	writableState,
} from '../streams/writable.js';
import { closeInternalPort, openInternalPort, postInternally } from './port.js';
import { cloneError, registerTransferable } from './serialize.js';

function send(port, type, value) {
	postInternally(port, { __proto__: null, type, value });
}

function sendError(port, error) {
	try {
		send(port, 'error', error);
	} catch {
		// The other side learns of the port's end.
	}
}

// What cannot be sent is an error of both sides.
function sendOrError(port, type, value) {
	try {
		send(port, type, value);
		return undefined;
	} catch (error) {
		sendError(port, error);
		return { error };
	}
}

function badMessage() {
	return cloneError('A chunk of a transferred stream could not be deserialized.');
}

function otherEndClosed() {
	return new DOMException('The other end of a transferred stream is gone.', 'AbortError');
}

class Gate {
	constructor() {
		this.close();
	}
	close() {
		this.promise = hidePromise(new Promise((resolve) => (this.open = resolve)));
	}
}
isolate(Gate);

// A state of a WritableStream whose chunks go to HANDLE's other end. HOLD: it keeps the program
// alive.
function makeCrossRealmWritable(handle, hold) {
	const gate = new Gate(); // until the reader pulls
	let controller;
	const port = openInternalPort(handle, hold, {
		message({ type, value }) {
			if (type === 'error') writableErrorIfNeeded(controller, value);
			gate.open();
		},
		error() {
			const error = badMessage();
			sendError(port, error);
			writableErrorIfNeeded(controller, error);
			closeInternalPort(port);
		},
		closed() {
			writableErrorIfNeeded(controller, otherEndClosed());
			gate.open();
		},
	});
	const state = createWritableState({
		start(own) {
			controller = own;
		},
		write(chunk) {
			return PromisePrototypeThen(gate.promise, () => {
				gate.close();
				const failure = sendOrError(port, 'chunk', chunk);
				if (failure === undefined) return undefined;
				closeInternalPort(port);
				throw failure.error;
			});
		},
		close() {
			send(port, 'close', undefined);
			closeInternalPort(port);
			return PromiseResolve(undefined);
		},
		abort(reason) {
			const failure = sendOrError(port, 'error', reason);
			closeInternalPort(port);
			return failure === undefined ? PromiseResolve(undefined) : PromiseReject(failure.error);
		},
	});
	controller = state.controller;
	return state;
}

// A state of a ReadableStream whose chunks come from HANDLE's other end.
function makeCrossRealmReadable(handle, hold) {
	let over = false;
	let state;
	const end = (error) => {
		if (over) return;
		over = true;
		controllerError(state.controller, error);
	};
	const port = openInternalPort(handle, hold, {
		message({ type, value }) {
			if (over) return;
			if (type === 'chunk') {
				controllerEnqueue(state.controller, value);
			} else if (type === 'close') {
				over = true;
				controllerClose(state.controller);
				closeInternalPort(port);
			} else if (type === 'error') {
				end(value);
				closeInternalPort(port);
			}
		},
		error() {
			const error = badMessage();
			sendError(port, error);
			end(error);
			closeInternalPort(port);
		},
		closed() {
			end(otherEndClosed());
		},
	});
	state = createState(
		{
			pull() {
				send(port, 'pull', undefined);
				return PromiseResolve(undefined);
			},
			cancel(reason) {
				over = true;
				const failure = sendOrError(port, 'error', reason);
				closeInternalPort(port);
				return failure === undefined ? PromiseResolve(undefined) : PromiseReject(failure.error);
			},
		},
		0,
	);
	return state;
}

const pipeOptions = { __proto__: null, preventAbort: false, preventCancel: false, preventClose: false };

function checkReadable(stream) {
	if (readableState(stream).reader !== undefined)
		throw cloneError('Cannot transfer a locked ReadableStream');
}

function checkWritable(stream) {
	if (writableState(stream).writer !== undefined)
		throw cloneError('Cannot transfer a locked WritableStream');
}

// One that was taken already, as a side of a TransformStream, is locked by now.
function takeReadable(stream) {
	checkReadable(stream);
	const [mine, theirs] = native.portPair();
	markHandled(pipe(readableState(stream), makeCrossRealmWritable(mine, false), pipeOptions));
	return theirs;
}

function takeWritable(stream) {
	checkWritable(stream);
	const [mine, theirs] = native.portPair();
	markHandled(pipe(makeCrossRealmReadable(mine, false), writableState(stream), pipeOptions));
	return theirs;
}

registerTransferable('R', 1, isReadableStream, checkReadable, (stream) => [takeReadable(stream)], (handle) =>
	makeCrossRealmReadable(handle, true).object,
);

registerTransferable('W', 1, isWritableStream, checkWritable, (stream) => [takeWritable(stream)], (handle) =>
	makeCrossRealmWritable(handle, true).object,
);

registerTransferable(
	'T',
	2,
	isTransformStream,
	(stream) => {
		const { readable, writable } = sidesOf(stream);
		checkReadable(readable.object);
		checkWritable(writable.object);
	},
	(stream) => {
		const { readable, writable } = sidesOf(stream);
		return [takeReadable(readable.object), takeWritable(writable.object)];
	},
	(first, second) =>
		makeTransformStream(makeCrossRealmReadable(first, true), makeCrossRealmWritable(second, true)),
);
