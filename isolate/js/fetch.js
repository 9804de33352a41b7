// Request and Response (fetch standard, sections 5.3 to 5.5). A server has no origin, no
// cookies of its own and no cache: what concerns those is kept and shown, and not acted
// on. fetch() itself is fetch_client.js.

import {
	JSONStringify,
	ObjectDefineProperty,
	RangeError,
	SafeMap,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeToUpperCase,
	TypeError,
	isolate,
} from './primordials.js';
import {
	anyOf,
	createAbortSignal,
	isAbortSignal,
} from './abort.js';
import {
	Body,
	cloneBody,
	extractBody,
	installBody,
	isUnusable,
	JSON_TYPE,
	moveBody,
} from './body.js';
import {
	HeaderList,
	IMMUTABLE,
	isToken,
	listFromInit,
	MUTABLE,
	toByteString,
	wrapHeaders,
} from './headers.js';
import { isURL, parseHref } from './url.js';
import {
	defineInterface,
	illegalInvocation,
	inspectCustom,
	internalToken,
	isObject,
	requireArguments,
	toDictionary,
	toUSVString,
} from './webidl.js';
import { checkWebSocket } from './websocket/pair.js';

// ---- requests ----

// What a request has beside method, URL, headers, body and signal: shared until one of
// them is set.
class Settings {
	mode = 'cors';
	credentials = 'same-origin';
	cache = 'default';
	redirect = 'follow';
	referrer = 'about:client';
	referrerPolicy = '';
	integrity = '';
	keepalive = false;
	unix = ''; // an extension: the path of the socket that the server listens on
}
isolate(Settings);
const defaults = new Settings();

function copySettings(settings) {
	const copy = new Settings();
	copy.mode = settings.mode;
	copy.credentials = settings.credentials;
	copy.cache = settings.cache;
	copy.redirect = settings.redirect;
	copy.referrer = settings.referrer;
	copy.referrerPolicy = settings.referrerPolicy;
	copy.integrity = settings.integrity;
	copy.keepalive = settings.keepalive;
	copy.unix = settings.unix;
	return copy;
}

// Requests that the server received are of a subclass (isolate/js/server.js), which
// makes url, list, body and signal when they are asked for.
export class RequestState {
	constructor() {
		this.method = 'GET';
		this.href = '';
		this.list = undefined; // HeaderList
		this.headers = undefined; // Headers, once asked for
		this.guard = MUTABLE;
		this.content = null; // Body
		this.abortSignal = undefined;
		this.settings = defaults;
	}
	url() {
		return this.href;
	}
	headerList() {
		return (this.list ??= new HeaderList());
	}
	body() {
		return this.content;
	}
	signal() {
		return (this.abortSignal ??= createAbortSignal());
	}
}
isolate(RequestState);

const referrerPolicies = enumeration('referrerPolicy', [
	'', 'no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin',
	'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url',
]);
const modes = enumeration('mode', ['navigate', 'same-origin', 'no-cors', 'cors']);
const credentials = enumeration('credentials', ['omit', 'same-origin', 'include']);
const caches = enumeration('cache', [
	'default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached',
]);
const redirects = enumeration('redirect', ['follow', 'error', 'manual']);
const duplexes = enumeration('duplex', ['half']);
const priorities = enumeration('priority', ['high', 'low', 'auto']);

function enumeration(name, values) {
	return (value) => {
		const text = `${value}`;
		for (let i = 0; i < values.length; i++) if (values[i] === text) return text;
		throw new TypeError(`Request constructor: "${text}" is not a valid value for ${name}`);
	};
}

