// WebAssembly.compileStreaming and instantiateStreaming (the WebAssembly Web API).

import {
	hidePromise,
	ObjectDefineProperty,
	Promise,
	PromisePrototypeThen,
	PromiseReject,
	RegExp,
	RegExpPrototypeExec,
	TypeError,
	Uint8Array,
} from './primordials.js';
import { isUnusable, takeBytes } from './body.js';
import { isResponse, stateOfResponse } from './fetch.js';
import { isObject } from './webidl.js';

// V8 makes WebAssembly only in a context that came out of a snapshot.
let compile;
let instantiate;
const wasmType = new RegExp('^[\\t ]*application/wasm[\\t ]*$', 'i');

// The bytes of a Response, when it may be a module.
function bytesOf(source) {
	if (!isResponse(source))
		throw new TypeError('The source is not a Response or a promise of one');
	const state = stateOfResponse(source);
	const { status, body } = state;
	const type = state.headerList().get('content-type');
	if (type === null || RegExpPrototypeExec(wasmType, type) === null)
		throw new TypeError(
			`The MIME type of a module is application/wasm, that of the response is ${type === null ? 'not given' : `"${type}"`}`,
		);
	if (status < 200 || status > 299)
		throw new TypeError(`The response of a module has the status ${status}`);
	if (body === null) return new Uint8Array(0);
	if (isUnusable(body))
		throw new TypeError('The body of the response has been read already, or is being read');
	return takeBytes(body);
}

// A promise of COMPILE(bytes) for SOURCE, a Response or a promise of one.
function consume(source, compileBytes) {
	const response = hidePromise(new Promise((resolve) => resolve(source)));
	const bytes = hidePromise(PromisePrototypeThen(response, bytesOf));
	return PromisePrototypeThen(bytes, compileBytes);
}

const missing = (name) =>
	PromiseReject(new TypeError(`WebAssembly.${name}: 1 argument required, but only 0 present.`));

const functions = {
	compileStreaming(source) {
		if (arguments.length === 0) return missing('compileStreaming');
		return consume(source, (bytes) => compile(bytes));
	},
	instantiateStreaming(source, importObject = undefined) {
		if (arguments.length === 0) return missing('instantiateStreaming');
		if (importObject !== undefined && !isObject(importObject))
			return PromiseReject(
				new TypeError('WebAssembly.instantiateStreaming: the imports are not an object'),
			);
		return consume(source, (bytes) => instantiate(bytes, importObject));
	},
};

const names = ['compileStreaming', 'instantiateStreaming'];

// In a new worker. With --jitless there is no WebAssembly.
export function defineStreamingCompilation() {
	const { WebAssembly } = globalThis;
	if (WebAssembly === undefined) return;
	({ compile, instantiate } = WebAssembly);
	for (let i = 0; i < names.length; i++)
		ObjectDefineProperty(WebAssembly, names[i], {
			__proto__: null,
			value: functions[names[i]],
			writable: true,
			enumerable: true,
			configurable: true,
		});
}
