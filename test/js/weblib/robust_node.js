'use strict';

// As robust.js, for node:* and the rest of the web's interfaces: each is used on its own while
// all that a program shares with the library is replaced, so that a failure names it.

{
	const { defineProperty, deleteProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, apply } = Reflect;
	const get = (name) => process.getBuiltinModule(name);
	const crypto = get('node:crypto');
	const zlib = get('node:zlib');
	const util = get('node:util');
	const path = get('node:path');
	const url = get('node:url');
	const querystring = get('node:querystring');
	const assert = get('node:assert');
	const events = get('node:events');
	const { StringDecoder } = get('node:string_decoder');
	const { AsyncLocalStorage } = get('node:async_hooks');
	const { DatabaseSync } = get('node:sqlite');
	const os = get('node:os');
	const NativePromise = Promise;
	const NativeBuffer = Buffer;
	const nothing = () => {};

	const empty = () => ({ __proto__: null, length: 0 });
	const note = (label) => {
		spied[spied.length++] = label;
	};
	let spied = empty();
	let saved = [];
	let armed = false;
	const save = (object, key) => {
		saved[saved.length] = { __proto__: null, object, key, descriptor: getOwnPropertyDescriptor(object, key) };
	};

	function spy(object, key, label) {
		const descriptor = getOwnPropertyDescriptor(object, key);
		if (descriptor === undefined || !descriptor.configurable) return;
		const own = { __proto__: null, configurable: true, enumerable: descriptor.enumerable };
		const tell = () => {
			if (armed) note(label);
		};
		if (descriptor.get !== undefined) {
			const { get: original, set } = descriptor;
			own.set = set;
			own.get = function () {
				tell();
				return apply(original, this, []);
			};
		} else if (typeof descriptor.value === 'function') {
			const original = descriptor.value;
			own.writable = true;
			// Goes on as the original would: what is asked is whether it is called at all.
			own.value = function () {
				tell();
				return new.target ? Reflect_construct(original, arguments, new.target) : apply(original, this, arguments);
			};
			if (original.prototype !== undefined) return;
		} else {
			return;
		}
		save(object, key);
		defineProperty(object, key, own);
	}
	const Reflect_construct = Reflect.construct;

	const generator = function* () {};
	const asyncGenerator = async function* () {};
	const prototypes = {
		__proto__: null,
		Array, ArrayBuffer, BigInt, Boolean, DataView, Date, Error, TypeError, Function, Map, Number, RegExp, Set, String,
		Symbol, WeakMap, WeakRef, WeakSet, Promise, SharedArrayBuffer, FinalizationRegistry, AggregateError, Uint8Array,
		TypedArray: getPrototypeOf(Uint8Array), Iterator, TextEncoder, TextDecoder, URLSearchParams, Headers, FormData,
		Blob, AbortController, AbortSignal, ReadableStream, WritableStream, TransformStream, ReadableStreamDefaultReader,
		WritableStreamDefaultWriter, Crypto: globalThis.Crypto, CryptoKey: globalThis.CryptoKey,
	};
	const bare = {
		__proto__: null,
		'generator': getPrototypeOf(generator.prototype),
		'async generator': getPrototypeOf(asyncGenerator.prototype),
		'array iterator': getPrototypeOf([][Symbol.iterator]()),
		'map iterator': getPrototypeOf(new Map().entries()),
		'set iterator': getPrototypeOf(new Set().values()),
		'string iterator': getPrototypeOf(''[Symbol.iterator]()),
		'regexp iterator': getPrototypeOf(''.matchAll(/x/g)),
		'async iterator': getPrototypeOf(getPrototypeOf(asyncGenerator.prototype)),
		Object, Reflect, JSON, Math, Number, String, Symbol, Promise, ArrayBuffer, Array, Date, Atomics, BigInt, Error,
		Buffer, Proxy, RegExp, Map,
	};
	const globals = ['encodeURIComponent', 'decodeURIComponent', 'encodeURI', 'decodeURI', 'parseInt', 'parseFloat', 'isNaN',
		'isFinite', 'escape', 'unescape', 'queueMicrotask', 'structuredClone', 'setTimeout', 'clearTimeout', 'setImmediate',
		'atob', 'btoa', 'eval'];
	const polluted = ['start', 'pull', 'type', 'state', 'size', 'highWaterMark', 'get', 'set', 'writable', 'enumerable', 'configurable',
		'signal', 'encoding', 'fatal', 'once', 'capture', 'passive', 'cause', 'name', 'code', 'message', 'flush', 'level', 'chunkSize',
		'finishFlush', 'dictionary', 'params', 'info', 'key', 'format', 'passphrase', 'hash', 'public', 'modulusLength', 'body',
		'method', 'headers', 'status', 'mode', 'handle', 'stream', 'queue', 'done', 'resolve', 'reject', 'promise', 'transfer',
		'native', 'internal', 'context', 'owner', 'listener', 'depth', 'colors', 'compact', 'showHidden', 'base', 'input',
		'readOnly', 'open', 'timeout', 'outputLength', 'authTagLength', 'objectMode', 'autoDestroy', 'then'];

	// What the language itself asks of values that programs hold.
	const unavoidable = new Set(['get Object.prototype.then']);
	// Node's own files and packages of others do these, to what the program itself gave or will get;
	// and a sequence that is given to a web interface is iterated, as Web IDL has it.
	const iterated = ['Array.prototype.Symbol.iterator', 'array iterator.next'];
	const bytes = ['TypedArray.prototype.byteLength', 'ArrayBuffer.prototype.byteLength', 'TypedArray.prototype.length', 'TypedArray.prototype.buffer', 'TypedArray.prototype.byteOffset'];
	const called = ['Function.prototype.call', 'Function.prototype.apply'];
	const known = {
		__proto__: null,
		'crypto sign': ['get Object.prototype.context', 'get Object.prototype.format', 'get Object.prototype.type', 'get Object.prototype.passphrase', ...bytes],
		'crypto random': bytes,
		'crypto derive': bytes,
		'crypto hkdf': bytes,
		'subtle digest': ['get Object.prototype.code'],
		zlib: [...called, ...bytes, 'Array.prototype.push', 'get Object.prototype.highWaterMark', 'set Object.prototype.highWaterMark',
			'get Object.prototype.objectMode', 'get Object.prototype.encoding', 'get Object.prototype.writable', 'get Object.prototype.signal',
			'get Object.prototype.flush'],
		'buffer concat': bytes,
		path: ['Array.prototype.push'],
		'string decoder': ['set Object.prototype.encoding'],
		'async storage': ['get Object.prototype.name', 'map iterator.next'],
		'text decoder': [...called, ...bytes, 'Object.hasOwn', 'String.fromCharCode'],
		blob: iterated,
		'abort any': iterated,
		emitter: called,
		performance: ['set iterator.next'],
	};

	function poison() {
		for (const name of ownKeys(prototypes)) {
			const Class = prototypes[name];
			if (Class === undefined) continue;
			for (const key of ownKeys(Class.prototype))
				if (key !== 'constructor' && !(name === 'Function' && key === Symbol.hasInstance))
					spy(Class.prototype, key, `${name}.prototype.${typeof key === 'symbol' ? key.description : key}`);
		}
		for (const name of ownKeys(bare))
			for (const key of ownKeys(bare[name]))
				if (key !== 'prototype' && key !== 'constructor' && key !== 'stackTraceLimit' && key !== Symbol.species)
					spy(bare[name], key, `${name}.${typeof key === 'symbol' ? key.description : key}`);
		for (const name of globals) spy(globalThis, name, `globalThis.${name}`);
		for (const key of polluted) {
			saved[saved.length] = { __proto__: null, object: Object.prototype, key, descriptor: undefined };
			defineProperty(Object.prototype, key, {
				__proto__: null,
				configurable: true,
				get() {
					if (armed) note(`get Object.prototype.${key}`);
					return undefined;
				},
				set(value) {
					if (armed) note(`set Object.prototype.${key}`);
					defineProperty(this, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
				},
			});
		}
	}

	function restore() {
		for (let i = saved.length - 1; i >= 0; i--) {
			const { object, key, descriptor } = saved[i];
			if (descriptor === undefined) deleteProperty(object, key);
			else defineProperty(object, key, descriptor);
		}
		saved = [];
	}

	const data = NativeBuffer.from('abc');
	const key16 = NativeBuffer.alloc(16, 1);
	const iv = NativeBuffer.alloc(12, 2);
	const pair = crypto.generateKeyPairSync('ed25519');
	const packed = zlib.gzipSync(data);
	const form = new FormData();
	form.append('a', 'b');

	const aborted = AbortSignal.abort();
	const encoder = new TextEncoder();
	const { encode } = TextEncoder.prototype;
	const { decode } = TextDecoder.prototype;
	const { subtle } = globalThis.crypto;
	const { digest } = subtle;
	const { getWriter } = WritableStream.prototype;
	const { write } = WritableStreamDefaultWriter.prototype;
	const bufferToString = NativeBuffer.prototype.toString;

	// Each runs poisoned; what it returns is looked at afterwards.
	const uses = {
		__proto__: null,
		'crypto hash': () => crypto.createHash('sha256').update(data).digest('hex'),
		'crypto hmac': () => crypto.createHmac('sha256', key16).update('abc').digest(),
		'crypto cipher': () => crypto.createCipheriv('aes-128-gcm', key16, iv).update(data),
		'crypto sign': () => crypto.verify(null, data, pair.publicKey, crypto.sign(null, data, pair.privateKey)),
		'crypto random': () => crypto.randomBytes(8),
		'crypto derive': () => crypto.pbkdf2Sync('p', 's', 1, 8, 'sha1'),
		'crypto hkdf': () => crypto.hkdfSync('sha1', data, data, data, 8) !== undefined,
		'crypto key': () => pair.privateKey.export({ __proto__: null, type: 'pkcs8', format: 'der' }),
		'subtle digest': () => apply(digest, subtle, ['SHA-256', data]),
		'zlib': () => zlib.gunzipSync(packed),
		'crc32': () => zlib.crc32('abc'),
		'sqlite': () => {
			const db = new DatabaseSync(':memory:');
			db.exec('CREATE TABLE t(a)');
			db.prepare('INSERT INTO t VALUES(?)').run(1);
			const rows = db.prepare('SELECT a FROM t').all();
			db.close();
			return rows[0].a;
		},
		'buffer': () => apply(bufferToString, data, ['hex']),
		'buffer base64': () => NativeBuffer.from('YWJj', 'base64'),
		'buffer concat': () => data.indexOf('b'),
		'path': () => path.join('/a', '..', 'b'),
		'path resolve': () => path.relative('/a/b', '/a/c'),
		'querystring': () => querystring.stringify({ __proto__: null, a: 'b' }),
		'url': () => url.pathToFileURL('/a b').href,
		'url file': () => url.fileURLToPath('file:///a'),
		'string decoder': () => new StringDecoder('utf8').write(data),
		'async storage': () => new AsyncLocalStorage().run(1, () => 1),
		'text encoder': () => apply(encode, encoder, ['ä']),
		'text decoder': () => apply(decode, new TextDecoder('shift_jis'), [data]),
		'url search': () => new URLSearchParams('a=1&b=2'),
		'headers': () => new Headers({ __proto__: null, a: 'b' }),
		'response': () => new Response('abc'),
		'response json': () => Response.json({ __proto__: null, a: 1 }),
		'request': () => new Request('http://h/', { __proto__: null, method: 'POST', body: 'x' }),
		'form': () => new Response(form),
		'blob': () => new Blob(['abc']),
		'clone': () => structuredClone(1),
		'abort': () => AbortSignal.abort(),
		'abort any': () => AbortSignal.any([aborted]),
		'events': () => {
			const target = new EventTarget();
			let count = 0;
			target.addEventListener('x', () => count++);
			target.dispatchEvent(new Event('x'));
			return count;
		},
		'emitter': () => {
			const emitter = new events.EventEmitter();
			let count = 0;
			emitter.on('x', () => count++);
			emitter.emit('x');
			return count;
		},
		'os': () => typeof os.hostname(),
		'hrtime': () => typeof process.hrtime.bigint(),
		'memory': () => process.memoryUsage().rss > 0,
		'next tick': () => new NativePromise((done) => process.nextTick(done)),
		'pattern': () => new URLPattern({ __proto__: null, pathname: '/:a' }).test('http://h/b'),
		'channel': () => {
			const { port1, port2 } = new MessageChannel();
			return new NativePromise((done) => {
				port1.onmessage = () => {
					port1.close();
					done(1);
				};
				port2.postMessage('x');
			});
		},
		'performance': () => performance.mark('x'),
		'compression': () => {
			const writer = apply(getWriter, new CompressionStream('gzip').writable, []);
			apply(write, writer, [data]);
		},
		'util format': () => util.format('%s', 'x'),
		'util inspect': () => util.inspect({ __proto__: null, a: 1 }),
		'util promisify': () => typeof util.promisify(nothing),
		'assert': () => assert.deepStrictEqual(1, 1),
	};

	for (const name of ownKeys(uses))
		test(`${name}: replaced built-ins are not called`, async () => {
			poison();
			spied = empty();
			let thrown;
			armed = true;
			let pending;
			try {
				pending = uses[name]();
			} catch (error) {
				thrown = { __proto__: null, error };
			}
			armed = false;
			restore();
			if (thrown) throw thrown.error;
			await pending;
			const calls = [];
			for (let i = 0; i < spied.length; i++) {
				const label = spied[i];
				if (!unavoidable.has(label) && !known[name]?.includes(label) && !calls.includes(label)) calls.push(label);
			}
			equal(calls.join(', '), '', name);
		});
}
