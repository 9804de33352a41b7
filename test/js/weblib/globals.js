'use strict';

const classes = [
	'Cache', 'CacheStorage', 'QuotaExceededError', 'URLPattern',
	'AbortController', 'AbortSignal', 'Blob', 'ByteLengthQueuingStrategy', 'CountQueuingStrategy',
	'Crypto', 'CustomEvent', 'DOMException', 'ErrorEvent', 'Event', 'EventTarget', 'File',
	'FormData', 'Headers', 'MessageEvent', 'Navigator', 'Performance', 'PromiseRejectionEvent',
	'ReadableByteStreamController', 'ReadableStream', 'ReadableStreamBYOBReader',
	'ReadableStreamBYOBRequest', 'ReadableStreamDefaultController', 'ReadableStreamDefaultReader',
	'Request', 'Response', 'TextDecoder', 'TextDecoderStream', 'TextEncoder', 'TextEncoderStream',
	'TransformStream', 'TransformStreamDefaultController', 'URL', 'URLSearchParams',
	'WritableStream', 'WritableStreamDefaultController', 'WritableStreamDefaultWriter',
];
const functions = [
	'addEventListener', 'atob', 'btoa', 'clearImmediate', 'clearInterval', 'clearTimeout',
	'dispatchEvent', 'queueMicrotask', 'removeEventListener', 'reportError', 'setImmediate',
	'setInterval', 'setTimeout', 'structuredClone',
];

// Of Performance, and not enumerable.
const nodeMembers = ['eventLoopUtilization', 'markResourceTiming', 'nodeTiming', 'timerify'];

test('classes have the attributes that WebIDL gives them', () => {
	for (const name of classes) {
		const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
		ok(descriptor, name);
		same([descriptor.writable, descriptor.enumerable, descriptor.configurable], [true, false, true], name);
		const Class = descriptor.value;
		equal(Class.name, name);
		equal(Class.prototype[Symbol.toStringTag], name);
		equal(Object.getOwnPropertyDescriptor(Class, 'prototype').writable, false, name);
		throws(() => Class(), TypeError, name);
		for (const key of Object.getOwnPropertyNames(Class.prototype)) {
			if (key === 'constructor' || nodeMembers.includes(key)) continue;
			const member = Object.getOwnPropertyDescriptor(Class.prototype, key);
			equal(member.enumerable, true, `${name}.prototype.${key}`);
			if (member.get !== undefined) {
				let value;
				try {
					value = Class.prototype[key];
				} catch (error) {
					ok(error instanceof TypeError, `${name}.prototype.${key}`);
					continue;
				}
				ok(value instanceof Promise, `${name}.prototype.${key} has no brand check`);
				value.catch(() => {});
			}
		}
	}
});

test('functions are enumerable', () => {
	for (const name of functions) {
		const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
		same([typeof descriptor.value, descriptor.writable, descriptor.enumerable, descriptor.configurable],
			['function', true, true, true], name);
		equal(descriptor.value.name, name);
	}
	equal(structuredClone.length, 1);
	equal(queueMicrotask.length, 1);
});

test('attributes', () => {
	equal(self, globalThis);
	equal(navigator.userAgent, 'tenantd');
	for (const name of ['crypto', 'navigator', 'performance', 'self'])
		equal(typeof Object.getOwnPropertyDescriptor(globalThis, name).get, 'function', name);
	throws(() => {
		navigator = 1;
	}, TypeError);
	equal(Object.prototype.toString.call(console), '[object console]');
	equal(Object.getOwnPropertyDescriptor(globalThis, 'console').enumerable, false);
});

test('lengths count required arguments', () => {
	const expected = {
		URL: 1, Event: 1, CustomEvent: 1, PromiseRejectionEvent: 2, TextDecoder: 0, DOMException: 0,
		ReadableStream: 0, WritableStream: 0, TransformStream: 0, URLSearchParams: 0,
		CountQueuingStrategy: 1, ReadableStreamDefaultReader: 1, WritableStreamDefaultWriter: 1,
		AbortController: 0, EventTarget: 0,
	};
	for (const name of Object.keys(expected)) equal(globalThis[name].length, expected[name], name);
	const methods = [
		[EventTarget, 'addEventListener', 2], [EventTarget, 'dispatchEvent', 1], [URLSearchParams, 'append', 2],
		[URLSearchParams, 'has', 1], [ReadableStream, 'pipeTo', 1], [ReadableStream, 'getReader', 0],
		[ReadableStreamBYOBReader, 'read', 1], [TextEncoder, 'encodeInto', 2], [TextDecoder, 'decode', 0],
	];
	for (const [Class, name, length] of methods)
		equal(Class.prototype[name].length, length, `${Class.name}.${name}`);
});

test('the natives are out of reach', () => {
	equal(typeof native, 'undefined');
	equal('native' in globalThis, false);
	for (const name of Object.getOwnPropertyNames(globalThis))
		ok(!/hook|native|tenantd/i.test(name), name);
	// Whatever the library hands out, no own property of it is an internal.
	for (const object of [
		new URL('http://h'), new URLSearchParams('a=1'), new Event('x'), new EventTarget(), new ReadableStream(),
		new ReadableStream().getReader(), new WritableStream(), new TransformStream(), new TextDecoder(),
		new AbortController().signal, new DOMException('x'), new Headers(), console,
	]) {
		for (const key of Reflect.ownKeys(object)) {
			if (object === console || key === 'isTrusted' || key === 'stack') continue;
			throw new Error(`${object.constructor.name} has ${String(key)}`);
		}
	}
});

test('queueMicrotask', async () => {
	const order = [];
	queueMicrotask(() => order.push('micro'));
	Promise.resolve().then(() => order.push('promise'));
	process.nextTick(() => order.push('tick'));
	await new Promise((resolve) => setTimeout(resolve, 1));
	ok(order.indexOf('micro') < order.indexOf('promise'), order.join());
	throws(() => queueMicrotask(), TypeError);
	throws(() => queueMicrotask(null), { code: 'ERR_INVALID_ARG_TYPE' });
	let seen;
	addEventListener('error', (event) => {
		seen = event.error;
		event.preventDefault();
	}, { once: true });
	queueMicrotask(() => {
		throw 'from microtask';
	});
	await new Promise((resolve) => setTimeout(resolve, 1));
	equal(seen, 'from microtask');
});

test('DOMException', () => {
	const error = new DOMException('text', 'NotFoundError');
	same([error.name, error.message, error.code], ['NotFoundError', 'text', 8]);
	equal(`${error}`, 'NotFoundError: text');
	ok(error instanceof Error);
	ok(error.stack.startsWith('NotFoundError: text\n'), error.stack);
	ok(Error.isError(error));
	equal(DOMException.DATA_CLONE_ERR, 25);
	equal(DOMException.prototype.ABORT_ERR, 20);
	const caused = new DOMException('x', { name: 'AbortError', cause: 1 });
	same([caused.name, caused.cause], ['AbortError', 1]);
	equal(new DOMException().name, 'Error');
	equal(Object.getPrototypeOf(DOMException), Function.prototype);
	equal(Object.hasOwn(error, 'message'), false);
	throws(() => DOMException.prototype.name, TypeError);
	class Derived extends DOMException {}
	ok(new Derived('d') instanceof Derived);
});
