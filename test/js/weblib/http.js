// node:http's parser and WebSocket, as a program may abuse them.
'use strict';

const { HTTPParser, parsers } = process.getBuiltinModule('_http_common');
const { ConnectionsList } = (() => {
	const http = process.getBuiltinModule('http');
	const server = http.createServer();
	server.emit('listening');
	const list = Object.getOwnPropertySymbols(server)
		.map((symbol) => server[symbol])
		.find((value) => typeof value?.expired === 'function');
	server.close();
	return { ConnectionsList: list.constructor };
})();

const bytes = (text) => Buffer.from(text, 'latin1');
const GET = 'GET /path HTTP/1.1\r\nHost: a\r\nX-Y: z  \r\n\r\n';

function makeParser(callbacks = {}, type = HTTPParser.REQUEST, ...more) {
	const parser = new HTTPParser();
	for (const key of Object.keys(callbacks)) parser[HTTPParser[key]] = callbacks[key];
	parser.initialize(type, {}, ...more);
	return parser;
}

test('a request in one piece and in many says the same', () => {
	for (const size of [1, 2, 7, 1000]) {
		const seen = [];
		const parser = makeParser({
			kOnHeaders: (headers, url) => seen.push(...headers, url),
			kOnHeadersComplete: (major, minor, headers, method, url) => {
				seen.push(major, minor, ...(headers ?? []), method, url);
			},
			kOnMessageComplete: () => seen.push('end'),
		});
		const input = bytes(GET);
		for (let i = 0; i < input.length; i += size) parser.execute(input.subarray(i, i + size));
		same(seen, [1, 1, 'Host', 'a', 'X-Y', 'z', 1, '/path', 'end'], `pieces of ${size}`);
	}
});

test('a parser cannot be used from its own callbacks', () => {
	const errors = [];
	const attempt = (what) => {
		try {
			what();
		} catch (error) {
			errors.push(error.code);
		}
	};
	const parser = makeParser({
		kOnHeadersComplete() {
			attempt(() => this.execute(bytes(GET)));
			attempt(() => this.initialize(HTTPParser.REQUEST, {}));
			equal(this.finish(), undefined);
		},
	});
	equal(parser.execute(bytes(GET)), GET.length);
	same(errors, ['ERR_INVALID_STATE', 'ERR_INVALID_STATE']);
});

test('closed or freed in a callback, it stops there', () => {
	for (const method of ['close', 'free']) {
		let calls = 0;
		const parser = makeParser({
			kOnHeadersComplete() {
				calls++;
				this[method]();
			},
		});
		parser.execute(bytes(GET + GET));
		equal(calls, 1, method);
		if (method === 'close') throws(() => parser.execute(bytes(GET)), { code: 'ERR_INVALID_STATE' });
	}
});

