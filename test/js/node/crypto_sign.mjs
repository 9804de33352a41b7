// Signatures: in pieces and at once, every kind of key, every option, each way of failing.
import crypto from 'node:crypto';
import { Buffer } from 'node:buffer';

// Made for these tests with openssl; nobody trusts them.
const dsa = `-----BEGIN PRIVATE KEY-----
MIIBWwIBADCCATMGByqGSM44BAEwggEmAoGBAPWFo+/Zb4AQ15MGj2Tr7h1HCbiK
k5weL1CzcRM0mtuh9ZjjUze3U6L/c+h01HBW5czkF0Iwfdu8kttiJzBphX+Ya+Cw
uujJKz2x48d0UVrwusGC6ADg4nPCS9mK5aF9M+FFtfo/Kp7wEYzlvnr1vbRumiOt
fHCs0G46JJJAyFrRAh0Akk6nHJd/ROPxsIQkGEdYp2y7CGPffmAkct3b5QKBgC/9
7ApEUcxX2biHZ1tgiD9w2LIa9IGbDSMQFLl6syoNSvj/BdPcPuqKIVQCQjGADtUM
uSteVW9Ths6Nfts1kpRdXWc+QL72arMQg0AVARK3kSHKXPyd6CYv8U2ag8OdpkNQ
y7pfQKtAsNWzwLIuwOa3C3IbXajygBjztS5qmQZIBB8CHQCMwALAhFr0JrlbNHWO
9LLRZGrD7R2Z0n7j429R
-----END PRIVATE KEY-----
`;
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
const ed448 = `-----BEGIN PRIVATE KEY-----
MEcCAQAwBQYDK2VxBDsEObpZel+djpfzrcW4N9wj6VN/19jYenAp/Z/kfXi+ggmF
XLwV3HOLyLPmkBhJPX6BKwBBzOEVrB0y4Q==
-----END PRIVATE KEY-----
`;
const p384 = `-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAvbBpib5uh0dCUpom0
TE7dkih/eqfLaeKCOQroNu5ja7G1i2EK7r0dTzA3b17TfeGhZANiAAT0kwbV87/H
k1MQyP8wr7LcYeCsX4g0nVt0DXK9cVePmD/AhLL3D4m4iWJGyh13XtO542yNfI8K
5YVC3WzC9wY8eiZGJ7mYK0EoidFoncfe2zIk3dILZ7iU/LzO3+VDtHg=
-----END PRIVATE KEY-----
`;
const p521 = `-----BEGIN PRIVATE KEY-----
MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIA1evIAn4ookxOjsh8
bvC1jbgd2Qw9nrqdYpUi4DHsL5O84xx0phd+SEJDzFkpspt7TiTDXnjULoTVuvNZ
JPwskryhgYkDgYYABACaEWyqvAsKjQZjpwJC1/mYhqSHsGf5y5yi8PRQvdr903+L
Tzv/gtJwIl2z8kQAVly9/3WZ3GT+RGW1o0bYE+V8dQFZJJuPxdzTmzwQ9zcChM4y
t9W1Y9zVaQclh9zGtt6akNrzQwJKjUPqXvRW0wefakcfpAe1KyiwZ998te9EMmEr
fQ==
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
const attempt = (name, run) => {
	try {
		const result = run();
		console.log(name, Buffer.isBuffer(result) ? result.toString('hex') : result);
	} catch (error) {
		console.log(name, error.name, error.code, error.message, error.reason);
	}
};
const data = Buffer.from('the message');
const { constants } = crypto;
const keys = { rsa, ec, p384, p521, dsa, ed25519, ed448 };

// ---- those without chance ----

for (const digest of ['sha1', 'sha256', 'RSA-SHA512', 'SHA384', 'sha3-256', 'md5', 'sha512-256', 'ripemd160', 'RSA-RIPEMD160', 'sha-256', 'dss1'])
	attempt(`rsa ${digest}`, () => crypto.createSign(digest).update(data).sign(rsa, 'base64'));
attempt('rsa at once', () => crypto.sign('sha256', data, rsa));
attempt('rsa without a digest', () => crypto.sign(null, data, rsa));
attempt('ed25519', () => crypto.sign(null, data, ed25519));
attempt('ed448', () => crypto.sign(null, data, ed448));
attempt('ed448 with a context', () => crypto.sign(null, data, { key: ed448, context: Buffer.from('ctx') }));
attempt('ed25519 with a context', () => crypto.sign(null, data, { key: ed25519, context: Buffer.from('ctx') }));
attempt('pss without salt', () => crypto.sign('sha256', data, { key: rsa, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 0 }));

// ---- round trips ----

for (const [name, key] of Object.entries(keys)) {
	const publicKey = crypto.createPublicKey(key);
	const once = name.startsWith('ed') ? null : 'sha256';
	for (const dsaEncoding of ['der', 'ieee-p1363']) {
		attempt(`${name} ${dsaEncoding}`, () => {
			const signature = crypto.sign(once, data, { key, dsaEncoding });
			const size = dsaEncoding === 'der' ? '' : signature.length;
			const other = Buffer.from(signature);
			other[other.length - 2] ^= 1;
			return [
				size,
				crypto.verify(once, data, { key: publicKey, dsaEncoding }, signature),
				crypto.verify(once, data, { key, dsaEncoding }, signature),
				crypto.verify(once, Buffer.from('other'), { key: publicKey, dsaEncoding }, signature),
				crypto.verify(once, data, { key: publicKey, dsaEncoding }, other),
				crypto.verify(once, data, { key: publicKey, dsaEncoding }, Buffer.alloc(0)),
				crypto.verify(once, data, { key: publicKey, dsaEncoding }, Buffer.alloc(64)),
			].join();
		});
		attempt(`${name} ${dsaEncoding} in pieces`, () => {
			const signer = crypto.createSign('sha256');
			signer.write('the ');
			signer.end('message');
			const signature = signer.sign({ key, dsaEncoding });
			const verifier = () => crypto.createVerify('SHA256').update('the ').update('bWVzc2FnZQ==', 'base64');
			return [
				verifier().verify({ key: publicKey, dsaEncoding }, signature),
				verifier().verify({ key: publicKey, dsaEncoding }, signature.toString('hex'), 'hex'),
				verifier().update('!').verify({ key: publicKey, dsaEncoding }, signature),
				crypto.verify('sha256', data, { key: publicKey, dsaEncoding }, signature),
			].join();
		});
	}
}
for (const saltLength of [undefined, constants.RSA_PSS_SALTLEN_DIGEST, constants.RSA_PSS_SALTLEN_MAX_SIGN, constants.RSA_PSS_SALTLEN_AUTO, 0, 10, 20, 500, -5])
	for (const verifyLength of [undefined, constants.RSA_PSS_SALTLEN_AUTO, 20])
		attempt(`pss ${saltLength} ${verifyLength}`, () => {
			const padding = constants.RSA_PKCS1_PSS_PADDING;
			const signature = crypto.sign('sha1', data, { key: rsa, padding, saltLength });
			return crypto.verify('sha1', data, { key: crypto.createPublicKey(rsa), padding, saltLength: verifyLength }, signature);
		});
const pss = crypto.generateKeyPairSync('rsa-pss', { modulusLength: 1024, hashAlgorithm: 'sha256', mgf1HashAlgorithm: 'sha256', saltLength: 16 });
attempt('an RSA-PSS key', () => crypto.verify('sha256', data, pss.publicKey, crypto.sign('sha256', data, pss.privateKey)));
attempt('an RSA-PSS key, wrong digest', () => crypto.sign('sha1', data, pss.privateKey));
attempt('an RSA-PSS key, wrong padding', () => crypto.sign('sha256', data, { key: pss.privateKey, padding: constants.RSA_PKCS1_PADDING }));
attempt('an RSA-PSS key, short salt', () => crypto.sign('sha256', data, { key: pss.privateKey, saltLength: 8 }));

// ---- failures ----

attempt('unknown digest', () => crypto.createSign('nope'));
attempt('unknown digest at once', () => crypto.sign('nope', data, rsa));
attempt('no algorithm', () => crypto.createSign());
attempt('twice', () => {
	const signer = crypto.createSign('sha256').update(data);
	signer.sign(rsa);
	return signer.sign(rsa);
});
attempt('update after the end', () => {
	const signer = crypto.createSign('sha256');
	signer.sign(rsa);
	return signer.update('x');
});
attempt('verify twice', () => {
	const verifier = crypto.createVerify('sha256').update(data);
	console.log(verifier.verify(crypto.createPublicKey(rsa), Buffer.alloc(128)));
	return verifier.verify(crypto.createPublicKey(rsa), Buffer.alloc(128));
});
attempt('a short P1363', () => crypto.createVerify('sha256').update(data).verify({ key: crypto.createPublicKey(ec), dsaEncoding: 'ieee-p1363' }, Buffer.alloc(63)));
attempt('padding of none', () => crypto.sign('sha256', data, { key: rsa, padding: 77 }));
attempt('OAEP padding', () => crypto.sign('sha256', data, { key: rsa, padding: constants.RSA_PKCS1_OAEP_PADDING }));
attempt('padding text', () => crypto.sign('sha256', data, { key: rsa, padding: '1' }));
attempt('salt text', () => crypto.sign('sha256', data, { key: rsa, saltLength: 'x' }));
attempt('encoding', () => crypto.sign('sha256', data, { key: ec, dsaEncoding: 'x' }));
attempt('context', () => crypto.sign(null, data, { key: ed448, context: 'x' }));
attempt('long context', () => crypto.sign(null, data, { key: ed448, context: Buffer.alloc(256) }));
attempt('context of RSA', () => crypto.sign('sha256', data, { key: rsa, context: Buffer.alloc(6) }));
attempt('a digest for ed25519', () => crypto.sign('sha256', data, ed25519));
attempt('pieces for ed25519', () => crypto.createSign('sha256').update(data).sign(ed25519));
attempt('x25519', () => crypto.sign(null, data, x25519));
attempt('x25519 in pieces', () => crypto.createSign('sha256').update(data).sign(x25519));
attempt('a public key signs', () => crypto.sign('sha256', data, crypto.createPublicKey(rsa)));
attempt('a secret key', () => crypto.sign('sha256', data, crypto.createSecretKey(data)));
attempt('no key', () => crypto.sign('sha256', data));
attempt('no data', () => crypto.sign('sha256', undefined, rsa));
attempt('not a key', () => crypto.sign('sha256', data, 'text'));
attempt('digest too long', () => crypto.sign('sha512', data, crypto.generateKeyPairSync('rsa', { modulusLength: 512 }).privateKey));
attempt('no signature', () => crypto.verify('sha256', data, rsa));
attempt('a jwk', () => crypto.verify(null, data, { key: crypto.createPublicKey(ed25519).export({ format: 'jwk' }), format: 'jwk' }, crypto.sign(null, data, ed25519)));
attempt('der', () => crypto.verify('sha256', data, { key: crypto.createPublicKey(ec).export({ type: 'spki', format: 'der' }), format: 'der', type: 'spki' }, crypto.sign('sha256', data, ec)));

// A signature that would hold for any message: a point of order 1.
const small = crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64url') }, format: 'jwk' });
attempt('small order', () => crypto.verify(null, data, small, Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])));

// ---- with a callback ----

crypto.sign('sha256', data, rsa, function (error, signature) {
	console.log('called', error, signature.equals(crypto.sign('sha256', data, rsa)), typeof this);
	crypto.verify('sha256', data, crypto.createPublicKey(rsa), signature, (failure, good) => {
		console.log('called', failure, good);
		crypto.sign('sha256', data, { key: rsa, padding: 77 }, (wrong) => {
			console.log('called', wrong.message, wrong.code);
			crypto.sign(null, data, { key: rsa, context: Buffer.alloc(6) }, (none) => console.log('called', none.message, none.code));
		});
	});
	signature.fill(0);
});
