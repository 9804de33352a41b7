// Ways into the runtime's insides that other runtimes left open. Without any grant.
// Arguments: a file of the host.
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import process from 'node:process';
import { absent, check, codeOf, refused } from './check.mjs';

const [outside] = process.argv.slice(2);

// ---- modules that reach past the policy ----

await absent('CVE-2023-23918, 30581 process.mainModule', () => process.mainModule, () => process.mainModule.__proto__.require('fs'));
await absent('CVE-2023-32002, 32006, 32559, 32558 Module._load, createRequire, process.binding',
	() => process.binding, () => process._linkedBinding, () => process.binding('spawn_sync'), () => process.binding('../../fs'),
	() => globalThis.require, () => globalThis.module);
await check('CVE-2023-32006 node:module gives no way around', async () => {
	const code = await codeOf(() => import('node:module'));
	if (!code.startsWith('got')) return true;
	const module = await import('node:module');
	const require = module.createRequire?.(import.meta.url);
	const codes = [await codeOf(() => module.default._load?.('child_process').execSync('id')),
		await codeOf(() => require?.('fs').readFileSync(outside)), await codeOf(() => require?.(outside))];
	return codes.every((one) => !one.startsWith('got') || one === 'got undefined') || codes.join();
});
await refused('CVE-2023-30586 crypto.setEngine', [], async () => (await import('node:crypto')).setEngine('/app/engine.so'), async () => (await import('node:crypto')).setFips(true));
await absent('CVE-2023-30587, 2018-7160, deno #36465 inspector', () => import('node:inspector'), () => import('node:inspector/promises'), () => process._debugProcess, () => process._startProfilerIdleNotifier);
await absent('CVE-2023-30587 workers that are not threads', () => globalThis.Worker, async () => (await import('node:cluster')).fork());
await check('CVE-2023-30587, 2025-23083 threads are as confined as the program', async () => {
	const { Worker } = await import('node:worker_threads');
	const thread = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: outside, execArgv: [] });
	const open = await new Promise((done, fail) => thread.on('message', done).on('error', fail));
	await thread.terminate();
	return open === '' || open;
});
await absent('CVE-2025-23083 diagnostics_channel', async () => (await import('node:diagnostics_channel')).channel('worker_threads').subscribe === 0 || undefined);
await absent('CVE-2026-48617, 58039 process.report', () => process.report, () => process.report.writeReport('/app/report'));
await absent('CVE-2026-56847 trace_events', () => import('node:trace_events'));
await check('CVE-2025-48935 sqlite opens what is granted', async () => {
	const { DatabaseSync } = await import('node:sqlite');
	const database = new DatabaseSync(':memory:');
	const codes = [];
	for (const act of [() => new DatabaseSync(outside), () => new DatabaseSync(`file:${outside}?mode=ro`),
		() => database.exec(`ATTACH '${outside}' AS other; SELECT * FROM other.sqlite_schema`),
		() => database.exec(`ATTACH 'file:${outside}?immutable=1' AS other; SELECT * FROM other.sqlite_schema`),
		() => database.exec("VACUUM INTO '/app/copy'"),
		() => database.enableLoadExtension(true), () => database.loadExtension('/app/x.so'),
		() => database.exec("SELECT load_extension('/app/x.so')"), () => database.exec("SELECT readfile('/etc/passwd')"),
		() => database.exec("SELECT writefile('/app/x', 'y')")])
		codes.push(await codeOf(act));
	return codes.every((code) => !code.startsWith('got')) || codes.join();
});
await check('CVE-2026-58041 sqlite runs what it is given once', async () => {
	const { DatabaseSync } = await import('node:sqlite');
	const database = new DatabaseSync(':memory:');
	database.exec('CREATE TABLE t (n)');
	const sql = database.createTagStore(10);
	const rows = sql.iterate`INSERT INTO t VALUES (1) RETURNING n`;
	const first = [...rows].length;
	const again = [...rows].length;
	const { count } = database.prepare('SELECT count(*) AS count FROM t').get();
	return (first === 1 && again === 0 && count === 1) || `${first} ${again} ${count}`;
});
await absent('CVE-2022-39266 vm and cachedData', () => import('node:vm'));
await refused('flags of the engine', [], async () => (await import('node:v8')).setFlagsFromString('--allow-natives-syntax'));
await refused('CVE-2022-24783, 2024-27934 dlopen', [], () => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'), async () => (await import('node:module')).createRequire(import.meta.url)('./addon.node'));
await absent('CVE-2022-24783, 2024-27934 native code by name', () => globalThis.Deno, () => import('node:ffi'), () => import('bun:ffi'));
await absent('process.execve', () => process.execve);
await refused('to be somebody else', [], () => process.setuid(0), () => process.seteuid(0), () => process.setgid(0), () => process.setegid(0), () => process.setgroups([0]), () => process.initgroups(0, 0));
await absent('WASI', () => import('node:wasi'));
const ends = (target) => new Promise((done) => {
	target.onopen = () => done('it opened');
	target.onerror = () => {
		target.close(); // an EventSource would ask again
		done(true);
	};
});
await check('CVE-2026-49860 WebSocket', () => ends(new WebSocket('ws://127.0.0.1:1/')));
await check('CVE-2026-49860 EventSource', () => ends(new EventSource('http://127.0.0.1:1/')));
await check('CVE-2025-24015, 2026-22863 AES-GCM looks at its tag', async () => {
	const crypto = await import('node:crypto');
	const key = crypto.randomBytes(32), iv = crypto.randomBytes(12);
	const cipher = crypto.createCipheriv('aes-256-gcm', key, iv);
	const text = Buffer.concat([cipher.update('secret'), cipher.final()]);
	const codes = [];
	for (const tag of [Buffer.alloc(16), cipher.getAuthTag().subarray(0, 3), undefined])
		codes.push(await codeOf(() => {
			const decipher = crypto.createDecipheriv('aes-256-gcm', key, iv);
			if (tag !== undefined) decipher.setAuthTag(tag);
			decipher.update(text);
			return decipher.final();
		}));
	const web = await globalThis.crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
	codes.push(await codeOf(() => globalThis.crypto.subtle.decrypt({ name: 'AES-GCM', iv }, web, Buffer.concat([text, Buffer.alloc(16)]))));
	codes.push(await codeOf(() => {
		cipher.final();
	}));
	return codes.every((code) => !code.startsWith('got')) || codes.join();
});
await check('CVE-2026-48933 AES with lengths that lie', async () => {
	const key = await globalThis.crypto.subtle.generateKey({ name: 'AES-CTR', length: 128 }, false, ['encrypt']);
	const data = new Uint8Array(8);
	Object.defineProperty(data, 'length', { value: 2 ** 32 });
	Object.defineProperty(data, 'byteLength', { value: 2 ** 32 });
	const out = await globalThis.crypto.subtle.encrypt({ name: 'AES-CTR', counter: new Uint8Array(16), length: 64 }, key, data);
	return out.byteLength === 8 || out.byteLength;
});
await check('CVE-2026-49440 what is no prime is none', async () => {
	const { checkPrimeSync } = await import('node:crypto');
	return checkPrimeSync(561n, { checks: 0 }) === false && checkPrimeSync(7919n) === true;
});
await check('CVE-2026-58045 zlib with a length that lies', async () => {
	const code = await codeOf(() => import('node:zlib'));
	if (!code.startsWith('got')) return true;
	const zlib = await import('node:zlib');
	const bytes = new Uint8Array(8);
	Object.defineProperty(bytes, 'length', { value: 1 << 30 });
	Object.defineProperty(bytes, 'byteLength', { value: 1 << 30 });
	try {
		const size = zlib.deflateSync(bytes).length;
		return size < 1000 || size;
	} catch (error) {
		return error instanceof RangeError || error.message;
	}
});
await check('CVE-2026-49983 loadEnvFile', async () => {
	const before = JSON.stringify(process.env);
	const code = await codeOf(() => process.loadEnvFile(outside));
	return (!code.startsWith('got') && JSON.stringify(process.env) === before) || code;
});
await check('no door of ours stands open', () => {
	const odd = Object.getOwnPropertyNames(globalThis).filter((name) => /^(__|_[a-z])|native|hook|engine|primordial|internal|binding/i.test(name));
	return odd.length === 0 || odd.join();
});

// ---- imports ----

const jpg = 'data:text/javascript,export default 1';
await refused('CVE-2024-22020, deno #36486 imports from elsewhere', [], () => import('http://127.0.0.1.nip.io/x.js'), () => import('https://example.com/x.js'),
	() => import(`file://${outside}`), () => import(outside), () => import('../../../../../../etc/passwd'), () => import('./../..' + outside));
await check('CVE-2024-22020 a data: URL imports nothing of the network', async () => {
	const code = await codeOf(() => import('data:text/javascript,import "http://127.0.0.1/x.js"'));
	return !code.startsWith('got') || code;
});
await refused('CVE-2021-32619 a static import inside a dynamic one', [], () => import('./imports-outside.mjs'));
await refused('CVE-2026-49406, deno #35882 a package whose main climbs out', [], () => import('climber'), () => import('climber/../../../../etc/passwd'),
	() => import('climber/exports'), () => import('climber%2f..%2f..%2fetc%2fpasswd'));
await refused('deno #34707 text and bytes imports', [], () => import(outside, { with: { type: 'text' } }), () => import(outside, { with: { type: 'bytes' } }), () => import(`file://${outside}`, { with: { type: 'json' } }));
await check('CVE-2023-39333 wasm as a module', async () => {
	const code = await codeOf(async () => Object.keys(await import('./names.wasm')).length);
	return globalThis.pwned === undefined || code;
});
await check('CVE-2023-39333 an export name that is code', async () => {
	const name = new TextEncoder().encode("'];globalThis.pwned=1;//");
	const body = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, name.length + 4, 1, name.length, ...name, 0, 0, 10, 4, 1, 2, 0, 11];
	const code = await codeOf(async () => Object.keys((await WebAssembly.instantiate(new Uint8Array(body))).instance.exports).length);
	return globalThis.pwned === undefined || code;
});

