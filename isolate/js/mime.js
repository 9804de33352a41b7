// MIME types (the WHATWG MIME sniffing standard, section 4): parsing and writing, and
// "extract a MIME type" of the fetch standard.

import {
	ArrayPrototypePush,
	SafeMap,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeReplaceAll,
	StringPrototypeSlice,
	StringPrototypeToLowerCase,
	MapIteratorPrototypeNext,
} from './primordials.js';
import { isToken } from './headers.js';

function isBlank(code) {
	return code === 32 || code === 9 || code === 10 || code === 13;
}

function trim(text) {
	let start = 0;
	let end = text.length;
	while (start < end && isBlank(StringPrototypeCharCodeAt(text, start))) start++;
	while (end > start && isBlank(StringPrototypeCharCodeAt(text, end - 1))) end--;
	return StringPrototypeSlice(text, start, end);
}

// HTTP quoted-string token code points.
function isQuotable(text) {
	for (let i = 0; i < text.length; i++) {
		const code = StringPrototypeCharCodeAt(text, i);
		if (!(code === 9 || (code >= 32 && code <= 126) || (code >= 128 && code <= 255))) return false;
	}
	return true;
}

// The value of the quoted string at AT, and where it ends.
export function collectQuoted(text, at) {
	let value = '';
	for (at++; at < text.length; at++) {
		const char = text[at];
		if (char === '"') return { value, end: at + 1 };
		if (char === '\\' && at + 1 < text.length) at++;
		value += text[at];
	}
	return { value, end: at };
}

function indexOr(text, char, from) {
	const at = StringPrototypeIndexOf(text, char, from);
	return at < 0 ? text.length : at;
}

function parseParameters(text, at, parameters) {
	while (at < text.length) {
		at++;
		while (at < text.length && isBlank(StringPrototypeCharCodeAt(text, at))) at++;
		const start = at;
		while (at < text.length && text[at] !== ';' && text[at] !== '=') at++;
		const name = StringPrototypeToLowerCase(StringPrototypeSlice(text, start, at));
		if (at >= text.length) return;
		if (text[at] === ';') continue;
		at++;
		let value;
		if (text[at] === '"') {
			const quoted = collectQuoted(text, at);
			value = quoted.value;
			at = indexOr(text, ';', quoted.end);
		} else {
			const end = indexOr(text, ';', at);
			value = trim(StringPrototypeSlice(text, at, end));
			at = end;
			if (value === '') continue;
		}
		if (isToken(name) && isQuotable(value) && !parameters.has(name)) parameters.set(name, value);
	}
}

// { essence, parameters (SafeMap) }, or undefined.
export function parseMimeType(input) {
	const text = trim(input);
	const slash = StringPrototypeIndexOf(text, '/');
	if (slash < 0) return undefined;
	const type = StringPrototypeSlice(text, 0, slash);
	const end = indexOr(text, ';', slash);
	const subtype = trim(StringPrototypeSlice(text, slash + 1, end));
	if (!isToken(type) || !isToken(subtype)) return undefined;
	const parameters = new SafeMap();
	parseParameters(text, end, parameters);
	return { essence: StringPrototypeToLowerCase(`${type}/${subtype}`), parameters };
}

export function serializeMimeType(mime) {
	let text = mime.essence;
	const entries = mime.parameters.entries();
	for (let step; !(step = MapIteratorPrototypeNext(entries)).done; ) {
		let value = step.value[1];
		if (!isToken(value)) {
			value = StringPrototypeReplaceAll(value, '\\', '\\\\');
			value = `"${StringPrototypeReplaceAll(value, '"', '\\"')}"`;
		}
		text += `;${step.value[0]}=${value}`;
	}
	return text;
}

// "Get, decode, and split" at commas outside of quoted strings.
function split(text) {
	const values = [];
	let start = 0;
	for (let at = 0; at <= text.length; at++) {
		if (text[at] === '"') {
			at = collectQuoted(text, at).end - 1;
		} else if (at === text.length || text[at] === ',') {
			ArrayPrototypePush(values, trim(StringPrototypeSlice(text, start, at)));
			start = at + 1;
		}
	}
	return values;
}

// The MIME type that a Content-Type field (its combined value, or null) gives.
export function extractMimeType(value) {
	if (value === null) return undefined;
	const values = split(value);
	let result;
	let charset;
	for (let i = 0; i < values.length; i++) {
		const mime = parseMimeType(values[i]);
		if (mime === undefined || mime.essence === '*/*') continue;
		if (result === undefined || mime.essence !== result.essence) {
			charset = mime.parameters.get('charset');
		} else if (!mime.parameters.has('charset') && charset !== undefined) {
			mime.parameters.set('charset', charset);
		}
		result = mime;
	}
	return result;
}
