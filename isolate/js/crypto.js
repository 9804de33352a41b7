// crypto.getRandomValues and crypto.randomUUID (Web Cryptography, section 10): what they do.
// The interface is in node/crypto/web.js.

import {
	ArrayBufferIsView,
	NumberPrototypeToString,
	TypeError,
	TypedArrayPrototypeFill,
	Uint8Array,
} from './primordials.js';
import { typedArrayName, viewByteLength } from './bytes.js';
import { codedError, DOMException, QuotaExceededError } from './errors.js';
import { native } from './native.js';

const { randomFill } = native;

const QUOTA = 65536; // bytes of one getRandomValues

// Random bytes for UUIDs are fetched for many at once. The store is made at first use:
// nothing random may exist before the fork.
const UUIDS_AT_ONCE = 128;
let store;
let used = 0;

const hex = [];
for (let i = 0; i < 256; i++) hex[i] = (i < 16 ? '0' : '') + NumberPrototypeToString(i, 16);

function makeUUID() {
	if (store === undefined || used === UUIDS_AT_ONCE) {
		store ??= new Uint8Array(16 * UUIDS_AT_ONCE);
		randomFill(store);
		used = 0;
	}
	const b = 16 * used++;
	const s = store;
	const text =
		`${hex[s[b]]}${hex[s[b + 1]]}${hex[s[b + 2]]}${hex[s[b + 3]]}-` +
		`${hex[s[b + 4]]}${hex[s[b + 5]]}-${hex[(s[b + 6] & 0x0f) | 0x40]}${hex[s[b + 7]]}-` +
		`${hex[(s[b + 8] & 0x3f) | 0x80]}${hex[s[b + 9]]}-${hex[s[b + 10]]}${hex[s[b + 11]]}` +
		`${hex[s[b + 12]]}${hex[s[b + 13]]}${hex[s[b + 14]]}${hex[s[b + 15]]}`;
	TypedArrayPrototypeFill(s, 0, b, b + 16); // what was given out is not kept
	return text;
}

// In a new worker: what the zygote may have fetched is not ours.
export function forgetRandomness() {
	store = undefined;
	used = 0;
}

function isIntegerArray(name) {
	switch (name) {
		case 'Int8Array':
		case 'Uint8Array':
		case 'Uint8ClampedArray':
		case 'Int16Array':
		case 'Uint16Array':
		case 'Int32Array':
		case 'Uint32Array':
		case 'BigInt64Array':
		case 'BigUint64Array':
			return true;
		default:
			return false;
	}
}

export function getRandomValues(array) {
	if (!ArrayBufferIsView(array))
		throw codedError(
			TypeError,
			'ERR_INVALID_ARG_TYPE',
			'Crypto.getRandomValues: the argument is not an ArrayBufferView',
		);
	if (!isIntegerArray(typedArrayName(array)))
		throw new DOMException(
			'The data argument must be an integer-type TypedArray',
			'TypeMismatchError',
		);
	const length = viewByteLength(array);
	if (length > QUOTA)
		throw new QuotaExceededError(`The requested length exceeds ${QUOTA} bytes`);
	if (length > 0) randomFill(array);
	return array;
}

export { makeUUID as randomUUID };
