// Where an exception or a rejection goes that nobody handled: to the program's own
// listeners (the global's `error` and `unhandledrejection` events, then process's
// `uncaughtException` and `unhandledRejection`), and, if none wants it, to the end of
// the worker with exit code 1.

import { hooks } from './hooks.js';
import { nodeError } from './validate.js';

// Set by process.js and the global's events, which come later in the order of imports.
// Each returns whether it dealt with the matter.
const listeners = { processEmit: undefined, errorEvent: undefined, rejectionEvent: undefined };

export function onUncaught(kind, listener) {
	listeners[kind] = listener;
}

let capture;

// process.setUncaughtExceptionCaptureCallback: FUNCTION gets all of them, and nobody else.
export function setCapture(callback) {
	capture = callback;
}

function uncaughtException(error, origin = 'uncaughtException') {
	if (listeners.errorEvent?.(error)) return true;
	if (capture !== undefined) {
		capture(error);
		return true;
	}
	return listeners.processEmit?.('uncaughtException', error, origin) ?? false;
}

function asError(reason) {
	if (Error.isError(reason)) return reason;
	let text;
	try {
		text = typeof reason === 'symbol' ? reason.toString() : `${reason}`;
	} catch {
		text = 'a value that cannot be converted to a string';
	}
	return nodeError(
		Error,
		'ERR_UNHANDLED_REJECTION',
		'This error originated either by throwing inside of an async function without a catch ' +
			'block, or by rejecting a promise which was not handled with .catch(). The promise ' +
			`rejected with the reason "${text}".`,
	);
}

// PROMISE when it is a rejection. Does not return when nobody handles it.
export function reportException(error, promise) {
	if (promise !== undefined) {
		if (listeners.rejectionEvent?.('unhandledrejection', error, promise)) return;
		if (listeners.processEmit?.('unhandledRejection', error, promise)) return;
		error = asError(error);
	}
	if (!uncaughtException(error, promise ? 'unhandledRejection' : 'uncaughtException'))
		native.fatal(error);
}

// For Node's own files: ERROR is uncaught, wherever it was thrown.
export function triggerUncaughtException(error, fromPromise) {
	if (!uncaughtException(error, fromPromise ? 'unhandledRejection' : 'uncaughtException'))
		native.fatal(error);
}

export function warnHandledLate(promise) {
	listeners.rejectionEvent?.('rejectionhandled', undefined, promise);
	listeners.processEmit?.('rejectionHandled', promise);
}

// From C: whether a listener took it.
hooks.uncaughtException = (error) => uncaughtException(error);