const normalMethods = new SafeMap();
for (const method of ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'])
	normalMethods.set(method, method);

function toMethod(value) {
	const text = toByteString(value, 'Request constructor: method');
	const known = normalMethods.get(text);
	if (known !== undefined) return known;
	if (!isToken(text)) throw new TypeError(`'${text}' is not a valid HTTP method.`);
	const upper = StringPrototypeToUpperCase(text);
	if (upper === 'CONNECT' || upper === 'TRACE' || upper === 'TRACK')
		throw new TypeError(`'${text}' HTTP method is unsupported.`);
	return normalMethods.get(upper) ?? text;
}

function hasCredentials(href) {
	const slashes = StringPrototypeIndexOf(href, '//');
	if (slashes < 0) return false;
	const path = StringPrototypeIndexOf(href, '/', slashes + 2);
	const authority = StringPrototypeSlice(href, slashes + 2, path < 0 ? href.length : path);
	return StringPrototypeIndexOf(authority, '@') >= 0;
}

function toHref(input) {
	const text = isURL(input) ? input.href : toUSVString(input);
	const href = parseHref(text, undefined);
	if (href === undefined) {
		const error = new TypeError(`Failed to parse URL from ${text}`);
		error.code = 'ERR_INVALID_URL';
		throw error;
	}
	if (hasCredentials(href))
		throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${text}`);
	return href;
}

// RequestInit, its members read once, in the order that WebIDL says.
function readInit(init) {
	const given = { __proto__: null };
	let any = false;
	const read = (name, convert) => {
		const value = init[name];
		if (value === undefined) return;
		any = true;
		given[name] = convert(value);
	};
	const same = (value) => value;
	read('body', same);
	read('cache', caches);
	read('credentials', credentials);
	read('duplex', duplexes);
	read('headers', listFromInit);
	read('integrity', (value) => `${value}`);
	read('keepalive', (value) => !!value);
	read('method', (value) => toByteString(value, 'Request constructor: method'));
	read('mode', modes);
	read('priority', priorities);
	read('redirect', redirects);
	read('referrer', toUSVString);
	read('referrerPolicy', referrerPolicies);
	read('signal', (value) => {
		if (value !== null && !isAbortSignal(value))
			throw new TypeError('Request constructor: signal is not an AbortSignal');
		return value;
	});
	read('unix', toUSVString);
	read('window', same);
	return any ? given : undefined;
}

function applySettings(state, given) {
	const settings = copySettings(state.settings);
	state.settings = settings;
	if (settings.mode === 'navigate') settings.mode = 'same-origin';
	settings.referrer = 'about:client';
	settings.referrerPolicy = '';
	if (given.referrer !== undefined) {
		if (given.referrer === '') {
			settings.referrer = 'no-referrer';
		} else {
			// Without an origin of its own, no referrer is same-origin: it is the client's.
			if (parseHref(given.referrer, undefined) === undefined)
				throw new TypeError(`Referrer "${given.referrer}" is not a valid URL.`);
			settings.referrer = 'about:client';
		}
	}
	if (given.referrerPolicy !== undefined) settings.referrerPolicy = given.referrerPolicy;
	if (given.mode === 'navigate')
		throw new TypeError('Request constructor: mode "navigate" is not allowed');
	if (given.mode !== undefined) settings.mode = given.mode;
	if (given.credentials !== undefined) settings.credentials = given.credentials;
	if (given.cache !== undefined) settings.cache = given.cache;
	if (settings.cache === 'only-if-cached' && settings.mode !== 'same-origin')
		throw new TypeError("'only-if-cached' can be set only with 'same-origin' mode");
	if (given.redirect !== undefined) settings.redirect = given.redirect;
	if (given.integrity !== undefined) settings.integrity = given.integrity;
	if (given.keepalive !== undefined) settings.keepalive = given.keepalive;
	if (given.unix !== undefined) settings.unix = given.unix;
}

function applyInit(state, given, inputBody) {
	if (given.window !== undefined && given.window !== null)
		throw new TypeError("Request constructor: 'window' must be null");
	applySettings(state, given);
	if (given.method !== undefined) state.method = toMethod(given.method);
	if (given.signal !== undefined) state.abortSignal = given.signal ?? undefined;
	if (
		state.settings.mode === 'no-cors' &&
		state.method !== 'GET' && state.method !== 'HEAD' && state.method !== 'POST'
	)
		throw new TypeError(`'${state.method}' is unsupported in no-cors mode.`);
	if (given.headers !== undefined) state.list = given.headers;
	const bodyGiven = given.body !== undefined && given.body !== null;
	if ((bodyGiven || inputBody !== null) && (state.method === 'GET' || state.method === 'HEAD'))
		throw new TypeError('Request with GET/HEAD method cannot have body.');
	if (!bodyGiven) return;
	const body = extractBody(given.body, state.settings.keepalive);
	if (body.source === undefined && given.duplex === undefined)
		throw new TypeError("RequestInit: duplex option is required when sending a body.");
	state.content = body;
	if (body.type !== undefined && !state.headerList().has('content-type'))
		state.headerList().append('content-type', body.type);
}

// SOURCE: the state of the request that is copied, or undefined.
function makeRequest(source, input, init) {
	const state = new RequestState();
	const dictionary = toDictionary(init, 'Request constructor');
	const given = readInit(dictionary);
	let inputBody = null;
	if (source === undefined) {
		state.href = toHref(input);
	} else {
		state.href = source.url();
		state.method = source.method;
		state.settings = source.settings;
		state.list = source.headerList().copy();
		state.abortSignal = source.signal();
		inputBody = source.body();
	}
	if (given !== undefined) applyInit(state, given, inputBody);
	// The new request has a signal of its own, which follows the one it was given.
	if (state.abortSignal !== undefined) state.abortSignal = anyOf([state.abortSignal]);
	if (state.content === null && inputBody !== null) {
		if (isUnusable(inputBody))
			throw new TypeError('Cannot construct a Request with a Request object that has already been used.');
		state.content = moveBody(inputBody);
	}
	return state;
}

let stateOfRequest;
let isRequest;

export class Request {
	#state;

	constructor(input, init = undefined) {
		if (input === internalToken) {
			this.#state = init;
			return;
		}
		requireArguments(arguments.length, 1, 'Request constructor');
		this.#state = makeRequest(isRequest(input) ? input.#state : undefined, input, init);
	}
	get method() {
		return #state in this ? this.#state.method : illegalInvocation();
	}
	get url() {
		return #state in this ? this.#state.url() : illegalInvocation();
	}
	get headers() {
		if (!(#state in this)) illegalInvocation();
		const state = this.#state;
		return (state.headers ??= wrapHeaders(state.headerList(), state.guard));
	}
	get destination() {
		return #state in this ? '' : illegalInvocation();
	}
	get referrer() {
		if (!(#state in this)) illegalInvocation();
		const { referrer } = this.#state.settings;
		return referrer === 'no-referrer' ? '' : referrer;
	}
	get referrerPolicy() {
		return #state in this ? this.#state.settings.referrerPolicy : illegalInvocation();
	}
	get mode() {
		return #state in this ? this.#state.settings.mode : illegalInvocation();
	}
	get credentials() {
		return #state in this ? this.#state.settings.credentials : illegalInvocation();
	}
	get cache() {
		return #state in this ? this.#state.settings.cache : illegalInvocation();
	}
	get redirect() {
		return #state in this ? this.#state.settings.redirect : illegalInvocation();
	}
	get integrity() {
		return #state in this ? this.#state.settings.integrity : illegalInvocation();
	}
	get keepalive() {
		return #state in this ? this.#state.settings.keepalive : illegalInvocation();
	}
	get isReloadNavigation() {
		return #state in this ? false : illegalInvocation();
	}
	get isHistoryNavigation() {
		return #state in this ? false : illegalInvocation();
	}
	get signal() {
		return #state in this ? this.#state.signal() : illegalInvocation();
	}
	get duplex() {
		return #state in this ? 'half' : illegalInvocation();
	}
	clone() {
		if (!(#state in this)) illegalInvocation();
		const source = this.#state;
		const body = source.body();
		if (body !== null && isUnusable(body))
			throw new TypeError('Cannot clone a request whose body has been used or is locked');
		const state = new RequestState();
		state.method = source.method;
		state.href = source.url();
		state.list = source.headerList().copy();
		state.guard = source.guard;
		state.settings = source.settings;
		state.content = body === null ? null : cloneBody(body);
		state.abortSignal = anyOf([source.signal()]);
		return new Request(internalToken, state);
	}
	[inspectCustom](depth, options, inspect) {
		if (!isRequest(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[Request]', 'special');
		const { body, bodyUsed, headers, method, signal, url } = this;
		return `Request ${inspect({ method, url, headers, body, bodyUsed, signal }, options)}`;
	}
	static {
		stateOfRequest = (request) => request.#state;
		isRequest = (value) => isObject(value) && #state in value;
	}
}
installBody(
	Request,
	(value) => (isRequest(value) ? stateOfRequest(value).body() : undefined),
	(value) => stateOfRequest(value).headerList().get('content-type'),
);
defineInterface(Request, 'Request');

export { isRequest, stateOfRequest };

export function wrapRequest(state) {
	return new Request(internalToken, state);
}

// ---- responses ----

export class ResponseState {
	constructor(body, status, statusText, list) {
		this.body = body; // Body or null
		this.status = status;
		this.statusText = statusText;
		this.list = list; // HeaderList; undefined: what the body's type says
		this.headers = undefined; // Headers, once asked for
		this.guard = MUTABLE;
		this.type = 'default';
		this.href = ''; // where it came from
		this.redirected = false;
		this.webSocket = undefined; // that the client gets, with status 101
	}
	headerList() {
		if (this.list === undefined) {
			this.list = new HeaderList();
			if (this.body !== null && this.body.type !== undefined)
				this.list.append('content-type', this.body.type);
		}
		return this.list;
	}
}
isolate(ResponseState);

function hasNullBody(status) {
	return status === 204 || status === 205 || status === 304 || status === 101 || status === 103;
}

// unsigned short, by modulo.
function toStatus(value) {
	const number = +value;
	return number === number && number !== Infinity && number !== -Infinity ? number & 0xffff : 0;
}

function checkStatusText(text) {
	for (let i = 0; i < text.length; i++) {
		const code = StringPrototypeCharCodeAt(text, i);
		if (!(code === 9 || (code >= 32 && code <= 126) || code >= 128))
			throw new TypeError('Response constructor: invalid statusText');
	}
	return text;
}

// The state of a response with BODY (a Body or null) and INIT, a ResponseInit.
function makeResponse(body, init) {
	if (init === undefined || init === null) return new ResponseState(body, 200, '', undefined);
	const dictionary = toDictionary(init, 'Response constructor');
	const { headers, webSocket } = dictionary;
	const list = headers === undefined ? undefined : listFromInit(headers);
	let { status, statusText } = dictionary;
	status = status === undefined ? 200 : typeof status === 'number' ? status & 0xffff : toStatus(status);
	statusText =
		statusText === undefined ? '' : toByteString(statusText, 'Response constructor: statusText');
	const upgrades = webSocket !== undefined && webSocket !== null;
	if (upgrades) checkWebSocket(webSocket, status);
	else if (status < 200 || status > 599)
		throw new RangeError(`The status provided (${status}) must be in the range of 200 to 599.`);
	if (statusText !== '') checkStatusText(statusText);
	if (body !== null) {
		if (hasNullBody(status))
			throw new TypeError(`Response with null body status (${status}) cannot have body`);
		if (list !== undefined && body.type !== undefined && !list.has('content-type'))
			list.append('content-type', body.type);
	}
	const state = new ResponseState(body, status, statusText, list);
	if (upgrades) state.webSocket = webSocket;
	return state;
}

let stateOfResponse;
let isResponse;

export class Response {
	#state;

	constructor(body = null, init = undefined) {
		if (body === internalToken) {
			this.#state = init;
			return;
		}
		const extracted = body === null || body === undefined ? null : extractBody(body);
		this.#state = makeResponse(extracted, init);
	}
	static error() {
		const state = new ResponseState(null, 0, '', new HeaderList());
		state.type = 'error';
		state.guard = IMMUTABLE;
		return new Response(internalToken, state);
	}
	static redirect(url, status = 302) {
		requireArguments(arguments.length, 1, 'Response.redirect');
		const href = parseHref(isURL(url) ? url.href : toUSVString(url), undefined);
		const code = toStatus(status);
		if (href === undefined) throw new TypeError(`Failed to parse URL from ${url}`);
		if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308)
			throw new RangeError(`Invalid status code ${code}`);
		const list = new HeaderList();
		list.append('location', href);
		const state = new ResponseState(null, code, '', list);
		state.guard = IMMUTABLE;
		return new Response(internalToken, state);
	}
	static json(data, init = undefined) {
		requireArguments(arguments.length, 1, 'Response.json');
		const text = JSONStringify(data);
		if (text === undefined) throw new TypeError('The data is not JSON serializable');
		const body = new Body(text, JSON_TYPE);
		return new Response(internalToken, makeResponse(body, init));
	}
	get type() {
		return #state in this ? this.#state.type : illegalInvocation();
	}
	get url() {
		return #state in this ? this.#state.href : illegalInvocation();
	}
	get redirected() {
		return #state in this ? this.#state.redirected : illegalInvocation();
	}
	get status() {
		return #state in this ? this.#state.status : illegalInvocation();
	}
	get ok() {
		if (!(#state in this)) illegalInvocation();
		const { status } = this.#state;
		return status >= 200 && status <= 299;
	}
	get statusText() {
		return #state in this ? this.#state.statusText : illegalInvocation();
	}
	get headers() {
		if (!(#state in this)) illegalInvocation();
		const state = this.#state;
		return (state.headers ??= wrapHeaders(state.headerList(), state.guard));
	}
	get webSocket() {
		return #state in this ? (this.#state.webSocket ?? null) : illegalInvocation();
	}
	clone() {
		if (!(#state in this)) illegalInvocation();
		const source = this.#state;
		const { body } = source;
		if (source.webSocket !== undefined) throw new TypeError('Response.clone: it has a webSocket');
		if (body !== null && isUnusable(body))
			throw new TypeError('Response.clone: Body has already been consumed.');
		const list = source.headerList().copy();
		const clone = body === null ? null : cloneBody(body);
		const state = new ResponseState(clone, source.status, source.statusText, list);
		state.type = source.type;
		state.guard = source.guard;
		state.href = source.href;
		state.redirected = source.redirected;
		return new Response(internalToken, state);
	}
	[inspectCustom](depth, options, inspect) {
		if (!isResponse(this)) return this;
		if (typeof depth === 'number' && depth < 0) return options.stylize('[Response]', 'special');
		const { body, bodyUsed, headers, ok, redirected, status, statusText, type, url } = this;
		const shown = { status, statusText, headers, body, bodyUsed, ok, redirected, type, url };
		return `Response ${inspect(shown, options)}`;
	}
	static {
		stateOfResponse = (response) => response.#state;
		isResponse = (value) => isObject(value) && #state in value;
	}
}
installBody(
	Response,
	(value) => (isResponse(value) ? stateOfResponse(value).body : undefined),
	(value) => stateOfResponse(value).headerList().get('content-type'),
);
ObjectDefineProperty(Response, 'length', { __proto__: null, value: 0, configurable: true });
defineInterface(Response, 'Response');

export { isResponse, stateOfResponse };

export function wrapResponse(state) {
	return new Response(internalToken, state);
}
