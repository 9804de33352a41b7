// Cache, CacheStorage and `caches` (Service Workers, section 5), in the memory of one worker:
// what is kept is gone when it ends, and no other instance sees it. See cache_store.js for the
// bounds.

import {
	ArrayPrototypePush,
	hidePromise,
	Promise,
	PromisePrototypeThen,
	PromiseReject,
	PromiseResolve,
	SafeMap,
	StringPrototypeStartsWith,
	SymbolIterator,
	TypeError,
} from './primordials.js';
import { Body, isUnusable, takeBytes } from './body.js';
import { Entry, EntryList, NAMES_MAX, use, variedNames } from './cache_store.js';
import { DOMException, QuotaExceededError } from './errors.js';
import {
	isRequest,
	isResponse,
	Request,
	RequestState,
	ResponseState,
	stateOfRequest,
	stateOfResponse,
	wrapRequest,
	wrapResponse,
} from './fetch.js';
import { fetch } from './fetch_client.js';
import { IMMUTABLE } from './headers.js';
import {
	defineInterface,
	illegalConstructor,
	illegalInvocation,
	internalToken,
	isObject,
	requireArguments,
	toDictionary,
	toSequence,
} from './webidl.js';

// ---- arguments and results ----

// What METHOD returns or throws, as a promise: operations that return promises never throw.
function promised(method) {
	try {
		return PromiseResolve(method());
	} catch (error) {
		return PromiseReject(error);
	}
}

function chain(promise, next) {
	return PromisePrototypeThen(hidePromise(promise), next);
}

// The state of a RequestInfo.
function toRequest(input) {
	return stateOfRequest(isRequest(input) ? input : new Request(input));
}

// Where a request must be given, undefined is one that cannot be parsed.
function toRequestInfo(input) {
	return isRequest(input) ? input : new Request(input);
}

function toOptions(value, what) {
	const given = toDictionary(value, what);
	const ignoreMethod = !!given.ignoreMethod;
	const ignoreSearch = !!given.ignoreSearch;
	const ignoreVary = !!given.ignoreVary;
	return { __proto__: null, ignoreMethod, ignoreSearch, ignoreVary };
}

// The entries that a query of the methods finds. INPUT undefined: all.
function query(list, input, options) {
	if (input === undefined) return list.find(undefined, options);
	const request = toRequest(input);
	if (request.method !== 'GET' && !options.ignoreMethod) return [];
	return list.find({ href: request.url(), headers: request.headerList() }, options);
}

function responseOf(entry) {
	use(entry);
	const { response, bytes } = entry;
	const body = bytes === null ? null : new Body(bytes, undefined);
	const state = new ResponseState(body, response.status, response.statusText, response.headerList().copy());
	state.guard = IMMUTABLE;
	state.type = response.type;
	state.href = response.href;
	state.redirected = response.redirected;
	return wrapResponse(state);
}

function requestOf(entry) {
	const state = new RequestState();
	state.href = entry.href;
	state.list = entry.requestHeaders.copy();
	state.guard = IMMUTABLE;
	return wrapRequest(state);
}

function checkScheme(request) {
	const href = request.url();
	if (
		(!StringPrototypeStartsWith(href, 'http:') && !StringPrototypeStartsWith(href, 'https:')) ||
		request.method !== 'GET'
	)
		throw new TypeError('A cache keeps responses to GET requests over HTTP only');
}

function checkResponse(response) {
	if (response.status === 206) throw new TypeError('A cache does not keep partial responses (206)');
	const names = variedNames(response.headerList());
	for (let i = 0; i < names.length; i++)
		if (names[i] === '*') throw new TypeError("A cache does not keep responses with 'Vary: *'");
}

// A promise of the Entry for REQUEST and RESPONSE (states), whose body it reads.
function makeEntry(request, response) {
	const kept = new ResponseState(null, response.status, response.statusText, response.headerList().copy());
	kept.type = response.type;
	kept.href = response.href;
	kept.redirected = response.redirected;
	if (response.body === null) return PromiseResolve(new Entry(request, kept, null));
	if (isUnusable(response.body))
		throw new TypeError('The body of the response has been read already, or is being read');
	return chain(PromiseResolve(takeBytes(response.body)), (bytes) => new Entry(request, kept, bytes));
}

// A promise of all of PROMISES' values.
function all(promises) {
	return new Promise((resolve, reject) => {
		const values = [];
		let missing = promises.length;
		if (missing === 0) resolve(values);
		for (let i = 0; i < promises.length; i++)
			PromisePrototypeThen(
				hidePromise(promises[i]),
				(value) => {
					values[i] = value;
					if (--missing === 0) resolve(values);
				},
				reject,
			);
	});
}

// ---- Cache ----

// The response that `add` wants, as a promise of an Entry.
function fetchEntry(request) {
	checkScheme(request);
	return chain(fetch(wrapRequest(request)), (response) => {
		const state = stateOfResponse(response);
		if (state.status < 200 || state.status > 299)
			throw new TypeError(`${request.url()} was answered with the status ${state.status}`);
		checkResponse(state);
		return makeEntry(request, state);
	});
}

