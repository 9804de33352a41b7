// URLPattern (the URL Pattern standard). ada says what a pattern asks of each component
// (isolate/native_url_pattern.c); matching is done here.

import {
	isolate,
	ObjectDefineProperty,
	RegExp,
	RegExpPrototypeExec,
	StringPrototypeToWellFormed,
	TypeError,
} from './primordials.js';
import { native } from './native.js';
import { urlComponents } from './url.js';
import { defineInterface, illegalInvocation, isObject, toDictionary } from './webidl.js';

const { urlPatternParse, urlPatternProcess } = native;

// The order of engine/url_pattern.h; baseURL comes last in an init.
const NAMES = ['protocol', 'username', 'password', 'hostname', 'port', 'pathname', 'search', 'hash'];
const PROTOCOL = 0;
const USERNAME = 1;
const PASSWORD = 2;
const HOSTNAME = 3;
const PORT = 4;
const PATHNAME = 5;
const SEARCH = 6;
const HASH = 7;
const BASE = 8;
// WebIDL reads and writes the members of a dictionary in this order.
const SORTED_INIT = [BASE, HASH, HOSTNAME, PASSWORD, PATHNAME, PORT, PROTOCOL, SEARCH, USERNAME];
const SORTED_BEFORE_INPUTS = [HASH, HOSTNAME];
const SORTED_AFTER_INPUTS = [PASSWORD, PATHNAME, PORT, PROTOCOL, SEARCH, USERNAME];

// enum url_pattern_kind
const EMPTY = 0;
const LITERAL = 1;
const ANYTHING = 2;

function failure(code, message) {
	const error = new TypeError(message);
	error.code = code;
	return error;
}

function define(object, name, value) {
	ObjectDefineProperty(object, name, {
		__proto__: null,
		value,
		writable: true,
		enumerable: true,
		configurable: true,
	});
}

function toUSVString(value) {
	return StringPrototypeToWellFormed(`${value}`);
}

// ---- inputs ----

// A string, or the nine members of a URLPatternInit.
function toInput(value, what) {
	if (!isObject(value) && value !== undefined && value !== null) {
		if (typeof value === 'symbol') throw new TypeError('Cannot convert a Symbol value to a string');
		return toUSVString(value);
	}
	const init = toDictionary(value, what);
	const members = [
		undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined, undefined,
	];
	for (let i = 0; i < SORTED_INIT.length; i++) {
		const member = SORTED_INIT[i];
		const given = init[member === BASE ? 'baseURL' : NAMES[member]];
		if (given !== undefined) members[member] = toUSVString(given);
	}
	return members;
}

// What a result shows of an input.
function shownInput(input) {
	if (typeof input === 'string') return input;
	const shown = {};
	for (let i = 0; i < SORTED_INIT.length; i++) {
		const member = SORTED_INIT[i];
		if (input[member] !== undefined)
			define(shown, member === BASE ? 'baseURL' : NAMES[member], input[member]);
	}
	return shown;
}

// ---- parsing ----

// A component of a pattern.
class Component {
	constructor(parsed, ignoreCase) {
		this.pattern = parsed[0];
		this.kind = parsed[1];
		this.text = parsed[2];
		this.regExpGroups = parsed[3];
		this.names = [];
		for (let i = 4; i < parsed.length; i++) this.names[i - 4] = parsed[i];
		this.regExp = undefined; // made when it is first needed
		this.flags = ignoreCase ? 'vi' : 'v';
	}
	// What the groups matched, or null.
	match(input) {
		if (this.kind === ANYTHING) return [input];
		if (this.kind === EMPTY) return input === '' ? [] : null;
		if (this.kind === LITERAL) return input === this.text ? [] : null;
		this.regExp ??= new RegExp(this.text, this.flags);
		const found = RegExpPrototypeExec(this.regExp, input);
		if (found === null) return null;
		const groups = [];
		for (let i = 1; i < found.length; i++) groups[i - 1] = found[i];
		return groups;
	}
	// A URLPatternComponentResult.
	result(input, matched) {
		const groups = {};
		for (let i = 0; i < this.names.length; i++) define(groups, this.names[i], matched[i]);
		const result = {};
		define(result, 'groups', groups);
		define(result, 'input', input);
		return result;
	}
}
isolate(Component);

