// FormData (XMLHttpRequest standard, section 5), and multipart/form-data both ways
// (HTML standard, section 4.10.21.8; fetch standard's parser).

import {
	ArrayIsArray,
	ArrayPrototypeJoin,
	ArrayPrototypePush,
	RegExpPrototypeSymbolReplace,
	StringFromCharCode,
	StringPrototypeReplaceAll,
	StringPrototypeToLowerCase,
	StringPrototypeTrim,
	TypedArray,
	TypedArrayPrototypeSlice,
	TypedArrayPrototypeSubarray,
	TypeError,
	Uint8Array,
	uncurryThis,
	hardenRegExp,
} from './primordials.js';
import { blobBytes, isBlob, isFile, joinBytes, makeFile } from './blob.js';
import { decodeUtf8, encodeUtf8 } from './encoding.js';
import { native } from './native.js';
import {
	defineInterface,
	definePairIterable,
	illegalInvocation,
	inspectCustom,
	isObject,
	requireArguments,
	toUSVString,
} from './webidl.js';

const indexOfByte = uncurryThis(TypedArray.prototype.indexOf);

let listOf;
let isFormData;

// An entry's value: a string, or a File.
function toEntryValue(given, value, filename, what) {
	if (isBlob(value)) {
		const name = filename === undefined ? undefined : toUSVString(filename);
		if (isFile(value) && name === undefined) return value;
		const lastModified = isFile(value) ? value.lastModified : undefined;
		return makeFile(
			blobBytes(value),
			name ?? (isFile(value) ? value.name : 'blob'),
			value.type,
			lastModified,
		);
	}
	if (given > 2) {
		const error = new TypeError(`${what}: with a filename, the value must be a Blob`);
		error.code = 'ERR_INVALID_ARG_TYPE';
		throw error;
	}
	return toUSVString(value);
}

export class FormData {
	#list = []; // name, value, …