function addAll(list, inputs) {
	const requests = [];
	for (let i = 0; i < inputs.length; i++) requests[i] = toRequest(inputs[i]);
	const entries = [];
	for (let i = 0; i < requests.length; i++) checkScheme(requests[i]);
	for (let i = 0; i < requests.length; i++) entries[i] = fetchEntry(requests[i]);
	return chain(all(entries), (ready) => {
		for (let i = 0; i < ready.length; i++)
			for (let k = 0; k < i; k++)
				if (ready[k].matches(ready[i].href, ready[i].requestHeaders, { __proto__: null }))
					throw new DOMException('The same request twice', 'InvalidStateError');
		for (let i = 0; i < ready.length; i++) list.put(ready[i]);
	});
}

let listOf;

export class Cache {
	#list;

	constructor(token = undefined, list = undefined) {
		if (token !== internalToken) illegalConstructor();
		this.#list = list;
	}
	match(request, options = undefined) {
		const count = arguments.length;
		return promised(() => {
			const list = listOf(this);
			requireArguments(count, 1, 'Cache.match');
			const found = query(list, toRequestInfo(request), toOptions(options, 'Cache.match'));
			return found.length === 0 ? undefined : responseOf(found[0]);
		});
	}
	matchAll(request = undefined, options = undefined) {
		return promised(() => {
			const found = query(listOf(this), request, toOptions(options, 'Cache.matchAll'));
			const responses = [];
			for (let i = 0; i < found.length; i++) responses[i] = responseOf(found[i]);
			return responses;
		});
	}
	add(request) {
		const count = arguments.length;
		return promised(() => {
			const list = listOf(this);
			requireArguments(count, 1, 'Cache.add');
			return addAll(list, [request]);
		});
	}
	addAll(requests) {
		const count = arguments.length;
		return promised(() => {
			const list = listOf(this);
			requireArguments(count, 1, 'Cache.addAll');
			const iterator = isObject(requests) ? requests[SymbolIterator] : undefined;
			if (typeof iterator !== 'function') throw new TypeError('Cache.addAll: not a sequence of requests');
			return addAll(list, toSequence(requests, iterator, (value) => value, 'Cache.addAll'));
		});
	}
	put(request, response) {
		const count = arguments.length;
		return promised(() => {
			const list = listOf(this);
			requireArguments(count, 2, 'Cache.put');
			const state = toRequest(request);
			if (!isResponse(response)) throw new TypeError('Cache.put: not a Response');
			checkScheme(state);
			checkResponse(stateOfResponse(response));
			return chain(makeEntry(state, stateOfResponse(response)), (entry) => list.put(entry));
		});
	}
	delete(request, options = undefined) {
		const count = arguments.length;
		return promised(() => {
			const list = listOf(this);
			requireArguments(count, 1, 'Cache.delete');
			const found = query(list, toRequestInfo(request), toOptions(options, 'Cache.delete'));
			for (let i = 0; i < found.length; i++) list.remove(found[i]);
			return found.length > 0;
		});
	}
	keys(request = undefined, options = undefined) {
		return promised(() => {
			const found = query(listOf(this), request, toOptions(options, 'Cache.keys'));
			const requests = [];
			for (let i = 0; i < found.length; i++) requests[i] = requestOf(found[i]);
			return requests;
		});
	}
	static {
		listOf = (cache) => (isObject(cache) && #list in cache ? cache.#list : illegalInvocation());
	}
}
defineInterface(Cache, 'Cache');

// ---- CacheStorage ----

const lists = new SafeMap(); // by name
const storageKeys = () => {
	const names = [];
	lists.forEach((list, name) => ArrayPrototypePush(names, name));
	return names;
};

let requireStorage;

export class CacheStorage {
	#brand;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
	}
	match(request, options = undefined) {
		const count = arguments.length;
		return promised(() => {
			requireStorage(this);
			requireArguments(count, 1, 'CacheStorage.match');
			const given = toOptions(options, 'CacheStorage.match');
			const wanted = toRequestInfo(request);
			const name = options?.cacheName;
			const names = name === undefined ? storageKeys() : [`${name}`];
			for (let i = 0; i < names.length; i++) {
				const list = lists.get(names[i]);
				const found = list === undefined ? [] : query(list, wanted, given);
				if (found.length > 0) return responseOf(found[0]);
			}
			return undefined;
		});
	}
	has(cacheName) {
		const count = arguments.length;
		return promised(() => {
			requireStorage(this);
			requireArguments(count, 1, 'CacheStorage.has');
			return lists.has(`${cacheName}`);
		});
	}
	open(cacheName) {
		const count = arguments.length;
		return promised(() => {
			requireStorage(this);
			requireArguments(count, 1, 'CacheStorage.open');
			const name = `${cacheName}`;
			let list = lists.get(name);
			if (list === undefined) {
				if (lists.size >= NAMES_MAX)
					throw new QuotaExceededError(`There are ${NAMES_MAX} caches already`);
				list = new EntryList();
				lists.set(name, list);
			}
			return new Cache(internalToken, list);
		});
	}
	delete(cacheName) {
		const count = arguments.length;
		return promised(() => {
			requireStorage(this);
			requireArguments(count, 1, 'CacheStorage.delete');
			return lists.delete(`${cacheName}`);
		});
	}
	keys() {
		return promised(() => {
			requireStorage(this);
			return storageKeys();
		});
	}
	static {
		requireStorage = (value) => {
			if (!isObject(value) || !(#brand in value)) illegalInvocation();
		};
	}
}
defineInterface(CacheStorage, 'CacheStorage');

export const caches = new CacheStorage(internalToken);
