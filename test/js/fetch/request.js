'use strict';

const URL_TEXT = 'http://example.com/';
const stream = (text) =>
	new ReadableStream({
		start(controller) {
			controller.enqueue(new TextEncoder().encode(text));
			controller.close();
		},
	});

test('defaults', () => {
	const request = new Request('HTTP://Example.com/a/../b#c');
	equal(request.method, 'GET');
	equal(request.url, 'http://example.com/b#c');
	equal(request.destination, '');
	equal(request.referrer, 'about:client');
	equal(request.referrerPolicy, '');
	equal(request.mode, 'cors');
	equal(request.credentials, 'same-origin');
	equal(request.cache, 'default');
	equal(request.redirect, 'follow');
	equal(request.integrity, '');
	equal(request.keepalive, false);
	equal(request.isReloadNavigation, false);
	equal(request.isHistoryNavigation, false);
	equal(request.duplex, 'half');
	equal(request.body, null);
	equal(request.bodyUsed, false);
	ok(request.signal instanceof AbortSignal && !request.signal.aborted);
	equal(request.headers, request.headers);
	equal(Request.length, 1);
	equal(Object.prototype.toString.call(request), '[object Request]');
});

test('URLs', () => {
	equal(new Request(new URL('http://a/b')).url, 'http://a/b');
	equal(new Request({ toString: () => 'http://a/' }).url, 'http://a/');
	for (const bad of ['/relative', 'http://[', '', 'http://u:p@a/', 'http://u@a/'])
		throws(() => new Request(bad), TypeError, bad);
	throws(() => new Request(), TypeError);
	throws(() => Request('http://a/'), TypeError);
});

test('methods', () => {
	for (const method of ['get', 'Get', 'POST', 'post', 'put', 'delete', 'head', 'options'])
		equal(new Request(URL_TEXT, { method }).method, method.toUpperCase());
	equal(new Request(URL_TEXT, { method: 'patch' }).method, 'patch');
	equal(new Request(URL_TEXT, { method: 'PATCH' }).method, 'PATCH');
	equal(new Request(URL_TEXT, { method: 'custom' }).method, 'custom');
	equal(new Request(URL_TEXT, { method: undefined }).method, 'GET');
	for (const method of ['CONNECT', 'trace', 'TRACK', 'a b', '', '\u00e9', '\u0100'])
		throws(() => new Request(URL_TEXT, { method }), TypeError, method);
});

test('settings', () => {
	const init = {
		mode: 'same-origin', credentials: 'omit', cache: 'only-if-cached', redirect: 'manual',
		referrer: '', referrerPolicy: 'origin', integrity: 'sha256-x', keepalive: 1,
	};
	const request = new Request(URL_TEXT, init);
	equal(request.mode, 'same-origin');
	equal(request.credentials, 'omit');
	equal(request.cache, 'only-if-cached');
	equal(request.redirect, 'manual');
	equal(request.referrer, '');
	equal(request.referrerPolicy, 'origin');
	equal(request.integrity, 'sha256-x');
	equal(request.keepalive, true);
	const copy = new Request(request);
	equal(copy.cache + copy.redirect, 'only-if-cachedmanual');
	const bad = {
		mode: 'x', credentials: 'x', cache: 'x', redirect: 'x', referrerPolicy: 'x', duplex: 'full',
		priority: 'x', signal: {}, window: 1, referrer: 'http://[', headers: 5,
	};
	for (const name of Object.keys(bad))
		throws(() => new Request(URL_TEXT, { [name]: bad[name] }), TypeError, name);
	throws(() => new Request(URL_TEXT, { mode: 'navigate' }), TypeError);
	throws(() => new Request(URL_TEXT, { cache: 'only-if-cached' }), TypeError);
	throws(() => new Request(URL_TEXT, { mode: 'no-cors', method: 'PUT' }), TypeError);
	throws(() => new Request(URL_TEXT, 5), TypeError);
	equal(new Request(URL_TEXT, null).method, 'GET');
	equal(new Request(URL_TEXT, { window: null }).method, 'GET');
});

