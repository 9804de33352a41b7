'use strict';

// A tenant replaces what it can reach; the library goes on, and never calls the
// replacements. What harness.js needs is kept first.

const spied = [];
const { defineProperty, deleteProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;

const species = Symbol.species;

function spy(object, name, label) {
	const descriptor = getOwnPropertyDescriptor(object, name);
	if (descriptor === undefined || !descriptor.configurable) return;
	const replacement = function () {
		spied[spied.length] = label;
		throw new SyntaxError(`the library called ${label}`);
	};
	if (descriptor.get !== undefined)
		defineProperty(object, name, { __proto__: null, ...descriptor, get: replacement });
	else if (typeof descriptor.value === 'function')
		defineProperty(object, name, { __proto__: null, ...descriptor, value: replacement });
}

const prototypes = {
	Array, ArrayBuffer, BigInt, Boolean, DataView, Date, Function, Map, Number, RegExp, Set, String, Symbol,
	WeakMap, WeakRef, WeakSet, Promise, SharedArrayBuffer, TypedArray: Object.getPrototypeOf(Uint8Array),
};

// What the checks below use themselves, or the language does for them.
const NativePromise = Promise;
const delay = (ms) => new NativePromise((resolve) => setTimeout(resolve, ms));
let results;
const iteratorPrototypes = [
	new Map().entries().__proto__,
	new Set().values().__proto__,
	[][Symbol.iterator]().__proto__,
	''[Symbol.iterator]().__proto__,
];
const namespaces = { Object, Reflect, JSON, Math, Number, String, Symbol, Promise, ArrayBuffer, Array, Date };
const polluted = [
	'type', 'value', 'state', 'start', 'size', 'highWaterMark', 'get', 'set', 'capture', 'once', 'signal',
	'stream', 'queue',
];

function replaceAll() {
	const names = ownKeys(prototypes);
	for (let n = 0; n < names.length; n++) {
		const name = names[n];
		const { prototype } = prototypes[name];
		const keys = ownKeys(prototype);
		for (let i = 0; i < keys.length; i++) {
			const key = keys[i];
			if (key === 'constructor' || (name === 'Function' && key === Symbol.hasInstance)) continue;
			spy(prototype, key, `${name}.prototype.${typeof key === 'symbol' ? 'symbol' : key}`);
		}
	}
	for (let i = 0; i < iteratorPrototypes.length; i++)
		spy(iteratorPrototypes[i], 'next', 'an iterator\'s next');
	const spaces = ownKeys(namespaces);
	for (let n = 0; n < spaces.length; n++) {
		const name = spaces[n];
		const keys = ownKeys(namespaces[name]);
		for (let i = 0; i < keys.length; i++)
			// Of promises, `then` itself asks for the species: the language has it so.
			if (keys[i] !== 'prototype' && keys[i] !== 'stackTraceLimit' && keys[i] !== species)
				spy(namespaces[name], keys[i], `${name}.${typeof keys[i] === 'symbol' ? 'symbol' : keys[i]}`);
	}
	for (let i = 0; i < polluted.length; i++) {
		const key = polluted[i];
		defineProperty(Object.prototype, key, {
			__proto__: null,
			configurable: true,
			get() {
				spied[spied.length] = `get Object.prototype.${key}`;
				return undefined;
			},
			set() {
				spied[spied.length] = `set Object.prototype.${key}`;
			},
		});
	}
}

async function useEverything() {
	const out = {};
	const url = new URL('http://h:1/p?a=1&b=%C3%A4#x');
	url.pathname = '/q';
	url.searchParams.append('c', 'd e');
	url.searchParams.sort();
	out.url = url.href;
	out.params = `${new URLSearchParams('x=1&y=2')}`;
	out.encoded = new TextEncoder().encode('ä');
	out.decoded = new TextDecoder().decode(new TextEncoder().encode('漢'));
	const decoder = new TextDecoder();
	const lead = new Uint8Array(1);
	lead[0] = 0xe6;
	out.pieces = decoder.decode(lead, { __proto__: null, stream: true });
	out.base64 = atob(btoa('abc'));
	out.uuid = crypto.randomUUID().length;
	out.random = crypto.getRandomValues(new Uint8Array(4));
	const clone = structuredClone({ __proto__: null, a: [1, { b: 2 }], m: new Map() });
	out.clone = clone.a[1].b;
	const target = new EventTarget();
	let events = 0;
	const controller = new AbortController();
	target.addEventListener('x', () => events++, { __proto__: null, signal: controller.signal, once: false });
	target.dispatchEvent(new Event('x'));
	AbortSignal.any;
	controller.abort();
	target.dispatchEvent(new Event('x'));
	out.events = events;
	out.aborted = controller.signal.aborted;
	console.log('%s %d', 'text', 4, { a: [1, 2, { b: 'c' }] }, [1, , 3], 'x', null, undefined, 5, true);
	console.table([{ a: 1 }]);
	console.group();
	console.count();
	console.groupEnd();
	queueMicrotask(() => (out.microtask = true));
	let controllerOfStream;
	const chunks = [];
	const stream = new ReadableStream({ __proto__: null, start(c) { controllerOfStream = c; } });
	const through = new TransformStream({ __proto__: null, transform(chunk, c) { c.enqueue(chunk + 1); } });
	const sink = new WritableStream({ __proto__: null, write(chunk) { chunks[chunks.length] = chunk; } });
	const piped = stream.pipeThrough(through).pipeTo(sink);
	controllerOfStream.enqueue(1);
	controllerOfStream.enqueue(2);
	controllerOfStream.close();
	await piped;
	out.first = chunks[0];
	out.second = chunks[1];
	await delay(1);
	return out;
}

test('replaced built-ins are not called by the library', async () => {
	const saved = [];
	const remember = (object) => {
		for (const key of ownKeys(object))
			saved.push({ object, key, descriptor: { __proto__: null, ...getOwnPropertyDescriptor(object, key) } });
	};
	for (const name of ownKeys(prototypes)) remember(prototypes[name].prototype);
	for (const name of ownKeys(namespaces)) remember(namespaces[name]);
	for (const object of iteratorPrototypes) remember(object);
	replaceAll();
	let thrown;
	try {
		results = await useEverything();
	} catch (error) {
		thrown = error;
	}
	for (let i = 0; i < saved.length; i++)
		defineProperty(saved[i].object, saved[i].key, saved[i].descriptor);
	for (let i = 0; i < polluted.length; i++) deleteProperty(Object.prototype, polluted[i]);
	if (thrown) throw thrown;
	results.encoded = results.encoded.length;
	results.random = results.random.length;
	same(spied, []);
	same(results, {
		url: 'http://h:1/q?a=1&b=%C3%A4&c=d+e#x', params: 'x=1&y=2', encoded: 2, decoded: '漢', pieces: '', base64: 'abc',
		uuid: 36, random: 4, clone: 2, events: 1, aborted: true, microtask: true, first: 2, second: 3,
	});
});
