'use strict';

test('components are slices of the href', () => {
	const url = new URL('https://us%20er:p%40w@EXAMPLE.com:8443/a/../b c?q=ä#frag');
	equal(url.href, 'https://us%20er:p%40w@example.com:8443/b%20c?q=%C3%A4#frag');
	equal(url.origin, 'https://example.com:8443');
	equal(url.protocol, 'https:');
	equal(url.username, 'us%20er');
	equal(url.password, 'p%40w');
	equal(url.host, 'example.com:8443');
	equal(url.hostname, 'example.com');
	equal(url.port, '8443');
	equal(url.pathname, '/b%20c');
	equal(url.search, '?q=%C3%A4');
	equal(url.hash, '#frag');
	equal(`${url}`, url.href);
	equal(JSON.stringify({ url }), `{"url":"${url.href}"}`);
});

test('parts that are missing are empty', () => {
	const url = new URL('web+demo:/.//not-a-host/');
	equal(url.host, '');
	equal(url.hostname, '');
	equal(url.port, '');
	equal(url.pathname, '//not-a-host/');
	equal(new URL('http://h/?#').search, '');
	equal(new URL('http://h/?#').hash, '');
	equal(new URL('mailto:a@b').origin, 'null');
	equal(new URL('blob:https://h:1/x').origin, 'https://h:1');
	equal(new URL('blob:ftp://h/x').origin, 'null');
	equal(new URL('file:///etc/passwd').origin, 'null');
	equal(new URL('http://u@h/').password, '');
	equal(new URL('http://:p@h/').username, '');
});

test('every setter changes what it should', () => {
	const url = new URL('http://a/b');
	url.protocol = 'https';
	url.username = 'ü';
	url.password = 'p';
	url.host = 'c:99';
	url.hostname = 'd';
	url.port = '8080x';
	url.pathname = 'x y';
	url.search = 'k=v';
	url.hash = 'h';
	equal(url.href, 'https://%C3%BC:p@d:8080/x%20y?k=v#h');
	url.port = '';
	url.search = '';
	url.hash = '';
	equal(url.href, 'https://%C3%BC:p@d/x%20y');
	url.host = 'bad host';
	equal(url.hostname, 'd');
	url.href = 'http://new/?z';
	equal(url.search, '?z');
	throws(() => (url.href = 'nonsense'), { code: 'ERR_INVALID_URL', input: 'nonsense' });
	equal(url.href, 'http://new/?z');
});

test('a bad URL says what was bad', () => {
	throws(() => new URL('/path'), {
		name: 'TypeError',
		code: 'ERR_INVALID_URL',
		message: 'Invalid URL',
		input: '/path',
	});
	throws(() => new URL('x', 'y'), { code: 'ERR_INVALID_URL', base: 'y' });
	throws(() => new URL(), { name: 'TypeError', code: 'ERR_MISSING_ARGS' });
	throws(() => new URL(Symbol('s')), TypeError);
	throws(() => URL('http://x'), TypeError);
	equal(URL.canParse('nope'), false);
	equal(URL.canParse('nope', 'http://h'), true);
	equal(URL.parse('nope'), null);
	equal(URL.parse('b', 'http://h/a').href, 'http://h/b');
	ok(URL.parse('http://h') instanceof URL);
});

test('lone surrogates and NUL', () => {
	equal(new URL('http://h/\ud800').pathname, '/%EF%BF%BD');
	equal(new URL('data:a\0b').href, 'data:a%00b');
	equal(new URL('http://h/#\0x').hash, '#%00x');
});

test('long URLs', () => {
	const path = '/x'.repeat(100000);
	equal(new URL(`http://h${path}`).pathname, path);
	equal(new URL(`http://h/?${'ä'.repeat(5000)}`).search.length, 1 + 6 * 5000);
});

test('searchParams follow the URL and the URL follows them', () => {
	const url = new URL('http://h/?a=1&b=2#f');
	const params = url.searchParams;
	equal(url.searchParams, params);
	params.append('c', 'x y&z');
	equal(url.href, 'http://h/?a=1&b=2&c=x+y%26z#f');
	url.search = '?n=ew';
	equal(params.get('n'), 'ew');
	equal(params.size, 1);
	params.delete('n');
	equal(url.href, 'http://h/#f');
	url.href = 'http://h/?from=href';
	equal(params.get('from'), 'href');
	params.set('from', 'set');
	params.sort();
	equal(url.search, '?from=set');
});

test('URLSearchParams: parsing', () => {
	const list = (init) => [...new URLSearchParams(init)].map(([k, v]) => `${k}|${v}`).join();
	equal(list('?a=b&&c&=d&e=f=g'), 'a|b,c|,|d,e|f=g');
	equal(list('a+b=c%20d%2B&%zz=%4'), 'a b|c d+,%zz|%4');
	equal(list('%C3%A4=%e6%bc%a2&x=%ff%C3'), 'ä|漢,x|\ufffd\ufffd');
	equal(list('a=%ef%bb%bfbom'), 'a|\ufeffbom');
	equal(list('ü=%C3ü'), 'ü|\ufffdü');
	equal(list({ a: 1, b: null, 'ü': undefined }), 'a|1,b|null,ü|undefined');
	equal(list([['a', 1], new Set(['b', 2])]), 'a|1,b|2');
	equal(list(new URLSearchParams('a=1')), 'a|1');
	equal(list(new Map([['a', 'b']])), 'a|b');
	equal(list('\ud800=1'), '\ufffd|1');
	throws(() => new URLSearchParams([['a']]), { code: 'ERR_INVALID_TUPLE' });
	throws(() => new URLSearchParams({ [Symbol.iterator]: 1 }), { code: 'ERR_ARG_NOT_ITERABLE' });
});

test('URLSearchParams: serializing', () => {
	const params = new URLSearchParams();
	params.append('a b', "~!*()'-._/ä\u{1f600}");
	params.append('', '');
	equal(`${params}`, 'a+b=%7E%21*%28%29%27-._%2F%C3%A4%F0%9F%98%80&=');
});

test('URLSearchParams: editing', () => {
	const params = new URLSearchParams('a=1&b=2&a=3');
	same(params.getAll('a'), ['1', '3']);
	equal(params.get('none'), null);
	equal(params.has('a', '3'), true);
	equal(params.has('a', '4'), false);
	params.set('a', 'only');
	equal(`${params}`, 'a=only&b=2');
	params.append('b', '5');
	params.delete('b', '2');
	equal(`${params}`, 'a=only&b=5');
	const sorted = new URLSearchParams('z=1&a=2&z=0&\ufb03=3&\u{1f308}=4');
	sorted.sort();
	same([...sorted.keys()], ['a', 'z', 'z', '\u{1f308}', '\ufb03']);
	same([...sorted.values()].slice(0, 3), ['2', '1', '0']);
	const seen = [];
	params.forEach(function (value, name, object) {
		seen.push(name, value, object === params, this.x);
	}, { x: 7 });
	same(seen, ['a', 'only', true, 7, 'b', '5', true, 7]);
});

test('URLSearchParams: iterators are live', () => {
	const params = new URLSearchParams('a=1&b=2&c=3');
	const names = [];
	for (const [name] of params) {
		names.push(name);
		params.delete('b');
	}
	same(names, ['a', 'c']);
	equal(URLSearchParams.prototype[Symbol.iterator], URLSearchParams.prototype.entries);
	equal(Object.prototype.toString.call(params.keys()), '[object URLSearchParams Iterator]');
});
