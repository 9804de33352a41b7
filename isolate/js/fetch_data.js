// data: URLs (fetch standard, section 6).

import {
	StringFromCharCode,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeStartsWith,
	StringPrototypeTrim,
	RegExpPrototypeExec,
	TypedArrayPrototypeSlice,
	Uint8Array,
} from './primordials.js';
import { atob } from './base64.js';
import { parseMimeType, serializeMimeType } from './mime.js';

const HEX = [];
for (let code = 0; code < 256; code++) {
	const value = Number.parseInt(String.fromCharCode(code), 16);
	HEX[code] = Number.isNaN(value) ? -1 : value;
}

// The href is ASCII already.
function percentDecode(text) {
	const bytes = new Uint8Array(text.length);
	let count = 0;
	for (let i = 0; i < text.length; i++) {
		let code = StringPrototypeCharCodeAt(text, i);
		if (code === 37 && i + 2 < text.length) {
			const high = HEX[StringPrototypeCharCodeAt(text, i + 1) & 255];
			const low = HEX[StringPrototypeCharCodeAt(text, i + 2) & 255];
			if (high >= 0 && low >= 0) {
				code = high * 16 + low;
				i += 2;
			}
		}
		bytes[count++] = code;
	}
	return TypedArrayPrototypeSlice(bytes, 0, count);
}

function fromBase64(bytes) {
	let text = '';
	for (let i = 0; i < bytes.length; i++) text += StringFromCharCode(bytes[i]);
	let binary;
	try {
		binary = atob(text);
	} catch {
		return undefined;
	}
	const decoded = new Uint8Array(binary.length);
	for (let i = 0; i < binary.length; i++) decoded[i] = StringPrototypeCharCodeAt(binary, i);
	return decoded;
}

const base64End = /; *base64$/i;

// { type, bytes }, or undefined when HREF is malformed.
export function processDataUrl(href) {
	const hash = StringPrototypeIndexOf(href, '#');
	const text = StringPrototypeSlice(href, 5, hash < 0 ? href.length : hash);
	const comma = StringPrototypeIndexOf(text, ',');
	if (comma < 0) return undefined;
	let type = StringPrototypeTrim(StringPrototypeSlice(text, 0, comma));
	let bytes = percentDecode(StringPrototypeSlice(text, comma + 1));
	const base64 = RegExpPrototypeExec(base64End, type);
	if (base64 !== null) {
		bytes = fromBase64(bytes);
		if (bytes === undefined) return undefined;
		type = StringPrototypeSlice(type, 0, base64.index);
	}
	if (StringPrototypeStartsWith(type, ';')) type = `text/plain${type}`;
	const mime = parseMimeType(type);
	return {
		__proto__: null,
		type: mime === undefined ? 'text/plain;charset=US-ASCII' : serializeMimeType(mime),
		bytes,
	};
}
