'use strict';

// What a program can reach of C behind node:crypto, through the symbols of its objects and
// through the jobs that callbacks get as `this`, with values that no library would give.

const node = process.getBuiltinModule('node:crypto');
process.on('warning', () => {});
const hostile = () => [
	undefined, null, true, -1, 0, 1.5, 2 ** 31, 2 ** 53, NaN, '', 'text', 'a\0b', 'sha256', 'x'.repeat(70000), 1n, Symbol('s'), () => {},
	{}, [], new Uint8Array(0), new Uint8Array(33), new Float64Array(3), new DataView(new ArrayBuffer(5)), new ArrayBuffer(16), new SharedArrayBuffer(16),
	detached(), shrunk(), new Proxy({}, {}), { valueOf() { throw new Error('asked'); }, toString() { throw new Error('asked'); } },
];
function detached() {
	const view = new Uint8Array(64);
	structuredClone(view.buffer, { transfer: [view.buffer] });
	return view;
}
function shrunk() {
	const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
	const view = new Uint8Array(buffer, 32, 16);
	buffer.resize(8);
	return view;
}
const handleOf = (object) => object[Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === 'kHandle')];
function methodsOf(object) {
	const names = new Set();
	for (let p = object; p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p))
		for (const name of Object.getOwnPropertyNames(p)) if (name !== 'constructor') names.add(name);
	return [...names];
}
function attempt(run) {
	try {
		return run();
	} catch (error) {
		// A RangeError of the heap would end the test: everything else is an answer.
		return error;
	}
}

const makers = {
	cipher: () => node.createCipheriv('aes-128-gcm', new Uint8Array(16), new Uint8Array(12)),
	decipher: () => node.createDecipheriv('aes-128-ccm', new Uint8Array(16), new Uint8Array(12), { authTagLength: 16 }),
	cbc: () => node.createCipheriv('aes-128-cbc', new Uint8Array(16), new Uint8Array(16)),
	sign: () => node.createSign('sha256'),
	verify: () => node.createVerify('sha256'),
	dh: () => node.createDiffieHellman(node.getDiffieHellman('modp1').getPrime()),
	group: () => node.getDiffieHellman('modp5'),
	ecdh: () => node.createECDH('prime256v1'),
	certificate: () => new node.X509Certificate(certificate),
};
const certificate = `-----BEGIN CERTIFICATE-----
MIIDUzCCArygAwIBAgIBfzANBgkqhkiG9w0BAQsFADBTMQswCQYDVQQGEwJERTEh
MB8GA1UECgwYUHLDvGZzdGVsbGUsIFRlc3QgXCBHbWJIMQwwCgYDVQQLDAN0d28x
EzARBgNVBAMMCmNhLmV4YW1wbGUwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEw
MDAwMDBaMA8xDTALBgNVBAMMBGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATssgrZaaWL3PzZYkuimPKQ4gRBlAk5E03BeG8vyfT2ITmjAUf4EQz5XwILdkyp
D2aKujoV5TbPYn15OjV/JTmSo4IBvjCCAbowgdwGA1UdEQSB1DCB0YILZXhhbXBs
ZS5jb22CDioud2lsZC5leGFtcGxlggRhLGJjgQ5tZUBleGFtcGxlLmNvbYYQaHR0
cDovL3gveT9hPWIsY4cEfwAAAYcQIAENuAAAAAAAAAAAAAAAAYgDKgMEpCUwIzEL
MAkGA1UEBhMCVUsxFDASBgNVBAoMC015IE9yZywgSW5joBoGCCsGAQUFBwgJoA4M
DMODwrxAZXhhbXBsZaAbBgorBgEEAYI3FAIDoA0MC3VwbkBleGFtcGxloA0GAioD
oAcMBW90aGVyMHUGCCsGAQUFBwEBBGkwZzAhBggrBgEFBQcwAYYVaHR0cDovL29j
c3AuZXhhbXBsZS9hMB8GCCsGAQUFBzAChhNodHRwOi8vY2EuZXhhbXBsZS9iMCEG
CCsGAQUFBzABhhVodHRwOi8vc2Vjb25kLmV4YW1wbGUwIgYDVR0lBBswGQYIKwYB
BQUHAwEGCCsGAQUFBwMCBgMqAwQwHQYDVR0OBBYEFB1K37nKwGteZc8SvKusOYRb
wby4MB8GA1UdIwQYMBaAFMH26eczxTbpKjwlC1Ji9oGUMyEtMA0GCSqGSIb3DQEB
CwUAA4GBACogSAuPipB/+7tJ3dlMOYJFhNucRLlvmujGBbGg+KoZF0xC/6yzcJFe
QzjrS/41w7IeGf24n2xVKibH7hlVzhHaXqYtEsXnCFXLI4Ln91oYTN4EEUOsxADN
tkIfYgODNFlYQOguAB1FVyCxSIfNXTBMX2IvpmcLl2F2ttFqKVXH
-----END CERTIFICATE-----`;

