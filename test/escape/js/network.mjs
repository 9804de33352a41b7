// Ways to hosts that are not granted. Granted is 127.0.0.1:PORT, and the name
// "allowed.invalid", which nobody resolves. Arguments: PORT, DENIED (a port that somebody
// listens on), PATH of a unix socket that somebody listens on.
import dns from 'node:dns/promises';
import net from 'node:net';
import process from 'node:process';
import { absent, check, codeOf, refused } from './check.mjs';

const [port, denied, path] = process.argv.slice(2);
const DENIED = ['ERR_ACCESS_DENIED', 'EACCES', 'ERR_INVALID_URL', 'ERR_INVALID_ARG_VALUE', 'TypeError', 'ENOTFOUND', 'EAI_FAIL', 'ERR_SOCKET_BAD_PORT', 'EINVAL', 'ERR_INVALID_ADDRESS'];
const connect = (options) =>
	new Promise((done, fail) => {
		const socket = net.connect(options);
		socket.on('connect', () => (socket.destroy(), done('connected'))).on('error', fail);
	});

await check('what is granted works', async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()) === 'granted' && (await connect({ host: '127.0.0.1', port })) === 'connected');
const spellings = ['127.0.0.1', 'localhost', '2130706433', '0x7f000001', '0177.0.0.1', '127.1', '127.000.000.001', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::1]', '0.0.0.0', '0', '[::]', '127.0.0.1.nip.io', '127.0.0.1%00.allowed.invalid', '１２７.０.０.１', '169.254.169.254', '[fd00:ec2::254]', '[64:ff9b::7f00:1]'];
await refused('deno #33203, #33223, CVE-2026-106069, 106072, 105483 other spellings of a host that is not granted', DENIED, ...spellings.map((host) => () => fetch(`http://${host}:${denied}/`)));
await refused('the same by node:net', DENIED, ...spellings.filter((host) => !host.includes('%')).map((host) => () => connect({ host: host.replace(/[[\]]/g, ''), port: denied })));
await refused('CVE-2026-105482, 48930 NUL in a host', DENIED, () => connect({ host: `127.0.0.1\0.allowed.invalid`, port: denied }), () => connect({ host: `allowed.invalid\0`, port }), () => dns.lookup('allowed.invalid\0.example'), () => dns.lookup('localhost\0'));
await refused('CVE-2024-27932 a suffix is no name', DENIED, () => fetch(`http://evilallowed.invalid:${port}/`), () => fetch(`http://allowed.invalid.example:${port}/`), () => fetch(`http://allowed.invalid@127.0.0.2:${port}/`), () => connect({ host: 'x.allowed.invalid', port }));
await refused('CVE-2026-21636, 21711, 48936, deno #34395, #35564 unix sockets: connect', DENIED.concat('ENOENT'), () => connect({ path }), () => connect(path), () => connect({ path: `\0tenantd-escape-test` }), () => connect({ path: `/proc/self/root${path}` }));
await check('CVE-2026-21711, 48936, deno #35835 unix sockets: bind and listen', async () => {
	if (typeof net.createServer !== 'function') return true;
	const listen = (...where) => new Promise((done, fail) => {
		const server = net.createServer();
		server.on('error', fail);
		server.listen(...where, () => (server.close(), done('listening')));
	});
	const codes = [await codeOf(() => listen('/tmp/x.sock')), await codeOf(() => listen('/app/x.sock')), await codeOf(() => listen(0)), await codeOf(() => listen({ fd: 3 })), await codeOf(() => listen({ path: '\0x' }))];
	return codes.every((code) => !code.startsWith('got')) || codes.join();
});
await check('a descriptor is no socket', async () => {
	const codes = [];
	for (let fd = 0; fd < 16; fd++) codes.push(await codeOf(() => new net.Socket({ fd }).write('x')), await codeOf(() => net.connect({ fd })?.destroy() ?? Promise.reject(new Error('none'))));
	return codes.every((code) => !code.startsWith('got')) || codes.join();
});
const asked = async (name, address) => {
	const { default: http } = await import(`node:${name}`);
	return new Promise((done, fail) => http.get(address, (answer) => done(`it answered ${answer.statusCode}`)).on('error', fail));
};
await refused('CVE-2023-33966 node:http goes where fetch does', ['ERR_ACCESS_DENIED'], () => asked('http', `http://127.0.0.1:${denied}/`), () => asked('http', { host: '127.0.0.1', port: denied }), () => asked('http', { socketPath: path }), () => asked('https', `https://127.0.0.1:${denied}/`), () => asked('http', `http://2130706433:${denied}/`));
await check('node:http and what is granted', async () => (await codeOf(() => asked('http', `http://127.0.0.1:${port}/`))) === 'got it answered 200');
await check('CVE-2026-49860 WebSocket and EventSource go where fetch does', async () => {
	for (const target of [new WebSocket(`ws://127.0.0.1:${denied}/`), new WebSocket(`ws://localhost:${denied}/`), new EventSource(`http://127.0.0.1:${denied}/`)]) {
		const how = await new Promise((done) => {
			target.onopen = () => done('it opened');
			target.onerror = () => done('');
		});
		target.close();
		if (how) return how;
	}
});
await absent('other ways out', async () => (await import('node:http2')).connect('http://127.0.0.1/'), async () => (await import('node:dgram')).createSocket);
await check('deno #35241, #36217 no proxy of the environment', async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()) === 'granted');
await refused('CVE-2026-49859, GHSA redirects are asked for anew', [], () => fetch(`http://127.0.0.1:${port}/redirect`), () => fetch(`http://127.0.0.1:${port}/redirect-localhost`), () => fetch(`http://127.0.0.1:${port}/redirect-file`), () => fetch(`http://127.0.0.1:${port}/redirect-data`));
await refused('other schemes', [], () => fetch('file:///etc/passwd'), () => fetch('ftp://127.0.0.1/'), () => fetch('unix:/run/x'), () => fetch('gopher://127.0.0.1/'), () => fetch('dict://127.0.0.1/'));
await check('CVE-2026-21710 headers that are names of every object', async () => {
	const response = await fetch(`http://127.0.0.1:${port}/proto`);
	return (response.headers.get('__proto__') === 'x' && ({}).polluted === undefined) || [...response.headers].join();
});
await check('what one may is not what one asks', async () => process.permission.has('net.connect', `127.0.0.1:${denied}`) === false && process.permission.has('net.connect', `127.0.0.1:${port}`) === true);
console.log('end');
