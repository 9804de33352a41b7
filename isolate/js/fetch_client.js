// fetch() (fetch standard, section 4), as far as a server runtime has use for it: no
// origin, no CORS, no cache and no cookies of its own. What may be reached is not decided
// here: each hop of a redirect asks the egress process anew.
//
// Deviations: an unlisted port is not "bad" but what the policy says; redirect 'manual'
// gives the redirect itself, with its Location, as other server runtimes do; { unix } sends
// the request over a unix socket, as Bun does.

import {
	isolate,
	NumberParseInt,
	PromisePrototypeThen,
	PromiseReject,
	PromiseWithResolvers,
	SafeSet,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeLastIndexOf,
	StringPrototypeSlice,
	StringPrototypeStartsWith,
	TypeError,
	Uint8Array,
} from './primordials.js';
import { abortReason, addAbortAlgorithm, isAborted } from './abort.js';
import { Body, isUnusable, streamOf } from './body.js';
import { isUint8Array } from './bytes.js';
import { decodeUtf8, encodeUtf8 } from './encoding.js';
import { Request, ResponseState, stateOfRequest, wrapResponse } from './fetch.js';
import { processDataUrl } from './fetch_data.js';
import { causeOf, networkError } from './fetch_errors.js';
import { hasIntegrity } from './fetch_integrity.js';
import { discardTransfer, endTransfer, Incoming, startTransfer } from './fetch_transfer.js';
import { HeaderList, IMMUTABLE } from './headers.js';
import { acquireReader, readableCancel } from './streams/readable.js';
import { parseHref } from './url.js';
import { requireArguments } from './webidl.js';

const REDIRECTS_MAX = 20;
const KIND_BYTES = 1; // isolate/js/body.js

function ignore() {}

// ---- where to ----

// What a canonical href says; URLs of http and https only.
class Target {
	constructor(href, unix) {
		const hash = StringPrototypeIndexOf(href, '#');
		this.href = hash < 0 ? href : StringPrototypeSlice(href, 0, hash);
		this.secure = StringPrototypeStartsWith(href, 'https:');
		const start = this.secure ? 8 : 7;
		let end = start;
		for (; end < this.href.length; end++) {
			const code = StringPrototypeCharCodeAt(this.href, end);
			if (code === 47 || code === 63) break; // "/", "?"
		}
		let authority = StringPrototypeSlice(this.href, start, end);
		const at = StringPrototypeLastIndexOf(authority, '@');
		this.credentials = at >= 0;
		if (at >= 0) authority = StringPrototypeSlice(authority, at + 1);
		const colon = StringPrototypeLastIndexOf(authority, ':');
		const hasPort = colon > StringPrototypeLastIndexOf(authority, ']');
		this.hostname = hasPort ? StringPrototypeSlice(authority, 0, colon) : authority;
		this.port = hasPort
			? NumberParseInt(StringPrototypeSlice(authority, colon + 1), 10)
			: this.secure ? 443 : 80;
		this.unix = unix;
		this.resource = unix === '' ? `${this.hostname}:${this.port}` : `unix:${unix}`;
	}
}
isolate(Target);

function isSameOrigin(a, b) {
	return a.secure === b.secure && a.hostname === b.hostname && a.port === b.port;
}

function isHttp(href) {
	return StringPrototypeStartsWith(href, 'http:') || StringPrototypeStartsWith(href, 'https:');
}

// ---- header fields ----

// What the client decides itself (RFC 9110 section 7.6.1, RFC 9112 section 6).
const dropped = new SafeSet();
for (const name of [
	'connection', 'content-length', 'expect', 'keep-alive', 'proxy-connection', 'te', 'trailer',
	'transfer-encoding', 'upgrade',
])
	dropped.add(name);

const defaults = [
	['accept', '*/*'],
	['accept-language', '*'],
	['user-agent', 'tenantd'],
];

const cacheFields = {
	__proto__: null,
	'no-cache': [['cache-control', 'max-age=0']],
	'no-store': [['cache-control', 'no-cache'], ['pragma', 'no-cache']],
	reload: [['cache-control', 'no-cache'], ['pragma', 'no-cache']],
};

function addMissing(list, fields) {
	let text = '';
	for (let i = 0; i < fields.length; i++)
		if (!list.has(fields[i][0])) text += `${fields[i][0]}: ${fields[i][1]}\n`;
	return text;
}

let codings; // asked for when first needed: the snapshot may be older than the decoders

