// What node:stream asks web streams, by symbols that all copies of it share.

import { ObjectDefineProperty, SymbolFor } from '../primordials.js';
import { byteControllerError } from '../streams/bytes.js';
import { controllerError, ReadableStream, readableState } from '../streams/readable.js';
import { Deferred } from '../streams/shared.js';
import { writableErrorIfNeeded, WritableStream, writableState } from '../streams/writable.js';

const IS_CLOSED_PROMISE = SymbolFor('nodejs.webstream.isClosedPromise');
const CONTROLLER_ERROR = SymbolFor('nodejs.webstream.controllerErrorFunction');
const IS_ERRORED = SymbolFor('nodejs.stream.errored');
const IS_READABLE = SymbolFor('nodejs.stream.readable');
const IS_WRITABLE = SymbolFor('nodejs.stream.writable');
const IS_DISTURBED = SymbolFor('nodejs.stream.disturbed');

function defineGetter(Class, symbol, stateOf, get) {
	ObjectDefineProperty(Class.prototype, symbol, {
		__proto__: null,
		get() {
			return get(stateOf(this));
		},
		enumerable: false,
		configurable: true,
	});
}

function defineMethod(Class, symbol, method) {
	ObjectDefineProperty(Class.prototype, symbol, {
		__proto__: null,
		value: method,
		writable: true,
		enumerable: false,
		configurable: true,
	});
}

// Settled when the stream is closed or errored, whoever has its lock.
function finished(state) {
	if (state.finished === undefined) {
		state.finished = new Deferred();
		if (state.state === 'closed') state.finished.fulfill(undefined);
		else if (state.state === 'errored') state.finished.fail(state.storedError);
	}
	return state.finished;
}

defineGetter(ReadableStream, IS_CLOSED_PROMISE, readableState, finished);
defineGetter(ReadableStream, IS_DISTURBED, readableState, (state) => state.disturbed);
defineGetter(ReadableStream, IS_ERRORED, readableState, (state) => state.state === 'errored');
defineGetter(ReadableStream, IS_READABLE, readableState, (state) => state.state === 'readable');
defineMethod(ReadableStream, CONTROLLER_ERROR, function (error) {
	const { controller } = readableState(this);
	if (controller.isByte) byteControllerError(controller, error);
	else controllerError(controller, error);
});

defineGetter(WritableStream, IS_CLOSED_PROMISE, writableState, finished);
defineGetter(WritableStream, IS_ERRORED, writableState, (state) => state.state === 'errored');
defineGetter(WritableStream, IS_WRITABLE, writableState, (state) => state.state === 'writable');
defineMethod(WritableStream, CONTROLLER_ERROR, function (error) {
	writableErrorIfNeeded(writableState(this).controller, error);
});
