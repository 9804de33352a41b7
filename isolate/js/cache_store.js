// What the caches of a worker keep: requests with their responses, in memory, with a bound on
// bytes and on entries. When it is full, what was used longest ago goes first.

import {
	ArrayPrototypePush,
	isolate,
	MathFloor,
	MathMin,
	SafeMap,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeSplit,
	StringPrototypeToLowerCase,
	StringPrototypeTrim,
} from './primordials.js';
import { QuotaExceededError } from './errors.js';
import { native } from './native.js';

export const ENTRIES_MAX = 10000; // of all caches
export const NAMES_MAX = 256;
const BYTES_MAX = 256 * 1024 * 1024;
const SHARE_OF_MEMORY = 4; // at most a quarter of limits.memory
const ENTRY_BYTES = 512; // what an entry costs beside its texts and body

let totalBytes = 0;
let totalEntries = 0;

export function bytesMax() {
	const memory = native.limits()[0];
	return memory > 0 ? MathMin(BYTES_MAX, MathFloor(memory / SHARE_OF_MEMORY)) : BYTES_MAX;
}

// A URL as caches compare it.
export function withoutFragment(href) {
	const at = StringPrototypeIndexOf(href, '#');
	return at < 0 ? href : StringPrototypeSlice(href, 0, at);
}

function withoutSearch(href) {
	const at = StringPrototypeIndexOf(href, '?');
	return at < 0 ? href : StringPrototypeSlice(href, 0, at);
}

// The names in the Vary header of a response, a HeaderList.
export function variedNames(list) {
	const vary = list.get('vary');
	const names = [];
	if (vary === null) return names;
	const parts = StringPrototypeSplit(vary, ',');
	for (let i = 0; i < parts.length; i++)
		names[i] = StringPrototypeToLowerCase(StringPrototypeTrim(parts[i]));
	return names;
}

function sizeOfHeaders(list) {
	const items = list.all();
	let size = 0;
	for (let i = 0; i < items.length; i++) size += 2 * items[i].length;
	return size;
}

// One request (a RequestState) and its response.
export class Entry {
	constructor(request, response, bytes) {
		this.href = request.url();
		this.key = withoutFragment(this.href);
		this.requestHeaders = request.headerList().copy();
		this.response = response; // ResponseState, whose body is BYTES; null for no body
		this.bytes = bytes;
		this.size =
			ENTRY_BYTES +
			2 * this.href.length +
			sizeOfHeaders(this.requestHeaders) +
			sizeOfHeaders(response.headerList()) +
			(bytes === null ? 0 : bytes.length);
		this.cache = undefined;
		this.newer = this.older = undefined; // in the order of use
	}
	matches(href, headers, options) {
		const key = withoutFragment(href);
		if (options.ignoreSearch) {
			if (withoutSearch(this.key) !== withoutSearch(key)) return false;
		} else if (this.key !== key) return false;
		if (options.ignoreVary) return true;
		const names = variedNames(this.response.headerList());
		for (let i = 0; i < names.length; i++)
			if (names[i] === '*' || this.requestHeaders.get(names[i]) !== headers.get(names[i])) return false;
		return true;
	}
}
isolate(Entry);

// The entries of one Cache, by URL; those of one URL differ in what Vary names.
export class EntryList {
	constructor() {
		this.byKey = new SafeMap();
	}
	// In the order in which they came. REQUEST: { href, headers }, undefined for all.
	find(request, options) {
		const found = [];
		const visit = (entries) => {
			for (let i = 0; i < entries.length; i++)
				if (request === undefined || entries[i].matches(request.href, request.headers, options))
					ArrayPrototypePush(found, entries[i]);
		};
		if (request !== undefined && !options.ignoreSearch) {
			const entries = this.byKey.get(withoutFragment(request.href));
			if (entries !== undefined) visit(entries);
		} else this.byKey.forEach(visit);
		return found;
	}
	remove(entry) {
		const entries = this.byKey.get(entry.key);
		if (entries === undefined) return;
		const rest = [];
		for (let i = 0; i < entries.length; i++)
			if (entries[i] !== entry) ArrayPrototypePush(rest, entries[i]);
		if (rest.length === entries.length) return;
		if (rest.length === 0) this.byKey.delete(entry.key);
		else this.byKey.set(entry.key, rest);
		totalBytes -= entry.size;
		totalEntries--;
		unlink(entry);
	}
	clear() {
		const all = this.find(undefined, {});
		for (let i = 0; i < all.length; i++) this.remove(all[i]);
	}
	// In the place of what ENTRY's request matches.
	put(entry) {
		if (entry.size > bytesMax())
			throw new QuotaExceededError(
				`A response of ${entry.size} bytes is too large for the cache, which has ${bytesMax()}`,
				{ __proto__: null, quota: bytesMax(), requested: entry.size },
			);
		const request = { href: entry.href, headers: entry.requestHeaders };
		const replaced = this.find(request, { __proto__: null });
		for (let i = 0; i < replaced.length; i++) this.remove(replaced[i]);
		makeRoom(entry.size);
		entry.cache = this;
		const entries = this.byKey.get(entry.key) ?? [];
		ArrayPrototypePush(entries, entry);
		this.byKey.set(entry.key, entries);
		linkLast(entry);
		totalBytes += entry.size;
		totalEntries++;
	}
}
isolate(EntryList);

// ---- the order of use ----

// A ring of all entries, from the one that was used longest ago to the last.
const ring = { __proto__: null, newer: undefined, older: undefined };
ring.newer = ring.older = ring;

function unlink(entry) {
	if (entry.newer === undefined) return;
	entry.newer.older = entry.older;
	entry.older.newer = entry.newer;
	entry.newer = entry.older = undefined;
}

function linkLast(entry) {
	entry.newer = ring;
	entry.older = ring.older;
	entry.older.newer = ring.older = entry;
}

export function use(entry) {
	if (entry.newer === undefined) return;
	unlink(entry);
	linkLast(entry);
}

function makeRoom(bytes) {
	const most = bytesMax();
	while (ring.newer !== ring && (totalBytes + bytes > most || totalEntries >= ENTRIES_MAX))
		ring.newer.cache.remove(ring.newer);
}
