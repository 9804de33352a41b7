// Headers (fetch standard, section 5.1). As in other server runtimes there are no
// forbidden names: nothing here protects a browser's user from a page.
//
// The list inside is flat: name, value, name, value, …, names in lower case. The one of
// a request that the server received stays a block of text (isolate/http_parse.h) until
// something more than a single field is asked for.

import {
	ArrayPrototypePush,
	ArrayPrototypeSort,
	ReflectGetOwnPropertyDescriptor,
	ReflectOwnKeys,
	SafeMap,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeToLowerCase,
	SymbolIterator,
	TypeError,
	isolate,
} from './primordials.js';
import {
	defineInterface,
	definePairIterable,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
	toSequence,
} from './webidl.js';

// ---- characters ----

// Of a field name: RFC 9110, section 5.6.2.
const isTokenCode = [];
for (let code = 0; code < 256; code++) {
	const letter =
		(code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
	isTokenCode[code] = letter || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(code));
}

export function isToken(text) {
	const { length } = text;
	for (let i = 0; i < length; i++) {
		const code = StringPrototypeCharCodeAt(text, i);
		if (code > 127 || !isTokenCode[code]) return false;
	}
	return length > 0;
}

export function toByteString(value, what) {
	const text = `${value}`;
	for (let i = 0; i < text.length; i++)
		if (StringPrototypeCharCodeAt(text, i) > 255)
			throw new TypeError(
				`${what}: cannot convert to a ByteString, because the character at index ${i} ` +
					`has a value of ${StringPrototypeCharCodeAt(text, i)} which is greater than 255.`,
			);
	return text;
}

function isBlank(code) {
	return code === 32 || code === 9 || code === 10 || code === 13;
}

// Without whitespace at both ends; undefined when a character is not allowed.
function normalizeValue(value) {
	let end = value.length;
	let start = 0;
	while (start < end && isBlank(StringPrototypeCharCodeAt(value, start))) start++;
	while (end > start && isBlank(StringPrototypeCharCodeAt(value, end - 1))) end--;
	for (let i = start; i < end; i++) {
		const code = StringPrototypeCharCodeAt(value, i);
		if (code === 0 || code === 10 || code === 13) return undefined;
	}
	return end - start === value.length ? value : StringPrototypeSlice(value, start, end);
}

// ---- names ----

// Names as programs write them -> in lower case; only valid ones. Bounded.
const lowerNames = new SafeMap();
const NAMES_MAX = 512;

function toName(name, what) {
	if (typeof name === 'string') {
		const known = lowerNames.get(name);
		if (known !== undefined) return known;
	}
	const text = toByteString(name, what);
	if (!isToken(text)) throw new TypeError(`${what}: "${text}" is an invalid header name.`);
	const lower = StringPrototypeToLowerCase(text);
	if (lowerNames.size < NAMES_MAX) lowerNames.set(text, lower);
	return lower;
}

// A block is searched for a few fields; then it is cheaper to have all in a map.
const SEARCHES_MAX = 2;

// What a field begins with in a block of text.
const needles = new SafeMap();

function needleOf(name) {
	let needle = needles.get(name);
	if (needle === undefined) {
		needle = `\n${name}\r`;
		if (needles.size < NAMES_MAX) needles.set(name, needle);
	}
	return needle;
}

function toValue(value, what) {
	const normal = normalizeValue(toByteString(value, what));
	if (normal === undefined) throw new TypeError(`${what}: the header value is invalid.`);
	return normal;
}

// ---- lists ----

