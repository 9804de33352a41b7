'use strict';

test('values of every kind', () => {
	const source = {
		primitive: [1, 'x', true, null, undefined, 5n, -0, NaN],
		date: new Date(5),
		regexp: /a/gi,
		map: new Map([[{ k: 1 }, new Set([1, [2]])]]),
		boxed: [new Number(1), new String('s'), new Boolean(false), Object(7n)],
		bytes: new Uint8Array([1, 2, 3]).subarray(1),
		view: new DataView(new ArrayBuffer(4), 1, 2),
	};
	const copy = structuredClone(source);
	ok(copy !== source && copy.map !== source.map);
	same(copy.primitive, source.primitive);
	equal(+copy.date, 5);
	equal(`${copy.regexp}`, '/a/gi');
	const [[key, set]] = copy.map;
	equal(key.k, 1);
	same([...set][1], [2]);
	same(copy.boxed.map((b) => `${b.constructor.name} ${b.valueOf()}`), ['Number 1', 'String s', 'Boolean false', 'BigInt 7']);
	same([...copy.bytes], [2, 3]);
	equal(copy.bytes.buffer.byteLength, 3);
	equal(copy.view.byteLength, 2);
});

test('identity, cycles, holes, extra properties', () => {
	const shared = {};
	const source = [shared, shared, , 3];
	source.extra = 'e';
	source.push(source);
	const copy = structuredClone(source);
	equal(copy[0], copy[1]);
	equal(2 in copy, false);
	equal(copy.length, 5);
	equal(copy[4], copy);
	equal(copy.extra, 'e');
});

test('errors', () => {
	const error = new RangeError('range', { cause: new TypeError('inner') });
	error.code = 'dropped';
	const copy = structuredClone(error);
	ok(copy instanceof RangeError);
	same([copy.message, copy.stack === error.stack, copy.code, copy.cause.message], ['range', true, undefined, 'inner']);
	const dom = structuredClone(new DOMException('m', 'AbortError'));
	same([dom.name, dom.message, dom.code, dom instanceof DOMException], ['AbortError', 'm', 20, true]);
	class Custom extends Error {}
	equal(structuredClone(new Custom('x')).constructor, Error);
});

test('accessors are read, prototypes and functions are not cloned', () => {
	class Point {
		constructor() {
			this.x = 1;
		}
		get y() {
			return 2;
		}
	}
	const copy = structuredClone(new Point());
	equal(Object.getPrototypeOf(copy), Object.prototype);
	same(Object.keys(copy), ['x']);
	equal(structuredClone({ get a() { return 4; } }).a, 4);
	const odd = structuredClone(JSON.parse('{"__proto__": {"polluted": 1}}'));
	equal(Object.getPrototypeOf(odd), Object.prototype);
	equal(Object.hasOwn(odd, '__proto__'), true);
});

test('what cannot be cloned', () => {
	for (const value of [
		() => {}, Symbol('s'), new WeakMap(), new WeakSet(), new WeakRef({}), Promise.resolve(),
		(function* () {})(), new Proxy({}, {}), new URL('http://h'), new AbortController(),
		new ReadableStream(), new TextDecoder(), new Event('x'), [1, [() => {}]], { a: { b: Symbol() } },
		new Map().entries(), Object(Symbol()),
	])
		throws(() => structuredClone(value), { name: 'DataCloneError', code: 25 });
});

test('transfer', () => {
	const buffer = new Uint8Array([1, 2, 3]).buffer;
	const view = new Uint8Array(buffer, 1);
	const copy = structuredClone({ buffer, view }, { transfer: [buffer] });
	equal(buffer.byteLength, 0);
	equal(buffer.detached, true);
	same([...new Uint8Array(copy.buffer)], [1, 2, 3]);
	equal(copy.view.buffer, copy.buffer);
	same([...copy.view], [2, 3]);
	const unused = new ArrayBuffer(2);
	equal(structuredClone(1, { transfer: [unused] }), 1);
	equal(unused.detached, true);
	const kept = new ArrayBuffer(2);
	throws(() => structuredClone({ kept, f() {} }, { transfer: [kept] }), { name: 'DataCloneError' });
	equal(kept.byteLength, 2);
	throws(() => structuredClone(1, { transfer: [kept, kept] }), { name: 'DataCloneError' });
	throws(() => structuredClone(1, { transfer: [{}] }), { name: 'DataCloneError' });
	throws(() => structuredClone(1, { transfer: 1 }), TypeError);
	throws(() => structuredClone(buffer), { name: 'DataCloneError' });
	throws(() => structuredClone(), TypeError);
	const resizable = new ArrayBuffer(2, { maxByteLength: 8 });
	const grown = structuredClone(resizable);
	same([grown.resizable, grown.maxByteLength, grown.byteLength], [true, 8, 2]);
});

test('blobs and files', async () => {
	const blob = structuredClone(new Blob(['text'], { type: 'text/plain' }));
	same([await blob.text(), blob.type], ['text', 'text/plain']);
	const file = structuredClone(new File(['f'], 'name', { lastModified: 3 }));
	same([file.name, file.lastModified, file instanceof File], ['name', 3, true]);
});
