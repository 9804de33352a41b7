'use strict';

const pairs = (headers) => [...headers].map(([name, value]) => `${name}=${value}`).join('&');

test('the ways to construct', () => {
	equal(pairs(new Headers()), '');
	equal(pairs(new Headers(undefined)), '');
	equal(pairs(new Headers({ B: '1', a: '2' })), 'a=2&b=1');
	equal(pairs(new Headers([['b', '1'], ['a', '2'], ['B', '3']])), 'a=2&b=1, 3');
	equal(pairs(new Headers(new Headers({ x: 'y' }))), 'x=y');
	equal(pairs(new Headers(new Map([['m', 1]]))), 'm=1');
	equal(pairs(new Headers((function* () { yield new Set(['s', 't']); })())), 's=t');
	for (const bad of [null, 1, 'x', true, Symbol(), 1n]) throws(() => new Headers(bad), TypeError);
	throws(() => new Headers([['a']]), TypeError);
	throws(() => new Headers([['a', 'b', 'c']]), TypeError);
	throws(() => new Headers(['ab']), TypeError);
	throws(() => new Headers([1]), TypeError);
	throws(() => new Headers({ 'a b': '1' }), TypeError);
	throws(() => new Headers({ a: '\u0100' }), TypeError);
	throws(() => new Headers({ '\u0100': 'a' }), TypeError);
	throws(() => new Headers({ [Symbol()]: 'a' }), TypeError);
	throws(() => new Headers({ [Symbol.iterator]: 5 }), TypeError);
	// It is a record then, and its key a symbol.
	throws(() => new Headers({ [Symbol.iterator]: null, a: 'b' }), TypeError);
});

test('records are read as WebIDL says', () => {
	const log = [];
	const record = new Proxy({ a: 'b', C: 'd' }, {
		ownKeys(target) { log.push('ownKeys'); return Reflect.ownKeys(target); },
		getOwnPropertyDescriptor(target, key) {
			log.push(`descriptor ${String(key)}`);
			return Reflect.getOwnPropertyDescriptor(target, key);
		},
		get(target, key) { log.push(`get ${String(key)}`); return target[key]; },
	});
	equal(pairs(new Headers(record)), 'a=b&c=d');
	same(log, ['get Symbol(Symbol.iterator)', 'ownKeys', 'descriptor a', 'get a', 'descriptor C', 'get C']);
	const object = Object.create({ inherited: '1' });
	Object.defineProperty(object, 'hidden', { value: '2', enumerable: false });
	object.own = '3';
	equal(pairs(new Headers(object)), 'own=3');
});

test('names are tokens, values are bytes without line ends', () => {
	const headers = new Headers();
	for (const name of ['', 'a b', 'a\n', 'a:', '(', '"', '{', '\u00e9', ' a', 'a\0'])
		for (const method of ['append', 'set', 'get', 'has', 'delete'])
			throws(() => headers[method](name, 'x'), TypeError, `${method} ${name}`);
	for (const value of ['a\nb', 'a\rb', 'a\0b', '\u0100', '\u{1f600}'])
		for (const method of ['append', 'set'])
			throws(() => headers[method]('x', value), TypeError);
	headers.set('x', ' \t\r\n v w \n\r\t ');
	equal(headers.get('X'), 'v w');
	headers.set('x', '\u00e9\x7f\x01');
	equal(headers.get('x'), '\u00e9\x7f\x01');
	headers.set('x', '');
	equal(headers.get('x'), '');
	headers.set("!#$%&'*+-.^_`|~09azAZ", 1);
	equal(headers.get("!#$%&'*+-.^_`|~09AZaz"), '1');
	throws(() => headers.set('a', Symbol()), TypeError);
	headers.set('a', undefined);
	headers.set('b', null);
	equal(headers.get('a') + headers.get('b'), 'undefinednull');
});

