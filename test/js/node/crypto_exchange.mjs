// Diffie-Hellman of every kind.
import crypto from 'node:crypto';
import { Buffer } from 'node:buffer';

// Made for these tests with openssl; nobody trusts them.
const ec = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/IvWErWRpq9e80tS
FQRGuCSOqWO7vRzGMkQmfkZJUQmhRANCAATssgrZaaWL3PzZYkuimPKQ4gRBlAk5
E03BeG8vyfT2ITmjAUf4EQz5XwILdkypD2aKujoV5TbPYn15OjV/JTmS
-----END PRIVATE KEY-----
`;
const ec2 = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIglRNokDe9W19JXs
7x1EDNP51h3ssf7kO3mT+hDIRmWhRANCAAQiWXizrSqhkrJtql898aQjxO8DZVw/
IVphOjlyNdft+JSgBPIgu+8E3BKdRpG0xZLX5jtD1XRvrJM9J9GFJz0+
-----END PRIVATE KEY-----
`;
const p384 = `-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAvbBpib5uh0dCUpom0
TE7dkih/eqfLaeKCOQroNu5ja7G1i2EK7r0dTzA3b17TfeGhZANiAAT0kwbV87/H
k1MQyP8wr7LcYeCsX4g0nVt0DXK9cVePmD/AhLL3D4m4iWJGyh13XtO542yNfI8K
5YVC3WzC9wY8eiZGJ7mYK0EoidFoncfe2zIk3dILZ7iU/LzO3+VDtHg=
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
const x25519b = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIEiHa+ld+fBMriRNIQ0eC0YE/Sw2bEagQI/qwK2JR51M
-----END PRIVATE KEY-----
`;