test('bodies', async () => {
	const request = new Request(URL_TEXT, { method: 'POST', body: 'x' });
	equal(request.headers.get('content-type'), 'text/plain;charset=UTF-8');
	equal(await request.text(), 'x');
	equal(request.bodyUsed, true);
	for (const method of ['GET', 'HEAD'])
		throws(() => new Request(URL_TEXT, { method, body: 'x' }), TypeError);
	equal(new Request(URL_TEXT, { body: null }).body, null);
	throws(() => new Request(URL_TEXT, { method: 'POST', body: stream('x') }), TypeError);
	const streamed = new Request(URL_TEXT, { method: 'POST', body: stream('x'), duplex: 'half' });
	equal(await streamed.text(), 'x');
	throws(() => new Request(URL_TEXT, { method: 'POST', body: stream('x'), duplex: 'half', keepalive: true }), TypeError);
	const typed = new Request(URL_TEXT, { method: 'POST', body: 'x', headers: { 'content-type': 'a/b' } });
	equal(typed.headers.get('content-type'), 'a/b');
	same(await new Request(URL_TEXT, { method: 'POST', body: '[1]' }).json(), [1]);
});

test('a request from a request', async () => {
	const first = new Request(URL_TEXT, { method: 'POST', body: 'x', headers: { a: 'b' } });
	const second = new Request(first);
	equal(second.method + second.url + second.headers.get('a'), 'POSThttp://example.com/b');
	equal(first.bodyUsed, true);
	throws(() => new Request(first), TypeError);
	throws(() => first.clone(), TypeError);
	equal(await second.text(), 'x');
	const third = new Request(URL_TEXT, { method: 'POST', body: stream('abc'), duplex: 'half' });
	ok(third.body !== null);
	const fourth = new Request(third);
	equal(third.bodyUsed, true);
	ok(third.body.locked);
	equal(await fourth.text(), 'abc');
	const replaced = new Request(new Request(URL_TEXT, { method: 'POST', body: 'x' }), { body: 'y', headers: { c: 'd' } });
	equal((await replaced.text()) + replaced.headers.get('c') + replaced.headers.get('a'), 'ydnull');
	throws(() => new Request(new Request(URL_TEXT, { method: 'POST', body: 'x' }), { method: 'GET' }), TypeError);
	const kept = new Request(URL_TEXT, { method: 'POST', body: 'x' });
	throws(() => new Request(kept, { method: 'CONNECT' }), TypeError);
	equal(kept.bodyUsed, false);
});

test('clone', async () => {
	const request = new Request(URL_TEXT, { method: 'POST', body: 'x', headers: { a: 'b' } });
	const clone = request.clone();
	clone.headers.set('a', 'c');
	equal(request.headers.get('a'), 'b');
	equal((await request.text()) + (await clone.text()), 'xx');
	throws(() => request.clone(), TypeError);
});

test('signals', () => {
	const controller = new AbortController();
	const request = new Request(URL_TEXT, { signal: controller.signal });
	ok(request.signal !== controller.signal);
	const clone = request.clone();
	const copy = new Request(request);
	const without = new Request(request, { signal: null });
	let count = 0;
	for (const each of [request, clone, copy, without]) each.signal.addEventListener('abort', () => count++);
	controller.abort('why');
	equal(count, 3);
	equal(clone.signal.reason, 'why');
	equal(without.signal.aborted, false);
	ok(new Request(URL_TEXT, { signal: AbortSignal.abort() }).signal.aborted);
});

test('members are read in order, once', () => {
	const log = [];
	const init = new Proxy({}, { get: (target, key) => void log.push(key), has: () => true });
	new Request(URL_TEXT, init);
	same(log, ['body', 'cache', 'credentials', 'duplex', 'headers', 'integrity', 'keepalive', 'method',
		'mode', 'priority', 'redirect', 'referrer', 'referrerPolicy', 'signal', 'unix', 'window']);
});

test('server-side requests may have any header', () => {
	const headers = { host: 'a', cookie: 'b', 'content-length': '5', origin: 'c', connection: 'close' };
	const request = new Request(URL_TEXT, { headers });
	for (const name of Object.keys(headers)) equal(request.headers.get(name), headers[name]);
});
