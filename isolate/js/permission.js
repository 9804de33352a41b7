// process.permission, and the errors of what the policy does not grant. Nothing here
// decides: it says what the kernel, the supervisor and the egress process would.

import { accessDenied as makeAccessDenied, codes, errorName } from './node/errors.js';
import { process } from './node/process_object.js';
import { bytesOf } from './bytes.js';
import { JSONStringify, ObjectFreeze, StringPrototypeStartsWith } from './primordials.js';
import { isURL } from './node/own/internal/url.js';

const { has: hasNative, drop: dropNative, info } = {
	has: native.permissionHas,
	drop: native.permissionDrop,
	info: native.permissionInfo,
};

// An ERR_ACCESS_DENIED: PERMISSION as Node calls it ('FileSystemRead', 'Net', …), RESOURCE
// what was asked for. HINT is the part of a policy that would grant it, such as
// `"fs": { "read": ["/x"] }`, or undefined when no policy can.
export function accessDenied(permission, resource, hint) {
	const [tenant] = info();
	const name = JSONStringify(`${resource}`);
	const text =
		hint === undefined
			? `Access to ${name} (${permission}) is not granted, and no policy can grant it`
			: `Access to ${name} (${permission}) is not granted: grant it with ${hint} in the policy of "${tenant}"`;
	return makeAccessDenied(permission, resource, text);
}

// The same for files.
export function fileAccessDenied(permission, path) {
	const [, root] = info();
	if (path === root || StringPrototypeStartsWith(path, `${root}/`)) {
		const name = JSONStringify(path);
		return makeAccessDenied(
			permission,
			path,
			`${name} is a part of the release, which nobody can write to (${permission}): ` +
				'write below a folder of "fs": { "write": [...] }, or in /tmp with "limits": { "tmp": "16M" }',
		);
	}
	const kind = permission === 'FileSystemWrite' ? 'write' : 'read';
	return accessDenied(permission, path, `"fs": { "${kind}": [${JSONStringify(path)}] }`);
}

// ---- process.permission ----

const isPathScope = (scope) => scope === 'fs' || scope === 'fs.read' || scope === 'fs.write';

function checkArguments(scope, reference) {
	if (typeof scope !== 'string') throw new codes.ERR_INVALID_ARG_TYPE('scope', 'string', scope);
	if (reference === undefined || reference === null) return undefined;
	if (isURL(reference)) reference = require('internal/url').toPathIfFileURL(reference);
	if (typeof reference !== 'string') {
		try {
			reference = native.utf8Decode(bytesOf(reference), 0);
		} catch {
			throw new codes.ERR_INVALID_ARG_TYPE('reference', ['string', 'Buffer', 'URL'], reference);
		}
	}
	if (isPathScope(scope) && reference !== '' && reference[0] !== '/')
		reference = `${native.fsFolder()}/${reference}`;
	return reference;
}

const permission = {
	__proto__: null,
	// Whether SCOPE is granted: for REFERENCE (a path, 'host:port', a program, …), or
	// without it for everything of its kind.
	has(scope, reference) {
		return hasNative(scope, checkArguments(scope, reference));
	},
	// Less from now on, for good.
	drop(scope, reference) {
		reference = checkArguments(scope, reference);
		const result = dropNative(scope, reference);
		if (result === 0) return;
		const what = reference === undefined ? scope : `${scope} ${reference}`;
		const reasons = {
			__proto__: null,
			ENOTSUP: 'it is not a permission that can be dropped, or only as a whole',
			ENOENT: 'only what the policy grants, as it is written there, can be dropped',
			ENOSYS: 'files cannot be dropped in the tier container',
			ETIMEDOUT: 'the supervisor did not answer, so it may still be there',
		};
		const [code] = errorName(result);
		const error = new Error(`Cannot drop ${what}: ${reasons[code] ?? code}`);
		error.code = code === 'ENOTSUP' || code === 'ENOENT' ? 'ERR_INVALID_ARG_VALUE' : code;
		throw error;
	},
};
ObjectFreeze(permission);

Object.defineProperty(process, 'permission', {
	__proto__: null,
	value: permission,
	enumerable: true,
	configurable: true,
	writable: false,
});
