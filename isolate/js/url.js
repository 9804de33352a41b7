// URL (the WHATWG URL standard). The parser is ada's: one native call parses, and fills
// in where the components begin; getters slice the href.

import {
	isolate,
	ObjectGetPrototypeOf,
	StringPrototypeSlice,
	TypeError,
	Uint32Array,
} from './primordials.js';
import { native } from './native.js';
import { attachParams, updateParams, URLSearchParams } from './urlsearchparams.js';
import {
	defineAlias,
	defineInterface,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
} from './webidl.js';

export { URLSearchParams };

const { urlCanParse, urlParse, urlUpdate } = native;

// Where native calls put the components of the URL they parsed (isolate/native_url.c).
const components = new Uint32Array(8);
const OMITTED = 0xffffffff;

// Which part urlUpdate changes; the order of native_url.c.
const HREF = 0;
const PROTOCOL = 1;
const USERNAME = 2;
const PASSWORD = 3;
const HOST = 4;
const HOSTNAME = 5;
const PORT = 6;
const PATHNAME = 7;
const SEARCH = 8;
const HASH = 9;

class Parts {
	constructor(href) {
		this.href = href;
		this.take();
		this.params = undefined; // the searchParams object, once asked for
	}
	take() {
		this.protocolEnd = components[0];
		this.usernameEnd = components[1];
		this.hostStart = components[2];
		this.hostEnd = components[3];
		this.port = components[4];
		this.pathnameStart = components[5];
		this.searchStart = components[6];
		this.hashStart = components[7];
	}
}
isolate(Parts);

function invalidUrl(input, base) {
	const error = new TypeError('Invalid URL');
	error.code = 'ERR_INVALID_URL';
	error.input = input;
	if (base !== undefined) error.base = base;
	return error;
}

// Parts of the URL, or undefined.
function parse(input, base) {
	const href = urlParse(input, base, components);
	return href === undefined ? undefined : new Parts(href);
}

// ---- components ----

function username(parts) {
	return parts.protocolEnd + 2 < parts.usernameEnd
		? StringPrototypeSlice(parts.href, parts.protocolEnd + 2, parts.usernameEnd)
		: '';
}

function password(parts) {
	return parts.hostStart > parts.usernameEnd
		? StringPrototypeSlice(parts.href, parts.usernameEnd + 1, parts.hostStart)
		: '';
}

function port(parts) {
	return parts.port === OMITTED ? '' : `${parts.port}`;
}

function hash(parts) {
	return parts.hashStart === OMITTED || parts.href.length - parts.hashStart <= 1
		? ''
		: StringPrototypeSlice(parts.href, parts.hashStart);
}

function search(parts) {
	if (parts.searchStart === OMITTED) return '';
	const end = parts.hashStart === OMITTED ? parts.href.length : parts.hashStart;
	return end - parts.searchStart <= 1
		? ''
		: StringPrototypeSlice(parts.href, parts.searchStart, end);
}

function hostname(parts) {
	let start = parts.hostStart;
	if (parts.href[start] === '@') start++;
	return StringPrototypeSlice(parts.href, start, parts.hostEnd);
}

function host(parts) {
	const name = hostname(parts);
	return parts.port === OMITTED ? name : `${name}:${parts.port}`;
}

function pathname(parts) {
	const end = parts.searchStart !== OMITTED ? parts.searchStart : parts.hashStart;
	return StringPrototypeSlice(
		parts.href,
		parts.pathnameStart,
		end === OMITTED ? parts.href.length : end,
	);
}

function origin(parts) {
	const protocol = StringPrototypeSlice(parts.href, 0, parts.protocolEnd);
	switch (protocol) {
		case 'http:':
		case 'https:':
		case 'ftp:':
		case 'ws:':
		case 'wss:':
			return `${protocol}//${host(parts)}`;
		case 'blob:': {
			const inner = parse(pathname(parts), undefined);
			if (inner === undefined) return 'null';
			const scheme = StringPrototypeSlice(inner.href, 0, inner.protocolEnd);
			return scheme === 'http:' || scheme === 'https:' ? origin(inner) : 'null';
		}
		default:
			return 'null';
	}
}

// ---- the class ----

let partsOf;
let isURL;

function change(parts, part, value) {
	const href = urlUpdate(parts.href, part, value, components);
	if (href === undefined) return false;
	parts.href = href;
	parts.take();
	return true;
}

export class URL {
	#parts;

