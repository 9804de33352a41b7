'use strict';

const bytes = (...list) => new Uint8Array(list);
const stream = (...chunks) =>
	new ReadableStream({
		start(controller) {
			for (const chunk of chunks) controller.enqueue(chunk);
			controller.close();
		},
	});
const hex = (view) => [...new Uint8Array(view)].map((b) => b.toString(16).padStart(2, '0')).join('');

test('defaults', () => {
	const response = new Response();
	equal(response.type, 'default');
	equal(response.url, '');
	equal(response.redirected, false);
	equal(response.status, 200);
	equal(response.ok, true);
	equal(response.statusText, '');
	equal(response.body, null);
	equal(response.bodyUsed, false);
	equal(response.headers, response.headers);
	equal([...response.headers].length, 0);
	equal(new Response(null).body, null);
	equal(new Response(undefined).body, null);
	equal(Response.length, 0);
	equal(Object.prototype.toString.call(response), '[object Response]');
});

test('init', () => {
	const response = new Response('x', { status: 404, statusText: 'No', headers: { A: 'b' } });
	equal(response.status, 404);
	equal(response.ok, false);
	equal(response.statusText, 'No');
	equal(response.headers.get('a'), 'b');
	equal(response.headers.get('content-type'), 'text/plain;charset=UTF-8');
	for (const status of [0, 100, 199, 600, 1000, -1, 'x', null, NaN])
		throws(() => new Response('', { status }), RangeError, `${status}`);
	equal(new Response('', { status: 200 + 65536 }).status, 200);
	equal(new Response('', { status: '201' }).status, 201);
	equal(new Response('', { status: 201.9 }).status, 201);
	throws(() => new Response('', { statusText: 'a\nb' }), TypeError);
	throws(() => new Response('', { statusText: '\u0100' }), TypeError);
	for (const status of [204, 205, 304]) {
		throws(() => new Response('', { status }), TypeError);
		equal(new Response(null, { status }).status, status);
	}
	throws(() => new Response('', 5), TypeError);
	equal(new Response('', null).status, 200);
	throws(() => new Response('', { headers: null }), TypeError);
});

test('content types', () => {
	const type = (...args) => new Response(...args).headers.get('content-type');
	equal(type('x'), 'text/plain;charset=UTF-8');
	equal(type(5), 'text/plain;charset=UTF-8');
	equal(type({}), 'text/plain;charset=UTF-8');
	equal(type(new URLSearchParams('a=b')), 'application/x-www-form-urlencoded;charset=UTF-8');
	equal(type(new Blob(['x'], { type: 'Text/X' })), 'text/x');
	equal(type(new Blob(['x'])), null);
	equal(type(bytes(1)), null);
	equal(type(stream(bytes(1))), null);
	equal(type(null), null);
	ok(/^multipart\/form-data; boundary=/.test(type(new FormData())));
	equal(type('x', { headers: { 'Content-Type': 'a/b' } }), 'a/b');
	equal(type('x', { headers: { other: '1' } }), 'text/plain;charset=UTF-8');
});

test('bodies of every kind', async () => {
	equal(await new Response('h\u00e9\ud800').text(), 'h\u00e9\ufffd');
	equal(await new Response('\ufeffx').text(), 'x');
	equal(await new Response(bytes(0xef, 0xbb, 0xbf, 0x78, 0xff)).text(), 'x\ufffd');
	equal(await new Response(12).text(), '12');
	equal(await new Response(bytes(104, 105).buffer).text(), 'hi');
	equal(await new Response(new DataView(bytes(104, 105, 106).buffer, 1)).text(), 'ij');
	equal(await new Response(new Uint16Array([0x6968])).text(), 'hi');
	equal(await new Response(new Blob(['a', 'b'])).text(), 'ab');
	equal(await new Response(new URLSearchParams({ a: ' \u00e9' })).text(), 'a=+%C3%A9');
	equal(await new Response(stream(bytes(97), bytes(), bytes(98))).text(), 'ab');
	equal(await new Response().text(), '');
	same(await new Response('{"a":[1]}').json(), { a: [1] });
	same(await new Response('\ufeff[1]').json(), [1]);
	await rejects(new Response('{').json(), SyntaxError);
	await rejects(new Response().json(), SyntaxError);
	equal(hex(await new Response('h\u00e9').arrayBuffer()), '68c3a9');
	const view = await new Response(bytes(1, 2)).bytes();
	ok(view instanceof Uint8Array && view.buffer.byteLength === 2);
	equal((await new Response(stream(bytes(1), bytes(2))).arrayBuffer()).byteLength, 2);
	const blob = await new Response('x', { headers: { 'content-type': 'Text/HTML;Charset="a b"' } }).blob();
	equal(`${blob.type} ${blob.size}`, 'text/html;charset="a b" 1');
	equal((await new Response(bytes(1)).blob()).type, '');
	equal(await new Response(new String('object')).text(), 'object');
});

test('bytes given are copied, bytes taken are fresh', async () => {
	const given = bytes(1, 2);
	const response = new Response(given);
	given[0] = 9;
	const clone = response.clone();
	const taken = await response.bytes();
	taken[1] = 9;
	equal(hex(taken), '0109');
	equal(hex(await clone.bytes()), '0102');
});