test('append, set, get, has, delete', () => {
	const headers = new Headers();
	equal(headers.append('A', '1'), undefined);
	headers.append('a', '2');
	headers.append('B', '3');
	equal(headers.get('a'), '1, 2');
	equal(headers.get('nothing'), null);
	equal(headers.has('B'), true);
	headers.append('A', '4');
	headers.set('a', 'x');
	equal(pairs(headers), 'a=x&b=3');
	equal(headers.delete('A'), undefined);
	headers.delete('A');
	equal(headers.has('a'), false);
	equal(pairs(headers), 'b=3');
	for (const method of ['append', 'set']) throws(() => headers[method]('a'), TypeError);
	for (const method of ['get', 'has', 'delete']) throws(() => headers[method](), TypeError);
});

test('iteration is sorted, combined and live', () => {
	const headers = new Headers([['c', '1'], ['b', '2'], ['a', '3'], ['b', '4']]);
	same([...headers.keys()], ['a', 'b', 'c']);
	same([...headers.values()], ['3', '2, 4', '1']);
	same([...headers.entries()], [['a', '3'], ['b', '2, 4'], ['c', '1']]);
	equal(headers[Symbol.iterator], headers.entries);
	const seen = [];
	headers.forEach(function (value, name, object) {
		seen.push(name, value, object === headers, this.t);
	}, { t: 1 });
	same(seen.slice(0, 4), ['a', '3', true, 1]);
	const iterator = headers.keys();
	equal(iterator.next().value, 'a');
	headers.append('aa', 'x');
	equal(iterator.next().value, 'aa');
	headers.delete('a');
	equal(iterator.next().value, 'c');
	equal(iterator.next().done, true);
	equal(iterator[Symbol.toStringTag], 'Headers Iterator');
	throws(() => headers.forEach(), TypeError);
	throws(() => headers.forEach(5), TypeError);
	[...headers][0][0] = 'changed';
	equal([...headers][0][0], 'aa');
});

test('set-cookie is never combined', () => {
	const headers = new Headers([['set-cookie', 'a=1'], ['x', 'y'], ['Set-Cookie', 'b=2, c']]);
	same([...headers], [['set-cookie', 'a=1'], ['set-cookie', 'b=2, c'], ['x', 'y']]);
	same(headers.getSetCookie(), ['a=1', 'b=2, c']);
	equal(headers.get('set-cookie'), 'a=1, b=2, c');
	same(new Headers(headers).getSetCookie(), ['a=1', 'b=2, c']);
	headers.set('set-cookie', 'z');
	same(headers.getSetCookie(), ['z']);
	headers.delete('set-cookie');
	same(headers.getSetCookie(), []);
	same(new Headers({ 'set-cookie': '' }).getSetCookie(), ['']);
});

test('the interface', () => {
	equal(Headers.length, 0);
	equal(Headers.name, 'Headers');
	equal(Object.prototype.toString.call(new Headers()), '[object Headers]');
	equal(Headers.prototype.append.length, 2);
	equal(Headers.prototype.forEach.length, 1);
	equal(Object.keys(Headers.prototype).includes('getSetCookie'), true);
	for (const method of ['append', 'get', 'has', 'set', 'delete', 'getSetCookie', 'forEach', 'keys'])
		throws(() => Headers.prototype[method].call({}, 'a', 'b'), TypeError);
	throws(() => Headers(), TypeError);
	class Sub extends Headers {
		constructor(...args) { super(...args); this.extra = 1; }
	}
	equal(new Sub({ a: 'b' }).get('a'), 'b');
	ok(new Response('', { headers: new Sub({ a: 'b' }) }).headers.has('a'));
});

test('a replaced iterator is honoured', () => {
	const headers = new Headers({ a: 'b' });
	headers[Symbol.iterator] = function* () { yield ['own', 'x']; };
	equal(pairs(new Headers(headers)), 'own=x');
});

test('many names do not exhaust anything', () => {
	for (let i = 0; i < 2000; i++) equal(new Headers({ [`X-Name-${i}`]: `${i}` }).get(`x-NAME-${i}`), `${i}`);
});