function writeFields(list, cache) {
	const items = list.all();
	let text = addMissing(list, defaults);
	if (cache in cacheFields) text += addMissing(list, cacheFields[cache]);
	if (!list.has('accept-encoding'))
		text += `accept-encoding: ${list.has('range') ? 'identity' : (codings ??= native.fetchCodings())}\n`;
	// curl adds one of its own to what it uploads, unless it is told of another, or of none.
	for (let i = 0; i < items.length; i += 2)
		if (!dropped.has(items[i])) text += `${items[i]}: ${items[i + 1]}\n`;
	return text;
}

// The Content-Length that the program gave for its stream, or -1.
function givenLength(list) {
	const text = list.get('content-length');
	if (text === null || text.length === 0 || text.length > 15) return -1;
	for (let i = 0; i < text.length; i++) if (text[i] < '0' || text[i] > '9') return -1;
	return +text;
}

// ---- bodies ----

// The bytes of BODY if it has them, else undefined: there is only a stream.
function bytesOfBody(body) {
	const { source } = body;
	if (typeof source === 'string') return encodeUtf8(source);
	return source !== undefined && isUint8Array(source) ? source : undefined;
}

// Marks BODY as used, as reading it would.
function useBody(body) {
	if (body.stream === undefined) {
		body.consumed = true;
		return;
	}
	acquireReader(body.stream);
	body.stream.disturbed = true;
}

function cancelBody(body, reason) {
	if (body === null || isUnusable(body)) return;
	const stream = streamOf(body);
	PromisePrototypeThen(readableCancel(stream, reason), undefined, ignore);
}

function isNullBodyStatus(status) {
	return status === 204 || status === 205 || status === 304;
}

// ---- redirects ----

function isRedirect(status) {
	return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

// A header value's bytes are UTF-8 here, as browsers take them.
function decodeLocation(value) {
	let ascii = true;
	for (let i = 0; i < value.length; i++)
		if (StringPrototypeCharCodeAt(value, i) > 127) ascii = false;
	if (ascii) return value;
	const bytes = new Uint8Array(value.length);
	for (let i = 0; i < value.length; i++) bytes[i] = StringPrototypeCharCodeAt(value, i);
	return decodeUtf8(bytes);
}

const bodyFields = ['content-encoding', 'content-language', 'content-length', 'content-location', 'content-type'];
const privateFields = ['authorization', 'cookie', 'host', 'proxy-authorization'];

function deleteAll(list, names) {
	for (let i = 0; i < names.length; i++) list.delete(names[i]);
}

// ---- one call ----

class Fetching {
	constructor(state, resolvers) {
		this.settings = state.settings;
		this.method = state.method;
		this.list = state.headerList().copy();
		this.body = state.body();
		this.bytes = this.body === null ? undefined : bytesOfBody(this.body);
		this.signal = state.abortSignal;
		this.target = new Target(state.url(), state.settings.unix);
		this.redirects = 0;
		this.id = 0;
		this.resolve = resolvers.resolve;
		this.reject = resolvers.reject;
		this.off =
			this.signal === undefined
				? ignore
				: addAbortAlgorithm(this.signal, (reason) => this.abort(reason));
	}
	// Begins the request to the target of this hop.
	begin() {
		const { body, bytes, method, target } = this;
		let content = bytes;
		if (body !== null && this.redirects === 0) {
			if (bytes === undefined) content = streamOf(body);
			else useBody(body);
		}
		const fields = writeFields(this.list, this.settings.cache);
		const length = bytes === undefined && body !== null ? givenLength(this.list) : -1;
		try {
			this.id = startTransfer(this, target, target.href, method, fields, content, length);
		} catch (cause) {
			if (body !== null && bytes === undefined) cancelBody(body, cause);
			this.onFailed(cause);
		}
	}
	onFailed(cause) {
		this.off();
		this.reject(networkError(cause));
	}
	abort(reason) {
		this.off();
		endTransfer(this.id, reason);
		this.reject(reason);
	}
	onHead(status, reason, block) {
		const list = HeaderList.ofBlock(block, 0);
		const mode = this.settings.redirect;
		if (mode !== 'manual' && isRedirect(status)) {
			const location = list.get('location');
			if (mode === 'error') {
				this.#refuse('ERR_REDIRECT', 'unexpected redirect, with redirect: "error"');
				return;
			}
			if (location !== null) {
				this.#follow(status, location);
				return;
			}
		}
		this.#respond(status, reason, list);
	}
	#refuse(code, text) {
		const cause = causeOf(code, `${text} (from ${this.target.resource})`);
		endTransfer(this.id, cause);
		this.onFailed(cause);
	}
	#follow(status, location) {
		const { body, target } = this;
		const href = parseHref(decodeLocation(location), target.href);
		if (href === undefined) return this.#refuse('ERR_INVALID_URL', 'redirect to an invalid URL');
		if (!isHttp(href))
			return this.#refuse('ERR_REDIRECT', 'redirect to a URL that is not http or https');
		if (++this.redirects > REDIRECTS_MAX)
			return this.#refuse('ERR_REDIRECT', `more than ${REDIRECTS_MAX} redirects`);
		const next = new Target(href, '');
		if (next.credentials)
			return this.#refuse('ERR_REDIRECT', 'redirect to a URL that includes credentials');
		if (status !== 303 && body !== null && this.bytes === undefined)
			return this.#refuse('ERR_REDIRECT', 'redirect of a request whose body is a stream');
		const { method } = this;
		if (
			((status === 301 || status === 302) && method === 'POST') ||
			(status === 303 && method !== 'GET' && method !== 'HEAD')
		) {
			this.method = 'GET';
			this.body = null;
			this.bytes = undefined;
			deleteAll(this.list, bodyFields);
		}
		if (isSameOrigin(next, target)) this.target = new Target(href, target.unix);
		else {
			deleteAll(this.list, privateFields);
			this.target = next;
		}
		discardTransfer(this.id);
		this.begin();
		return undefined;
	}
	#respond(status, reason, list) {
		this.off();
		let body = null;
		if (this.method === 'HEAD' || isNullBodyStatus(status)) {
			discardTransfer(this.id);
		} else {
			body = new Body(new Incoming(this.id, this.target, this.signal), undefined);
		}
		const state = new ResponseState(body, status, reason, list);
		state.guard = IMMUTABLE;
		state.type = 'basic';
		state.href = this.target.href;
		state.redirected = this.redirects > 0;
		const { integrity } = this.settings;
		if (integrity === '') this.resolve(wrapResponse(state));
		else this.#check(state, integrity);
	}
	// The response is not there before all of it is known to be right.
	#check(state, integrity) {
		const check = (bytes) => {
			if (!hasIntegrity(bytes, integrity)) {
				const text = `the body from ${this.target.resource} does not have the integrity that was asked for`;
				this.reject(networkError(causeOf('ERR_INTEGRITY', text)));
				return;
			}
			if (state.body !== null) state.body = new Body(bytes, undefined);
			this.resolve(wrapResponse(state));
		};
		try {
			const value = state.body === null ? new Uint8Array(0) : state.body.source.whole(KIND_BYTES);
			if (isUint8Array(value)) check(value);
			else PromisePrototypeThen(value, check, this.reject);
		} catch (error) {
			this.reject(error);
		}
	}
}
isolate(Fetching);

