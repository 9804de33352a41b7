'use strict';

test('getRandomValues fills integer arrays', () => {
	for (const Array of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array]) {
		const array = new Array(64);
		equal(crypto.getRandomValues(array), array);
		ok(array.some((value) => value != 0), Array.name);
	}
	const part = new Uint8Array(64);
	crypto.getRandomValues(part.subarray(16, 48));
	ok(part.subarray(0, 16).every((b) => b === 0) && part.subarray(48).every((b) => b === 0));
	ok(part.subarray(16, 48).some((b) => b !== 0));
	equal(crypto.getRandomValues(new Uint8Array(0)).length, 0);
	equal(crypto.getRandomValues(new Uint8Array(65536)).length, 65536);
});

test('getRandomValues refuses', () => {
	throws(() => crypto.getRandomValues(new Uint8Array(65537)), { name: 'QuotaExceededError', code: 22 });
	throws(() => crypto.getRandomValues(new Uint32Array(16385)), { name: 'QuotaExceededError' });
	for (const array of [new Float32Array(1), new Float64Array(1), new DataView(new ArrayBuffer(1))])
		throws(() => crypto.getRandomValues(array), { name: 'TypeMismatchError', code: 17 });
	throws(() => crypto.getRandomValues([1]), TypeError);
	throws(() => crypto.getRandomValues(new ArrayBuffer(1)), TypeError);
	throws(() => crypto.getRandomValues(), TypeError);
	throws(() => Crypto.prototype.getRandomValues.call({}, new Uint8Array(1)), TypeError);
	throws(() => new Crypto(), { message: 'Illegal constructor' });
});

test('randomUUID', () => {
	const seen = new Set();
	for (let i = 0; i < 1000; i++) {
		const uuid = crypto.randomUUID();
		ok(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid), uuid);
		seen.add(uuid);
	}
	equal(seen.size, 1000);
});

test('performance', () => {
	const a = performance.now();
	const b = performance.now();
	ok(a > 0 && b >= a && b < 60000, 'the clock begins with the worker');
	ok(Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 100);
	equal(performance.toJSON().timeOrigin, performance.timeOrigin);
	ok(performance instanceof EventTarget);
	throws(() => new Performance(), TypeError);
	throws(() => Performance.prototype.now.call({}), TypeError);
});
