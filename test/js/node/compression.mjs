import { CompressionStream as fromModule } from 'node:stream/web';

const bytes = new TextEncoder().encode('tenantd '.repeat(100000));
const collect = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());
const same = (a, b) => Buffer.compare(a, b) === 0;
console.log(fromModule === CompressionStream, Object.prototype.toString.call(new CompressionStream('gzip')));

async function write(stream, ...chunks) {
	const writer = stream.writable.getWriter();
	const reading = collect(stream.readable).then(
		(out) => `${out.length} bytes`,
		(error) => `read ${error.name}`,
	);
	try {
		for (const chunk of chunks) await writer.write(chunk);
		await writer.close();
	} catch (error) {
		console.log('write', error.name);
	}
	console.log(await reading);
}

for (const format of ['gzip', 'deflate', 'deflate-raw', 'brotli']) {
	const packed = await collect(new Blob([bytes]).stream().pipeThrough(new CompressionStream(format)));
	const unpacked = await collect(new Blob([packed]).stream().pipeThrough(new DecompressionStream(format)));
	console.log(format, packed.length < 20000, same(unpacked, bytes));
	await write(new DecompressionStream(format), packed.subarray(0, packed.length - 2));
	await write(new DecompressionStream(format), packed, new Uint8Array([1, 2, 3]));
	await write(new DecompressionStream(format), new Uint8Array(8).fill(255));
	await write(new DecompressionStream(format));
	await write(new CompressionStream(format));
}
for (const format of ['a', undefined, 5])
	try {
		new CompressionStream(format);
	} catch (error) {
		console.log(error.name);
	}
