// Ciphers: every name with fixed keys, each way of failing, RSA's four operations.
import crypto from 'node:crypto';
import { Buffer } from 'node:buffer';

process.on('warning', (warning) => console.log('warning', warning.code, warning.message));
const bytes = (length, seed = 1) => Buffer.from({ length }, (_, i) => (i * 7 + seed) & 0xff);
const attempt = (name, run) => {
	try {
		const result = run();
		console.log(name, Buffer.isBuffer(result) ? result.toString('hex') : result);
	} catch (error) {
		console.log(name, error.name, error.code, error.message, error.reason, error.library);
	}
};

// ---- every cipher ----

console.log(crypto.getCiphers().length, crypto.getCiphers().join());
for (const name of crypto.getCiphers()) {
	const info = crypto.getCipherInfo(name);
	const random = /3des|des3/i.test(name) && info.mode === 'wrap'; // its nonce is
	const aead = ['gcm', 'ccm', 'ocb'].includes(info.mode) || name === 'chacha20-poly1305';
	const options = aead ? { authTagLength: 16 } : undefined;
	const ivLength = info.mode === 'ccm' ? 12 : info.ivLength;
	const iv = ivLength ? bytes(ivLength, 3) : null;
	console.log(name, info);
	attempt(`${name} round trip`, () => {
		const length = info.mode === 'wrap' ? 32 : 100;
		const cipher = crypto.createCipheriv(name, bytes(info.keyLength, 5), iv, options);
		const plain = bytes(length);
		if (aead) cipher.setAAD(Buffer.from('extra'), { plaintextLength: length });
		const text = Buffer.concat(
			info.mode === 'wrap' || info.mode === 'ccm' || info.mode === 'xts'
				? [cipher.update(plain), cipher.final()]
				: [cipher.update(plain.subarray(0, 33)), cipher.update(plain.subarray(33)), cipher.final()],
		);
		const tag = aead ? cipher.getAuthTag() : undefined;
		const decipher = crypto.createDecipheriv(name, bytes(info.keyLength, 5), iv, options);
		if (aead) {
			decipher.setAuthTag(tag);
			decipher.setAAD(Buffer.from('extra'), { plaintextLength: length });
		}
		const back = Buffer.concat([decipher.update(text), decipher.final()]);
		return `${random ? text.length : text.toString('hex')} ${tag?.toString('hex')} ${back.equals(plain)}`;
	});
}
// ---- states and lengths ----

const key = bytes(16);
const nonce = bytes(12);
attempt('unknown', () => crypto.createCipheriv('nope', key, nonce));
attempt('short key', () => crypto.createCipheriv('aes-128-cbc', bytes(15), bytes(16)));
attempt('short iv', () => crypto.createCipheriv('aes-128-cbc', key, bytes(15)));
attempt('no iv', () => crypto.createCipheriv('aes-128-cbc', key, null));
attempt('an iv for nothing', () => crypto.createCipheriv('aes-128-ecb', key, bytes(16)));
attempt('ecb', () => crypto.createCipheriv('aes-128-ecb', key, null).final());
attempt('undefined iv', () => crypto.createCipheriv('aes-128-ecb', key));
attempt('long nonce', () => crypto.createCipheriv('chacha20-poly1305', bytes(32), bytes(13)));
attempt('empty gcm nonce', () => crypto.createCipheriv('aes-128-gcm', key, ''));
attempt('long gcm nonce', () => crypto.createCipheriv('aes-128-gcm', key, bytes(60)).final());
attempt('ccm without a length', () => crypto.createCipheriv('aes-128-ccm', key, nonce));
attempt('ocb without a length', () => crypto.createCipheriv('aes-128-ocb', key, nonce));
for (const authTagLength of [1, 3, 4, 8, 11, 12, 16, 17, 2 ** 31, -1, 1.5, '16', null])
	for (const name of ['aes-128-gcm', 'aes-128-ccm', 'aes-128-ocb', 'chacha20-poly1305'])
		attempt(`${name} tag ${authTagLength}`, () => {
			const cipher = crypto.createCipheriv(name, bytes(name[0] === 'c' ? 32 : 16), nonce, { authTagLength });
			cipher.update('text');
			cipher.final();
			return cipher.getAuthTag();
		});