// ---- functions and frames of the library ----

await check('vm2 CVE-2022-36067 prepareStackTrace', async () => {
	const leaked = [];
	Error.prepareStackTrace = (error, frames) => {
		for (const frame of frames)
			for (const thing of [frame.getFunction?.(), frame.getThis?.()])
				if (thing !== undefined && thing !== null && thing !== globalThis) leaked.push(thing);
		return 'x';
	};
	try {
		for (const action of [() => fs.readFileSync(outside), () => fsp.readFile(outside), () => structuredClone(() => {}), () => new URL('x:'), () => fetch('http://127.0.0.1:1'),
			() => new Response(null, { status: 9 }), () => Buffer.from({}), () => [1].at.call(null)])
			await codeOf(async () => {
				try {
					await action();
				} catch (error) {
					void error.stack;
				}
			});
	} finally {
		delete Error.prepareStackTrace;
	}
	const strangers = leaked.filter((thing) => typeof thing === 'function' && !String(thing).includes('codeOf') && !String(thing).includes('action'));
	return strangers.length === 0 || strangers.map(String).join().slice(0, 200);
});
await check('isolated-vm CVE-2021-21413, vm2 CVE-2026-24118 constructors lead nowhere', () => {
	// One realm: its Function makes functions of this realm, which hold nothing that the program does not.
	const things = [fs.readFileSync, process.permission.has, process.permission, fetch, console.log, Buffer, new Response('x').body, process.on, process.env, globalThis];
	for (const thing of things)
		for (let at = thing, depth = 0; at && depth < 10; at = Object.getPrototypeOf(at), depth++) {
			if (at.constructor?.constructor && at.constructor.constructor !== Function) return `another Function at ${String(thing).slice(0, 40)}`;
			for (const key of ['__lookupGetter__', '__defineGetter__'])
				if (at[key] && at[key] !== Object.prototype[key]) return key;
		}
});
await check('vm2 CVE-2026-47210, 43997 species, thenables, inspect, getters on prototypes', async () => {
	const seen = [];
	const traps = ['then', 'fd', 'path', 'flags', 'flag', 'mode', 'encoding', 'signal', 'recursive', 'bypass', 'internal', 'shell', 'cwd', 'withFileTypes', 'host', 'port'];
	for (const trap of traps.slice(1))
		Object.defineProperty(Object.prototype, trap, { configurable: true, get() { seen.push([trap, this]); return undefined; }, set(value) { Object.defineProperty(this, trap, { value, writable: true, configurable: true, enumerable: true }); } });
	const species = Object.getOwnPropertyDescriptor(Promise, Symbol.species);
	Object.defineProperty(Promise, Symbol.species, { configurable: true, get: () => function (executor) { seen.push(['species', executor]); return new Promise(executor); } });
	let codes;
	try {
		codes = [await codeOf(() => fs.readFileSync(outside)), await codeOf(() => fsp.readFile(outside)), await codeOf(() => fsp.open(outside)), await codeOf(() => fetch('http://127.0.0.1:1/'))];
	} finally {
		for (const trap of traps.slice(1)) delete Object.prototype[trap];
		Object.defineProperty(Promise, Symbol.species, species);
	}
	return (codes.every((code) => !code.startsWith('got')) && typeof fs.readFileSync(new URL(import.meta.url)) === 'object') || codes.join();
});
await check('vm2 CVE-2026-24781 inspect calls what the program gave, as the program', async () => {
	const { inspect } = await import('node:util');
	let options;
	inspect({ [Symbol.for('nodejs.util.inspect.custom')](depth, given, its) { options = [given, its]; return 'x'; } });
	const constructor = options[0].stylize?.constructor ?? Function;
	return (constructor === Function && options[1] === inspect) || String(constructor);
});
await check('CVE-2023-38552, 2024-21891 patched built-ins change no decision', async () => {
	const has = process.permission.has;
	const saved = [String.prototype.startsWith, RegExp.prototype.exec, Array.prototype.some, Map.prototype.get, Function.prototype.call, Reflect.apply];
	String.prototype.startsWith = RegExp.prototype.exec = Array.prototype.some = Map.prototype.get = () => true;
	Reflect.apply = () => true;
	const answers = [await codeOf(() => fs.readFileSync(outside)), has.call(process.permission, 'fs.read', outside)];
	[String.prototype.startsWith, RegExp.prototype.exec, Array.prototype.some, Map.prototype.get, Function.prototype.call, Reflect.apply] = saved;
	return (!answers[0].startsWith('got') && answers[1] === false) || answers.join();
});

