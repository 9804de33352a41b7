// internalBinding('http_parser') of Node's HTTP library: isolate/native_http_parser.c.

import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { FunctionPrototypeCall, ObjectDefineProperty, ObjectKeys } from '../primordials.js';
import { registerBinding } from './binding.js';
import { bufferOf } from './net/handle.js';

const { ConnectionsList, HTTPParser, httpParserMethods } = native;

const constants = {
	REQUEST: 1,
	RESPONSE: 2,
	// The properties that hold its callbacks.
	kOnMessageBegin: 0,
	kOnHeaders: 1,
	kOnHeadersComplete: 2,
	kOnBody: 3,
	kOnMessageComplete: 4,
	kOnExecute: 5,
	kOnTimeout: 6,
	// What llhttp lets pass.
	kLenientNone: 0,
	kLenientHeaders: 1,
	kLenientChunkedLength: 2,
	kLenientKeepAlive: 4,
	kLenientTransferEncoding: 8,
	kLenientVersion: 16,
	kLenientDataAfterClose: 32,
	kLenientOptionalLFAfterCR: 64,
	kLenientOptionalCRLFAfterChunk: 128,
	kLenientOptionalCRBeforeLF: 256,
	kLenientSpacesAfterChunkSize: 512,
	kLenientHeaderValueRelaxed: 1024,
	kLenientAll: 1023,
};
const names = ObjectKeys(constants);
for (let i = 0; i < names.length; i++)
	ObjectDefineProperty(HTTPParser, names[i], {
		__proto__: null,
		value: constants[names[i]],
		writable: true,
		enumerable: true,
		configurable: true,
	});

// C has bytes of a body for THIS parser.
hooks.httpBody = function (bytes) {
	const callback = this[constants.kOnBody];
	if (typeof callback === 'function') FunctionPrototypeCall(callback, this, bufferOf(bytes));
};

const [methods, allMethods] = httpParserMethods();

registerBinding('http_parser', { methods, allMethods, HTTPParser, ConnectionsList });
