// URLSearchParams (the WHATWG URL standard, sections 5 and 6).

import {
	ArrayPrototypePush,
	ArrayPrototypeSlice,
	ArrayPrototypeSort,
	ArrayPrototypeSplice,
	NumberPrototypeToString,
	ReflectGetOwnPropertyDescriptor,
	ReflectOwnKeys,
	StringFromCharCode,
	StringPrototypeCharCodeAt,
	StringPrototypeIncludes,
	StringPrototypeIndexOf,
	StringPrototypeReplaceAll,
	StringPrototypeSlice,
	StringPrototypeToUpperCase,
	SymbolIterator,
	TypeError,
	Uint8Array,
	TypedArrayPrototypeGetLength,
	TypedArrayPrototypeSubarray,
} from './primordials.js';
import { native } from './native.js';
import {
	defineInterface,
	definePairIterable,
	invalidThis,
	inspectCustom,
	isObject,
	requireArguments,
	toSequence,
	toUSVString,
} from './webidl.js';

const { utf8Decode, utf8Encode } = native;

// ---- application/x-www-form-urlencoded ----

// Values of hexadecimal digits, -1 for other characters.
const hexValues = [];
for (let i = 0; i < 128; i++) hexValues[i] = -1;
for (let i = 0; i < 10; i++) hexValues[48 + i] = i;
for (let i = 0; i < 6; i++) hexValues[65 + i] = hexValues[97 + i] = 10 + i;

function hexPair(text, index) {
	if (index + 2 >= text.length) return -1;
	const a = StringPrototypeCharCodeAt(text, index + 1);
	const b = StringPrototypeCharCodeAt(text, index + 2);
	if (a > 127 || b > 127 || hexValues[a] < 0 || hexValues[b] < 0) return -1;
	return hexValues[a] * 16 + hexValues[b];
}

// Percent-decodes TEXT as UTF-8. Each run of %XX is decoded by itself: characters
// between runs are whole, so a run's ill-formed end cannot join with them.
function percentDecode(text) {
	let at = StringPrototypeIndexOf(text, '%');
	if (at < 0) return text;
	let result = '';
	let copied = 0;
	while (at >= 0) {
		let byte = hexPair(text, at);
		if (byte < 0) {
			at = StringPrototypeIndexOf(text, '%', at + 1);
			continue;
		}
		result += StringPrototypeSlice(text, copied, at);
		let bytes;
		let count = 0;
		while (byte >= 0) {
			if (byte < 128 && count === 0) {
				result += StringFromCharCode(byte);
			} else {
				bytes ??= new Uint8Array((text.length - at) / 3 + 1);
				bytes[count++] = byte;
			}
			at += 3;
			byte = at < text.length && text[at] === '%' ? hexPair(text, at) : -1;
		}
		if (count > 0) result += utf8Decode(TypedArrayPrototypeSubarray(bytes, 0, count), 0);
		copied = at;
		at = StringPrototypeIndexOf(text, '%', at);
	}
	return result + StringPrototypeSlice(text, copied);
}

function decode(text) {
	if (StringPrototypeIncludes(text, '+')) text = StringPrototypeReplaceAll(text, '+', ' ');
	return percentDecode(text);
}

// [name, value, name, value, …] of a well-formed string: query strings, and bodies of the
// type application/x-www-form-urlencoded.
export function parseFormUrlEncoded(text) {
	const list = [];
	for (let start = 0; start < text.length; ) {
		let end = StringPrototypeIndexOf(text, '&', start);
		if (end < 0) end = text.length;
		if (end > start) {
			const part = StringPrototypeSlice(text, start, end);
			const equals = StringPrototypeIndexOf(part, '=');
			if (equals < 0) {
				ArrayPrototypePush(list, decode(part), '');
			} else {
				ArrayPrototypePush(
					list,
					decode(StringPrototypeSlice(part, 0, equals)),
					decode(StringPrototypeSlice(part, equals + 1)),
				);
			}
		}
		start = end + 1;
	}
	return list;
}

