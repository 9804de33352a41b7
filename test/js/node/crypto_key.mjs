// KeyObject: making, importing and exporting keys of all kinds.
import * as crypto from 'node:crypto';

const attempt = (name, f) => {
	try {
		console.log(name, f());
	} catch (error) {
		console.log(name, error.name, error.code, error.message, error.library, error.reason);
	}
};
const { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, KeyObject } = crypto;

// secrets
const secret = createSecretKey(Buffer.from('0123456789'));
console.log(secret, secret.type, secret.symmetricKeySize, secret.export(), secret.export({ format: 'jwk' }), secret.equals(createSecretKey('0123456789', 'utf8')), secret.asymmetricKeyType);
for (const args of [[''], ['zz', 'hex'], [5], [null], [new Uint8Array(0)], [new SharedArrayBuffer(3)]]) attempt('secret', () => createSecretKey(...args).symmetricKeySize);
console.log(crypto.generateKeySync('aes', { length: 192 }).symmetricKeySize, crypto.generateKeySync('hmac', { length: 35 }).symmetricKeySize);
attempt('aes', () => crypto.generateKeySync('aes', { length: 100 }));
console.log(await new Promise((done) => crypto.generateKey('hmac', { length: 64 }, (error, key) => done([error, key.type, key.symmetricKeySize].join()))));