// ---- other schemes ----

function dataResponse(state) {
	const data = processDataUrl(state.url());
	if (data === undefined) throw networkError(causeOf('ERR_INVALID_URL', 'invalid data: URL'));
	const list = new HeaderList();
	list.append('content-type', data.type);
	const body = state.method === 'HEAD' ? null : new Body(data.bytes, undefined);
	const response = new ResponseState(body, 200, 'OK', list);
	response.guard = IMMUTABLE;
	response.type = 'basic';
	response.href = state.url();
	const { integrity } = state.settings;
	if (integrity !== '' && !hasIntegrity(data.bytes, integrity))
		throw networkError(causeOf('ERR_INTEGRITY', 'the data: URL does not have the integrity that was asked for'));
	return wrapResponse(response);
}

function begin(state, resolvers) {
	const href = state.url();
	const signal = state.abortSignal;
	if (signal !== undefined && isAborted(signal)) {
		cancelBody(state.body(), abortReason(signal));
		throw abortReason(signal);
	}
	if (StringPrototypeStartsWith(href, 'data:')) {
		resolvers.resolve(dataResponse(state));
		return;
	}
	if (!isHttp(href)) {
		const scheme = StringPrototypeSlice(href, 0, StringPrototypeIndexOf(href, ':'));
		throw networkError(
			new TypeError(`fetch has no scheme "${scheme}": it has http, https and data`),
		);
	}
	new Fetching(state, resolvers).begin();
}

export function fetch(input, init = undefined) {
	const resolvers = PromiseWithResolvers();
	try {
		requireArguments(arguments.length, 1, 'fetch');
		begin(stateOfRequest(new Request(input, init)), resolvers);
	} catch (error) {
		return PromiseReject(error);
	}
	return resolvers.promise;
}
