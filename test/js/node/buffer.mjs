import { Buffer, constants, kMaxLength, isUtf8, isAscii, transcode, atob, btoa, Blob, File } from 'node:buffer';
import assert from 'node:assert';

function attempt(name, run) {
	try {
		console.log(name, run());
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
}

// A generator of numbers that are the same everywhere.
let seed = 12345;
const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;

console.log(kMaxLength, constants, Buffer.poolSize);
console.log(Buffer.from('héllo wörld ☃ 😀'), Buffer.from([1, 256, -1, 3.7, '9']), Buffer.from({ length: 2, 0: 7 }));
const texts = ['', 'a', 'abc', 'ä', 'ÿ', '☃', '😀', '\ud800', 'a\udc00b', 'é☃😀z', 'plain ASCII text that is longer'];
const encodings = ['utf8', 'utf-8', 'ucs2', 'utf16le', 'latin1', 'binary', 'ascii', 'hex', 'base64', 'base64url', 'UTF8', 'Hex'];
for (const text of texts)
	for (const encoding of encodings) {
		const bytes = Buffer.from(text, encoding);
		console.log(JSON.stringify(text), encoding, bytes.toString('hex'), Buffer.byteLength(text, encoding));
	}
const bytes = Buffer.from([0, 1, 127, 128, 200, 255, 0xe2, 0x98, 0x83, 0xf0, 0x9f, 0x98]);
for (const encoding of encodings)
	for (let start = 0; start < bytes.length; start += 3)
		console.log(encoding, start, JSON.stringify(bytes.toString(encoding, start, start + 7)));
for (const text of ['YQ', 'YQ=', 'YQ==', 'Y Q = =', 'YWJj', 'YW\nJj', '-_-_', '+/+/', 'a', 'ab=c', '====', '=bad', 'YQ==YQ==', 'Y!W@J#j', 'ab☃c', 'abcde', 'abcdef'])
	console.log(JSON.stringify(text), Buffer.from(text, 'base64').toString('hex'), Buffer.from(text, 'base64url').toString('hex'), Buffer.byteLength(text, 'base64'));
for (const text of ['0', '00', '0g', 'abcdEF', 'abcx12', '12 34', '☃☃'])
	console.log(JSON.stringify(text), Buffer.from(text, 'hex'));
for (let i = 0; i < 200; i++) {
	const part = Buffer.from(Array.from({ length: random(20) }, () => random(256)));
	for (const encoding of ['base64', 'base64url', 'hex', 'latin1'])
		assert.deepStrictEqual(Buffer.from(part.toString(encoding), encoding), part);
	console.log(part.toString('utf8'), part.toString('ascii'), part.toString('ucs2').length);
}
const haystack = Buffer.from('this is a buffer, is it? ☃ is');
for (const needle of ['is', 'i', '', 'zz', 't', '☃', Buffer.from('is'), 105, 105 + 256, 'buffer'])
	for (const from of [undefined, 0, 3, -5, -100, 100, 17, NaN, null])
		console.log(needle, from, haystack.indexOf(needle, from), haystack.lastIndexOf(needle, from), haystack.includes(needle, from));
const wide = Buffer.from('abcabc', 'ucs2');
console.log(wide.indexOf('c', 0, 'ucs2'), wide.lastIndexOf('c', 'ucs2'), wide.indexOf('c', 6, 'ucs2'), wide.indexOf('6300', 'hex'), wide.indexOf('\u6162', 1, 'ucs2'));
for (const fill of ['abc', 'ä', '', 0, 257, Buffer.from('xy'), '☃'])
	attempt('fill', () => Buffer.alloc(7).fill(fill).toString('hex'));
for (const [fill, encoding] of [['6162', 'hex'], ['YWI=', 'base64'], ['ab', 'ucs2'], ['é', 'latin1'], ['zz', 'hex'], ['x', 'nope']])
	attempt('fill', () => Buffer.alloc(7, fill, encoding).toString('hex'));
attempt('range', () => Buffer.alloc(4).fill('a', 2, 9));
const target = Buffer.alloc(8);
console.log(target.write('héé', 1), target.write('zz', 6, 'latin1'), target.write('abcd', 0, 2, 'utf8'), target);
console.log(target.write('ffee', 3, 'hex'), target.write('YWJj', 5, 'base64'), target.write('ab', 1, 'ucs2'), target);
attempt('write', () => target.write('a', 9));
attempt('write', () => target.write('a', 0, 1, 'what'));
attempt('toString', () => target.toString('what'));
const numbers = Buffer.alloc(16);
numbers.writeDoubleBE(Math.PI, 0);
numbers.writeInt32LE(-5, 8);
numbers.writeUIntBE(0x123456, 12, 3);
console.log(numbers, numbers.readDoubleBE(0), numbers.readInt32LE(8), numbers.readUIntBE(12, 3), numbers.readBigInt64BE(0), numbers.readFloatLE(4));
for (const run of [
	() => numbers.readInt32LE(13),
	() => numbers.writeUInt8(256, 0),
	() => numbers.readUInt8('1'),
	() => numbers.writeInt16BE(40000, 0),
	() => numbers.readUInt16LE(1.5),
	() => Buffer.alloc(-1),
	() => Buffer.alloc('5'),
	() => Buffer.from(undefined),
	() => Buffer.from(5),
	() => Buffer.from('a', 'nope'),
	() => Buffer.concat('x'),
	() => Buffer.concat([1]),
	() => Buffer.compare('a', 'b'),
	() => numbers.equals('x'),
	() => numbers.copy('x'),
	() => Buffer.from('abc').swap16(),
	() => Buffer.byteLength(5),
])
	attempt('error', run);
console.log(Buffer.from('abcdefgh').swap16(), Buffer.from('abcdefgh').swap32(), Buffer.from('abcdefgh').swap64());
console.log(Buffer.from('a'.repeat(64)).swap16().equals(Buffer.from('a'.repeat(64))), Buffer.from('ab'.repeat(40)).swap64().toString());
console.log(Buffer.compare(Buffer.from('a'), Buffer.from('b')), Buffer.from('abc').compare(Buffer.from('xabcx'), 1, 4), [Buffer.from('b'), Buffer.from('a')].sort(Buffer.compare));
console.log(Buffer.concat([Buffer.from('ab'), new Uint8Array([99])], 5), Buffer.concat([Buffer.from('abc')], 2));
const copy = Buffer.alloc(4);
console.log(Buffer.from('xyz').copy(copy, 1, 1), copy, copy.subarray(1, 3), copy.slice(-3), copy.toJSON());
console.log(JSON.stringify(Buffer.from('hi')), Buffer.isBuffer(copy), Buffer.isEncoding('UTF-8'), Buffer.isEncoding('x'), copy instanceof Uint8Array);
console.log(isUtf8(Buffer.from([0xff])), isUtf8(Buffer.from('ä')), isAscii(Buffer.from('ä')));
console.log(transcode(Buffer.from('€'), 'utf8', 'ascii'), transcode(Buffer.from('é'), 'utf8', 'latin1'), transcode(Buffer.from('é'), 'utf8', 'ucs2'));
attempt('transcode', () => transcode(Buffer.from('é'), 'utf8', 'hex'));
console.log(atob('aGk='), btoa('hi'));
attempt('atob', () => atob('a'));
attempt('atob', () => atob('☃'));
attempt('btoa', () => btoa('☃'));
console.log(new Blob(['ab']).size, new File(['a'], 'n').name, Buffer.name, Buffer.from('a').constructor.name);
const extra = Buffer.from('abc');
extra.note = { deep: 1 };
console.log(extra, Buffer.alloc(60, 'z'));
console.log([...Buffer.from('ab').entries()], [...Buffer.from('ab')]);
console.log(Buffer.of(1, 2), Buffer.copyBytesFrom(new Uint16Array([1, 2, 3]), 1), Buffer.allocUnsafeSlow(3).length);
console.log(Buffer.from(new String('boxed')), Buffer.from(new Uint16Array([1, 257]).buffer, 1, 2), Buffer.from(Buffer.from('x').toJSON()));
