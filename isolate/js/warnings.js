// process.emitWarning, and where warnings are printed: by a listener of `warning` that the
// program may remove, as in Node.

import { codes } from './node/errors.js';
import { native } from './native.js';
import { process } from './node/process_object.js';
import { validateString } from './node/validators.js';
import { ArrayIsArray, Error, ErrorCaptureStackTrace } from './primordials.js';
import { enqueueTick } from './ticks.js';

function makeWarning(warning, type, code, constructor, detail) {
	if (typeof warning !== 'string') return warning;
	const error = new Error(warning);
	error.name = type;
	if (code !== undefined) error.code = code;
	if (detail !== undefined) error.detail = detail;
	ErrorCaptureStackTrace(error, constructor ?? emitWarning);
	return error;
}

export function printWarning(warning) {
	if (!Error.isError(warning)) return;
	const deprecation = warning.name === 'DeprecationWarning';
	if (deprecation && process.noDeprecation) return;
	const trace = process.traceProcessWarnings || (deprecation && process.traceDeprecation);
	const code = warning.code ? `[${warning.code}] ` : '';
	const detail = typeof warning.detail === 'string' ? `\n${warning.detail}` : '';
	const text = trace && warning.stack ? warning.stack : `${warning.name}: ${warning.message}`;
	native.writeStdio(2, `(tenantd) ${code}${text}${detail}\n`);
}

function throwWarning(warning) {
	throw warning;
}

function deliverWarning(warning) {
	process.emit('warning', warning);
}

export function emitWarning(warning, type, code, constructor) {
	let detail;
	if (typeof type === 'object' && type !== null && !ArrayIsArray(type)) {
		({ ctor: constructor, code, detail, type } = type);
		if (typeof detail !== 'string') detail = undefined;
	} else if (typeof type === 'function') {
		constructor = type;
		type = code = undefined;
	}
	if (type !== undefined) validateString(type, 'type');
	if (typeof code === 'function') {
		constructor = code;
		code = undefined;
	}
	if (code !== undefined) validateString(code, 'code');
	if (typeof warning !== 'string' && !Error.isError(warning))
		throw new codes.ERR_INVALID_ARG_TYPE('warning', ['Error', 'string'], warning);
	const made = makeWarning(warning, type || 'Warning', code, constructor, detail);
	if (made.name === 'DeprecationWarning') {
		if (process.noDeprecation) return;
		if (process.throwDeprecation) {
			enqueueTick(throwWarning, [made]);
			return;
		}
	}
	enqueueTick(deliverWarning, [made]);
}