export class HeaderList {
	constructor() {
		this.items = [];
		this.block = undefined;
		this.start = 0;
		this.searches = 0;
		this.values = undefined; // SafeMap of the block's fields, combined
		this.sorted = undefined; // what iteration shows, until the list changes
	}
	static ofBlock(block, start) {
		const list = new HeaderList();
		list.items = undefined;
		list.block = block;
		list.start = start;
		return list;
	}
	// All fields, parsed from the block if there is one.
	all() {
		if (this.items !== undefined) return this.items;
		const { block } = this;
		const items = [];
		for (let at = this.start + 1; at < block.length; ) {
			const colon = StringPrototypeIndexOf(block, '\r', at);
			const end = StringPrototypeIndexOf(block, '\n', colon);
			items[items.length] = StringPrototypeSlice(block, at, colon);
			items[items.length] = StringPrototypeSlice(block, colon + 1, end);
			at = end + 1;
		}
		this.block = this.values = undefined;
		return (this.items = items);
	}
	get(name) {
		if (this.items === undefined) {
			if (this.searches++ < SEARCHES_MAX) return this.#search(name);
			this.values ??= this.#readAll();
			return this.values.get(name) ?? null;
		}
		const { items } = this;
		let value = null;
		for (let i = 0; i < items.length; i += 2)
			if (items[i] === name) value = value === null ? items[i + 1] : `${value}, ${items[i + 1]}`;
		return value;
	}
	#readAll() {
		const { block } = this;
		const values = new SafeMap();
		for (let at = this.start + 1; at < block.length; ) {
			const colon = StringPrototypeIndexOf(block, '\r', at);
			const end = StringPrototypeIndexOf(block, '\n', colon);
			const name = StringPrototypeSlice(block, at, colon);
			const value = StringPrototypeSlice(block, colon + 1, end);
			const before = values.get(name);
			values.set(name, before === undefined ? value : `${before}, ${value}`);
			at = end + 1;
		}
		return values;
	}
	#search(name) {
		const { block } = this;
		const needle = needleOf(name);
		let value = null;
		let at = StringPrototypeIndexOf(block, needle, this.start);
		while (at >= 0) {
			const from = at + needle.length;
			const end = StringPrototypeIndexOf(block, '\n', from);
			const one = StringPrototypeSlice(block, from, end);
			value = value === null ? one : `${value}, ${one}`;
			at = StringPrototypeIndexOf(block, needle, end);
		}
		return value;
	}
	has(name) {
		if (this.items === undefined)
			return StringPrototypeIndexOf(this.block, needleOf(name), this.start) >= 0;
		const { items } = this;
		for (let i = 0; i < items.length; i += 2) if (items[i] === name) return true;
		return false;
	}
	append(name, value) {
		const items = this.all();
		items[items.length] = name;
		items[items.length] = value;
		this.sorted = undefined;
	}
	set(name, value) {
		const items = this.all();
		let kept = 0;
		let found = false;
		for (let i = 0; i < items.length; i += 2) {
			const same = items[i] === name;
			if (same && found) continue;
			items[kept] = items[i];
			items[kept + 1] = same ? value : items[i + 1];
			kept += 2;
			if (same) found = true;
		}
		items.length = kept;
		if (!found) this.append(name, value);
		this.sorted = undefined;
	}
	delete(name) {
		const items = this.all();
		let kept = 0;
		for (let i = 0; i < items.length; i += 2) {
			if (items[i] === name) continue;
			items[kept] = items[i];
			items[kept + 1] = items[i + 1];
			kept += 2;
		}
		items.length = kept;
		this.sorted = undefined;
	}
	copy() {
		const list = new HeaderList();
		const items = this.all();
		for (let i = 0; i < items.length; i++) list.items[i] = items[i];
		return list;
	}
	// The standard's "sort and combine": set-cookie stays apart.
	sortAndCombine() {
		if (this.sorted !== undefined) return this.sorted;
		const items = this.all();
		const values = new SafeMap();
		const names = [];
		const cookies = [];
		for (let i = 0; i < items.length; i += 2) {
			const name = items[i];
			if (name === 'set-cookie') {
				ArrayPrototypePush(cookies, items[i + 1]);
				if (cookies.length === 1) ArrayPrototypePush(names, name);
			} else if (values.has(name)) {
				values.set(name, `${values.get(name)}, ${items[i + 1]}`);
			} else {
				ArrayPrototypePush(names, name);
				values.set(name, items[i + 1]);
			}
		}
		ArrayPrototypeSort(names, (a, b) => (a < b ? -1 : 1));
		const sorted = [];
		for (let i = 0; i < names.length; i++) {
			if (names[i] === 'set-cookie')
				for (let k = 0; k < cookies.length; k++)
					ArrayPrototypePush(sorted, ['set-cookie', cookies[k]]);
			else ArrayPrototypePush(sorted, [names[i], values.get(names[i])]);
		}
		return (this.sorted = sorted);
	}
}
isolate(HeaderList);

// ---- filling ----

const PAIR = 'Headers constructor: each header pair must be a name/value tuple';

function fillFromSequence(list, init, iterator) {
	const pairs = toSequence(
		init,
		iterator,
		(item) => {
			const inner = isObject(item) ? item[SymbolIterator] : undefined;
			if (typeof inner !== 'function') throw new TypeError(PAIR);
			return toSequence(item, inner, (part) => toByteString(part, 'Headers'), 'Header pair');
		},
		'Headers constructor: init',
	);
	for (let i = 0; i < pairs.length; i++) {
		if (pairs[i].length !== 2) throw new TypeError(PAIR);
		list.append(toName(pairs[i][0], 'Headers'), toValue(pairs[i][1], 'Headers'));
	}
}