// What each ASCII character is written as.
const encoded = [];
for (let i = 0; i < 256; i++) {
	const text = StringFromCharCode(i);
	const plain =
		(i >= 48 && i <= 57) || (i >= 65 && i <= 90) || (i >= 97 && i <= 122) ||
		text === '*' || text === '-' || text === '.' || text === '_';
	const hex = StringPrototypeToUpperCase(NumberPrototypeToString(i, 16));
	encoded[i] = plain ? text : text === ' ' ? '+' : `%${i < 16 ? '0' : ''}${hex}`;
}

function encode(text) {
	let result = '';
	let copied = 0;
	for (let i = 0; i < text.length; i++) {
		const unit = StringPrototypeCharCodeAt(text, i);
		if (unit > 127) {
			const bytes = utf8Encode(StringPrototypeSlice(text, copied));
			const length = TypedArrayPrototypeGetLength(bytes);
			for (let k = 0; k < length; k++) result += encoded[bytes[k]];
			return result;
		}
		const escape = encoded[unit];
		if (escape.length === 1 && unit !== 32) continue;
		result += StringPrototypeSlice(text, copied, i) + escape;
		copied = i + 1;
	}
	return copied === 0 ? text : result + StringPrototypeSlice(text, copied);
}

function serializeFormUrlEncoded(list) {
	let result = '';
	for (let i = 0; i < list.length; i += 2)
		result += `${i > 0 ? '&' : ''}${encode(list[i])}=${encode(list[i + 1])}`;
	return result;
}

// ---- the class ----

function toPair(value) {
	const iterator = isObject(value) ? value[SymbolIterator] : undefined;
	const pair =
		typeof iterator === 'function'
			? toSequence(value, iterator, toUSVString, 'URLSearchParams constructor')
			: undefined;
	if (pair === undefined || pair.length !== 2) {
		const error = new TypeError('Each query pair must be an iterable [name, value] tuple');
		error.code = 'ERR_INVALID_TUPLE';
		throw error;
	}
	return pair;
}

function fromSequence(init, iterator) {
	const pairs = toSequence(init, iterator, toPair, 'URLSearchParams constructor');
	const list = [];
	for (let i = 0; i < pairs.length; i++) ArrayPrototypePush(list, pairs[i][0], pairs[i][1]);
	return list;
}

// record<USVString, USVString>: names that become equal overwrite.
function fromRecord(init) {
	const keys = ReflectOwnKeys(init);
	const list = [];
	for (let i = 0; i < keys.length; i++) {
		const descriptor = ReflectGetOwnPropertyDescriptor(init, keys[i]);
		if (descriptor === undefined || !descriptor.enumerable) continue;
		const name = toUSVString(keys[i]);
		const value = toUSVString(init[keys[i]]);
		let at = 0;
		while (at < list.length && list[at] !== name) at += 2;
		list[at] = name;
		list[at + 1] = value;
	}
	return list;
}

let listOf;
let isParams;
let attach;
let replace;

export class URLSearchParams {
	#list = [];
	#changed; // writes the serialization into the URL that this belongs to