test('used and locked bodies', async () => {
	const response = new Response('x');
	const reading = response.text();
	equal(response.bodyUsed, true);
	await reading;
	for (const method of ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData'])
		await rejects(response[method](), TypeError);
	throws(() => response.clone(), TypeError);
	ok(response.body instanceof ReadableStream);
	ok(response.body.locked);
	const locked = new Response('x');
	locked.body.getReader();
	equal(locked.bodyUsed, false);
	await rejects(locked.text(), TypeError);
	throws(() => locked.clone(), TypeError);
	const released = new Response('x');
	released.body.getReader().releaseLock();
	equal(await released.text(), 'x');
	const used = new Response(stream(bytes(1)));
	await used.body.getReader().read();
	equal(used.bodyUsed, true);
	const source = stream(bytes(1));
	source.getReader();
	throws(() => new Response(source), TypeError);
	const disturbed = stream(bytes(1), bytes(2));
	const reader = disturbed.getReader();
	await reader.read();
	reader.releaseLock();
	throws(() => new Response(disturbed), TypeError);
	const empty = new Response();
	await empty.text();
	equal(empty.bodyUsed, false);
	equal(await empty.text(), '');
});

test('a body is one stream', async () => {
	const response = new Response('hello');
	equal(response.body, response.body);
	const reader = response.body.getReader();
	const { value, done } = await reader.read();
	equal(new TextDecoder().decode(value), 'hello');
	equal(done, false);
	equal((await reader.read()).done, true);
	equal(response.bodyUsed, true);
	const byob = new Response('hello').body.getReader({ mode: 'byob' });
	let text = '';
	for (;;) {
		const step = await byob.read(new Uint8Array(2));
		if (step.done) break;
		text += new TextDecoder().decode(step.value);
	}
	equal(text, 'hello');
	const own = stream(bytes(1));
	equal(new Response(own).body, own);
	let count = 0;
	for await (const chunk of new Response(new Blob([new Uint8Array(200000)])).body) count += chunk.length;
	equal(count, 200000);
});

test('errors of streams', async () => {
	const error = new Error('broken');
	const broken = () => new ReadableStream({ pull: (controller) => controller.error(error) });
	await rejects(new Response(broken()).text(), { message: 'broken' });
	await rejects(new Response(broken()).bytes(), { message: 'broken' });
	await rejects(new Response(stream('text')).text(), TypeError);
	await rejects(new Response(stream(5)).bytes(), TypeError);
});

test('clone', async () => {
	const response = new Response('x', { status: 201, statusText: 'S', headers: { a: 'b' } });
	const clone = response.clone();
	equal(clone.status, 201);
	equal(clone.statusText, 'S');
	clone.headers.set('a', 'c');
	equal(response.headers.get('a'), 'b');
	equal((await response.text()) + (await clone.text()), 'xx');
	const streamed = new Response(stream(bytes(97), bytes(98)));
	const other = streamed.clone();
	const chunk = (await streamed.body.getReader().read()).value;
	chunk[0] = 0;
	equal(await other.text(), 'ab');
	equal(new Response().clone().body, null);
});

test('static methods', async () => {
	const error = Response.error();
	equal(`${error.type} ${error.status} ${error.body}`, 'error 0 null');
	throws(() => error.headers.set('a', 'b'), TypeError);
	const redirect = Response.redirect('http://a/../b', 301);
	equal(`${redirect.status} ${redirect.headers.get('location')}`, '301 http://a/b');
	throws(() => redirect.headers.append('a', 'b'), TypeError);
	equal(Response.redirect(new URL('http://u/')).status, 302);
	throws(() => Response.redirect('http://['), TypeError);
	throws(() => Response.redirect('/relative'), TypeError);
	for (const status of [200, 300, 304, 309, 0]) throws(() => Response.redirect('http://a/', status), RangeError);
	throws(() => Response.redirect(), TypeError);
	const json = Response.json({ a: 1 }, { status: 202, headers: { x: 'y' } });
	equal(`${json.status} ${json.headers.get('content-type')} ${json.headers.get('x')}`, '202 application/json y');
	equal(await json.text(), '{"a":1}');
	equal(Response.json('a', { headers: { 'content-type': 'foo/bar' } }).headers.get('content-type'), 'foo/bar');
	throws(() => Response.json(undefined), TypeError);
	throws(() => Response.json(Symbol()), TypeError);
	throws(() => Response.json(() => 1), TypeError);
	throws(() => Response.json(1n), TypeError);
	throws(() => Response.json(), TypeError);
	throws(() => Response.json({}, { status: 204 }), TypeError);
	throws(() => Response.json({ get a() { throw new RangeError('mine'); } }), RangeError);
	equal(Response.json.length, 1);
});

test('wrong receivers', async () => {
	for (const name of ['status', 'ok', 'headers', 'body', 'bodyUsed', 'type', 'url', 'redirected', 'statusText'])
		throws(() => Object.getOwnPropertyDescriptor(Response.prototype, name).get.call({}), TypeError, name);
	for (const name of ['text', 'json', 'arrayBuffer', 'bytes', 'blob', 'formData'])
		await rejects(Response.prototype[name].call({}), TypeError);
	throws(() => Response.prototype.clone.call({}), TypeError);
});

test('tenants who replace built-ins change only themselves', async () => {
	const { then } = Promise.prototype;
	const { iterator } = Symbol;
	const values = Array.prototype[iterator];
	Promise.prototype.then = undefined;
	Array.prototype[iterator] = undefined;
	try {
		new Headers({ a: 'b' }).get('a');
		equal(new Response('x').status, 200);
	} finally {
		Promise.prototype.then = then;
		Array.prototype[iterator] = values;
	}
});