for (const length of [0, 3, 4, 12, 15, 16, 17])
	attempt(`setAuthTag ${length}`, () => {
		const decipher = crypto.createDecipheriv('aes-128-gcm', key, nonce);
		decipher.setAuthTag(bytes(length));
		decipher.update('text');
		return decipher.final();
	});
attempt('wrong tag', () => {
	const decipher = crypto.createDecipheriv('aes-128-gcm', key, nonce);
	decipher.setAuthTag(bytes(16));
	decipher.update('text');
	return decipher.final();
});
attempt('no tag', () => crypto.createDecipheriv('aes-128-gcm', key, nonce).final());
attempt('two tags', () => crypto.createDecipheriv('aes-128-gcm', key, nonce).setAuthTag(bytes(16)).setAuthTag(bytes(16)));
attempt('tag of an encryption', () => crypto.createCipheriv('aes-128-gcm', key, nonce).setAuthTag?.(bytes(16)));
attempt('early tag', () => crypto.createCipheriv('aes-128-gcm', key, nonce).getAuthTag());
attempt('AAD of CBC', () => crypto.createCipheriv('aes-128-cbc', key, bytes(16)).setAAD(nonce));
attempt('AAD of CCM', () => crypto.createCipheriv('aes-128-ccm', key, nonce, { authTagLength: 16 }).setAAD(nonce));
attempt('long CCM', () => crypto.createCipheriv('aes-128-ccm', key, bytes(13), { authTagLength: 16 }).update(bytes(65536)));
attempt('CCM twice', () => {
	const cipher = crypto.createCipheriv('aes-128-ccm', key, bytes(13), { authTagLength: 16 });
	cipher.update('one');
	return cipher.update('two');
});
attempt('CCM unauthentic', () => {
	const decipher = crypto.createDecipheriv('aes-128-ccm', key, nonce, { authTagLength: 16 });
	decipher.setAuthTag(bytes(16));
	console.log(decipher.update('text').length);
	return decipher.final();
});
attempt('after the end', () => {
	const cipher = crypto.createCipheriv('aes-128-cbc', key, bytes(16));
	cipher.final();
	return cipher.update('x');
});
attempt('two ends', () => {
	const cipher = crypto.createCipheriv('aes-128-cbc', key, bytes(16));
	cipher.final();
	return cipher.final();
});
attempt('padding', () => crypto.createCipheriv('aes-128-cbc', key, bytes(16)).setAutoPadding(false).update(bytes(32)));
attempt('padding missing', () => {
	const cipher = crypto.createCipheriv('aes-128-cbc', key, bytes(16)).setAutoPadding(false);
	cipher.update('x');
	return cipher.final();
});
attempt('padding late', () => {
	const cipher = crypto.createCipheriv('aes-128-cbc', key, bytes(16));
	cipher.final();
	return cipher.setAutoPadding();
});
attempt('bad decrypt', () => {
	const decipher = crypto.createDecipheriv('aes-128-cbc', key, bytes(16));
	decipher.update(bytes(32));
	return decipher.final();
});
for (const encoding of ['utf8', 'hex', 'base64', 'latin1', 'ucs2', 'buffer', 'nope'])
	attempt(`encoding ${encoding}`, () => {
		const cipher = crypto.createCipheriv('aes-128-ctr', key, bytes(16));
		return cipher.update('c3fc', encoding, 'base64') + cipher.final('base64');
	});
attempt('changed encoding', () => {
	const cipher = crypto.createCipheriv('aes-128-ctr', key, bytes(16));
	cipher.update('a', 'utf8', 'hex');
	return cipher.final('base64');
});
for (const data of [5, null, undefined, {}, [], Symbol('s'), true])
	attempt(`data ${String(data)}`, () => crypto.createCipheriv('aes-128-ctr', key, bytes(16)).update(data));
