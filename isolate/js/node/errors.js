// Node's error classes, for everybody: `new codes.ERR_INVALID_ARG_TYPE('path', 'string',
// value)`, systemError('ENOENT', 'open', '/x'), accessDenied('FileSystemRead', '/x').

import internal from './upstream/internal/errors.js';
import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { Error } from '../primordials.js';

export const { AbortError, aggregateTwoErrors, codes, hideStackFrames, UVException } = internal;
export const { DNSException, ErrnoException, ExceptionWithHostPort, UVExceptionWithHostPort } = internal;

hooks.isNodeError = internal.kIsNodeError;

const numbers = { __proto__: null };
const messages = { __proto__: null };
const [list] = native.systemConstants();
for (let i = 0; i < list.length; i++) {
	numbers[list[i][1]] = list[i][0];
	messages[list[i][0]] = [list[i][1], list[i][2]];
}

// libuv's negative number of an errno's name: errorNumber('ENOENT') is -2.
export function errorNumber(name) {
	return numbers[name];
}
// [name, message] of a negative number.
export function errorName(number) {
	return messages[number] ?? ['UNKNOWN', 'unknown error'];
}

// What Node throws when a system call fails: "ENOENT: no such file or directory, open
// '/x'", with errno, code, syscall, path and dest. NUMBER_OR_NAME: -2 or 'ENOENT'.
export function systemError(numberOrName, syscall, path, dest) {
	const errno = typeof numberOrName === 'number' ? numberOrName : numbers[numberOrName];
	const [code, message] = errorName(errno);
	let text = `${code}: ${message}, ${syscall}`;
	if (path !== undefined) text += ` '${path}'`;
	if (dest !== undefined) text += ` -> '${dest}'`;
	const error = new Error(text);
	error.errno = errno;
	error.code = code;
	error.syscall = syscall;
	if (path !== undefined) error.path = path;
	if (dest !== undefined) error.dest = dest;
	return error;
}

// A permission that was not granted: PERMISSION as process.permission names it.
export function accessDenied(permission, resource, message = 'Access to this API has been restricted') {
	const error = new Error(message);
	error.code = 'ERR_ACCESS_DENIED';
	error.permission = permission;
	error.resource = resource;
	return error;
}
