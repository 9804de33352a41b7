'use strict';

const get = (url, init) => new Request(url, init);
const text = async (response) => (response === undefined ? undefined : response.text());

test('what was put is found, as often as one likes', async () => {
	const cache = await caches.open('a');
	const response = new Response('one', { status: 201, statusText: 'Made', headers: { 'x-a': 'b' } });
	equal(await cache.put('http://h/1', response), undefined);
	equal(response.bodyUsed, true);
	for (let i = 0; i < 2; i++) {
		const found = await cache.match('http://h/1#fragment');
		equal(found.status, 201);
		equal(found.statusText, 'Made');
		equal(found.headers.get('x-a'), 'b');
		throws(() => found.headers.set('x-a', 'c'), { name: 'TypeError' });
		equal(await found.text(), 'one');
	}
	equal(await cache.match('http://h/2'), undefined);
	equal(await cache.match(get('http://h/1', { method: 'HEAD' })), undefined);
	equal(await text(await cache.match(get('http://h/1', { method: 'HEAD' }), { ignoreMethod: true })), 'one');
});

test('a second put replaces the first', async () => {
	const cache = await caches.open('replace');
	await cache.put('http://h/', new Response('one'));
	await cache.put('http://h/', new Response('two'));
	equal((await cache.keys()).length, 1);
	equal(await text(await cache.match('http://h/')), 'two');
	equal(await cache.delete('http://h/'), true);
	equal(await cache.delete('http://h/'), false);
});

test('search and Vary count, unless they are ignored', async () => {
	const cache = await caches.open('vary');
	const put = (url, language, body) =>
		cache.put(get(url, { headers: { 'accept-language': language } }),
			new Response(body, { headers: { vary: 'Accept-Language' } }));
	await put('http://h/?a', 'de', 'ja');
	await put('http://h/?a', 'en', 'yes');
	equal((await cache.keys()).length, 2);
	const asked = get('http://h/?a', { headers: { 'accept-language': 'en' } });
	equal(await text(await cache.match(asked)), 'yes');
	equal(await cache.match('http://h/?a'), undefined);
	equal(await text(await cache.match('http://h/?a', { ignoreVary: true })), 'ja');
	equal(await cache.match('http://h/?b', { ignoreVary: true }), undefined);
	equal((await cache.matchAll('http://h/', { ignoreVary: true, ignoreSearch: true })).length, 2);
	same((await cache.keys()).map((request) => request.headers.get('accept-language')), ['de', 'en']);
});

test('what no cache keeps', async () => {
	const cache = await caches.open('refused');
	await rejects(cache.put('ftp://h/', new Response()), { name: 'TypeError' });
	await rejects(cache.put(get('http://h/', { method: 'POST' }), new Response()), { name: 'TypeError' });
	await rejects(cache.put('http://h/', new Response('', { status: 206 })), { name: 'TypeError' });
	await rejects(cache.put('http://h/', new Response('', { headers: { vary: 'a, *' } })), { name: 'TypeError' });
	await rejects(cache.put('http://h/', {}), { name: 'TypeError' });
	await rejects(cache.put('/relative', new Response()), { name: 'TypeError' });
	const used = new Response('x');
	await used.text();
	await rejects(cache.put('http://h/', used), { name: 'TypeError' });
	await rejects(cache.match(), { name: 'TypeError' });
	await rejects(cache.add('data:,x'), { name: 'TypeError' });
	await rejects(Cache.prototype.keys.call({}), { name: 'TypeError' });
	throws(() => new Cache(), { name: 'TypeError' });
	throws(() => new CacheStorage(), { name: 'TypeError' });
	equal((await cache.keys()).length, 0);
});

test('caches have names', async () => {
	equal(await caches.has('named'), false);
	const cache = await caches.open('named');
	equal(await caches.has('named'), true);
	await cache.put('http://named/', new Response('n'));
	equal(await text(await caches.match('http://named/')), 'n');
	equal(await caches.match('http://named/', { cacheName: 'a' }), undefined);
	equal(await text(await (await caches.open('named')).match('http://named/')), 'n');
	equal(await caches.delete('named'), true);
	equal(await caches.delete('named'), false);
	equal(await caches.match('http://named/'), undefined);
	equal(await text(await cache.match('http://named/')), 'n'); // as long as somebody has it
});

test('entries are bounded: what was used longest ago goes', async () => {
	const cache = await caches.open('many');
	await cache.put('http://first/', new Response('1'));
	for (let i = 0; i < 10005; i++) {
		await cache.put(`http://h/${i}`, new Response());
		if (i === 5000) ok(await cache.match('http://first/'), 'gone before its time');
	}
	ok((await cache.keys()).length <= 10000);
	ok(await cache.match('http://first/'), 'what was used is kept');
	equal(await cache.match('http://h/0'), undefined);
	ok(await cache.match('http://h/10004'));
	await caches.delete('many');
});

test('bytes are bounded, too', async () => {
	// The tests' worker has 512 MiB: a quarter of it.
	const cache = await caches.open('large');
	const large = new Uint8Array(20 * 1024 * 1024);
	for (let i = 0; i < 10; i++) await cache.put(`http://h/${i}`, new Response(large));
	const kept = await cache.keys();
	same(kept.map((request) => request.url), [4, 5, 6, 7, 8, 9].map((i) => `http://h/${i}`));
	const body = new ReadableStream({
		start(controller) {
			for (let i = 0; i < 7; i++) controller.enqueue(large);
			controller.close();
		},
	});
	const put = cache.put('http://h/', new Response(body));
	await rejects(put, { name: 'QuotaExceededError', code: 22, quota: 128 * 1024 * 1024 });
	throws(() => new QuotaExceededError('', { quota: 2, requested: 1 }), { name: 'RangeError' });
	throws(() => new QuotaExceededError('', { quota: NaN }), { name: 'TypeError' });
	equal(new QuotaExceededError().requested, null);
	ok(new QuotaExceededError() instanceof DOMException);
	await caches.delete('large');
	let names = 0;
	await rejects(
		(async () => {
			for (; names < 300; names++) await caches.open(`name ${names}`);
		})(),
		{ name: 'QuotaExceededError' },
	);
	ok(names <= 256);
});

test('a tenant who changes built-ins changes nothing here', async () => {
	const { then } = Promise.prototype;
	Object.defineProperty(Promise.prototype, 'constructor', { value: Object, configurable: true });
	Response.prototype.clone = Response.prototype.text = () => ok(false, 'called');
	const cache = await caches.open('a');
	await cache.put('http://h/1', new Response('x', { status: 202 }));
	const found = await cache.match('http://h/1');
	equal(found.status, 202);
	Object.defineProperty(Promise.prototype, 'constructor', { value: Promise, configurable: true });
	equal(Promise.prototype.then, then);
});