function parsePattern(input, base, ignoreCase) {
	const flags = ignoreCase ? 'vi' : 'v';
	const parsed = urlPatternParse(input, base, ignoreCase, (source, text) => {
		const regExp = new RegExp(source, flags);
		return text === undefined || RegExpPrototypeExec(regExp, text) !== null;
	});
	if (parsed === undefined)
		throw failure('ERR_INVALID_URL_PATTERN', 'Failed to construct URLPattern');
	const components = [];
	for (let i = 0; i < NAMES.length; i++) components[i] = new Component(parsed[i], ignoreCase);
	return components;
}

// ---- matching ----

// The eight strings to match, or null where the input is no URL.
function componentsOf(input, base) {
	return (typeof input === 'string' ? urlComponents(input, base) : urlPatternProcess(input)) ?? null;
}

function match(components, input, base) {
	const values = componentsOf(input, base);
	if (values === null) return null;
	const matched = [];
	for (let i = 0; i < components.length; i++) {
		const groups = components[i].match(values[i]);
		if (groups === null) return null;
		matched[i] = groups;
	}
	return { values, matched };
}

function resultOf(components, { values, matched }, inputs) {
	const result = {};
	const add = (index) =>
		define(result, NAMES[index], components[index].result(values[index], matched[index]));
	for (let i = 0; i < SORTED_BEFORE_INPUTS.length; i++) add(SORTED_BEFORE_INPUTS[i]);
	define(result, 'inputs', inputs);
	for (let i = 0; i < SORTED_AFTER_INPUTS.length; i++) add(SORTED_AFTER_INPUTS[i]);
	return result;
}

// ---- the interface ----

// The overloads of the constructor: (input, baseURL, options) and (input, options).
function constructorArguments(count, input, second, third) {
	const withBase =
		count > 2 || (second !== undefined && second !== null && !isObject(second));
	const pattern = toInput(input, 'URLPattern constructor');
	const base = withBase ? toUSVString(second) : undefined;
	const options = toDictionary(withBase ? third : second, 'URLPattern constructor');
	return { pattern, base, ignoreCase: !!options.ignoreCase };
}

let componentsOfPattern, isURLPattern;

export class URLPattern {
	#components;

	constructor(input = {}, baseURL = undefined, options = undefined) {
		const { pattern, base, ignoreCase } = constructorArguments(
			arguments.length,
			input,
			baseURL,
			options,
		);
		if (base !== undefined && typeof pattern !== 'string')
			throw failure('ERR_INVALID_URL_PATTERN', 'A base URL goes with a pattern that is a string');
		this.#components = parsePattern(pattern, base, ignoreCase);
	}
	test(input = undefined, baseURL = undefined) {
		const components = of(this);
		const { given, base } = matchArguments(input, baseURL, 'test');
		return match(components, given, base) !== null;
	}
	exec(input = undefined, baseURL = undefined) {
		const components = of(this);
		const { given, base } = matchArguments(input, baseURL, 'exec');
		const found = match(components, given, base);
		if (found === null) return null;
		const inputs = [shownInput(given)];
		if (base !== undefined) inputs[1] = base;
		return resultOf(components, found, inputs);
	}
	get protocol() {
		return of(this)[PROTOCOL].pattern;
	}
	get username() {
		return of(this)[USERNAME].pattern;
	}
	get password() {
		return of(this)[PASSWORD].pattern;
	}
	get hostname() {
		return of(this)[HOSTNAME].pattern;
	}
	get port() {
		return of(this)[PORT].pattern;
	}
	get pathname() {
		return of(this)[PATHNAME].pattern;
	}
	get search() {
		return of(this)[SEARCH].pattern;
	}
	get hash() {
		return of(this)[HASH].pattern;
	}
	get hasRegExpGroups() {
		const components = of(this);
		for (let i = 0; i < components.length; i++) if (components[i].regExpGroups) return true;
		return false;
	}
	static {
		componentsOfPattern = (pattern) => pattern.#components;
		isURLPattern = (value) => isObject(value) && #components in value;
	}
}
defineInterface(URLPattern, 'URLPattern');

function of(value) {
	return isURLPattern(value) ? componentsOfPattern(value) : illegalInvocation();
}

function matchArguments(input, baseURL, method) {
	const given = toInput(input, `URLPattern.${method}`);
	const base = baseURL === undefined ? undefined : toUSVString(baseURL);
	if (base !== undefined && typeof given !== 'string')
		throw failure('ERR_OPERATION_FAILED', `Failed to ${method} URLPattern`);
	return { given, base };
}