	constructor(init = undefined) {
		if (init === undefined) return;
		if (isObject(init)) {
			const iterator = init[SymbolIterator];
			if (iterator === entries && isParams(init)) {
				this.#list = ArrayPrototypeSlice(init.#list);
			} else if (iterator !== undefined && iterator !== null) {
				if (typeof iterator !== 'function') {
					const error = new TypeError('Query pairs must be iterable');
					error.code = 'ERR_ARG_NOT_ITERABLE';
					throw error;
				}
				this.#list = fromSequence(init, iterator);
			} else {
				this.#list = fromRecord(init);
			}
			return;
		}
		init = toUSVString(init);
		this.#list = parseFormUrlEncoded(init[0] === '?' ? StringPrototypeSlice(init, 1) : init);
	}
	get size() {
		return of(this).length / 2;
	}
	append(name, value) {
		const list = of(this);
		requireArguments(arguments.length, 2, 'URLSearchParams.append');
		name = toUSVString(name);
		value = toUSVString(value);
		ArrayPrototypePush(list, name, value);
		this.#update();
	}
	delete(name, value = undefined) {
		const list = of(this);
		requireArguments(arguments.length, 1, 'URLSearchParams.delete');
		name = toUSVString(name);
		if (value !== undefined) value = toUSVString(value);
		for (let i = 0; i < list.length; )
			if (list[i] === name && (value === undefined || list[i + 1] === value))
				ArrayPrototypeSplice(list, i, 2);
			else i += 2;
		this.#update();
	}
	get(name) {
		const list = of(this);
		requireArguments(arguments.length, 1, 'URLSearchParams.get');
		name = toUSVString(name);
		for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
		return null;
	}
	getAll(name) {
		const list = of(this);
		requireArguments(arguments.length, 1, 'URLSearchParams.getAll');
		name = toUSVString(name);
		const values = [];
		for (let i = 0; i < list.length; i += 2)
			if (list[i] === name) ArrayPrototypePush(values, list[i + 1]);
		return values;
	}
	has(name, value = undefined) {
		const list = of(this);
		requireArguments(arguments.length, 1, 'URLSearchParams.has');
		name = toUSVString(name);
		if (value !== undefined) value = toUSVString(value);
		for (let i = 0; i < list.length; i += 2)
			if (list[i] === name && (value === undefined || list[i + 1] === value)) return true;
		return false;
	}
	set(name, value) {
		const list = of(this);
		requireArguments(arguments.length, 2, 'URLSearchParams.set');
		name = toUSVString(name);
		value = toUSVString(value);
		let found = false;
		for (let i = 0; i < list.length; ) {
			if (list[i] === name && found) {
				ArrayPrototypeSplice(list, i, 2);
				continue;
			}
			if (list[i] === name) {
				list[i + 1] = value;
				found = true;
			}
			i += 2;
		}
		if (!found) ArrayPrototypePush(list, name, value);
		this.#update();
	}
	sort() {
		const list = of(this);
		const pairs = [];
		for (let i = 0; i < list.length; i += 2) pairs[i / 2] = [list[i], list[i + 1]];
		ArrayPrototypeSort(pairs, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
		for (let i = 0; i < pairs.length; i++) {
			list[2 * i] = pairs[i][0];
			list[2 * i + 1] = pairs[i][1];
		}
		this.#update();
	}
	toString() {
		return serializeFormUrlEncoded(of(this));
	}
	[inspectCustom](depth, options, inspect) {
		if (!isParams(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[Object]', 'special');
		return inspectParams(this.#list, depth, options, inspect);
	}
	#update() {
		this.#changed?.(serializeFormUrlEncoded(this.#list));
	}
	static {
		listOf = (params) => params.#list;
		isParams = (value) => isObject(value) && #list in value;
		attach = (params, changed) => (params.#changed = changed);
		replace = (params, list) => (params.#list = list);
	}
}
definePairIterable(URLSearchParams, 'URLSearchParams', (params, index) => {
	const list = of(params);
	return 2 * index < list.length ? [list[2 * index], list[2 * index + 1]] : undefined;
});
defineInterface(URLSearchParams, 'URLSearchParams');
const { entries } = URLSearchParams.prototype;

function of(value) {
	return isObject(value) && isParams(value) ? listOf(value) : invalidThis('URLSearchParams');
}

function inspectParams(list, depth, options, inspect) {
	const inner = { __proto__: null, ...options };
	if (options.depth !== null) inner.depth = depth - 1;
	const texts = [];
	let length = 0;
	for (let i = 0; i < list.length; i += 2) {
		const text = `${inspect(list[i], inner)} => ${inspect(list[i + 1], inner)}`;
		ArrayPrototypePush(texts, text);
		length += text.length + 2;
	}
	if (texts.length === 0) return 'URLSearchParams {}';
	const separator = length > options.breakLength ? ',\n  ' : ', ';
	let body = '';
	for (let i = 0; i < texts.length; i++) body += (i > 0 ? separator : '') + texts[i];
	if (length <= options.breakLength) return `URLSearchParams { ${body} }`;
	return `URLSearchParams {\n  ${body} }`;
}

// ---- for URL and the library ----

export { isParams as isURLSearchParams };

// The searchParams of a URL with SEARCH; CHANGED gets each new serialization.
export function attachParams(search, changed) {
	const params = new URLSearchParams(search);
	attach(params, changed);
	return params;
}

export function updateParams(params, search) {
	replace(params, parseFormUrlEncoded(StringPrototypeSlice(search, 1)));
}

export function serializeParams(params) {
	return serializeFormUrlEncoded(listOf(params));
}
