// internalBinding('string_decoder') of Node: texts that come in pieces, cut anywhere. The
// state is a Buffer of kSize bytes: up to 4 bytes of an incomplete character, how many are
// missing, how many are there, the encoding.

import { native } from '../native.js';
import { bytesOf } from '../bytes.js';
import { TypedArrayPrototypeGetLength } from '../primordials.js';

const MISSING = 4;
const BUFFERED = 5;
const ENCODING = 6;

const encodings = ['ascii', 'utf8', 'base64', 'utf16le', 'latin1', 'hex', 'buffer', 'base64url'];
const ASCII = 0;
const UTF8 = 1;
const BASE64 = 2;
const UTF16 = 3;
const LATIN1 = 4;
const HEX = 5;
const BASE64URL = 7;

export const fields = {
	encodings,
	kIncompleteCharactersStart: 0,
	kIncompleteCharactersEnd: 4,
	kMissingBytes: MISSING,
	kBufferedBytes: BUFFERED,
	kEncodingField: ENCODING,
	kNumFields: 7,
	kSize: 7,
};

function slice(encoding, bytes, start, end) {
	switch (encoding) {
		case ASCII:
			return native.asciiSlice(bytes, start, end);
		case BASE64:
			return native.base64Slice(bytes, start, end);
		case BASE64URL:
			return native.base64urlSlice(bytes, start, end);
		case UTF16:
			return native.ucs2Slice(bytes, start, end);
		case LATIN1:
			return native.latin1Slice(bytes, start, end);
		case HEX:
			return native.hexSlice(bytes, start, end);
		default:
			return native.utf8Slice(bytes, start, end);
	}
}

const CUT = { __proto__: null, [UTF8]: true, [UTF16]: true, [BASE64]: true, [BASE64URL]: true };

// Completes the character that is waiting in STATE; returns [text, bytes of DATA used].
function complete(state, data) {
	const encoding = state[ENCODING];
	if (encoding === UTF8) {
		// A byte that does not go on ends the character early, and is the next one's.
		for (let i = 0; i < data.length && i < state[MISSING]; i++) {
			if ((data[i] & 0xc0) === 0x80) continue;
			state[MISSING] = 0;
			for (let k = 0; k < i; k++) state[state[BUFFERED] + k] = data[k];
			state[BUFFERED] += i;
			return [i, true];
		}
	}
	const count = Math.min(state[MISSING], data.length);
	for (let i = 0; i < count; i++) state[state[BUFFERED] + i] = data[i];
	state[MISSING] -= count;
	state[BUFFERED] += count;
	return [count, state[MISSING] === 0];
}

// Looks for a character that BYTES end in the midst of: sets MISSING and BUFFERED.
function findUtf8(state, bytes, start, end) {
	for (let i = end - 1; ; i--) {
		state[BUFFERED]++;
		if ((bytes[i] & 0xc0) === 0x80) {
			// A continuation: more than three, or nothing before them, is no character.
			if (state[BUFFERED] >= 4 || i === start) {
				state[MISSING] = 0;
				state[BUFFERED] = 0;
				return;
			}
			continue;
		}
		if ((bytes[i] & 0xe0) === 0xc0) state[MISSING] = 2;
		else if ((bytes[i] & 0xf0) === 0xe0) state[MISSING] = 3;
		else if ((bytes[i] & 0xf8) === 0xf0) state[MISSING] = 4;
		if (state[BUFFERED] >= state[MISSING]) {
			// Complete, or not a first byte at all.
			state[MISSING] = 0;
			state[BUFFERED] = 0;
		}
		state[MISSING] -= state[BUFFERED];
		return;
	}
}

function findIncomplete(state, bytes, start, end) {
	const encoding = state[ENCODING];
	const length = end - start;
	if (encoding === UTF8) {
		if (bytes[end - 1] & 0x80) findUtf8(state, bytes, start, end);
	} else if (encoding === UTF16) {
		if (length % 2 === 1) {
			state[BUFFERED] = 1;
			state[MISSING] = 1;
		} else if ((bytes[end - 1] & 0xfc) === 0xd8) {
			// The first half of a pair.
			state[BUFFERED] = 2;
			state[MISSING] = 2;
		}
	} else {
		state[BUFFERED] = length % 3;
		if (state[BUFFERED] > 0) state[MISSING] = 3 - state[BUFFERED];
	}
}

export function decode(state, chunk) {
	const encoding = state[ENCODING];
	const bytes = bytesOf(chunk);
	let start = 0;
	let end = TypedArrayPrototypeGetLength(bytes);
	if (CUT[encoding] !== true) return slice(encoding, bytes, start, end);
	let prefix = '';
	if (state[MISSING] > 0) {
		const [used, done] = complete(state, bytes);
		start = used;
		if (done) {
			prefix = slice(encoding, state, 0, state[BUFFERED]);
			state[BUFFERED] = 0;
		}
	}
	if (start >= end) return prefix;
	findIncomplete(state, bytes, start, end);
	if (state[BUFFERED] > 0) {
		end -= state[BUFFERED];
		for (let i = 0; i < state[BUFFERED]; i++) state[i] = bytes[end + i];
	}
	if (start >= end) return prefix;
	const body = slice(encoding, bytes, start, end);
	return prefix === '' ? body : prefix + body;
}

export function flush(state) {
	// Half a unit of UTF-16 is dropped.
	if (state[ENCODING] === UTF16 && state[BUFFERED] % 2 === 1) {
		state[MISSING]--;
		state[BUFFERED]--;
	}
	const text = state[BUFFERED] === 0 ? '' : slice(state[ENCODING], state, 0, state[BUFFERED]);
	state[MISSING] = 0;
	state[BUFFERED] = 0;
	return text;
}