process.on('warning', (warning) => console.log('warning', warning.code));
const attempt = (name, run) => {
	try {
		const result = run();
		console.log(name, Buffer.isBuffer(result) ? result.toString('hex') : result);
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
};

// ---- primes ----

for (const name of ['modp1', 'modp2', 'modp5', 'MODP14', 'modp15', 'modp16', 'modp17', 'modp18']) {
	const group = crypto.getDiffieHellman(name);
	console.log(name, crypto.hash('sha256', group.getPrime()), group.getGenerator('hex'), group.verifyError, Object.keys(group), group.setPublicKey);
}
for (const name of ['modp2', 'modp5', 'modp14']) {
	const alice = crypto.createDiffieHellmanGroup(name);
	const bob = crypto.createDiffieHellman(alice.getPrime('hex'), 'hex', 2);
	alice.generateKeys();
	const own = bob.generateKeys('hex');
	const same = alice.getPublicKey('hex');
	console.log(name, alice.generateKeys('hex') === same, alice.computeSecret(own, 'hex', 'hex') === bob.computeSecret(alice.getPublicKey(), null, 'hex'), alice.computeSecret(own, 'hex').length);
}
const prime = crypto.getDiffieHellman('modp2').getPrime();
const fixed = crypto.createDiffieHellman(prime, Buffer.from([5]));
fixed.setPrivateKey('0123456789abcdef', 'hex');
attempt('no public key', () => fixed.getPublicKey());
attempt('public of private', () => fixed.generateKeys('hex'));
attempt('secret', () => fixed.computeSecret(Buffer.from([0x11, 0x22])));
attempt('private', () => fixed.getPrivateKey());
attempt('generator', () => fixed.getGenerator());
fixed.setPublicKey('07', 'hex');
attempt('public', () => fixed.getPublicKey('hex'));
attempt('secret with another public', () => fixed.computeSecret(Buffer.from([0x11, 0x22]), 'base64'));
for (const key of ['', '00', '01', prime.toString('hex'), 'ff' + prime.toString('hex')])
	attempt(`peer ${key.slice(0, 6)}`, () => crypto.createDiffieHellman(prime).computeSecret(key, 'hex'));
attempt('peer p-1', () => {
	const last = Buffer.from(prime);
	last[last.length - 1] -= 1;
	fixed.computeSecret(last);
});
attempt('without keys', () => crypto.createDiffieHellman(prime).computeSecret('02', 'hex'));
attempt('group without keys', () => crypto.getDiffieHellman('modp14').computeSecret('02', 'hex'));
attempt('no private key', () => crypto.getDiffieHellman('modp14').getPrivateKey());
for (const bits of [-1, 0, 1, 13.37, 2 ** 31]) attempt(`bits ${bits}`, () => crypto.createDiffieHellman(bits));
for (const bits of [2, 17, 256]) attempt(`bits ${bits}`, () => crypto.createDiffieHellman(bits).getPrime().length);
for (const generator of [0, 1, 2, 5, 13.37, '', '00', '01', '05', {}, true, null]) {
	attempt(`generator ${String(generator)}`, () => crypto.createDiffieHellman(prime, generator).getGenerator('hex'));
	attempt(`generator ${String(generator)} of text`, () => crypto.createDiffieHellman('abcd', 'hex', generator, 'hex').verifyError);
	attempt(`generator ${String(generator)} of 512 bits`, () => crypto.createDiffieHellman(512, generator).verifyError);
}
attempt('small prime', () => crypto.createDiffieHellman(Buffer.from([13])).generateKeys());
attempt('small prime error', () => crypto.createDiffieHellman(Buffer.from([13])).verifyError);
attempt('even prime error', () => crypto.createDiffieHellman(Buffer.alloc(128, 0xfe)).verifyError);
attempt('no prime error', () => crypto.createDiffieHellman(Buffer.alloc(128, 0xff)).verifyError);
attempt('empty prime', () => crypto.createDiffieHellman('').verifyError);
attempt('large generator', () => crypto.createDiffieHellman(prime, Buffer.alloc(200, 7)));
attempt('unknown group', () => crypto.getDiffieHellman('modp3'));
attempt('group of number', () => crypto.getDiffieHellman(5));
const generated = crypto.createDiffieHellman(512);
console.log('generated', generated.getPrime().length, generated.verifyError, generated.generateKeys().length > 60);
console.log(crypto.DiffieHellman(prime) instanceof crypto.DiffieHellman, crypto.ECDH('prime256v1') instanceof crypto.ECDH);

// ---- curves ----

console.log(crypto.getCurves().join());
for (const curve of ['prime256v1', 'secp256k1', 'secp384r1', 'secp521r1', 'brainpoolP512t1', 'sect571k1', 'Oakley-EC2N-3'])
	attempt(curve, () => {
		const alice = crypto.createECDH(curve);
		const bob = crypto.createECDH(curve);
		alice.generateKeys();
		const key = bob.generateKeys('hex', 'compressed');
		bob.setPrivateKey(bob.getPrivateKey());
		const secret = alice.computeSecret(key, 'hex', 'hex');
		return [secret.length, secret === bob.computeSecret(alice.getPublicKey('base64', 'hybrid'), 'base64', 'hex'), alice.getPublicKey().length].join();
	});
const ecdh = crypto.createECDH('secp256k1');
attempt('nothing yet', () => ecdh.getPublicKey());
attempt('nothing yet', () => ecdh.getPrivateKey());
ecdh.setPrivateKey('c0ffee', 'hex');
for (const format of [undefined, 'compressed', 'uncompressed', 'hybrid', 'nope', 5]) {
	attempt(`format ${format}`, () => ecdh.getPublicKey('hex', format));
	attempt(`convert ${format}`, () => crypto.ECDH.convertKey(ecdh.getPublicKey('hex'), 'secp256k1', 'hex', 'hex', format));
}
attempt('private', () => ecdh.getPrivateKey('hex'));
attempt('secret', () => ecdh.computeSecret(crypto.createECDH('secp256k1').setPrivateKey('01', 'hex').getPublicKey(), null, 'hex'));
for (const key of ['', '00', 'ff'.repeat(32), '00'.repeat(31) + '01', 'ff'.repeat(40)])
	attempt(`private ${key.slice(0, 4)} ${key.length}`, () => crypto.createECDH('secp256k1').setPrivateKey(key, 'hex').getPublicKey('hex', 'compressed'));
for (const key of ['', '00', '02', '04'.repeat(33), '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798']) {
	attempt(`point ${key.slice(0, 4)} ${key.length}`, () => ecdh.computeSecret(key, 'hex', 'hex'));
	attempt(`set point ${key.slice(0, 4)} ${key.length}`, () => crypto.createECDH('secp256k1').setPublicKey(key, 'hex').getPublicKey('hex'));
	attempt(`convert ${key.slice(0, 4)} ${key.length}`, () => crypto.ECDH.convertKey(key, 'secp256k1', 'hex', 'hex', 'compressed'));
}
ecdh.setPublicKey(crypto.createECDH('secp256k1').generateKeys());
attempt('not a pair', () => ecdh.computeSecret('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798', 'hex'));
for (const curve of [undefined, 5, 'nope', 'P-256', 'RSA-SHA1']) {
	attempt(`curve ${String(curve)}`, () => crypto.createECDH(curve));
	attempt(`convert ${String(curve)}`, () => crypto.ECDH.convertKey(Buffer.from([2]), curve));
}

// ---- stateless ----

const object = (key) => crypto.createPrivateKey(key);
const publicOf = (key) => crypto.createPublicKey(key);
attempt('x25519', () => crypto.diffieHellman({ privateKey: object(x25519), publicKey: publicOf(x25519b) }));
attempt('ec', () => crypto.diffieHellman({ privateKey: object(ec), publicKey: publicOf(ec2) }));
attempt('by PEM', () => crypto.diffieHellman({ privateKey: ec, publicKey: publicOf(ec2).export({ type: 'spki', format: 'pem' }) }));
attempt('both private', () => crypto.diffieHellman({ privateKey: object(ec), publicKey: object(ec2) }));
attempt('other curve', () => crypto.diffieHellman({ privateKey: object(ec), publicKey: publicOf(p384) }));
attempt('other kind', () => crypto.diffieHellman({ privateKey: object(ec), publicKey: publicOf(x25519) }));
attempt('rsa', () => crypto.diffieHellman({ privateKey: object(rsa), publicKey: publicOf(rsa) }));
attempt('public for private', () => crypto.diffieHellman({ privateKey: publicOf(ec), publicKey: publicOf(ec2) }));
attempt('nothing', () => crypto.diffieHellman({}));
attempt('nothing', () => crypto.diffieHellman());
attempt('half', () => crypto.diffieHellman({ privateKey: object(ec) }));
const zero = publicOf({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.alloc(32).toString('base64url') }, format: 'jwk' });
attempt('small order', () => crypto.diffieHellman({ privateKey: object(x25519), publicKey: zero }));
const dh1 = crypto.generateKeyPairSync('dh', { group: 'modp14' });
const dh2 = crypto.generateKeyPairSync('dh', { group: 'modp14' });
const secret = crypto.diffieHellman({ privateKey: dh1.privateKey, publicKey: dh2.publicKey });
console.log('dh', secret.length, secret.equals(crypto.diffieHellman({ privateKey: dh2.privateKey, publicKey: dh1.publicKey })));
attempt('other group', () => crypto.diffieHellman({ privateKey: dh1.privateKey, publicKey: crypto.generateKeyPairSync('dh', { group: 'modp15' }).publicKey }));
crypto.diffieHellman({ privateKey: object(x25519), publicKey: publicOf(x25519b) }, (error, bits) => {
	console.log('called', error, bits.toString('hex'));
	crypto.diffieHellman({ privateKey: object(x25519), publicKey: zero }, (failure) => console.log('called', failure.message));
});

// ---- encapsulation ----

for (const key of [object(ec), object(x25519), object(rsa), crypto.generateKeyPairSync('ml-kem-768').privateKey])
	attempt(`kem ${key.asymmetricKeyType}`, () => {
		const { sharedKey, ciphertext } = crypto.encapsulate(publicOf(key));
		return [sharedKey.length, ciphertext.length, Buffer.isBuffer(sharedKey), Buffer.isBuffer(ciphertext), crypto.decapsulate(key, ciphertext).equals(sharedKey)].join();
	});
attempt('kem of a short text', () => crypto.decapsulate(object(ec), Buffer.alloc(5)));