	constructor(form = undefined) {
		if (form !== undefined)
			throw new TypeError('FormData constructor: there are no HTML forms here');
	}
	append(name, value, filename = undefined) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 2, 'FormData.append');
		const key = toUSVString(name);
		const entry = toEntryValue(arguments.length, value, filename, 'FormData.append');
		ArrayPrototypePush(this.#list, key, entry);
	}
	delete(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'FormData.delete');
		this.#replace(toUSVString(name));
	}
	get(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'FormData.get');
		const key = toUSVString(name);
		const list = this.#list;
		for (let i = 0; i < list.length; i += 2) if (list[i] === key) return list[i + 1];
		return null;
	}
	getAll(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'FormData.getAll');
		const key = toUSVString(name);
		const list = this.#list;
		const values = [];
		for (let i = 0; i < list.length; i += 2)
			if (list[i] === key) ArrayPrototypePush(values, list[i + 1]);
		return values;
	}
	has(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'FormData.has');
		const key = toUSVString(name);
		const list = this.#list;
		for (let i = 0; i < list.length; i += 2) if (list[i] === key) return true;
		return false;
	}
	set(name, value, filename = undefined) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 2, 'FormData.set');
		const key = toUSVString(name);
		const entry = toEntryValue(arguments.length, value, filename, 'FormData.set');
		if (!this.#replace(key, entry)) ArrayPrototypePush(this.#list, key, entry);
	}
	// Takes out all of KEY, but puts ENTRY (unless undefined) in the place of the first.
	#replace(key, entry) {
		const list = this.#list;
		let kept = 0;
		let placed = entry === undefined;
		for (let i = 0; i < list.length; i += 2) {
			const same = list[i] === key;
			if (same && placed) continue;
			list[kept] = list[i];
			list[kept + 1] = same ? entry : list[i + 1];
			kept += 2;
			if (same) placed = true;
		}
		list.length = kept;
		return placed;
	}
	[inspectCustom](depth, options, inspect) {
		if (!isFormData(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[FormData]', 'special');
		const shown = { __proto__: null };
		const list = this.#list;
		for (let i = 0; i < list.length; i += 2) {
			const name = list[i];
			if (!(name in shown)) shown[name] = list[i + 1];
			else if (ArrayIsArray(shown[name])) ArrayPrototypePush(shown[name], list[i + 1]);
			else shown[name] = [shown[name], list[i + 1]];
		}
		return `FormData ${inspect(shown, options)}`;
	}
	static {
		listOf = (form) => form.#list;
		isFormData = (value) => isObject(value) && #list in value;
	}
}
Object.defineProperty(FormData, 'length', { value: 0, configurable: true });
defineInterface(FormData, 'FormData');
definePairIterable(FormData, 'FormData', (form, index) => {
	if (!isFormData(form)) illegalInvocation();
	const list = listOf(form);
	return 2 * index < list.length ? [list[2 * index], list[2 * index + 1]] : undefined;
});

export { isFormData };

export function formFromList(list) {
	const form = new FormData();
	const target = listOf(form);
	for (let i = 0; i < list.length; i++) target[i] = list[i];
	return form;
}

// ---- writing ----

const newlines = hardenRegExp(/\r\n?|\n/g);

function escapeName(name) {
	let text = StringPrototypeReplaceAll(name, '\n', '%0A');
	text = StringPrototypeReplaceAll(text, '\r', '%0D');
	return StringPrototypeReplaceAll(text, '"', '%22');
}

function withCrlf(text) {
	return RegExpPrototypeSymbolReplace(newlines, text, '\r\n');
}

// { bytes, type } of FORM.
export function encodeMultipart(form) {
	const list = listOf(form);
	const boundary = `----formdata-${native.httpErrorId()}${native.httpErrorId()}`;
	const parts = [];
	for (let i = 0; i < list.length; i += 2) {
		const name = escapeName(withCrlf(list[i]));
		const value = list[i + 1];
		let head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`;
		if (typeof value === 'string') {
			head += `\r\n\r\n${withCrlf(value)}\r\n`;
			ArrayPrototypePush(parts, encodeUtf8(head));
		} else {
			head += `; filename="${escapeName(value.name)}"\r\nContent-Type: `;
			head += `${value.type || 'application/octet-stream'}\r\n\r\n`;
			ArrayPrototypePush(parts, encodeUtf8(head), blobBytes(value), encodeUtf8('\r\n'));
		}
	}
	ArrayPrototypePush(parts, encodeUtf8(`--${boundary}--\r\n`));
	return { bytes: joinBytes(parts), type: `multipart/form-data; boundary=${boundary}` };
}

// ---- parsing ----

function invalid(why) {
	return new TypeError(`The body is not valid multipart/form-data: ${why}`);
}

function startsWithAt(bytes, at, prefix) {
	if (at + prefix.length > bytes.length) return false;
	for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
	return true;
}

function find(bytes, needle, from) {
	for (let at = from; ; at++) {
		at = indexOfByte(bytes, needle[0], at);
		if (at < 0 || at + needle.length > bytes.length) return -1;
		if (startsWithAt(bytes, at, needle)) return at;
	}
}

const crlf = new Uint8Array([13, 10]);

// "name" or "filename" of Content-Disposition, at AT after its equals sign and quote.
function parseQuotedName(bytes, at) {
	const end = indexOfByte(bytes, 0x22, at);
	if (end < 0) throw invalid('a name has no end');
	const text = decodeUtf8(TypedArrayPrototypeSubarray(bytes, at, end));
	let name = StringPrototypeReplaceAll(text, '%0A', '\n');
	name = StringPrototypeReplaceAll(name, '%0D', '\r');
	return { name: StringPrototypeReplaceAll(name, '%22', '"'), end: end + 1 };
}

const dispositionStart = encodeUtf8('form-data');
const nameStart = encodeUtf8('name="');
const filenameStart = encodeUtf8('filename="');

function skipBlanks(bytes, at) {
	while (bytes[at] === 32 || bytes[at] === 9) at++;
	return at;
}

function parseDisposition(bytes, at, part) {
	if (!startsWithAt(bytes, at, dispositionStart)) throw invalid('a part is not form-data');
	at = skipBlanks(bytes, at + dispositionStart.length);
	while (bytes[at] === 0x3b) {
		at = skipBlanks(bytes, at + 1);
		const isName = startsWithAt(bytes, at, nameStart);
		if (!isName && !startsWithAt(bytes, at, filenameStart)) {
			// A parameter that nobody knows (filename*).
			while (at < bytes.length && bytes[at] !== 0x3b && bytes[at] !== 13) {
				if (bytes[at] === 0x22) {
					at = indexOfByte(bytes, 0x22, at + 1);
					if (at < 0) throw invalid('a parameter has no end');
				}
				at++;
			}
			continue;
		}
		const parsed = parseQuotedName(bytes, at + (isName ? nameStart : filenameStart).length);
		if (isName) part.name = parsed.name;
		else part.filename = parsed.name;
		at = skipBlanks(bytes, parsed.end);
	}
	return at;
}

function latin1(bytes) {
	const chars = [];
	for (let i = 0; i < bytes.length; i++) chars[i] = StringFromCharCode(bytes[i]);
	return ArrayPrototypeJoin(chars, '');
}

function parsePartHead(bytes, at) {
	const part = { name: undefined, filename: undefined, type: undefined, at: 0 };
	while (!startsWithAt(bytes, at, crlf)) {
		const colon = indexOfByte(bytes, 0x3a, at);
		const line = find(bytes, crlf, at);
		if (colon < 0 || line < 0 || colon > line) throw invalid('a part has a malformed header');
		const field = StringPrototypeToLowerCase(latin1(TypedArrayPrototypeSubarray(bytes, at, colon)));
		at = skipBlanks(bytes, colon + 1);
		if (field === 'content-disposition') {
			at = parseDisposition(bytes, at, part);
		} else {
			if (field === 'content-type')
				part.type = StringPrototypeTrim(latin1(TypedArrayPrototypeSubarray(bytes, at, line)));
			at = line;
		}
		if (!startsWithAt(bytes, at, crlf)) throw invalid('a part has a malformed header');
		at += 2;
	}
	if (part.name === undefined) throw invalid('a part has no name');
	part.at = at + 2;
	return part;
}

function toEntry(part, body) {
	if (part.filename === undefined) return decodeUtf8(body);
	const type = part.type ?? 'text/plain';
	return makeFile(TypedArrayPrototypeSlice(body), part.filename, StringPrototypeToLowerCase(type));
}

export function parseMultipart(bytes, boundary) {
	const dashes = encodeUtf8(`--${boundary}`);
	const delimiter = encodeUtf8(`\r\n--${boundary}`);
	const list = [];
	let at = 0;
	while (startsWithAt(bytes, at, crlf)) at += 2;
	if (!startsWithAt(bytes, at, dashes)) throw invalid('it does not begin with the boundary');
	for (;;) {
		at += dashes.length;
		if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return formFromList(list);
		at = skipBlanks(bytes, at);
		if (!startsWithAt(bytes, at, crlf)) throw invalid('a boundary has no end');
		const part = parsePartHead(bytes, at + 2);
		// An empty part's delimiter shares its line end with the head.
		const end = find(bytes, delimiter, part.at);
		if (end < 0) throw invalid('a part has no end');
		ArrayPrototypePush(
			list,
			part.name,
			toEntry(part, TypedArrayPrototypeSubarray(bytes, part.at, end)),
		);
		at = end + 2;
	}
}

// The boundary parameter of a Content-Type, or undefined when it is another type.
export function multipartBoundary(mime) {
	return mime.essence === 'multipart/form-data' ? mime.parameters.get('boundary') : undefined;
}

