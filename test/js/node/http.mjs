// node:http over streams in memory: no network is needed, and the output is Node's.
import http from 'node:http';
import https from 'node:https';
import { duplexPair } from 'node:stream';
import { once } from 'node:events';
import { AsyncLocalStorage } from 'node:async_hooks';

const log = (...values) => console.log(...values);
const text = async (message) => {
	let all = '';
	message.setEncoding('utf8');
	for await (const part of message) all += part;
	return all;
};
const withoutDate = (headers) => {
	const copy = { ...headers };
	delete copy.date;
	return copy;
};

// A client's socket to SERVER.
function socketTo(server) {
	const [near, far] = duplexPair();
	for (const side of [near, far]) {
		side.setTimeout ??= () => side;
		side.setKeepAlive ??= () => side;
		side.setNoDelay ??= () => side;
		side.ref ??= side.unref ??= () => side;
	}
	server.emit('connection', far);
	return near;
}

async function ask(server, options, body) {
	const request = http.request({ host: 'localhost', createConnection: () => socketTo(server), ...options });
	request.end(body);
	const [response] = await once(request, 'response');
	const answer = await text(response);
	return [response.statusCode, response.statusMessage, withoutDate(response.headers), answer, response.trailers];
}

// What SERVER says to bytes.
async function raw(server, bytes) {
	const socket = socketTo(server);
	let all = '';
	socket.on('data', (data) => (all += data));
	socket.write(bytes);
	const ended = once(socket, 'end');
	await Promise.race([ended, new Promise((done) => setTimeout(done, 50))]);
	return all.replace(/^Date: .*\r\n/gm, '');
}

// ---- requests and answers ----

const server = http.createServer(async (request, response) => {
	const url = new URL(request.url, 'http://localhost');
	switch (url.pathname) {
		case '/echo':
			response.writeHead(201, 'Made', { 'Content-Type': 'text/plain', 'X-Method': request.method });
			response.end(await text(request));
			break;
		case '/headers':
			response.setHeader('Set-Cookie', ['a=1', 'b=2']);
			response.setHeader('X-Raw', request.rawHeaders.length);
			response.end(JSON.stringify([request.headers, request.headersDistinct, request.httpVersion]));
			break;
		case '/chunks':
			response.write('one');
			response.write('two');
			response.addTrailers({ 'X-Trailer': 'yes' });
			response.end();
			break;
		case '/early':
			response.writeEarlyHints({ link: '</style.css>; rel=preload' });
			response.writeProcessing();
			response.end('late');
			break;
		case '/nothing':
			response.statusCode = 204;
			response.end();
			break;
		case '/twice':
			response.end('first');
			try {
				response.setHeader('a', 'b');
			} catch (error) {
				log(error.code);
			}
			response.write('more', (error) => log(error.code));
			response.on('error', (error) => log('error', error.code));
			break;
		default:
			response.end(`${request.method} ${request.url}`);
	}
});

log(await ask(server, { path: '/' }));
log(await ask(server, { path: '/echo', method: 'POST' }, 'a body'));
log(await ask(server, { path: '/echo', method: 'PUT', headers: { 'Transfer-Encoding': 'chunked' } }, 'x'.repeat(100)));
log(await ask(server, { path: '/headers', headers: { 'X-A': ['1', '2'], Cookie: ['a=1', 'b=2'] } }));
log(await ask(server, { path: '/chunks' }));
log(await ask(server, { path: '/nothing' }));
log(await ask(server, { path: '/twice' }));
log(await ask(server, { path: '/x', method: 'HEAD' }));
{
	const request = http.request({ createConnection: () => socketTo(server), path: '/early' });
	request.on('information', (info) => log('information', info.statusCode, info.headers));
	request.end();
	const [response] = await once(request, 'response');
	log(await text(response));
}

// ---- bytes that are no good request ----

for (const bytes of [
	'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
	'GET / HTTP/1.0\r\n\r\n',
	'GET / HTTP/1.1\r\n\r\n',
	'GARBAGE\r\n\r\n',
	`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20000)}\r\n\r\n`,
	'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
	'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
	'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
	'GET / HTTP/1.1\r\nHost: a\r\nExpect: other\r\nConnection: close\r\n\r\n',
	`GET /many HTTP/1.1\r\nHost: a\r\n${Array.from({ length: 50 }, (_, i) => `H${i}: ${i}\r\n`).join('')}Connection: close\r\n\r\n`,
])
	log(JSON.stringify(await raw(server, bytes)));