// every kind, there and back in every format
const kinds = [
	['rsa', { modulusLength: 1024 }],
	['rsa-pss', { modulusLength: 1024 }],
	['rsa-pss', { modulusLength: 1024, hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha512', saltLength: 20 }],
	['dsa', { modulusLength: 1024, divisorLength: 160 }],
	['ec', { namedCurve: 'P-256' }],
	['ec', { namedCurve: 'secp384r1' }],
	['ec', { namedCurve: 'P-521', paramEncoding: 'explicit' }],
	['ec', { namedCurve: 'secp256k1' }],
	['ec', { namedCurve: 'brainpoolP256r1' }],
	['ed25519'],
	['ed448'],
	['x25519'],
	['x448'],
	['dh', { group: 'modp14' }],
	['dh', { primeLength: 512 }],
	['ml-dsa-44'],
	['ml-kem-768'],
	['slh-dsa-sha2-128f'],
];
const shape = (value) => (typeof value === 'string' ? value.split('\n')[0] : Buffer.isBuffer(value) ? 'bytes' : Object.entries(value).map(([k, v]) => (k === 'kty' || k === 'crv' || k === 'alg' ? `${k}=${v}` : k)).join());
for (const [type, options] of kinds) {
	const { publicKey, privateKey } = generateKeyPairSync(type, options);
	console.log('==', type, publicKey, privateKey, publicKey.type, privateKey.type, publicKey.asymmetricKeyType, publicKey.asymmetricKeyDetails, privateKey.asymmetricKeyDetails);
	console.log(publicKey.equals(createPublicKey(privateKey)), privateKey.equals(privateKey), publicKey.equals(privateKey));
	for (const format of ['pem', 'der'])
		for (const encoding of ['spki', 'pkcs1', 'sec1', 'pkcs8'])
			attempt(`public ${format} ${encoding}`, () => {
				const data = publicKey.export({ format, type: encoding });
				return [shape(data), createPublicKey({ key: data, format, type: encoding }).equals(publicKey)];
			});
	for (const format of ['pem', 'der'])
		for (const encoding of ['pkcs8', 'pkcs1', 'sec1', 'spki'])
			for (const lock of [{}, { cipher: 'aes-256-cbc', passphrase: 'secret' }, { cipher: 'aes-128-cbc', passphrase: '' }, { cipher: 'nope', passphrase: 'x' }])
				attempt(`private ${format} ${encoding} ${lock.cipher} ${lock.passphrase}`, () => {
					const data = privateKey.export({ format, type: encoding, ...lock });
					return [shape(data), createPrivateKey({ key: data, format, type: encoding, passphrase: lock.passphrase }).equals(privateKey)];
				});
	attempt('public jwk', () => {
		const jwk = publicKey.export({ format: 'jwk' });
		return [shape(jwk), createPublicKey({ key: jwk, format: 'jwk' }).equals(publicKey)];
	});
	attempt('private jwk', () => {
		const jwk = privateKey.export({ format: 'jwk' });
		return [shape(jwk), createPrivateKey({ key: jwk, format: 'jwk' }).equals(privateKey), createPublicKey({ key: jwk, format: 'jwk' }).equals(publicKey)];
	});
	for (const point of ['compressed', 'uncompressed', 'nope'])
		attempt(`raw-public ${point}`, () => {
			const data = publicKey.export({ format: 'raw-public', type: point });
			return [data.length, createPublicKey({ key: data, format: 'raw-public', asymmetricKeyType: publicKey.asymmetricKeyType, namedCurve: publicKey.asymmetricKeyDetails.namedCurve }).equals(publicKey)];
		});
	for (const format of ['raw-private', 'raw-seed'])
		attempt(format, () => {
			const data = privateKey.export({ format });
			return [data.length, createPrivateKey({ key: data, format, asymmetricKeyType: publicKey.asymmetricKeyType, namedCurve: publicKey.asymmetricKeyDetails.namedCurve }).equals(privateKey)];
		});
	attempt('encoded', () => {
		const pair = generateKeyPairSync(type, { ...options, publicKeyEncoding: { format: 'der', type: 'spki' }, privateKeyEncoding: { format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'p' } });
		return [shape(pair.publicKey), shape(pair.privateKey)];
	});
	attempt('encoded as jwk', () => shape(generateKeyPairSync(type, { ...options, publicKeyEncoding: { format: 'jwk' }, privateKeyEncoding: { format: 'jwk' } }).privateKey));
}

// what is wrong with options
for (const [type, options] of [['rsa', { modulusLength: 0 }], ['rsa', { modulusLength: 512, publicExponent: 2 }], ['rsa'], ['ec', { namedCurve: 'nope' }], ['ec', { namedCurve: 'P-256', paramEncoding: 'x' }], ['dh', { group: 'modp99' }], ['dh', {}], ['dh', { prime: Buffer.from([4]) }], ['dsa', { modulusLength: 1024, divisorLength: 1 }], ['rsa-pss', { modulusLength: 1024, hashAlgorithm: 'nope' }], ['rsa-pss', { modulusLength: 1024, mgf1HashAlgorithm: 'nope' }], ['nope']])
	attempt(`generate ${type} ${JSON.stringify(options)}`, () => generateKeyPairSync(type, options).publicKey.type);
console.log(await new Promise((done) => crypto.generateKeyPair('ed25519', {}, (error, a, b) => done([error, a.type, b.type].join()))));
console.log(await new Promise((done) => crypto.generateKeyPair('rsa', { modulusLength: 512, publicExponent: 4 }, (error, a) => done([error?.message, a].join()))));

// what is no key
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const locked = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'secret' });
attempt('no passphrase', () => createPrivateKey(locked));
attempt('wrong passphrase', () => createPrivateKey({ key: locked, passphrase: 'wrong' }));
attempt('right passphrase', () => createPrivateKey({ key: locked, passphrase: Buffer.from('secret') }).equals(privateKey));
attempt('public of locked', () => createPublicKey({ key: locked, passphrase: 'secret' }).equals(publicKey));
for (const data of ['', 'x', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', Buffer.alloc(5)]) {
	attempt('private', () => createPrivateKey(data));
	attempt('public', () => createPublicKey(data));
	for (const type of ['pkcs1', 'pkcs8', 'sec1', 'spki']) {
		attempt(`private der ${type}`, () => createPrivateKey({ key: Buffer.from(data), format: 'der', type }));
		attempt(`public der ${type}`, () => createPublicKey({ key: Buffer.from(data), format: 'der', type }));
	}
}
attempt('private of public', () => createPrivateKey(publicKey.export({ format: 'pem', type: 'spki' })));
for (const key of [5, null, undefined, {}, [], secret, publicKey, privateKey]) {
	attempt('private of', () => createPrivateKey(key).type);
	attempt('public of', () => createPublicKey(key).type);
}
const jwk = privateKey.export({ format: 'jwk' });
for (const change of [{ kty: 'nope' }, { kty: 5 }, { crv: 'nope' }, { crv: 'P-384' }, { x: 'AAAA' }, { x: 5 }, { d: 5 }, { d: undefined }, { d: 'A'.repeat(43) }]) {
	attempt(`private jwk ${JSON.stringify(change)}`, () => createPrivateKey({ key: { ...jwk, ...change }, format: 'jwk' }).type);
	attempt(`public jwk ${JSON.stringify(change)}`, () => createPublicKey({ key: { ...jwk, ...change }, format: 'jwk' }).type);
}
for (const key of [{ kty: 'RSA' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB', d: 'AQAB' }, { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }, { kty: 'OKP', crv: 'nope', x: '' }, { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AAAA' }, { kty: 'AKP', alg: 'ml-dsa-44', pub: 'AAAA' }, { kty: 'oct', k: 'AAAA' }])
	attempt(`jwk ${JSON.stringify(key)}`, () => createPublicKey({ key, format: 'jwk' }).type);
for (const [format, asymmetricKeyType, namedCurve] of [['raw-public', 'ed25519'], ['raw-private', 'x448'], ['raw-seed', 'ed25519'], ['raw-public', 'rsa'], ['raw-public', 'nope'], ['raw-public', 'ec', 'P-256'], ['raw-private', 'ec', 'P-256'], ['raw-private', 'ec', 'nope'], ['raw-public', 'ec'], ['raw-seed', 'ml-dsa-44']])
	attempt(`${format} ${asymmetricKeyType} ${namedCurve}`, () => createPublicKey({ key: Buffer.alloc(9), format, asymmetricKeyType, namedCurve }).type);
attempt('constructor', () => new KeyObject('secret', {}));
attempt('type', () => new KeyObject('nope'));
attempt('getter', () => Object.getOwnPropertyDescriptor(KeyObject.prototype, 'type').get.call({}));
attempt('from', () => KeyObject.from(5));
console.log(Object.getOwnPropertyNames(KeyObject.prototype).join(), Reflect.ownKeys(privateKey), Object.prototype.toString.call(privateKey), privateKey.constructor.name, Object.getPrototypeOf(privateKey.constructor).name);
