// Hashes, HMAC, random numbers, comparing: what they give and what they throw.
import crypto, { createHash, createHmac, getHashes, hash, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, timingSafeEqual, checkPrimeSync, generatePrimeSync } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const attempt = (name, f) => {
	try {
		console.log(name, f());
	} catch (error) {
		console.log(name, error.name, error.code, error.message, error.library, error.reason, error.opensslErrorStack);
	}
};

console.log(Object.keys(crypto).sort().join(' '));
for (const key of Object.keys(crypto)) if (typeof crypto[key] === 'function' && key !== 'timingSafeEqual') console.log(key, crypto[key].name, crypto[key].length);
console.log(getHashes().join(' '));
const inputs = ['', 'abc', 'ÄÖ☃', Buffer.alloc(5000, 'x'), new Uint16Array([1, 2, 3]), new DataView(new ArrayBuffer(7), 2)];
for (const name of getHashes())
	for (const input of inputs)
		attempt(name, () => [hash(name, input), createHash(name).update(input).digest('base64url'), hash(name, input) === createHash(name).update(input).digest('hex')].join(' '));
for (const encoding of ['hex', 'HEX', 'base64', 'base64url', 'latin1', 'binary', 'utf8', 'ascii', 'ucs2', 'utf16le', 'buffer', undefined, null, 'nonsense', 7])
	attempt(`digest ${String(encoding)}`, () => createHash('sha1').update('x').digest(encoding));
for (const encoding of ['hex', 'base64', 'latin1', 'utf8', 'utf16le', 'ascii', 'base64url', 'nonsense'])
	attempt(`update ${encoding}`, () => createHash('sha1').update('616263', encoding).digest('hex'));
for (const encoding of ['hex', 'buffer', 'latin1', 'base64', 'nonsense', 5]) attempt(`hash ${encoding}`, () => hash('md5', 'x', encoding));

// extendable output, copies, use after the end
for (const length of [0, 1, 16, 17, 100, -1, 1.5, 2 ** 32, '5', null])
	for (const name of ['shake128', 'shake256', 'sha256'])
		attempt(`${name} ${length}`, () => [createHash(name, { outputLength: length }).update('x').digest('hex'), hash(name, 'x', { outputLength: length })].join(' '));
const original = createHash('sha256').update('a');
const copy = original.copy();
original.update('b');
console.log(copy.digest('hex'), original.digest('hex'));
attempt('again', () => original.digest());
attempt('update after', () => original.update('x'));
attempt('copy after', () => original.copy());
attempt('copy of shake', () => createHash('shake128').update('x').copy({ outputLength: 5 }).digest('hex'));
for (const name of ['nope', 'md4', 'RSA-SHA256', 'SHA256', 'Sha-256', '', 5, null]) attempt(`hash named ${JSON.stringify(name)}`, () => createHash(name).update('').digest('hex'));
for (const value of [undefined, null, 5, {}, [], new ArrayBuffer(4)]) attempt('update of', () => createHash('md5').update(value));
const h = createHash('sha512');
await pipeline(Readable.from([Buffer.from('one'), Buffer.from('two')]), h);
console.log(h.read().toString('hex'), h instanceof crypto.Hash, Object.prototype.toString.call(h));

// HMAC
for (const name of getHashes().filter((n) => !n.startsWith('shake')))
	attempt(name, () => createHmac(name, 'key').update('data').update(Buffer.from('more')).digest('hex'));
for (const key of ['', 'k'.repeat(300), Buffer.from([1, 2]), crypto.createSecretKey(Buffer.from('secret')), new Uint8Array(3).buffer, 5, null, undefined, {}])
	attempt('key', () => createHmac('sha256', key).update('x').digest('base64'));
const mac = createHmac('sha1', 'k').update('x');
console.log(mac.digest('hex'), mac.digest('hex') === '', mac.digest());
attempt('after', () => mac.update('x'));
attempt('hmac named', () => createHmac('nope', 'k'));
const stream = createHmac('sha256', 'k', { encoding: 'hex' });
stream.end('data');
console.log(stream.read());

// randomness
console.log(randomBytes(0), randomBytes(9).length, (await new Promise((done) => randomBytes(5, (error, bytes) => done([error, bytes.length])))).join(' '));
for (const size of [-1, 2 ** 31, NaN, 'x', 1.5]) attempt(`randomBytes ${size}`, () => randomBytes(size).length);
for (const args of [[new Uint8Array(8), 2, 3], [new Uint8Array(8), 9], [new Uint8Array(8), 4, 5], [new Uint32Array(4), 1, 2], [new ArrayBuffer(4)], [new SharedArrayBuffer(4)], ['x'], [new DataView(new ArrayBuffer(5))]])
	attempt('randomFillSync', () => randomFillSync(...args).byteLength);
const view = new Uint8Array(64);
await new Promise((done) => randomFill(view, 32, done));
console.log(view.subarray(0, 32).every((b) => b === 0), view.subarray(32).some((b) => b !== 0));
for (let i = 0; i < 100; i++) if (!(randomInt(3, 7) >= 3 && randomInt(3, 7) < 7)) console.log('out of range');
for (const args of [[0], [5, 5], [1.5], [-1], [0, 2 ** 48], ['1']]) attempt(`randomInt ${args}`, () => typeof randomInt(...args));
console.log(await new Promise((done) => randomInt(1, (error, n) => done([error, n].join()))));
console.log(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(randomUUID()), randomUUID() !== randomUUID(), randomUUID({ disableEntropyCache: true }).length, crypto.randomUUIDv7()[14]);
attempt('uuid', () => randomUUID(5));
console.log(checkPrimeSync(7n), checkPrimeSync(9n), checkPrimeSync(generatePrimeSync(64)), typeof generatePrimeSync(32, { bigint: true }), generatePrimeSync(8, { safe: true }).byteLength);
for (const options of [{ add: 2n ** 40n }, { add: 5n, rem: 7n }, { add: 12n, rem: 11n }, { safe: 1 }, { add: 'x' }]) attempt('prime', () => generatePrimeSync(16, options).byteLength);
attempt('prime', () => generatePrimeSync(0));
console.log(await new Promise((done) => crypto.checkPrime(Buffer.from([0x65]), { checks: 100 }, (error, result) => done([error, result].join()))));

for (const [a, b] of [['ab', 'ab'], ['ab', 'ac']]) console.log(timingSafeEqual(Buffer.from(a), Buffer.from(b)), timingSafeEqual(new Float32Array([NaN]), new Float32Array([NaN])));
attempt('length', () => timingSafeEqual(Buffer.from('a'), Buffer.from('ab')));
attempt('type', () => timingSafeEqual('a', Buffer.from('a')));
attempt('type', () => timingSafeEqual(Buffer.from('a'), 5));
console.log(crypto.secureHeapUsed(), crypto.getFips(), crypto.constants.RSA_PSS_SALTLEN_AUTO, Object.keys(crypto.constants).length);
