// What console prints. console.expected is what Node 24 printed for the same program
// (test/js/weblib/README.md says how to make it again).

class Point {
	constructor(x, y) {
		this.x = x;
		this.y = y;
	}
}
class Hidden extends Map {}
class Tagged {
	get [Symbol.toStringTag]() {
		return 'Label';
	}
}

// ---- substitutions ----
console.log('%s is %d years and %i, %f, %j', 'Ann', 42.5, 42.9, '1.50', { a: [1] });
console.log('%o and %O', { f() {}, n: { m: { o: { p: 1 } } } }, { n: { m: { o: { p: 1 } } } });
console.log('%c styled %%, %x unknown, 100%', 'color: red');
console.log('%s %s', 'one');
console.log('%s', null, undefined, 5n, Symbol('s'), -0, true);
console.log('%s %s %s', { toString: () => 'own' }, new Point(1, 2), [1, [2, [3]]]);
console.log('%d %d %i %f', '0x10', {}, 'z', Symbol('q'));
console.log('%d %i', 12345678901234567890n, 7n);
console.log('%s', new Error('shown').message, function named() {}, class Foo {});
console.log('a', 1, 'b', [undefined, null, , 3], 'c');
console.log('%j', (() => { const o = {}; o.o = o; return o; })());

// ---- primitives ----
console.log(0, -0, 1.5, NaN, Infinity, 1e21, 10n, true, null, undefined, Symbol('x'), Symbol.iterator);
console.log(['it\'s', 'say "x"', `it's "x"`, '`', 'new\nline', '\u001b[1m\t\x00', '\ud800', '😀 é 漢']);
console.log('text', ['text'], { 'with space': 1, ok: 2, 3: 4, ['__proto__']: 5, [Symbol('k')]: 6 });
console.log({ long: 'x'.repeat(120) });
console.log(['a\nb'.repeat(30)]);
console.log(['y'.repeat(10100)].map((s) => s.length));

// ---- objects ----
console.log({}, [], { a: {} }, { a: { b: { c: { d: 1 } } } }, [[[[1]]]]);
console.log({ a: 1, b: 'two', c: [3], d: { e: 4 } });
console.log(new Point(1, 2), new Hidden([[1, 2]]), new Tagged(), Object.create(null), Object.create({}));
console.log(Object.create(Point.prototype), Object.assign(Object.create(null), { z: 1 }));
console.log({ get a() { return 1; }, set b(v) {}, get c() { return 1; }, set c(v) {} });
console.log(Object.defineProperty({}, 'hidden', { value: 1 }), Object.freeze({ f: 1 }));
console.log({ f() {}, g: () => {}, h: async () => {}, i: function* () {}, j: async function* () {}, k: class {}, l: class Named extends Point {} });
console.log(Object.assign(function withProps() {}, { prop: 1 }), Math.max, Point, class extends Point {});
console.log(Object.assign([1, 2], { extra: 'x' }), Object.assign(() => {}, { a: { b: 1 } }));
const circular = { name: 'c', list: [] };
circular.self = circular;
circular.list.push(circular, { again: circular.list });
console.log(circular);
console.log({ a: circular, b: circular });

// ---- arrays ----
console.log(Array.from({ length: 120 }, (_, i) => i));
console.log([1, , 3], [, ,], new Array(5), [undefined, , null]);
console.log(Array.from({ length: 30 }, (_, i) => `item ${i}`));
console.log([1.5, 22.25, 333.125, 4, 5, 6, 7, 8, 9, 10]);
console.log(['a', 'bb', 'ccc', 'dddd', 'eeeee', 'ffffff', 'ggggggg', 'hh']);
console.log([[1, 2, [3, 4, [5, [6]]]], { a: { b: { c: {} } } }]);
console.log(new Array(200).fill({ a: 1, b: 2 }).slice(0, 7));
console.log(Array.from({ length: 27 }, (_, i) => ({ id: i })));

// ---- collections ----
console.log(new Map([['a', 1], [{ b: 2 }, new Map([[1, 2]])]]), new Set(['x', { y: 1 }, [1]]));
console.log(new Map(), new Set(), new WeakMap(), new WeakSet());
console.log(new Map([[1, 2]]).entries(), new Map([[1, 2]]).keys(), new Map([[[1, 2], 3]]).keys(), new Map([[1, { a: 1 }]]).values());
console.log(new Set([1, 2]).values(), new Set([[1, 2], 3]).entries());
console.log([1, 2][Symbol.iterator](), 'ab'[Symbol.iterator](), (function* () {})());
console.log(new Set(Array.from({ length: 150 }, (_, i) => i)));
console.log(Object.assign(new Map([[1, 2]]), { extra: true }));

// ---- binary ----
console.log(new Uint8Array([1, 2, 3]), new Float64Array(3), new BigInt64Array([1n]), new Uint8ClampedArray(2));
console.log(new ArrayBuffer(4), new Uint8Array([1, 255, 16]).buffer, new DataView(new ArrayBuffer(2)));
console.log(new Uint8Array(300), new SharedArrayBuffer(2));

