// Web Cryptography: every algorithm, import and export in every format, wrapping, failures,
// structuredClone of keys.
import { webcrypto, KeyObject, createSecretKey, createPrivateKey } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { inspect } from 'node:util';

// Made for these tests with openssl; nobody trusts them.
const ec = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/IvWErWRpq9e80tS
FQRGuCSOqWO7vRzGMkQmfkZJUQmhRANCAATssgrZaaWL3PzZYkuimPKQ4gRBlAk5
E03BeG8vyfT2ITmjAUf4EQz5XwILdkypD2aKujoV5TbPYn15OjV/JTmS
-----END PRIVATE KEY-----
`;
const ed25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICU9Y+MEZDXKeOz6m5H4lhveXv7FM5KP5uA8A+jvoAUD
-----END PRIVATE KEY-----
`;
const rsa = `-----BEGIN PRIVATE KEY-----
MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAKfY7igsBsHnyTQe
DkT82z3kYHBEnM3nNfRaqsDLqdPu+D5wml3hEKY4BSurG14RTW56oAt+YnQyiBd0
DQOqM36roX6QUZ+W/Pon6IuT4YADeMFzIJ2WaPaa/OKS++YBThGDrQm3C+wuQ7UM
2wluOoCrhk1ElbVmXWKNPYnQWgOZAgMBAAECgYBoCZBlGhT+L9uJEHAr1sdWb65P
KFhBUGUjFufsJNEZanA407b7JbwaK3MZBDAseHEUX7HALhB8ka3FS8udT+wmQMpZ
vVlSLhwsFZPQ2hvzDpeP7Nse1NToRZmMKKZvjzJ87XxqAecYHcNqSSVSjSrT7O1Q
KYKIeobsmuc0hzOaAQJBANV6QF5PaK0WNR111Cq3rfF0fuEiIp3tNFasRKwobQP3
+bS8WbZS69r5Z1TTL0Tgp3fPdESVgWQx7I/CMQ4Eh/kCQQDJR+JNKeHdjBubUbdp
SMs8T9Fbw9k2CwWLOefpQUCQUu25Ry3tbnx7Zi7vtH2+8HJkhZJcqTxOzk9l1OOg
pIChAkEAxoUOcOWlsThyonfdmu/++QhdqV0GFhjtUCCZKAPcBRHIi9OQFeYc4SCH
gDF3xrSn59nrBJCHqDZpB/MNjTyXeQJBALqq8uITJIhdxsCN0WZP/0PI1mWfRVOM
dzC+nChDvsfaUOOScrKO091xT7g4kKHCxqQZCDrtLKP9S78p54z04uECQQC3etIy
qSxLbsT5DZtfWkSzJ2fTqczIsy2KA91pNsNmI83KUIXvihmIb7V2kDkF7FV7pd8g
pQ5cDZMyaiLRNRVC
-----END PRIVATE KEY-----
`;
const x25519 = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIOhPXSXeS/YPUwOoGzFJJZZT+vvnQ+UYTahbZOexn6NN
-----END PRIVATE KEY-----
`;

process.on('warning', () => {});
const { subtle } = crypto;
console.log(webcrypto === crypto, crypto.subtle === subtle, Object.getOwnPropertyNames(SubtleCrypto.prototype).sort().join(), Object.keys(Object.getOwnPropertyDescriptors(Crypto.prototype)).sort().join());
console.log(String(crypto), String(subtle), typeof CryptoKey, Object.getOwnPropertyDescriptor(globalThis, 'crypto').enumerable);
const hex = (buffer) => Buffer.from(buffer).toString('hex');
const show = (value) => (value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? hex(value) : value);
async function attempt(name, run) {
	try {
		console.log(name, show(await run()));
	} catch (error) {
		console.log(name, error.name, error.code, error.message, error.constructor.name);
	}
}
const bytes = (length, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
const data = bytes(100);

// ---- digests ----

for (const name of ['SHA-1', 'SHA-256', 'sha-384', 'SHA-512', 'SHA3-256', 'MD5', '', 5, undefined, null, {}])
	await attempt(`digest ${String(name)}`, () => subtle.digest(name, data));
for (const input of [data.buffer, new DataView(data.buffer, 5, 10), new Uint8Array(0), [], 'x', undefined, new Uint8Array(new SharedArrayBuffer(4))])
	await attempt(`digest of ${Object.prototype.toString.call(input)}`, () => subtle.digest('SHA-256', input));
await attempt('digest of a detached buffer', () => {
	const buffer = new ArrayBuffer(8);
	structuredClone(buffer, { transfer: [buffer] });
	return subtle.digest('SHA-256', buffer);
});
await attempt('digest of what changes', () => {
	const changing = bytes(50000);
	const promise = subtle.digest('SHA-256', changing);
	changing.fill(0);
	return promise;
});

// ---- ciphers ----

for (const name of ['AES-CBC', 'AES-CTR', 'AES-GCM', 'AES-OCB', 'AES-KW', 'ChaCha20-Poly1305'])
	for (const length of [16, 24, 32]) {
		const usages = name === 'AES-KW' ? ['wrapKey', 'unwrapKey'] : ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'];
		await attempt(`${name} ${length}`, async () => {
			const format = name === 'AES-OCB' || name[0] === 'C' ? 'raw-secret' : 'raw';
			const key = await subtle.importKey(format, bytes(length, 9), name, true, usages);
			console.log(inspect(key), JSON.stringify(await subtle.exportKey('jwk', key)));
			if (name === 'AES-KW') {
				const inner = await subtle.importKey('raw', bytes(24), 'AES-CBC', true, ['encrypt']);
				const wrapped = await subtle.wrapKey('raw', inner, key, name);
				const back = await subtle.unwrapKey('raw', wrapped, key, name, 'AES-CBC', true, ['decrypt']);
				return `${hex(wrapped)} ${hex(await subtle.exportKey('raw', back))}`;
			}
			const results = [];
			for (const size of [0, 1, 16, 100, 40000]) {
				const algorithm = { name, iv: bytes(name === 'AES-CBC' ? 16 : 12), counter: new Uint8Array(16).fill(255), length: 17, additionalData: size === 1 ? data : undefined, tagLength: size === 16 && name !== 'ChaCha20-Poly1305' ? 96 : undefined };
				const text = await subtle.encrypt(algorithm, key, bytes(size));
				results.push(hex(text).slice(-64), hex(await subtle.decrypt(algorithm, key, text)) === hex(bytes(size)));
			}
			return results.join(' ');
		});
	}
const aes = await subtle.importKey('raw', bytes(16), 'AES-GCM', false, ['encrypt', 'decrypt']);
const cbc = await subtle.importKey('raw', bytes(16), 'AES-CBC', false, ['encrypt', 'decrypt']);
const ctr = await subtle.importKey('raw', bytes(16), 'AES-CTR', false, ['encrypt', 'decrypt']);
for (const length of [0, 1, 2, 7, 8, 64, 127, 128, 129]) await attempt(`counter ${length}`, () => subtle.encrypt({ name: 'AES-CTR', counter: bytes(16, 250).fill(0xff, 8), length }, ctr, bytes(48)));
for (const tagLength of [0, 32, 64, 88, 96, 100, 128, 136, 'x']) await attempt(`tag ${tagLength}`, () => subtle.encrypt({ name: 'AES-GCM', iv: bytes(12), tagLength }, aes, data));
for (const iv of [bytes(0), bytes(1), bytes(16), undefined, 5]) {
	await attempt(`GCM ${String(iv)}`, () => subtle.encrypt({ name: 'AES-GCM', iv }, aes, data));
	await attempt(`CBC ${String(iv)}`, () => subtle.encrypt({ name: 'AES-CBC', iv }, cbc, bytes(3)));
}
await attempt('not authentic', () => subtle.decrypt({ name: 'AES-GCM', iv: bytes(12) }, aes, data));
await attempt('short', () => subtle.decrypt({ name: 'AES-GCM', iv: bytes(12) }, aes, bytes(3)));
await attempt('bad padding', () => subtle.decrypt({ name: 'AES-CBC', iv: bytes(16) }, cbc, bytes(32)));
await attempt('other algorithm', () => subtle.encrypt({ name: 'AES-CBC', iv: bytes(16) }, aes, data));
await attempt('not extractable', () => subtle.exportKey('raw', aes));
await attempt('not for that', () => subtle.sign('AES-GCM', aes, data));
await attempt('no key', () => subtle.encrypt({ name: 'AES-GCM', iv: bytes(12) }, {}, data));
await attempt('no usages', () => subtle.importKey('raw', bytes(16), 'AES-GCM', true, []));
await attempt('wrong usages', () => subtle.importKey('raw', bytes(16), 'AES-GCM', true, ['sign']));
await attempt('unknown usage', () => subtle.importKey('raw', bytes(16), 'AES-GCM', true, ['x']));
await attempt('wrong length', () => subtle.importKey('raw', bytes(17), 'AES-GCM', true, ['encrypt']));
await attempt('unknown format', () => subtle.importKey('x', bytes(17), 'AES-GCM', true, ['encrypt']));
await attempt('wrong format', () => subtle.importKey('spki', bytes(17), 'AES-GCM', true, ['encrypt']));
for (const jwk of [{}, { kty: 'oct' }, { kty: 'oct', k: 'AAAA' }, { kty: 'RSA' }, { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA', alg: 'A256GCM' }, { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA', use: 'sig' }, { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA', ext: false }, { kty: 'oct', k: 'AAAAAAAAAAAAAAAAAAAAAA', key_ops: ['decrypt'] }, 'x', null, undefined])
	await attempt(`jwk ${JSON.stringify(jwk)}`, () => subtle.importKey('jwk', jwk, 'AES-GCM', true, ['encrypt']));

// ---- MACs and derivation ----

for (const hash of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512', { name: 'SHA-256' }, 'MD5', undefined])
	await attempt(`HMAC ${JSON.stringify(hash)}`, async () => {
		const key = await subtle.importKey('raw', bytes(20), { name: 'HMAC', hash }, true, ['sign', 'verify']);
		const mac = await subtle.sign('HMAC', key, data);
		return `${hex(mac)} ${await subtle.verify('HMAC', key, mac, data)} ${await subtle.verify('HMAC', key, mac.slice(1), data)} ${JSON.stringify(await subtle.exportKey('jwk', key))}`;
	});
for (const length of [undefined, 0, 1, 153, 160, 161]) await attempt(`HMAC key of ${length}`, async () => (await subtle.importKey('raw', bytes(20), { name: 'HMAC', hash: 'SHA-1', length }, true, ['sign'])).algorithm.length);
for (const name of ['HKDF', 'PBKDF2']) {
	const base = await subtle.importKey('raw', bytes(16), name, false, ['deriveBits', 'deriveKey']);
	const algorithm = { name, hash: 'SHA-256', salt: bytes(8), info: bytes(4), iterations: 1000 };
	for (const length of [256, 8, 0, 7, null, undefined, 2 ** 20]) await attempt(`${name} ${length}`, async () => hex(await subtle.deriveBits(algorithm, base, length)).slice(0, 64));
	await attempt(`${name} key`, async () => JSON.stringify(await subtle.exportKey('jwk', await subtle.deriveKey(algorithm, base, { name: 'AES-GCM', length: 256 }, true, ['encrypt']))));
	await attempt(`${name} MAC key`, async () => (await subtle.deriveKey(algorithm, base, { name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])).algorithm);
	await attempt(`${name} once`, () => subtle.deriveBits({ ...algorithm, iterations: 0, hash: 'nope' }, base, 8));
	await attempt(`${name} extractable`, () => subtle.importKey('raw', bytes(16), name, true, ['deriveBits']));
}

// ---- pairs of keys ----

const pem = (text) => Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
const cbcOpen = await subtle.importKey('raw', bytes(16), 'AES-CBC', true, ['encrypt', 'decrypt']);
const pairs = [
	['RSASSA-PKCS1-v1_5', { hash: 'SHA-256' }, rsa, ['sign'], ['verify'], {}],
	['RSA-PSS', { hash: 'SHA-1' }, rsa, ['sign'], ['verify'], { saltLength: 0 }],
	['RSA-OAEP', { hash: 'SHA-256' }, rsa, ['decrypt', 'unwrapKey'], ['encrypt', 'wrapKey'], { label: bytes(5) }],
	['ECDSA', { namedCurve: 'P-256' }, ec, ['sign'], ['verify'], { hash: 'SHA-256' }],
	['ECDH', { namedCurve: 'P-256' }, ec, ['deriveBits', 'deriveKey'], [], {}],
	['Ed25519', {}, ed25519, ['sign'], ['verify'], {}],
	['X25519', {}, x25519, ['deriveBits'], [], {}],
];
for (const [name, params, text, privateUsages, publicUsages, options] of pairs) {
	const privateKey = await subtle.importKey('pkcs8', pem(text), { name, ...params }, true, privateUsages);
	const jwk = await subtle.exportKey('jwk', privateKey);
	const { d, p, q, dp, dq, qi, key_ops, ...publicJwk } = jwk;
	const publicKey = await subtle.importKey('jwk', publicJwk, { name, ...params }, true, publicUsages);
	console.log(inspect(privateKey), inspect(publicKey), JSON.stringify(jwk));
	for (const format of ['spki', 'pkcs8', 'raw', 'jwk', 'x']) {
		await attempt(`${name} public ${format}`, async () => {
			const out = await subtle.exportKey(format, publicKey);
			await subtle.importKey(format, out, { name, ...params }, true, publicUsages);
			return format === 'jwk' ? JSON.stringify(out) : out;
		});
		await attempt(`${name} private ${format}`, async () => {
			const out = await subtle.exportKey(format, privateKey);
			const again = await subtle.importKey(format, out, { name, ...params }, false, privateUsages);
			return format === 'jwk' ? again.algorithm : hex(out) === pem(text).toString('hex');
		});
	}
	const algorithm = { name, ...options };
	if (publicUsages[0] === 'verify') {
		await attempt(`${name} signs`, async () => {
			const signature = await subtle.sign(algorithm, privateKey, data);
			const fixed = name === 'ECDSA' ? signature.byteLength : hex(signature);
			return [fixed, await subtle.verify(algorithm, publicKey, signature, data), await subtle.verify(algorithm, publicKey, signature, bytes(3)), await subtle.verify(algorithm, publicKey, bytes(64), data)].join();
		});
		await attempt(`${name} large`, async () => subtle.verify(algorithm, publicKey, await subtle.sign(algorithm, privateKey, bytes(100000)), bytes(100000)));
		await attempt(`${name} the wrong key`, () => subtle.sign(algorithm, publicKey, data));
		await attempt(`${name} the wrong key`, () => subtle.verify(algorithm, privateKey, data, data));
	} else if (publicUsages[0] === 'encrypt') {
		await attempt(`${name} encrypts`, async () => subtle.decrypt(algorithm, privateKey, await subtle.encrypt(algorithm, publicKey, bytes(5))));
		await attempt(`${name} too long`, () => subtle.encrypt(algorithm, publicKey, bytes(100)));
		await attempt(`${name} wrong label`, async () => subtle.decrypt({ name }, privateKey, await subtle.encrypt(algorithm, publicKey, bytes(5))));
		await attempt(`${name} wraps`, async () => {
			const wrapped = await subtle.wrapKey('raw', cbcOpen, publicKey, algorithm);
			return (await subtle.unwrapKey('raw', wrapped, privateKey, algorithm, 'AES-CBC', true, ['encrypt'])).algorithm;
		});
	} else {
		await attempt(`${name} derives`, () => subtle.deriveBits({ name, public: publicKey }, privateKey, 128));
		for (const length of [null, undefined, 0, 8, 13, 256, 264]) await attempt(`${name} derives ${length}`, () => subtle.deriveBits({ name, public: publicKey }, privateKey, length));
		await attempt(`${name} with a private key`, () => subtle.deriveBits({ name, public: privateKey }, privateKey, 128));
		await attempt(`${name} of a public key`, () => subtle.deriveBits({ name, public: publicKey }, publicKey, 128));
	}
	await attempt(`${name} public usages`, () => subtle.importKey('jwk', publicJwk, { name, ...params }, true, privateUsages));
	await attempt(`${name} private without usages`, () => subtle.importKey('pkcs8', pem(text), { name, ...params }, true, []));
	await attempt(`${name} not DER`, () => subtle.importKey('pkcs8', bytes(20), { name, ...params }, true, privateUsages));
	await attempt(`${name} another kind`, () => subtle.importKey('pkcs8', pem(name[0] === 'R' ? ec : rsa), { name, ...params }, true, privateUsages));
	const generated = { name, ...params, modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
	await attempt(`${name} generates`, async () => {
		const pair = await subtle.generateKey(generated, false, [...privateUsages, ...publicUsages]);
		return inspect(pair, { depth: 5 });
	});
	await attempt(`${name} generates nothing`, () => subtle.generateKey(generated, false, []));
}
for (const namedCurve of ['P-256', 'P-384', 'P-521', 'P-192', 'nope', undefined]) await attempt(`curve ${namedCurve}`, async () => (await subtle.exportKey('raw', (await subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify'])).publicKey)).byteLength);
for (const publicExponent of [new Uint8Array([3]), new Uint8Array([1]), new Uint8Array([2]), new Uint8Array(0), [3]]) await attempt(`exponent ${publicExponent}`, async () => (await subtle.generateKey({ name: 'RSA-PSS', hash: 'SHA-1', modulusLength: 1024, publicExponent }, true, ['sign', 'verify'])).publicKey.algorithm);
await attempt('point not on the curve', () => subtle.importKey('raw', bytes(65, 4), { name: 'ECDH', namedCurve: 'P-256' }, true, []));
await attempt('point at infinity', () => subtle.importKey('raw', new Uint8Array(1), { name: 'ECDH', namedCurve: 'P-256' }, true, []));
await attempt('another curve', async () => subtle.importKey('pkcs8', pem(ec), { name: 'ECDH', namedCurve: 'P-384' }, true, ['deriveBits']));
await attempt('JWK of another key', () => subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', d: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }, 'Ed25519', true, ['sign']));

// ---- the objects ----

const clone = structuredClone(aes);
console.log(clone !== aes, clone instanceof CryptoKey, inspect(clone), hex(await subtle.encrypt({ name: 'AES-GCM', iv: bytes(12) }, clone, bytes(3))));
console.log(structuredClone({ keys: [aes, aes] }).keys.map((key) => key.type));
const object = KeyObject.from(cbcOpen);
console.log(object.type, object.export().toString('hex'), structuredClone(object).equals(object), structuredClone(createPrivateKey(ec)).asymmetricKeyType);
console.log(createSecretKey(bytes(16)).toCryptoKey('AES-CBC', true, ['encrypt']));
await attempt('new CryptoKey', () => new CryptoKey());
await attempt('new SubtleCrypto', () => new SubtleCrypto());
await attempt('foreign this', () => subtle.digest.call({}, 'SHA-1', data));
await attempt('foreign this', () => Object.getOwnPropertyDescriptor(CryptoKey.prototype, 'type').get.call({}));
await attempt('a prototype', () => Object.create(aes).type);
await attempt('few arguments', () => subtle.digest('SHA-1'));
aes.usages.push('sign');
aes.algorithm.name = 'x';
console.log(aes.usages, aes.algorithm, (await subtle.encrypt({ name: 'AES-GCM', iv: bytes(12) }, aes, bytes(3))).byteLength);
console.log(SubtleCrypto.supports('digest', 'SHA-256'), SubtleCrypto.supports('encrypt', 'nope'));
Object.prototype.then = () => console.log('then was asked');
Object.defineProperty(Object.prototype, 'publicKey', { set() { console.log('a setter was asked'); }, configurable: true });
const polluted = await subtle.generateKey('Ed25519', true, ['sign', 'verify']);
console.log(polluted.privateKey?.type);
delete Object.prototype.then;
delete Object.prototype.publicKey;