for (const name of Object.keys(makers))
	test(`${name} stands whatever it is called with`, () => {
		const handle = handleOf(makers[name]());
		ok(handle !== undefined);
		for (const method of methodsOf(handle)) {
			const call = attempt(() => handle[method]);
			if (typeof call !== 'function') continue;
			for (const value of hostile()) {
				const target = handleOf(makers[name]());
				attempt(() => target[method](value));
				attempt(() => target[method](new Uint8Array(16), value, value));
				attempt(() => target[method](value, value, value, value, value, value, value, value, value));
				attempt(() => target[method](value));
				// On something else it is refused before it runs.
				for (const other of [{}, value, handleOf(makers.sign())])
					if (name !== 'sign' && name !== 'verify' && other !== target && !(other instanceof target.constructor))
						ok(attempt(() => call.call(other, value)) instanceof Error || typeof other === 'object', `${method} of something else`);
			}
		}
		const { constructor } = handle;
		for (const value of hostile()) {
			attempt(() => new constructor(value));
			attempt(() => new constructor(value, value));
			attempt(() => new constructor(true, value, value, value, value));
			attempt(() => new constructor(true, 'aes-128-gcm', value, value, value));
			attempt(() => new constructor(true, 'aes-128-gcm', new Uint8Array(16), new Uint8Array(12), value));
		}
	});

test('a job of a program is run with its own bytes', () => {
	const { privateKey } = node.generateKeyPairSync('ed25519');
	return new Promise((resolve) => {
		node.sign(null, new Uint8Array(8), privateKey, function () {
			resolve(this.constructor);
		});
	}).then((Job) => {
		for (const mode of [0, 1, 2]) {
			const data = new Uint8Array(1 << 16);
			const job = attempt(() => new Job(mode, 0, privateKey, undefined, undefined, undefined, undefined, data, undefined, undefined, undefined, 0, undefined, undefined));
			structuredClone(data.buffer, { transfer: [data.buffer] });
			if (!(job instanceof Error)) attempt(() => job.run());
		}
		for (const value of hostile())
			for (const mode of [0, 1, 2, value]) {
				const arguments_ = [mode, value, value, value, value, value, value, value, value, value, value, value, value, value];
				for (let count = 0; count <= arguments_.length; count++) {
					const job = attempt(() => new Job(...arguments_.slice(0, count)));
					if (!(job instanceof Error)) {
						const promise = attempt(() => job.run());
						if (promise instanceof Promise) promise.catch(() => {});
						ok(attempt(() => job.run()) instanceof Error, 'a job runs once');
					}
				}
			}
	});
});

test('options stand whatever they are', () => {
	const { privateKey, publicKey } = node.generateKeyPairSync('ec', { namedCurve: 'P-256' });
	for (const value of hostile()) {
		attempt(() => node.createCipheriv(value, value, value, value));
		attempt(() => node.createCipheriv('aes-128-gcm', value, value, { authTagLength: value }));
		attempt(() => node.publicEncrypt({ key: publicKey, padding: value, oaepHash: value, oaepLabel: value }, value));
		attempt(() => node.privateDecrypt({ key: value, padding: 1 }, value));
		attempt(() => node.sign(value, value, { key: privateKey, padding: value, saltLength: value, dsaEncoding: value, context: value }));
		attempt(() => node.verify(value, value, value, value));
		attempt(() => node.diffieHellman({ privateKey: value, publicKey: value }));
		attempt(() => node.createDiffieHellman(value, value, value, value));
		attempt(() => node.createECDH(value));
		attempt(() => node.ECDH.convertKey(value, value, value, value, value));
		attempt(() => node.getCipherInfo(value, { keyLength: value, ivLength: value }));
		attempt(() => new node.X509Certificate(value));
		attempt(() => node.Certificate.verifySpkac(value));
		attempt(() => node.Certificate.exportChallenge(value));
		attempt(() => node.encapsulate(value));
		attempt(() => node.decapsulate(privateKey, value));
		for (const method of Object.getOwnPropertyNames(SubtleCrypto.prototype)) {
			if (method === 'constructor') continue;
			for (const args of [[value], [value, value, value, value, value, value, value], ['raw', value, 'AES-GCM', true, ['encrypt']]]) {
				const promise = attempt(() => crypto.subtle[method](...args));
				if (promise instanceof Promise) promise.catch(() => {});
			}
		}
	}
});