test('what is parsed may be taken away meanwhile', () => {
	const body = 'x'.repeat(100000);
	for (const make of [
		(size) => new ArrayBuffer(size),
		(size) => new ArrayBuffer(size, { maxByteLength: size }),
		(size) => new SharedArrayBuffer(size),
	]) {
		const input = bytes(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
		const buffer = make(input.length);
		const view = new Uint8Array(buffer);
		view.set(input);
		let length = 0;
		const parser = makeParser({
			kOnHeadersComplete() {
				if (buffer.resizable) buffer.resize(0);
				else if (buffer.transfer) buffer.transfer();
				else view.fill(0);
			},
			kOnBody: (part) => {
				ok(Buffer.isBuffer(part));
				length += part.length;
			},
		});
		parser.execute(view);
		equal(length, body.length);
	}
});

test('an exception of a callback reaches whoever executes', () => {
	for (const name of ['kOnMessageBegin', 'kOnHeadersComplete', 'kOnBody', 'kOnMessageComplete']) {
		const parser = makeParser({
			[name]() {
				throw new RangeError(name);
			},
		});
		throws(() => parser.execute(bytes('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx')), {
			name: 'RangeError',
			message: name,
		});
	}
	const getter = new HTTPParser();
	Object.defineProperty(getter, HTTPParser.kOnHeadersComplete, {
		get() {
			throw new TypeError('mine');
		},
	});
	getter.initialize(HTTPParser.REQUEST, {});
	throws(() => getter.execute(bytes(GET)), { message: 'mine' });
});

test('wrong arguments', () => {
	const parser = makeParser();
	for (const value of [undefined, null, 5, 'text', {}, [1]])
		throws(() => parser.execute(value), { code: 'ERR_INVALID_ARG_TYPE' });
	throws(() => new HTTPParser().execute(bytes(GET)), { code: 'ERR_INVALID_STATE' });
	throws(() => parser.initialize(0, {}), { code: 'ERR_INVALID_ARG_VALUE' });
	throws(() => HTTPParser.prototype.execute.call({}, bytes(GET)), TypeError);
	throws(() => HTTPParser.prototype.execute.call(new ConnectionsList(), bytes(GET)), TypeError);
	for (const value of [NaN, -1, Infinity, {}, 1e300]) parser.initialize(HTTPParser.REQUEST, {}, value, value, value);
	equal(parser.execute(new Uint8Array(0)), 0);
});

test('limits of heads', () => {
	const long = makeParser({}, HTTPParser.REQUEST, 100);
	equal(long.execute(bytes(`GET /${'x'.repeat(200)} HTTP/1.1\r\n\r\n`)).code, 'HPE_HEADER_OVERFLOW');
	const chunked = makeParser();
	const result = chunked.execute(
		bytes(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20000)}\r\nab\r\n0\r\n\r\n`),
	);
	equal(result.code, 'HPE_CHUNK_EXTENSIONS_OVERFLOW');
});

test('lists of connections', () => {
	const list = new ConnectionsList();
	const parser = makeParser({}, HTTPParser.REQUEST, 0, 0, list);
	same([list.all().length, list.idle().length, list.active().length], [1, 0, 1]);
	parser.execute(bytes(GET));
	same([list.all().length, list.idle().length, list.active().length], [1, 1, 0]);
	equal(list.all()[0], parser);
	equal(list.expired(1e9, 1e9).length, 0);
	equal(list.expired(NaN, -5).length, 0);
	parser.remove();
	equal(list.all().length, 0);
	parser.initialize(HTTPParser.REQUEST, {}, 0, 0, list);
	parser.close();
	equal(list.all().length, 0);
});

test('WebSocket: what the constructor refuses', () => {
	for (const [args, name] of [
		[['ftp://a/'], 'SyntaxError'],
		[['relative'], 'SyntaxError'],
		[['ws://a/#b'], 'SyntaxError'],
		[['ws://a/', ['b', 'B']], 'SyntaxError'],
		[['ws://a/', 'not a token'], 'SyntaxError'],
		[[], 'TypeError'],
	])
		throws(() => new WebSocket(...args), { name });
	equal(WebSocket.CONNECTING, 0);
	equal(WebSocket.prototype.CLOSED, 3);
	throws(() => WebSocket.prototype.send.call({}, ''), TypeError);
	throws(() => Object.getOwnPropertyDescriptor(WebSocket.prototype, 'url').get.call({}), TypeError);
	throws(() => new EventSource('relative'), { name: 'SyntaxError' });
});

test('CloseEvent', () => {
	const event = new CloseEvent('close', { code: 1000, reason: 'x', wasClean: true });
	same([event.type, event.code, event.reason, event.wasClean], ['close', 1000, 'x', true]);
	same([new CloseEvent('a').code, new CloseEvent('a').reason], [0, '']);
});

test('WebSocketPair: both ends here, and misuse', async () => {
	const { 0: one, 1: two } = new WebSocketPair();
	same([one.readyState, two.readyState], [1, 1]);
	throws(() => new Response(null, { status: 101 }), RangeError);
	throws(() => new Response(null, { status: 200, webSocket: one }), TypeError);
	throws(() => new Response(null, { status: 101, webSocket: {} }), TypeError);
	const response = new Response(null, { status: 101, webSocket: one });
	equal(response.webSocket, one);
	throws(() => response.clone(), TypeError);
	throws(() => one.close(1001), { name: 'InvalidAccessError' });
	throws(() => one.close(1000, 'x'.repeat(124)), { name: 'SyntaxError' });
	const got = [];
	two.addEventListener('message', (event) => got.push(event.data));
	one.accept();
	one.send('early');
	two.accept();
	one.send('late');
	same(got, ['early', 'late']);
});