for (const bad of [5, null, undefined, {}, []]) {
	attempt(`name ${String(bad)}`, () => crypto.createCipheriv(bad, key, nonce));
	attempt(`key ${String(bad)}`, () => crypto.createCipheriv('aes-128-cbc', bad, nonce));
	attempt(`iv ${String(bad)}`, () => crypto.createCipheriv('aes-128-cbc', key, bad));
}
attempt('a KeyObject', () => crypto.createCipheriv('aes-128-ctr', crypto.createSecretKey(key), bytes(16)).update('text'));
attempt('a shared buffer', () => {
	const shared = new Uint8Array(new SharedArrayBuffer(16)).fill(7);
	return crypto.createCipheriv('aes-128-ctr', shared, shared).update(shared);
});
attempt('a detached buffer', () => {
	const view = new Uint8Array(16);
	structuredClone(view.buffer, { transfer: [view.buffer] });
	return crypto.createCipheriv('aes-128-ctr', key, bytes(16)).update(view);
});
attempt('a shrunk buffer', () => {
	const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
	const view = new Uint8Array(buffer, 16, 32);
	buffer.resize(20);
	return crypto.createCipheriv('aes-128-ctr', key, bytes(16)).update(view);
});

// ---- as a stream ----

const stream = crypto.createCipheriv('aes-256-gcm', bytes(32), nonce);
const chunks = [];
stream.on('data', (chunk) => chunks.push(chunk));
stream.on('end', () => console.log('stream', Buffer.concat(chunks).toString('hex'), stream.getAuthTag().toString('hex')));
stream.write('one');
stream.end('two');
const failing = crypto.createDecipheriv('aes-128-cbc', key, bytes(16));
failing.on('error', (error) => console.log('stream', error.code, error.message));
failing.resume();
failing.end(bytes(32));

// ---- RSA ----

const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
for (const padding of [undefined, crypto.constants.RSA_PKCS1_PADDING, crypto.constants.RSA_PKCS1_OAEP_PADDING])
	for (const oaepHash of [undefined, 'sha1', 'sha256', 'nope'])
		attempt(`RSA ${padding} ${oaepHash}`, () => {
			const text = crypto.publicEncrypt({ key: publicKey, padding, oaepHash, oaepLabel: padding === 4 ? 'label' : undefined }, Buffer.from('secret'));
			return text.length + crypto.privateDecrypt({ key: privateKey, padding, oaepHash, oaepLabel: padding === 4 ? 'label' : undefined }, text).toString();
		});
attempt('RSA signs', () => crypto.publicDecrypt(publicKey, crypto.privateEncrypt(privateKey, Buffer.from('statement'))).toString());
attempt('RSA by PEM', () => crypto.publicDecrypt(publicKey.export({ type: 'spki', format: 'pem' }), crypto.privateEncrypt(privateKey.export({ type: 'pkcs8', format: 'pem' }), Buffer.from('statement'))).toString());
attempt('RSA without padding', () => crypto.privateDecrypt({ key: privateKey, padding: crypto.constants.RSA_NO_PADDING }, crypto.publicEncrypt({ key: publicKey, padding: crypto.constants.RSA_NO_PADDING }, bytes(128))));
attempt('RSA too long', () => crypto.publicEncrypt(publicKey, bytes(200)));
attempt('RSA wrong label', () => crypto.privateDecrypt({ key: privateKey, oaepLabel: 'b' }, crypto.publicEncrypt({ key: publicKey, oaepLabel: 'a' }, bytes(8))));
attempt('RSA wrong length', () => crypto.privateDecrypt(privateKey, bytes(5)));
attempt('RSA label', () => crypto.publicEncrypt({ key: publicKey, oaepLabel: 5 }, bytes(8)));
attempt('RSA padding', () => crypto.publicEncrypt({ key: publicKey, padding: 77 }, bytes(8)));
attempt('RSA public key for private', () => crypto.privateDecrypt(publicKey, bytes(128)));
attempt('not RSA', () => crypto.publicEncrypt(crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, bytes(8)));
attempt('no key', () => crypto.publicEncrypt(undefined, bytes(8)));
attempt('not bytes', () => crypto.publicEncrypt(publicKey, 5));

// ---- what a cipher wants ----

for (const args of [['nope'], [5], [-1], ['aes-128-cbc', { keyLength: 12 }], ['aes-128-cbc', { ivLength: 12 }], ['AES-128-ccm', { ivLength: 13 }], ['aes-128-ccm', { ivLength: 14 }], ['aes-128-gcm', { ivLength: 50 }], ['aes-128-ocb', { ivLength: 16 }], ['aes-128-ocb', { ivLength: 3 }], [419], ['aes-256-wrap'], [5.5], [{}], ['aes-128-cbc', 5]])
	attempt(`info ${JSON.stringify(args)}`, () => JSON.stringify(crypto.getCipherInfo(...args)));
