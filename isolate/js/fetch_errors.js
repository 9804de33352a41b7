// What fetch() rejects with: a TypeError, as the standard has it, whose cause says what
// happened, with the codes that Node's programs look for. URLs may carry secrets in their
// path and query: messages name the host and port and no more.

import { Error, TypeError } from './primordials.js';
import { accessDenied } from './permission.js';

export function networkError(cause, message = 'fetch failed') {
	return new TypeError(message, { __proto__: null, cause });
}

// A cause with CODE.
export function causeOf(code, message) {
	const error = new Error(message);
	error.code = code;
	return error;
}

// TARGET: { resource, hostname, port, unix }. FAILURE: [code, text, denied], of
// native.fetchError, or undefined: the policy has no net.connect at all.
export function transferError(target, failure) {
	const { resource } = target;
	if (failure === undefined || failure[2]) {
		const error = accessDenied('Net', resource, `"net": { "connect": ["${resource}"] }`);
		if (failure !== undefined && failure[1] !== '') error.message += ` (${failure[1]})`;
		return error;
	}
	const error = causeOf(failure[0], `${failure[0]} ${resource}: ${failure[1]}`);
	error.hostname = target.hostname;
	if (target.unix === '') error.port = target.port;
	return error;
}
