import stream, { Readable, Writable, Transform, PassThrough, Duplex, pipeline, finished, addAbortSignal, compose } from 'node:stream';
import * as promises from 'node:stream/promises';
import { text, json, buffer } from 'node:stream/consumers';
import { ReadableStream, TransformStream } from 'node:stream/web';

console.log(Object.keys(stream).sort().join(' '));
console.log(Readable.name, new Readable().readableHighWaterMark, new Writable({ objectMode: true }).writableHighWaterMark);
const chunks = [];
const upper = new Transform({
	transform(chunk, encoding, callback) {
		callback(null, chunk.toString().toUpperCase());
	},
});
await promises.pipeline(Readable.from(['a', 'b', 'ç']), upper, async function* (source) {
	for await (const chunk of source) {
		chunks.push(chunk);
		yield chunk;
	}
}, new Writable({ write(chunk, encoding, callback) { console.log('wrote', chunk, encoding); callback(); } }));
console.log(chunks);
console.log(await text(Readable.from(['x', 'y'])), await json(Readable.from(['{"a":', '1}'])), await buffer(Readable.from([Buffer.from('z')])));
console.log(await Readable.from([1, 2, 3, 4]).filter((n) => n % 2 === 0).map(async (n) => n * 10).toArray());
console.log(await Readable.from([1, 2, 3]).reduce((a, b) => a + b, 0), await Readable.from([5, 6]).take(1).toArray());
const slow = new PassThrough();
finished(slow, (error) => console.log('finished', error?.code));
slow.destroy();
const broken = new Readable({ read() { this.destroy(new Error('broken')); } });
await promises.pipeline(broken, new PassThrough()).catch((error) => console.log('pipeline', error.message));
const controller = new AbortController();
const abortable = addAbortSignal(controller.signal, new PassThrough());
abortable.on('error', (error) => console.log(error.name, error.code));
controller.abort();
await new Promise((resolve) => abortable.on('close', resolve));
for (const run of [
	() => new Readable({ read() {} }).on('error', (error) => console.log(error.code)).push(5),
	() => new Writable().write(null),
	() => new Writable({ write() {} }).write(5),
	() => pipeline(new PassThrough()),
])
	try {
		const result = run();
		console.log(result);
	} catch (error) {
		console.log(error.name, error.code, error.message);
	}
const ended = new Writable({ write(c, e, done) { done(); } });
ended.on('error', (error) => console.log(error.code, error.message));
ended.end('x');
ended.write('y', (error) => console.log('callback', error.code));
await new Promise((resolve) => setTimeout(resolve, 5));

const web = new ReadableStream({ start(c) { c.enqueue('one'); c.enqueue('two'); c.close(); } });
console.log(await Readable.fromWeb(web, { encoding: 'utf8' }).toArray());
const reader = Readable.toWeb(Readable.from([Buffer.from('q')], { objectMode: false })).getReader();
console.log((await reader.read()).value.length, (await reader.read()).done);
const sink = [];
const writer = Writable.toWeb(new Writable({ write(chunk, e, done) { sink.push(chunk.toString()); done(); } })).getWriter();
await writer.write(new Uint8Array([104, 105]));
await writer.close();
console.log(sink);
const duplex = Duplex.fromWeb(new TransformStream({ transform(chunk, c) { c.enqueue(chunk); } }));
duplex.end('through');
console.log((await buffer(duplex)).toString());
await promises.pipeline(new ReadableStream({ start(c) { c.enqueue('w'); c.close(); } }), async (source) => { for await (const part of source) console.log('part', part); });
await promises.finished(Readable.fromWeb(new ReadableStream({ start(c) { c.close(); } })).resume());
const webEnd = new ReadableStream({ start(c) { setTimeout(() => c.close(), 2); } });
await promises.finished(webEnd).then(() => console.log('web finished'), (error) => console.log(error.code));
const composed = compose(async function* (source) { for await (const c of source) yield `${c}!`; });
composed.end('hey');
console.log(await text(composed));
console.log(new Readable({ read() {} }).pipe(new PassThrough()) instanceof Duplex, stream.isReadable(web), stream.isErrored(web), stream.isDisturbed(web));
const paused = Readable.from(['1', '2']);
paused.setEncoding('utf8');
paused.on('readable', () => { let c; while ((c = paused.read()) !== null) console.log('read', c); });
paused.on('end', () => console.log('end'));
await promises.finished(paused);
process.stdout.write('no newline', () => console.log(' written'));
await new Promise((resolve) => setTimeout(resolve, 2));
console.log(process.stdout.fd, process.stdout.writable, process.stdout.isTTY, process.stderr.fd);
process.stdout.write(Buffer.from('bytes\n'));
process.stdout.write('6869', 'hex');
process.stdout.end('\nended\n');
