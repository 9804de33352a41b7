import zlib, { constants, crc32 } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { AsyncLocalStorage } from 'node:async_hooks';

const text = Buffer.from('tenantd '.repeat(40000) + 'ende');
const attempt = (name, run) => {
	try {
		const value = run();
		console.log(name, 'gave', value?.length, value?.subarray?.(0, 8).toString('hex'));
	} catch (error) {
		console.log(name, error.name, error.code, error.errno, error.message);
	}
};

for (const [pack, unpack] of [
	['gzip', 'gunzip'],
	['deflate', 'inflate'],
	['deflateRaw', 'inflateRaw'],
	['gzip', 'unzip'],
	['deflate', 'unzip'],
	['brotliCompress', 'brotliDecompress'],
	['zstdCompress', 'zstdDecompress'],
]) {
	const packed = zlib[`${pack}Sync`](text);
	console.log(pack, packed.length, packed.toString('base64').slice(-24), zlib[`${unpack}Sync`](packed).equals(text));
	const later = await promisify(zlib[pack])(text);
	console.log(later.equals(packed), (await promisify(zlib[unpack])(later)).equals(text));
	attempt(`${unpack} cut`, () => zlib[`${unpack}Sync`](packed.subarray(0, -3)));
	attempt(`${unpack} junk`, () => zlib[`${unpack}Sync`]('no such thing'));
	attempt(`${unpack} limit`, () => zlib[`${unpack}Sync`](packed, { maxOutputLength: 1000 }));
	attempt(`${unpack} trailing`, () => zlib[`${unpack}Sync`](Buffer.concat([packed, Buffer.from('x')]), { rejectGarbageAfterEnd: true }));
	const parts = [];
	await pipeline(
		Readable.from(function* () {
			for (let i = 0; i < packed.length; i += 7) yield packed.subarray(i, i + 7);
		}()),
		zlib[`create${unpack[0].toUpperCase()}${unpack.slice(1)}`](),
		async function (source) {
			for await (const part of source) parts.push(part);
		},
	);
	console.log('piecewise', Buffer.concat(parts).equals(text));
}

const dictionary = Buffer.from('tenantd tenantd');
const withDictionary = zlib.deflateSync(text, { dictionary });
console.log(withDictionary.length, zlib.inflateSync(withDictionary, { dictionary }).equals(text));
attempt('missing dictionary', () => zlib.inflateSync(withDictionary));
attempt('bad dictionary', () => zlib.inflateSync(withDictionary, { dictionary: Buffer.from('x') }));
for (const level of [0, 1, 9]) console.log(level, zlib.gzipSync(text.subarray(0, 90000), { level }).length);
attempt('level', () => zlib.gzipSync(text, { level: 99 }));
attempt('chunk', () => zlib.gzipSync(text, { chunkSize: 1 }));
attempt('brotli parameter', () => zlib.brotliCompressSync(text, { params: { 77: 1 } }));
attempt('zstd parameter', () => zlib.zstdCompressSync(text, { params: { [constants.ZSTD_c_strategy]: 130 } }));
attempt('zstd size', () => zlib.zstdCompressSync(text, { pledgedSrcSize: 5 }));
console.log(zlib.gzipSync('a', { info: true }).engine.constructor.name);
console.log(crc32('hello'), crc32(Buffer.from('world'), 5), crc32(''));
attempt('crc', () => crc32(5));
console.log(Object.keys(constants).length, zlib.codes.Z_DATA_ERROR, zlib.codes[-3], Object.isFrozen(zlib.codes));

const storage = new AsyncLocalStorage();
storage.run('context', () => zlib.gzip('x', () => console.log(storage.getStore())));
const deflate = zlib.createDeflate();
const out = [];
deflate.on('data', (part) => out.push(part));
deflate.write('first');
await new Promise((resolve) => deflate.params(9, constants.Z_FILTERED, resolve));
deflate.write('second');
await new Promise((resolve) => deflate.flush(constants.Z_FULL_FLUSH, resolve));
deflate.end('third');
await new Promise((resolve) => deflate.on('end', resolve));
console.log(zlib.inflateSync(Buffer.concat(out)).toString(), deflate.bytesWritten);