function fillFromRecord(list, init) {
	const keys = ReflectOwnKeys(init);
	const converted = [];
	for (let i = 0; i < keys.length; i++) {
		const key = keys[i];
		const descriptor = ReflectGetOwnPropertyDescriptor(init, key);
		if (descriptor === undefined || !descriptor.enumerable) continue;
		const name = toByteString(key, 'Headers'); // a symbol throws
		const value = toByteString(init[key], 'Headers');
		// A record has each key once; the last value wins in its first place. Own keys
		// are distinct, so this can only concern proxies.
		converted[converted.length] = name;
		converted[converted.length] = value;
	}
	for (let i = 0; i < converted.length; i += 2)
		list.append(toName(converted[i], 'Headers'), toValue(converted[i + 1], 'Headers'));
}

let listOf;
let isHeaders;
let guardOf;
let originalEntries;

// A list from INIT, a HeadersInit.
export function listFromInit(init) {
	const list = new HeaderList();
	if (!isObject(init))
		throw new TypeError('Headers constructor: init must be an object, an iterable or Headers');
	const iterator = init[SymbolIterator];
	if (iterator === undefined || iterator === null) {
		fillFromRecord(list, init);
	} else if (typeof iterator !== 'function') {
		throw new TypeError('Headers constructor: Symbol.iterator is not a function');
	} else if (iterator === originalEntries && isHeaders(init)) {
		const pairs = listOf(init).sortAndCombine();
		for (let i = 0; i < pairs.length; i++) list.append(pairs[i][0], pairs[i][1]);
	} else {
		fillFromSequence(list, init, iterator);
	}
	return list;
}

// ---- the class ----

export const MUTABLE = 0;
export const IMMUTABLE = 1;

function checkGuard(guard) {
	if (guard === IMMUTABLE) {
		const error = new TypeError('Headers are immutable');
		error.code = 'ERR_INVALID_STATE';
		throw error;
	}
}

export class Headers {
	#list;
	#guard = MUTABLE;

	constructor(init = undefined, list = undefined, guard = MUTABLE) {
		if (init === internalToken) {
			this.#list = list;
			this.#guard = guard;
		} else {
			this.#list = init === undefined ? new HeaderList() : listFromInit(init);
		}
	}
	append(name, value) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 2, 'Headers.append');
		const key = toByteString(name, 'Headers.append');
		const text = toByteString(value, 'Headers.append');
		const lower = toName(key, 'Headers.append');
		const normal = toValue(text, 'Headers.append');
		checkGuard(this.#guard);
		this.#list.append(lower, normal);
	}
	delete(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'Headers.delete');
		const key = toName(name, 'Headers.delete');
		checkGuard(this.#guard);
		this.#list.delete(key);
	}
	get(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'Headers.get');
		return this.#list.get(toName(name, 'Headers.get'));
	}
	getSetCookie() {
		if (!(#list in this)) illegalInvocation();
		const items = this.#list.all();
		const cookies = [];
		for (let i = 0; i < items.length; i += 2)
			if (items[i] === 'set-cookie') ArrayPrototypePush(cookies, items[i + 1]);
		return cookies;
	}
	has(name) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 1, 'Headers.has');
		return this.#list.has(toName(name, 'Headers.has'));
	}
	set(name, value) {
		if (!(#list in this)) illegalInvocation();
		requireArguments(arguments.length, 2, 'Headers.set');
		const key = toByteString(name, 'Headers.set');
		const text = toByteString(value, 'Headers.set');
		const lower = toName(key, 'Headers.set');
		const normal = toValue(text, 'Headers.set');
		checkGuard(this.#guard);
		this.#list.set(lower, normal);
	}
	[inspectCustom](depth, options, inspect) {
		if (!isHeaders(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[Headers]', 'special');
		const shown = { __proto__: null };
		const pairs = this.#list.sortAndCombine();
		for (let i = 0; i < pairs.length; i++) {
			const { 0: name, 1: value } = pairs[i];
			shown[name] = name in shown ? `${shown[name]}, ${value}` : value;
		}
		return `Headers ${inspect(shown, options)}`;
	}
	static {
		listOf = (headers) => headers.#list;
		guardOf = (headers) => headers.#guard;
		isHeaders = (value) => isObject(value) && #list in value;
	}
}
// The arguments after init are the library's.
Object.defineProperty(Headers, 'length', { value: 0, configurable: true });
defineInterface(Headers, 'Headers');
definePairIterable(Headers, 'Headers', (headers, index) => {
	if (!isHeaders(headers)) illegalInvocation();
	const pair = listOf(headers).sortAndCombine()[index];
	return pair === undefined ? undefined : [pair[0], pair[1]];
});
originalEntries = Headers.prototype[SymbolIterator];

// ---- for the library ----

export { guardOf as headersGuard, isHeaders, listOf as headerList };

export function wrapHeaders(list, guard) {
	return new Headers(internalToken, list, guard);
}