	constructor(url, base = undefined) {
		if (url === internalToken) {
			this.#parts = base;
			return;
		}
		requireArguments(arguments.length, 1, 'URL constructor');
		url = `${url}`;
		if (base !== undefined) base = `${base}`;
		const parts = parse(url, base);
		if (parts === undefined) throw invalidUrl(url, base);
		this.#parts = parts;
	}
	static parse(url, base = undefined) {
		requireArguments(arguments.length, 1, 'URL.parse');
		const parts = parse(`${url}`, base === undefined ? undefined : `${base}`);
		if (parts === undefined) return null;
		return new URL(internalToken, parts);
	}
	static canParse(url, base = undefined) {
		requireArguments(arguments.length, 1, 'URL.canParse');
		return urlCanParse(`${url}`, base === undefined ? undefined : `${base}`);
	}
	get href() {
		return of(this).href;
	}
	set href(value) {
		const parts = of(this);
		value = `${value}`;
		if (!change(parts, HREF, value)) throw invalidUrl(value);
		if (parts.params !== undefined) updateParams(parts.params, search(parts));
	}
	get origin() {
		return origin(of(this));
	}
	get protocol() {
		const parts = of(this);
		return StringPrototypeSlice(parts.href, 0, parts.protocolEnd);
	}
	set protocol(value) {
		change(of(this), PROTOCOL, `${value}`);
	}
	get username() {
		return username(of(this));
	}
	set username(value) {
		change(of(this), USERNAME, `${value}`);
	}
	get password() {
		return password(of(this));
	}
	set password(value) {
		change(of(this), PASSWORD, `${value}`);
	}
	get host() {
		return host(of(this));
	}
	set host(value) {
		change(of(this), HOST, `${value}`);
	}
	get hostname() {
		return hostname(of(this));
	}
	set hostname(value) {
		change(of(this), HOSTNAME, `${value}`);
	}
	get port() {
		return port(of(this));
	}
	set port(value) {
		change(of(this), PORT, `${value}`);
	}
	get pathname() {
		return pathname(of(this));
	}
	set pathname(value) {
		change(of(this), PATHNAME, `${value}`);
	}
	get search() {
		return search(of(this));
	}
	set search(value) {
		const parts = of(this);
		change(parts, SEARCH, `${value}`);
		if (parts.params !== undefined) updateParams(parts.params, search(parts));
	}
	get searchParams() {
		const parts = of(this);
		return (parts.params ??= attachParams(search(parts), (serialized) =>
			change(parts, SEARCH, serialized),
		));
	}
	get hash() {
		return hash(of(this));
	}
	set hash(value) {
		change(of(this), HASH, `${value}`);
	}
	toString() {
		return of(this).href;
	}
	toJSON() {
		return of(this).href;
	}
	static {
		partsOf = (url) => url.#parts;
		isURL = (value) => isObject(value) && #parts in value;
	}
}
defineInterface(URL, 'URL');
defineAlias(URL.prototype, inspectCustom, function (depth, options, inspect) {
	if (!isURL(this)) return this;
	if (typeof depth === 'number' && depth < 0) return this;
	const Class = ObjectGetPrototypeOf(this)?.constructor ?? URL;
	const shown = { __proto__: { constructor: Class } };
	shown.href = this.href;
	shown.origin = this.origin;
	shown.protocol = this.protocol;
	shown.username = this.username;
	shown.password = this.password;
	shown.host = this.host;
	shown.hostname = this.hostname;
	shown.port = this.port;
	shown.pathname = this.pathname;
	shown.search = this.search;
	shown.searchParams = this.searchParams;
	shown.hash = this.hash;
	return `${Class.name} ${inspect(shown, options)}`;
});

function of(value) {
	return isURL(value) ? partsOf(value) : illegalInvocation();
}

// ---- for the library ----

export { isURL };

// The href of INPUT (a string) parsed with BASE (a string or undefined); undefined when
// it is not a URL.
export function parseHref(input, base) {
	return urlParse(input, base, components);
}

// What URLPattern matches of INPUT: its components without their delimiters, from the scheme
// to the fragment; undefined when it is not a URL.
export function urlComponents(input, base) {
	const parts = parse(input, base);
	if (parts === undefined) return undefined;
	return [
		StringPrototypeSlice(parts.href, 0, parts.protocolEnd - 1),
		username(parts),
		password(parts),
		hostname(parts),
		port(parts),
		pathname(parts),
		StringPrototypeSlice(search(parts), 1),
		StringPrototypeSlice(hash(parts), 1),
	];
}
