// Errors of connecting, as Node has them, out of what the egress process said.

import { Error, JSONStringify, StringPrototypeIncludes } from '../../primordials.js';
import { accessDenied, DNSException, errorNumber, UVExceptionWithHostPort } from '../errors.js';

// enum egress_refusal of common/egress.h.
const DENIED = 1;
const BAD_HOST = 2;
const NOT_FOUND = 3;
const DNS_FAILED = 4;
const TIMED_OUT = 5;
const CONNECT_FAILED = 6;
const LIMIT = 7;

const EAI_AGAIN = -3001;
const EAI_NONAME = -3008;

// "example.com:443", "[::1]:443", "unix:/run/x": as a policy would grant it.
export function resourceOf(target) {
	if (target.path !== undefined) return `unix:${target.path}`;
	const host = StringPrototypeIncludes(target.host, ':') ? `[${target.host}]` : target.host;
	return target.port === undefined ? host : `${host}:${target.port}`;
}

function deniedText(target, text) {
	const resource = resourceOf(target);
	// Where there are rules, the text says what is to be done.
	const hint = text !== '' && !StringPrototypeIncludes(text, 'grants no')
		? ''
		: `: grant it with "net": { "connect": [${JSONStringify(resource)}] } in the policy`;
	return `connecting to ${resource} is not granted${text === '' ? '' : ` (${text})`}${hint}`;
}

// getaddrinfo's errors: "getaddrinfo ENOTFOUND host".
function lookupError(number, code, host) {
	const error = new DNSException(number, 'getaddrinfo', host);
	error.code = code;
	return error;
}

// "connect ECONNREFUSED 127.0.0.1:80".
function connectError(errno, target) {
	const address = target.path ?? target.host;
	const error = new UVExceptionWithHostPort(errno, 'connect', address, target.port);
	error.message = `connect ${error.code} ${address}${target.port > 0 ? `:${target.port}` : ''}`;
	return error;
}

// TARGET: { host, port } or { path }. ERRNO: positive, or 0.
export function refusalError(refusal, errno, text, target) {
	switch (refusal) {
		case DENIED:
			return accessDenied('Net', resourceOf(target), deniedText(target, text));
		case BAD_HOST:
		case NOT_FOUND:
			return lookupError(EAI_NONAME, 'ENOTFOUND', target.host ?? target.path);
		case DNS_FAILED:
			return lookupError(EAI_AGAIN, 'EAI_AGAIN', target.host ?? target.path);
		case TIMED_OUT:
			return connectError(errorNumber('ETIMEDOUT'), target);
		case CONNECT_FAILED:
			return connectError(-errno, target);
		case LIMIT: {
			const error = connectError(errorNumber('EAGAIN'), target);
			error.message += ` (${text === '' ? 'limits.connect' : text})`;
			return error;
		}
		default: {
			const error = connectError(errno > 0 ? -errno : errorNumber('EIO'), target);
			if (text !== '') error.message += ` (${text})`;
			return error;
		}
	}
}

export function listenDenied(resource, granted) {
	const error = accessDenied(
		'Net',
		resource,
		`listening on ${resource} is not granted (net.listen of the policy ${
			granted.length === 0 ? 'is empty' : `has ${granted}`
		})`,
	);
	return error;
}

export function connectionReset(message) {
	const error = new Error(message);
	error.code = 'ECONNRESET';
	return error;
}
