// The global object of tenants, as far as web standards go: its classes, functions and
// events.

import {
	hidePromise,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectKeys,
	PromisePrototypeThen,
	PromiseResolve,
	ReflectApply,
} from './primordials.js';
import { AbortController, AbortSignal } from './abort.js';
import { atob, btoa } from './base64.js';
import { structuredClone } from './clone.js';
import { CompressionStream, DecompressionStream } from './compression.js';
import { console } from './console.js';
import {
	TextDecoder,
	TextDecoderStream,
	TextEncoder,
	TextEncoderStream,
} from './encoding.js';
import { DOMException, QuotaExceededError } from './errors.js';
import {
	CustomEvent,
	defineEventHandler,
	dispatch,
	ErrorEvent,
	Event,
	EventTarget,
	hasListeners,
	makeTrusted,
	MessageEvent,
	PromiseRejectionEvent,
	setGlobalTarget,
} from './events.js';
import { performance, Performance } from './performance.js';
import {
	ByteLengthQueuingStrategy,
	CountQueuingStrategy,
	ReadableByteStreamController,
	ReadableStream,
	ReadableStreamBYOBReader,
	ReadableStreamBYOBRequest,
	ReadableStreamDefaultController,
	ReadableStreamDefaultReader,
	TransformStream,
	TransformStreamDefaultController,
	WritableStream,
	WritableStreamDefaultController,
	WritableStreamDefaultWriter,
} from './streams.js';
import { onUncaught, reportException } from './uncaught.js';
import { URL, URLSearchParams } from './url.js';
import { URLPattern } from './url_pattern.js';
import {
	defineInterface,
	illegalConstructor,
	illegalInvocation,
	internalToken,
	requireArguments,
} from './webidl.js';
import { requireFunction } from './validate.js';

const globalObject = globalThis;

// ---- defining ----

// Classes: { Name: Class }.
export function defineClasses(classes) {
	const names = ObjectKeys(classes);
	for (let i = 0; i < names.length; i++)
		ObjectDefineProperty(globalObject, names[i], {
			__proto__: null,
			value: classes[names[i]],
			writable: true,
			enumerable: false,
			configurable: true,
		});
}

// Functions: { name: function }.
export function defineFunctions(functions) {
	const names = ObjectKeys(functions);
	for (let i = 0; i < names.length; i++) {
		const value = functions[names[i]];
		// The bundler may have given it another one.
		ObjectDefineProperty(value, 'name', { __proto__: null, value: names[i] });
		ObjectDefineProperty(globalObject, names[i], {
			__proto__: null,
			value,
			writable: true,
			enumerable: true,
			configurable: true,
		});
	}
}

// An attribute; REPLACEABLE: assigning makes it an ordinary property.
export function defineAttribute(name, value, replaceable) {
	const accessors = {
		get [name]() {
			return value;
		},
		set [name](replacement) {
			ObjectDefineProperty(globalObject, name, {
				__proto__: null,
				value: replacement,
				writable: true,
				enumerable: true,
				configurable: true,
			});
		},
	};
	const { get, set } = ObjectGetOwnPropertyDescriptor(accessors, name);
	ObjectDefineProperty(globalObject, name, {
		__proto__: null,
		get,
		set: replaceable ? set : undefined,
		enumerable: true,
		configurable: true,
	});
}

// ---- functions ----

const settled = hidePromise(PromiseResolve(undefined));

export function queueMicrotask(callback) {
	requireArguments(arguments.length, 1, 'queueMicrotask');
	requireFunction(callback, 'callback');
	PromisePrototypeThen(settled, () => {
		try {
			ReflectApply(callback, undefined, []);
		} catch (error) {
			reportException(error);
		}
	});
}

function reportError(error) {
	requireArguments(arguments.length, 1, 'reportError');
	reportException(error);
}

// ---- navigator ----

class Navigator {
	#brand;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	get userAgent() {
		return #brand in this ? 'tenantd' : illegalInvocation();
	}
}
defineInterface(Navigator, 'Navigator');

// ---- events of the global ----

const target = new EventTarget();
let reporting = false; // an `error` listener that throws is not asked again

function messageOf(error) {
	try {
		return `Uncaught ${error}`;
	} catch {
		return 'Uncaught exception';
	}
}

function fireError(error) {
	if (reporting || !hasListeners(target, 'error')) return false;
	reporting = true;
	try {
		const event = new ErrorEvent('error', {
			__proto__: null,
			cancelable: true,
			message: messageOf(error),
			error,
		});
		return !dispatch(target, makeTrusted(event));
	} finally {
		reporting = false;
	}
}

function fireRejection(type, reason, promise) {
	if (!hasListeners(target, type)) return false;
	const event = new PromiseRejectionEvent(type, {
		__proto__: null,
		cancelable: type === 'unhandledrejection',
		promise,
		reason,
	});
	return !dispatch(target, makeTrusted(event));
}

function errorArguments(event) {
	return event instanceof ErrorEvent
		? [event.message, event.filename, event.lineno, event.colno, event.error]
		: undefined;
}

function defineGlobalEvents() {
	setGlobalTarget(target);
	const { addEventListener, dispatchEvent, removeEventListener } = EventTarget.prototype;
	defineFunctions({ addEventListener, dispatchEvent, removeEventListener });
	defineEventHandler(globalObject, 'error', true, errorArguments);
	defineEventHandler(globalObject, 'unhandledrejection');
	defineEventHandler(globalObject, 'rejectionhandled');
	onUncaught('errorEvent', fireError);
	onUncaught('rejectionEvent', fireRejection);
}

// ---- all of it ----

export function defineWebGlobals() {
	defineClasses({
		AbortController,
		AbortSignal,
		ByteLengthQueuingStrategy,
		CompressionStream,
		DecompressionStream,
		CountQueuingStrategy,
		CustomEvent,
		DOMException,
		ErrorEvent,
		Event,
		EventTarget,
		MessageEvent,
		Navigator,
		Performance,
		PromiseRejectionEvent,
		QuotaExceededError,
		ReadableByteStreamController,
		ReadableStream,
		ReadableStreamBYOBReader,
		ReadableStreamBYOBRequest,
		ReadableStreamDefaultController,
		ReadableStreamDefaultReader,
		TextDecoder,
		TextDecoderStream,
		TextEncoder,
		TextEncoderStream,
		TransformStream,
		TransformStreamDefaultController,
		URL,
		URLPattern,
		URLSearchParams,
		WritableStream,
		WritableStreamDefaultController,
		WritableStreamDefaultWriter,
		console, // a namespace, which has the same attributes
	});
	defineFunctions({ atob, btoa, queueMicrotask, reportError, structuredClone });
	defineAttribute('navigator', new Navigator(internalToken), false);
	defineAttribute('performance', performance, true);
	defineAttribute('self', globalObject, true);
	defineGlobalEvents();
}