// Heads that come in pieces.
{
	const socket = socketTo(server);
	let all = '';
	socket.on('data', (data) => (all += data));
	for (const byte of 'GET /slow HTTP/1.1\r\nHost: example\r\nX-Long: abc def  \r\nConnection: close\r\n\r\n') socket.write(byte);
	await once(socket, 'end');
	log(JSON.stringify(all.replace(/^Date: .*\r\n/gm, '')));
}

// ---- upgrade and CONNECT ----

server.on('upgrade', (request, socket, head) => {
	log('upgrade', request.url, request.headers.upgrade, String(head));
	socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: thing\r\nConnection: Upgrade\r\n\r\nbytes');
});
server.on('connect', (request, socket) => {
	log('connect', request.url);
	socket.end('HTTP/1.1 200 OK\r\n\r\ntunnel');
});
for (const [event, options] of [
	['upgrade', { path: '/up', headers: { Connection: 'Upgrade', Upgrade: 'thing' } }],
	['connect', { method: 'CONNECT', path: 'example.com:443' }],
]) {
	const request = http.request({ createConnection: () => socketTo(server), ...options });
	request.end();
	const [response, socket, head] = await once(request, event);
	let rest = String(head);
	socket.on('data', (data) => (rest += data));
	await new Promise((done) => setTimeout(done, 30));
	log(event, response.statusCode, rest);
}

// ---- the client's errors ----

const refused = async (options, prepare = () => {}) => {
	try {
		const request = http.request(options);
		prepare(request);
		request.end();
		const [error] = await once(request, 'error');
		throw error;
	} catch (error) {
		log(error.name, error.code, error.message);
	}
};
const canned = (answer) => () => {
	const [near, far] = duplexPair();
	near.setTimeout = near.setKeepAlive = near.setNoDelay = near.ref = near.unref = () => near;
	far.once('data', () => far.end(answer));
	return near;
};
await refused({ path: '/a b' });
await refused({ method: 'NO WAY' });
await refused({ protocol: 'ftp:' });
await refused({ headers: { 'bad name': '1' } });
await refused({ headers: { good: 'bad\nvalue' } });
await refused({ createConnection: canned('nonsense\r\n\r\n') });
await refused({ createConnection: canned('') });
await refused({ createConnection: canned('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n') });
await refused({ createConnection: canned(''), signal: AbortSignal.abort() });
await refused({ createConnection: () => socketTo(http.createServer(() => {})) }, (request) => request.destroy(new Error('mine')));
{
	const request = http.get({ createConnection: canned('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf') });
	const [response] = await once(request, 'response');
	try {
		await text(response);
	} catch (error) {
		log(error.code, error.message, response.complete);
	}
}

// ---- an agent that keeps connections ----

{
	const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
	agent.createConnection = () => socketTo(server);
	const answers = await Promise.all(
		[1, 2, 3].map(async (i) => {
			const request = http.get({ agent, path: `/${i}` });
			const [response] = await once(request, 'response');
			return [await text(response), request.reusedSocket];
		}),
	);
	log(answers, Object.keys(agent.freeSockets));
	agent.destroy();
}

// ---- AsyncLocalStorage ----

{
	const storage = new AsyncLocalStorage();
	const inside = http.createServer((request, response) => storage.run(request.url, async () => {
		await null;
		response.end(String(storage.getStore()));
	}));
	log((await ask(inside, { path: '/context' }))[3]);
	const seen = await storage.run('outer', async () => {
		const request = http.get({ createConnection: () => socketTo(inside), path: '/' });
		return new Promise((done) => request.on('response', (response) => {
			response.resume();
			done(storage.getStore());
		}));
	});
	log(seen);
}

// ---- what else is there ----

log(Object.keys(http).sort(), Object.keys(https).sort());
log(http.METHODS, http.STATUS_CODES[418], http.maxHeaderSize);
for (const name of ['ok', '', 'no good', 'é'])
	try {
		http.validateHeaderName(name);
		log('valid', name);
	} catch (error) {
		log(error.code, error.message);
	}
for (const value of ['ok', undefined, 'a\r\nb', 'ü', '☃'])
	try {
		http.validateHeaderValue('x', value);
		log('valid', value);
	} catch (error) {
		log(error.code, error.message);
	}
for (const options of [{ maxHeaderSize: -1 }, { requestTimeout: 'x' }, { headersTimeout: 10, requestTimeout: 5 }, 5])
	try {
		http.createServer(options);
	} catch (error) {
		log(error.code, error.message);
	}
log(http.globalAgent.options.keepAlive, http.globalAgent.maxSockets, https.globalAgent.protocol);
log(new http.Agent().getName({ host: 'a', port: 1, localAddress: 'b' }));
process.exit(0);
