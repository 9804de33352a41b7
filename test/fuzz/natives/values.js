// What natives_fuzz gives to native functions: makeValues(reader) returns value(), whose
// choices come from the input's bytes.
globalThis.makeValues = (reader, pool, callAny) => {
	const { byte, below, text } = reader;
	const numbers = [
		0, -0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 31, 32, 64, 100, 255, 256, 1024, 4095, 65535, 65536, 70000, -1, -2, -8,
		-65536, 0.5, -0.5, NaN, Infinity, -Infinity, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 - 1,
		2 ** 32, 2 ** 32 + 1, 2 ** 40, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63, 2 ** 64, 1e300, 5e-324,
	];
	const bigints = [0n, 1n, -1n, 2n ** 31n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), 2n ** 64n, 2n ** 200n, -(2n ** 200n)];
	const words = [
		'', 'a', 'sha1', 'sha256', 'sha512', 'shake128', 'md5', 'aes-128-gcm', 'aes-256-cbc', 'aes-128-ccm', 'aes-128-ocb',
		'chacha20-poly1305', 'aes-128-wrap', 'id-aes256-gcm', 'prime256v1', 'secp256k1', 'P-256', 'ed25519', 'x25519', 'rsa',
		'rsa-pss', 'modp14', 'pem', 'der', 'jwk', 'raw', 'pkcs1', 'pkcs8', 'spki', 'sec1', 'utf8', 'latin1', 'hex', 'base64',
		'utf-16le', 'http://h/', 'http://[::1]:8080/p?q#f', '/:a/*', '../x', '/', '/file', 'file:///app/x.js', 'node:fs',
		'\0', 'a\0b', '\ud800', 'x\udfff\ud800y', '\u{1f600}ä', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'SELECT 1',
		'CREATE TABLE t(a,b)', 'INSERT INTO t VALUES(?,?)', 'SELECT * FROM t', ':memory:', 'main', '%s%n%x', '127.0.0.1', '::1',
		'__proto__', 'constructor', 'toString', 'length', '-1', '4294967296',
	];
	const views = [Uint8Array, Int8Array, Uint16Array, Int32Array, Uint32Array, Float64Array, BigInt64Array, DataView, Uint8ClampedArray];
	const sizes = [0, 1, 2, 7, 8, 16, 32, 64, 100, 1000, 70000];

	let lastBuffer;
	const hurt = () => {
		const buffer = lastBuffer;
		try {
			if (buffer === undefined) return;
			if (buffer instanceof SharedArrayBuffer) buffer.grow(buffer.maxByteLength);
			else if (buffer.resizable && below(2)) buffer.resize(below(2) ? 0 : buffer.maxByteLength);
			else structuredClone(buffer, { transfer: [buffer] });
		} catch {}
	};

	const makeBuffer = (size) => {
		switch (below(6)) {
			case 0:
				return new ArrayBuffer(size, { maxByteLength: size + 4096 });
			case 1:
				return new SharedArrayBuffer(size);
			case 2:
				return new SharedArrayBuffer(size, { maxByteLength: size + 4096 });
			default:
				return new ArrayBuffer(size);
		}
	};

	const makeView = () => {
		const size = sizes[below(sizes.length)];
		const buffer = makeBuffer(size);
		lastBuffer = buffer;
		const bytes = new Uint8Array(buffer);
		for (let i = 0; i < size && i < 64; i++) bytes[i] = byte();
		if (below(8) === 0) return buffer;
		const View = views[below(3) ? 0 : below(views.length)];
		const unit = View.BYTES_PER_ELEMENT ?? 1;
		let view;
		try {
			const offset = Math.min(below(4) ? 0 : below(16) * unit, size);
			view = below(2) ? new View(buffer, offset) : new View(buffer, offset, Math.floor((size - offset) / unit));
		} catch {
			view = bytes;
		}
		const state = below(8);
		if (state === 0) hurt();
		if (state === 1 && buffer.resizable) buffer.resize(Math.floor(size / 2));
		return view;
	};

	const makeFunction = (depth) => {
		const kind = below(6);
		const result = depth > 2 ? undefined : value(depth + 1);
		return function () {
			if (kind === 0) throw new RangeError('a callback');
			if (kind === 1) hurt();
			if (kind === 2) callAny();
			if (kind === 3) return arguments[0];
			if (kind === 4) pool[pool.length & 31] = this;
			return result;
		};
	};

	const trap = () => {
		const choice = below(4);
		if (choice === 0) hurt();
		if (choice === 1) throw new TypeError('a trap');
		if (choice === 2) callAny();
	};
	const makeProxy = (depth) =>
		new Proxy(below(2) ? function () {} : typeof value(depth + 1) === 'object' ? [] : {}, {
			get: (target, key) => (trap(), typeof key === 'symbol' ? undefined : value(depth + 1)),
			has: () => (trap(), true),
			ownKeys: () => (trap(), ['a', 'length']),
			getOwnPropertyDescriptor: () => (trap(), { value: 1, configurable: true, enumerable: true, writable: true }),
			getPrototypeOf: () => (trap(), null),
			apply: () => (trap(), value(depth + 1)),
			construct: () => (trap(), {}),
		});

	const makeObject = (depth) => {
		const object = below(2) ? {} : { __proto__: null };
		const count = below(5);
		for (let i = 0; i < count; i++) {
			const key = words[below(words.length)];
			const item = value(depth + 1);
			if (below(3)) object[key] = item;
			else Object.defineProperty(object, key, { get: () => (trap(), item), enumerable: true, configurable: true });
		}
		if (below(4) === 0) object[Symbol.toPrimitive] = () => (trap(), numbers[below(numbers.length)]);
		if (below(4) === 0) object.then = (resolve) => (trap(), resolve());
		return object;
	};

	const makeArray = (depth) => {
		const list = [];
		const count = below(8);
		for (let i = 0; i < count; i++) list[i] = value(depth + 1);
		if (below(6) === 0) list.length = below(2) ? 10 : 2 ** 32 - 1;
		if (below(6) === 0) Object.defineProperty(list, '0', { get: () => (trap(), value(depth + 1)), configurable: true });
		return list;
	};

	function value(depth = 0) {
		if (depth > 3) return byte();
		switch (below(18)) {
			case 0:
				return undefined;
			case 1:
				return below(2) ? null : below(2) === 1;
			case 2:
			case 3:
			case 4:
				return numbers[below(numbers.length)];
			case 5:
				return byte();
			case 6:
				return bigints[below(bigints.length)];
			case 7:
			case 8:
				return words[below(words.length)];
			case 9:
				return below(8) ? text(below(32)) : words[below(words.length)].repeat(3000);
			case 10:
			case 11:
			case 12:
				return makeView();
			case 13:
				return makeFunction(depth);
			case 14:
				return below(3) ? makeObject(depth) : makeProxy(depth);
			case 15:
				return makeArray(depth);
			case 16:
				return below(2) ? Symbol('s') : below(2) ? new Date(byte()) : /x/;
			default:
				return pool.length ? pool[below(pool.length)] : value(depth + 1);
		}
	}
	return { value, hurt };
};
