// Arguments of node:sqlite, in Node's words.

import { Error, RangeError, TypeError, NumberIsInteger } from '../../primordials.js';
import { nodeError } from '../../validate.js';

export function wrongType(what, type) {
	return nodeError(TypeError, 'ERR_INVALID_ARG_TYPE', `The "${what}" argument must be ${type}.`);
}
export function outOfRange(what, kind) {
	return nodeError(RangeError, 'ERR_OUT_OF_RANGE', `The "${what}" argument must be ${kind}.`);
}

export function illegalConstructor() {
	throw nodeError(Error, 'ERR_ILLEGAL_CONSTRUCTOR', 'Illegal constructor');
}

export function checkString(value, what) {
	if (typeof value !== 'string') throw wrongType(what, 'a string');
}
export function checkBoolean(value, what) {
	if (typeof value !== 'boolean') throw wrongType(what, 'a boolean');
}
export function checkFunction(value, what) {
	if (typeof value !== 'function') throw wrongType(what, 'a function');
}
export function checkInteger(value, what) {
	if (typeof value !== 'number' || !NumberIsInteger(value)) throw wrongType(what, 'an integer');
}
const isObject = (value) =>
	(typeof value === 'object' && value !== null) || typeof value === 'function';
export function checkObject(value, what) {
	if (!isObject(value)) throw wrongType(what, 'an object');
}

// A member of OPTIONS that may be missing; WHAT: in which argument it is.
export function booleanOption(options, name, fallback, what = 'options') {
	const value = options[name];
	if (value === undefined) return fallback;
	checkBoolean(value, `${what}.${name}`);
	return value;
}
export function stringOption(options, name, fallback) {
	const value = options[name];
	if (value === undefined) return fallback;
	checkString(value, `options.${name}`);
	return value;
}
export function functionOption(options, name) {
	const value = options[name];
	if (value !== undefined) checkFunction(value, `options.${name}`);
	return value;
}
