// Programs that change what they share with the library, or what it works on.
import * as crypto from 'node:crypto';

const attempt = async (name, f) => {
	try {
		console.log(name, await f());
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
};
const hex = (data) => Buffer.from(data).toString('hex');
const later = (f, ...args) => new Promise((resolve, reject) => f(...args, (error, value) => (error ? reject(error) : resolve(value))));

// buffers that go away while a thread works with them
const salt = new Uint8Array(64).fill(1);
const derived = later(crypto.pbkdf2, salt, salt, 1000, 20, 'sha1');
structuredClone(salt.buffer, { transfer: [salt.buffer] });
console.log(hex(await derived), salt.byteLength);
const target = new Uint8Array(1 << 20);
const filled = later(crypto.randomFill, target);
const moved = structuredClone(target.buffer, { transfer: [target.buffer] });
console.log((await filled).byteLength, moved.byteLength);
// (Node writes into the memory that is gone, and dies: it does not try.)
if (process.execPath === '/tenantd') {
	const shrinking = new Uint8Array(new ArrayBuffer(1 << 20, { maxByteLength: 1 << 20 }));
	const shrunk = later(crypto.randomFill, shrinking);
	shrinking.buffer.resize(10);
	if ((await shrunk).byteLength !== 10 || shrinking.every((b) => b === 0)) console.log('not filled');
}
const growing = new Uint8Array(new ArrayBuffer(16, { maxByteLength: 1 << 16 }), 0, 16);
const grown = later(crypto.randomFill, growing);
growing.buffer.resize(1 << 16);
console.log((await grown).byteLength, new Uint8Array(growing.buffer).subarray(16).every((b) => b === 0));
const outside = new Uint8Array(new ArrayBuffer(16, { maxByteLength: 32 }), 8);
outside.buffer.resize(4);
await attempt('outside', () => crypto.createHash('sha1').update(outside).digest('hex'));
await attempt('outside', () => crypto.randomFillSync(outside).byteLength);
await attempt('outside', async () => hex(await crypto.subtle.digest('SHA-1', outside)));
const gone = new Uint8Array(8);
structuredClone(gone.buffer, { transfer: [gone.buffer] });
await attempt('detached', () => crypto.createHash('sha1').update(gone).digest('hex'));
await attempt('detached', () => crypto.createSecretKey(gone).symmetricKeySize);
await attempt('detached', () => crypto.timingSafeEqual(gone, new Uint8Array(0)));
await attempt('detached', async () => hex(await crypto.subtle.digest('SHA-1', gone)));
const shared = new Uint8Array(new SharedArrayBuffer(8));
await attempt('shared', () => crypto.createHash('sha1').update(shared).digest('hex'));
await attempt('shared', () => crypto.createHmac('sha1', shared).update(shared).digest('hex'));
await attempt('shared', () => hex(crypto.pbkdf2Sync(shared, shared, 1, 8, 'sha1')));
await attempt('shared', () => crypto.timingSafeEqual(shared, new Uint8Array(8)));
await attempt('shared', () => crypto.randomFillSync(shared).byteLength);

// options that do something when they are read
const jwk = crypto.generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
let reads = 0;
await attempt('getters', () => crypto.createPrivateKey({ key: { get kty() { reads++; return 'OKP'; }, get crv() { return jwk.crv; }, get x() { return jwk.x; }, get d() { return jwk.d; } }, format: 'jwk' }).type);
await attempt('throwing', () => crypto.createPrivateKey({ key: { kty: 'OKP', get crv() { throw new RangeError('no'); } }, format: 'jwk' }));
console.log(reads > 0);

// globals that are not what they were
const saved = Object.getOwnPropertyDescriptor(Object.prototype, 'then');
let thens = 0;
Object.defineProperty(Object.prototype, 'then', { get() { thens++; return undefined; }, configurable: true });
const digest = crypto.subtle.digest('SHA-256', Buffer.from('x'));
const big = crypto.subtle.digest('SHA-256', Buffer.alloc(100000));
const key = crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-1' }, true, ['sign']);
await new Promise((done) => setTimeout(done, 50));
delete Object.prototype.then;
if (saved) Object.defineProperty(Object.prototype, 'then', saved);
console.log(thens, hex(await digest), hex(await big), Reflect.ownKeys(await key), Reflect.ownKeys(await digest));
const { from } = Buffer;
const { toString, slice } = Buffer.prototype;
const { iterator } = Symbol;
const original = Array.prototype[iterator];
Buffer.from = Buffer.prototype.toString = Buffer.prototype.slice = () => 'changed';
Array.prototype[iterator] = function* () {};
const exported = crypto.createPrivateKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' });
const sum = crypto.createHash('sha1').update('616263', 'hex').digest('hex');
Buffer.from = from;
Buffer.prototype.toString = toString;
Buffer.prototype.slice = slice;
Array.prototype[iterator] = original;
console.log(exported.d === jwk.d, sum);

// what a job tells of itself
let seen;
await new Promise((done) => crypto.pbkdf2('p', 's', 1, 1, 'sha1', function () { seen = this; done(); }));
console.log(seen.constructor.name, typeof seen.run);
for (const receiver of [{}, null, crypto.createHash('sha1')]) await attempt('receiver', () => { try { seen.run.call(receiver); return 'no'; } catch (error) { return error.name; } });

// classes of jobs, which a callback's `this` gives away, with whatever arguments (Node aborts)
if (process.execPath === '/tenantd') {
	const jobs = await Promise.all(
		[
			(done) => crypto.randomFill(new Uint8Array(1), done),
			(done) => crypto.pbkdf2('p', 's', 1, 1, 'sha1', done),
			(done) => crypto.scrypt('p', 's', 1, done),
			(done) => crypto.hkdf('sha1', 'p', 's', 'i', 1, done),
			(done) => crypto.generateKeyPair('ec', { namedCurve: 'P-256' }, done),
			(done) => crypto.generateKeyPair('ed25519', done),
			(done) => crypto.generateKeyPair('dh', { group: 'modp5' }, done),
			(done) => crypto.generateKeyPair('rsa', { modulusLength: 512 }, done),
		].map((start) => new Promise((resolve) => start(function () {
			resolve(this);
		}))),
	);
	const values = [undefined, null, -1, 0.5, 2 ** 31, NaN, 'x', 'sha256', {}, [], () => {}, 5n, Symbol('s'), new Uint8Array(2), new ArrayBuffer(0), gone, outside, new Proxy({}, {}), jobs[0]];
	let made = 0;
	for (const { constructor } of jobs)
		for (const mode of [0, 1, 2, ...values])
			for (let i = 0; i < values.length; i++)
				try {
					const job = new constructor(mode, ...values.slice(i), ...values.slice(0, i));
					if (mode === 1) job.run();
					made++;
				} catch (error) {
					if (typeof error.message !== 'string') console.log(error);
				}
	if (made > 50) console.log('too easily made', made);
	for (const job of jobs)
		try {
			job.run();
			console.log('ran twice');
		} catch (error) {
			if (error.code !== 'ERR_INVALID_STATE') console.log(error);
		}
}

// many of them in one go: what is garbage is freed before the program ends, or the kernel
// ends it (a sanitizer, which takes more from the start, keeps what is freed)
if (process.memoryUsage().rss < 150e6)
	for (let i = 0; i < 30000; i++) {
		crypto.createHash('sha512').update('x');
		crypto.createSecretKey(Buffer.alloc(1024));
	}
console.log('alive');
