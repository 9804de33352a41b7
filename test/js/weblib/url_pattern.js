// What test/wpt/urlpattern does not ask.
'use strict';

test('groups keep their order and may have any name', () => {
	const pattern = new URLPattern({ pathname: '/:b/:a/:__proto__/(.*)' });
	const { groups } = pattern.exec('http://h/1/2/3/4').pathname;
	same(Reflect.ownKeys(groups), ['0', 'b', 'a', '__proto__']);
	equal(groups.__proto__, '3');
	equal(Object.getPrototypeOf(groups), Object.prototype);
});

test('results name their inputs', () => {
	const pattern = new URLPattern('/a/:id', 'https://example.com');
	same(pattern.exec('/a/3', 'https://example.com').inputs, ['/a/3', 'https://example.com']);
	same(pattern.exec({ pathname: '/a/3', protocol: 'https', hostname: 'example.com' }).inputs, [
		{ hostname: 'example.com', pathname: '/a/3', protocol: 'https' },
	]);
	equal(pattern.exec('https://example.com/b'), null);
	equal(pattern.test('no url'), false);
});

test('errors', () => {
	const invalid = { name: 'TypeError', code: 'ERR_INVALID_URL_PATTERN' };
	throws(() => new URLPattern('('), invalid);
	throws(() => new URLPattern({ pathname: '([)' }), invalid);
	throws(() => new URLPattern({ pathname: '(a{2,1})' }), invalid);
	throws(() => new URLPattern({}, 'https://h/'), invalid);
	throws(() => new URLPattern(Symbol('s')), { name: 'TypeError' });
	throws(() => URLPattern(), { name: 'TypeError' });
	const { test: method } = URLPattern.prototype;
	throws(() => method.call({}), { name: 'TypeError', message: 'Illegal invocation' });
	throws(() => new URLPattern().exec({}, 'https://h/'), { name: 'TypeError' });
	throws(() => new URLPattern({ get hash() { throw new RangeError('mine'); } }), { name: 'RangeError' });
});

test('ignoreCase', () => {
	const pattern = new URLPattern({ pathname: '/Foo/:x' }, { ignoreCase: true });
	ok(pattern.test('http://h/fOO/a'));
	ok(!new URLPattern({ pathname: '/Foo/:x' }).test('http://h/fOO/a'));
});

test('long patterns and inputs', () => {
	const long = 'a'.repeat(100000);
	ok(new URLPattern({ pathname: `/${long}` }).test(`http://h/${long}`));
	equal(new URLPattern({ pathname: '/:x' }).exec(`http://h/${long}`).pathname.groups.x, long);
	const many = Array.from({ length: 500 }, (_, i) => `/:g${i}`).join('');
	const found = new URLPattern({ pathname: many }).exec(`http://h${'/v'.repeat(500)}`);
	equal(found.pathname.groups.g499, 'v');
});

test('hosts with "xn--" that is no punycode', () => {
	equal(new URL('https://XN--A.example/XN--A?xn--b').href, 'https://xn--a.example/XN--A?xn--b');
	equal(new URL('/b', 'https://xn--a/').href, 'https://xn--a/b');
	const url = new URL('https://xn--a/');
	url.pathname = '/xn--a/ß';
	url.hash = 'xn--';
	equal(url.href, 'https://xn--a/xn--a/%C3%9F#xn--');
	url.host = 'xn--b:8080';
	equal(url.host, 'xn--b:8080');
	equal(URL.canParse('https://xn--a.ß/'), false);
	equal(URL.canParse('https://xn--a b/'), false);
	const letters = [...'abcdefghijklmnopqrstuvwxyz'].map((letter) => `x${letter}--`).join('.');
	equal(URL.canParse(`https://${letters}/`), false); // no letter is left to hide behind
});

test('a tenant who changes built-ins changes nothing here', () => {
	const { exec } = RegExp.prototype;
	const { parse } = URL;
	RegExp.prototype.exec = URL.parse = () => ok(false, 'called');
	Object.defineProperty(URL.prototype, 'hostname', { get: () => 'evil', configurable: true });
	const found = new URLPattern({ hostname: '(a|b).c', pathname: '/:x' }).exec('http://a.c/1');
	RegExp.prototype.exec = exec;
	URL.parse = parse;
	equal(found.pathname.groups.x, '1');
});
