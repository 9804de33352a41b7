// internalBinding('buffer') of Node: isolate/native_buffer.c, and what is as well in
// JavaScript.

import { native } from '../native.js';
import { ArrayBuffer, RegExpPrototypeExec, StringPrototypeCharCodeAt, StringPrototypeToLowerCase } from '../primordials.js';

const { base64Decode, base64Encode } = native;

// As in string_decoder_binding.js and native_buffer.c.
const UTF8 = 1;
const UTF16 = 3;
const LATIN1 = 4;

// -1: the wrong length, -2: a character that base64 does not have.
function atob(text) {
	const result = base64Decode(text);
	if (result !== undefined) return result;
	return RegExpPrototypeExec(/[^A-Za-z0-9+/=\t\n\f\r ]/, text) === null ? -1 : -2;
}

function btoa(text) {
	const result = base64Encode(text);
	return result === undefined ? -1 : result;
}

// Strings in encodings that C does not know come as bytes.
function fill(view, value, start, end, encoding) {
	if (typeof value !== 'string') return native.bytesFill(view, value, start, end, UTF8);
	switch (StringPrototypeToLowerCase(encoding ?? 'utf8')) {
		case 'ucs2':
		case 'ucs-2':
		case 'utf16le':
		case 'utf-16le':
			return native.bytesFill(view, value, start, end, UTF16);
		case 'ascii':
		case 'latin1':
		case 'binary':
			return native.bytesFill(view, value, start, end, LATIN1);
		case 'hex':
		case 'base64':
		case 'base64url':
			return native.bytesFill(view, makeBuffer(value, encoding), start, end, UTF8);
		default:
			return native.bytesFill(view, value, start, end, UTF8);
	}
}

const slices = {
	__proto__: null,
	ascii: native.latin1Slice, // as ICU's US-ASCII converter gives it, see transcode
	latin1: native.latin1Slice,
	binary: native.latin1Slice,
	ucs2: native.ucs2Slice,
	utf16le: native.ucs2Slice,
	utf8: native.utf8Slice,
};

// Characters that the target does not have become `?`.
function narrow(text, most) {
	let result = '';
	for (const character of text)
		result += character.length > 1 || StringPrototypeCharCodeAt(character, 0) > most ? '?' : character;
	return result;
}

// A Buffer, or -1 when one of the encodings is none that can be converted.
let makeBuffer;
export function setMakeBuffer(make) {
	makeBuffer = make;
}
function transcode(source, from, to) {
	const slice = slices[from];
	if (slice === undefined || slices[to] === undefined) return -1;
	let text = slice(source, 0, source.length);
	if (from === 'ascii') text = text.replace(/[\x80-\xff]/g, '\ufffd');
	if (to === 'ascii') text = narrow(text, 0x7f);
	else if (to === 'latin1' || to === 'binary') text = narrow(text, 0xff);
	return makeBuffer(text, to === 'ascii' ? 'latin1' : to);
}

export const bufferBinding = {
	kMaxLength: 2 ** 53 - 1,
	kStringMaxLength: 2 ** 29 - 24,
	asciiSlice: native.asciiSlice,
	asciiWriteStatic: native.latin1Write,
	atob,
	base64Slice: native.base64Slice,
	base64Write: native.base64Write,
	base64urlSlice: native.base64urlSlice,
	base64urlWrite: native.base64Write,
	btoa,
	byteLengthUtf8: native.utf8Length,
	compare: native.bytesCompare,
	compareOffset: native.bytesCompareOffset,
	copy: native.bytesCopy,
	// Always zeroed: what a program freed may have been the library's, and pages that come
	// fresh from the kernel cost nothing more.
	createUnsafeArrayBuffer: (size) => new ArrayBuffer(size),
	fill,
	hexSlice: native.hexSlice,
	hexWrite: native.hexWrite,
	indexOfBuffer: native.indexOfBytes,
	indexOfNumber: native.indexOfNumber,
	indexOfString: native.indexOfString,
	isAscii: native.isAscii,
	isUtf8: native.isUtf8,
	latin1Slice: native.latin1Slice,
	latin1WriteStatic: native.latin1Write,
	setDetachKey() {}, // clone.js looks at the private symbol instead
	swap16: native.swap16,
	swap32: native.swap32,
	swap64: native.swap64,
	transcode,
	ucs2Slice: native.ucs2Slice,
	ucs2Write: native.ucs2Write,
	utf8Slice: native.utf8Slice,
	utf8WriteStatic: native.utf8Write,
};