// ---- other built-ins ----
console.log(new Date(0), new Date(NaN), [new Date(86400000)], /a+b/giu, [/x/]);
console.log(new Number(3), new String('abc'), new Boolean(false), Object(Symbol('b')), Object(5n));
console.log(Object.assign(new String('ab'), { c: 1 }), [new Number(-0)]);
console.log(Promise.resolve({ a: 1 }), new Promise(() => {}), (() => { const p = Promise.reject(3); p.catch(() => {}); return p; })());
console.log(new Proxy({ a: 1 }, { get() { throw new Error('trap'); } }), new Proxy([1, 2], {}), new Proxy(function f() {}, {}));
console.log((() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })());
console.log((function () { return arguments; })(1, 'a'));
console.log(new (class extends Array {})(3), new (class Foo extends Promise {})(() => {}));
console.log(new (class extends null { constructor() { return Object.create(new.target.prototype); } })());
console.log(Symbol.for('for'), [Symbol('in array')], { s: Symbol('') });
console.log(JSON, Math, Reflect, Atomics);
console.log(new WeakRef({ a: 1 }) instanceof WeakRef);

// ---- errors without stacks, so that paths do not matter ----
const bare = (error) => {
	error.stack = `${error}`;
	return error;
};
console.log(bare(new Error('plain')), [bare(new TypeError('typed'))], { e: bare(new RangeError('r')) });
console.log(bare(Object.assign(new Error('props'), { code: 'E_CODE', detail: { a: 1 } })));
console.log(bare(new Error('outer', { cause: bare(new Error('inner')) })));
console.log(bare(new AggregateError([bare(new Error('1')), 2], 'many')));
console.log(bare(new (class CustomError extends Error {})('custom')), bare(new (class Foo extends TypeError { name = 'Renamed'; })('n')));
console.log(Object.assign(bare(new Error('m')), { message: 'changed' }));
console.log(bare(new DOMException('dom', 'AbortError')).name, `${new DOMException('text', 'DataCloneError')}`);

// ---- custom inspection ----
const custom = Symbol.for('nodejs.util.inspect.custom');
console.log({ [custom](depth, options, inspect) { return `custom ${depth} ${inspect({ a: { b: 1 } }, options)}`; } });
console.log([{ [custom]: () => ({ replaced: true }) }, { [custom]: () => 'two\nlines' }]);

// ---- web objects ----
console.log(new URL('https://user:pw@example.com:8080/p/a?q=1&r=2#h'), { deep: { url: new URL('http://x/') } });
console.log(new URLSearchParams('a=1&b=2'), new URLSearchParams(), new URLSearchParams('a=1').entries());
console.log(new AbortController(), AbortSignal.abort(1));
console.log(new TextEncoder().encode('hi'), new ReadableStream(), new WritableStream());
console.log(new TransformStream(), new CountQueuingStrategy({ highWaterMark: 3 }));

// ---- the other methods ----
console.info('info');
console.debug('debug');
console.dir({ a: { b: { c: { d: {} } } } }, { depth: 0 });
console.dir({ [custom]: () => 'not used' , a: 1 });
console.dir({ a: [1, 'x', null, undefined, 5n, new Date(0)] }, { colors: true });
console.dir({ z: 1, a: 2, big: 1234567.891 }, { sorted: true, numericSeparator: true });
console.dir({ a: { b: 1 }, arr: [1, 2] }, { compact: false, showHidden: true });
console.dir({ get g() { return { x: 1 }; } }, { getters: true });
console.dir('string', { colors: false });
console.dirxml([1], { a: 1 });
console.group('group %s', 'one');
console.log('indented\ntwice');
console.group();
console.log({ a: 1, b: { c: 'x'.repeat(70) } });
console.groupEnd();
console.groupCollapsed('collapsed');
console.info('deeper');
console.groupEnd();
console.groupEnd();
console.groupEnd();
console.log('back');
console.count();
console.count('label');
console.count();
console.countReset();
console.count();
console.assert(true, 'not shown');
console.table([{ a: 1, b: 'x' }, { a: 2, c: { d: 1 } }]);
console.table([[1, 2], [3, 4]]);
console.table([1, 'two', { three: 3 }]);
console.table([{ a: 1, b: 2 }], ['b']);
console.table(new Map([['k', 1], [{ o: 1 }, [1, 2, 3, 4]]]));
console.table(new Set([1, 'two']));
console.table(new Map([[1, 2]]).entries());
console.table({ row: { col: 1 }, other: { col: '漢字' } });
console.table('not tabular');
console.table([]);
console.log();
console.log('');
console.log('%s');

// ---- tasks ----
const task = console.createTask('name');
console.log(task, task.run(() => 5), console.createTask.length, task.run.length);
for (const attempt of [
	() => console.createTask(),
	() => console.createTask(''),
	() => task.run(),
	() => task.run.call({}, () => 1),
	() => task.run(() => { throw new RangeError('of the task'); }),
])
	try {
		attempt();
	} catch (error) {
		console.log(error.name, error.message);
	}
