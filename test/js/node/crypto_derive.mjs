// PBKDF2, scrypt, HKDF, Argon2: at once and on a thread; by Web Cryptography, too.
import * as crypto from 'node:crypto';
import { AsyncLocalStorage } from 'node:async_hooks';

const attempt = async (name, f) => {
	try {
		const value = await f();
		console.log(name, value instanceof ArrayBuffer ? Buffer.from(value).toString('hex') : Buffer.isBuffer(value) ? value.toString('hex') : value);
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
};
const later = (f, ...args) => new Promise((resolve, reject) => f(...args, (error, value) => (error ? reject(error) : resolve(value))));
const { argon2, argon2Sync, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync, subtle } = crypto;

// RFC 6070, RFC 7914, RFC 5869
for (const args of [['password', 'salt', 1, 20, 'sha1'], ['password', 'salt', 4096, 20, 'SHA1'], ['pass\0word', 'sa\0lt', 4096, 16, 'sha1'], ['passwd', 'salt', 1, 64, 'sha256'], ['', '', 1, 0, 'sha512'], [Buffer.from('p'), new Uint16Array([1, 2]), 3, 33, 'md5'], ['p', 's', 0, 1, 'sha1'], ['p', 's', 1, -1, 'sha1'], ['p', 's', 2 ** 31, 1, 'sha1'], ['p', 's', 1, 1, 'nope'], ['p', 's', 1, 1, 5], [5, 's', 1, 1, 'sha1'], ['p', null, 1, 1, 'sha1']]) {
	await attempt('pbkdf2Sync', () => pbkdf2Sync(...args));
	await attempt('pbkdf2', () => later(pbkdf2, ...args));
}
for (const args of [['', '', 64, { N: 16, r: 1, p: 1 }], ['password', 'NaCl', 64, { N: 1024, r: 8, p: 16 }], ['p', 's', 0], ['p', 's', 10], ['p', 's', 10, { N: 3 }], ['p', 's', 10, { N: 2 ** 20 }], ['p', 's', 10, { N: 16, r: 2 ** 30, p: 2 }], ['p', 's', 10, { cost: 16, N: 16 }], ['p', 's', -1], ['p', 's', 10, { maxmem: -1 }]]) {
	await attempt('scryptSync', () => scryptSync(...args));
	await attempt('scrypt', () => later(scrypt, ...args));
}
for (const args of [['sha256', Buffer.alloc(22, 11), Buffer.from('000102030405060708090a0b0c', 'hex'), Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex'), 42], ['sha1', '', '', '', 10], ['sha512', 'k', 's', 'i', 0], ['sha512', crypto.createSecretKey(Buffer.from('k')), 's', 'i', 255 * 64], ['sha512', 'k', 's', 'i', 255 * 64 + 1], ['nope', 'k', 's', 'i', 1], ['sha256', 'k', 's', Buffer.alloc(1025), 1], ['sha256', 'k', 's', 'i', -1], ['sha256', 5, 's', 'i', 1]]) {
	await attempt('hkdfSync', () => hkdfSync(...args));
	await attempt('hkdf', () => later(hkdf, ...args));
}
const parameters = { message: Buffer.alloc(32, 1), nonce: Buffer.alloc(16, 2), secret: Buffer.alloc(8, 3), associatedData: Buffer.alloc(12, 4), memory: 32, passes: 3, parallelism: 4, tagLength: 32 }; // RFC 9106
for (const type of ['argon2d', 'argon2i', 'argon2id', 'argon2x']) {
	await attempt(type, () => argon2Sync(type, parameters));
	await attempt(type, () => later(argon2, type, parameters));
}
for (const change of [{ memory: 1 }, { passes: 0 }, { parallelism: 0 }, { tagLength: 1 }, { nonce: Buffer.alloc(1) }]) await attempt(JSON.stringify(change), () => argon2Sync('argon2id', { ...parameters, ...change }));

// Web Cryptography
for (const [algorithm, hash] of [['HKDF', 'SHA-256'], ['PBKDF2', 'SHA-512']]) {
	const key = await subtle.importKey('raw', Buffer.from('secret'), algorithm, false, ['deriveBits', 'deriveKey']);
	const how = { name: algorithm, hash, salt: Buffer.from('salt'), info: Buffer.from('info'), iterations: 10 };
	for (const length of [256, 0, 8, 7, null, 255 * 256 + 8]) await attempt(`${algorithm} ${length}`, () => subtle.deriveBits(how, key, length));
	await attempt('deriveKey', async () => (await subtle.deriveKey(how, key, { name: 'AES-GCM', length: 128 }, true, ['encrypt'])).algorithm);
}
for (const name of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512', 'SHA3-256', 'sha-256', 'MD5', 'nope'])
	for (const size of [0, 3, 100000]) await attempt(`${name} ${size}`, () => subtle.digest(name, Buffer.alloc(size, 'a')));
for (const hash of ['SHA-1', 'SHA-512']) {
	const key = await subtle.generateKey({ name: 'HMAC', hash }, true, ['sign', 'verify']);
	console.log(key.algorithm, (await subtle.exportKey('raw', key)).byteLength);
	for (const size of [1, 100000]) {
		const signature = await subtle.sign('HMAC', key, Buffer.alloc(size));
		console.log(signature.byteLength, await subtle.verify('HMAC', key, signature, Buffer.alloc(size)), await subtle.verify('HMAC', key, signature, Buffer.alloc(size + 1)), await subtle.verify('HMAC', key, signature.slice(1), Buffer.alloc(size)));
	}
}
await attempt('odd length', async () => (await subtle.exportKey('jwk', await subtle.generateKey({ name: 'HMAC', hash: 'SHA-1', length: 13 }, true, ['sign']))).k.length);
for (const [algorithm, usages] of [[{ name: 'RSA-PSS', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, ['sign']], [{ name: 'ECDH', namedCurve: 'P-384' }, ['deriveBits']], [{ name: 'Ed25519' }, ['sign', 'verify']], [{ name: 'AES-KW', length: 256 }, ['wrapKey']]]) await attempt('generateKey', async () => subtle.generateKey(algorithm, false, usages));
await attempt('generateKey', () => subtle.generateKey({ name: 'RSA-PSS', modulusLength: 1024, publicExponent: new Uint8Array([2]), hash: 'SHA-256' }, true, ['sign']));

// whose callback it is
const storage = new AsyncLocalStorage();
await storage.run('mine', () => later(pbkdf2, 'p', 's', 1, 1, 'sha1').then(() => console.log(storage.getStore())));
await new Promise((done) => storage.run('theirs', () => crypto.randomFill(new Uint8Array(1), () => done(console.log(storage.getStore())))));
await new Promise((done) => {
	process.once('uncaughtException', (error) => done(console.log('caught', error.message)));
	pbkdf2('p', 's', 1, 1, 'sha1', () => {
		throw new Error('of a callback');
	});
});