// ---- memory ----

await check('CVE-2025-55131 memory that nobody wrote is zero', () => {
	const keep = [];
	for (let i = 0; i < 200; i++) {
		keep.push(Buffer.from('secret'.repeat(1000)));
		if (i % 10 === 0) keep.length = 0;
		if (Buffer.alloc(6000).some((byte) => byte !== 0) || new Uint8Array(6000).some((byte) => byte !== 0)) return 'not zero';
	}
});
await check('CVE-2023-28445 a buffer that shrinks while it is encoded', () => {
	const memory = new ArrayBuffer(1 << 16, { maxByteLength: 1 << 16 });
	const view = new Uint8Array(memory);
	const target = { get length() { memory.resize(0); return 65536; } };
	new TextEncoder().encodeInto('x'.repeat(1000), view);
	memory.resize(10);
	const text = new TextDecoder().decode(view);
	return (text.length === 10 && target.length === 65536) || text.length;
});
await check('CVE-2026-21712 URLs that are none', async () => {
	for (const url of ['http://', 'http://[::1', 'http://%00/', 'http://a:99999', 'http:////', 'http://\ud800/', 'file://\0', 'x'.repeat(100000), 'http://' + 'a.'.repeat(5000)]) {
		await codeOf(() => new URL(url));
		await codeOf(() => fetch(url));
	}
});
await check('CVE-2023-2512 a form of many and long parts', async () => {
	const form = new FormData();
	for (let i = 0; i < 20000; i++) form.append('k'.repeat(100), 'v');
	const length = (await new Response(form).arrayBuffer()).byteLength;
	return length > 20000 * 100 || length;
});
await check('CVE-2025-27209, 2026-21717 many keys take their time and no more', () => {
	const start = Date.now();
	const map = {};
	for (let i = 0; i < 200000; i++) map[String(i * 4294967296)] = map['k' + i * 65536] = i;
	return Date.now() - start < 20000 || Date.now() - start;
});
await check('process.argv, title, ppid say nothing of the host', () => {
	const text = JSON.stringify([process.argv, process.execPath, process.title, process.env, process.config]);
	return !/tenantd-|\/srv|\/root|state\//.test(text.replaceAll(outside, '')) || text;
});
console.log('end');
