'use strict';

// The standard's own tests cover the standard; these are about what the library does
// with streams, and what tenants meet most.

const collect = async (stream) => {
	const chunks = [];
	for await (const chunk of stream) chunks.push(chunk);
	return chunks;
};

test('a source with backpressure is pulled as needed', async () => {
	let pulled = 0;
	const stream = new ReadableStream({
		pull(controller) {
			controller.enqueue(pulled++);
			if (pulled === 5) controller.close();
		},
	}, { highWaterMark: 2 });
	await new Promise((resolve) => setTimeout(resolve, 1));
	equal(pulled, 2);
	same(await collect(stream), [0, 1, 2, 3, 4]);
});

test('errors reach the reader, cancel reaches the source', async () => {
	const failing = new ReadableStream({ pull() { throw new RangeError('pull'); } });
	await rejects(failing.getReader().read(), RangeError);
	let reason;
	const canceled = new ReadableStream({ cancel(given) { reason = given; } });
	await canceled.cancel('why');
	equal(reason, 'why');
	const locked = new ReadableStream();
	locked.getReader();
	await rejects(locked.cancel(), { code: 'ERR_INVALID_STATE' });
	throws(() => locked.getReader(), { code: 'ERR_INVALID_STATE' });
});

test('leaving a loop cancels', async () => {
	let canceled = false;
	const stream = new ReadableStream({
		start(controller) {
			for (let i = 0; i < 3; i++) controller.enqueue(i);
		},
		cancel() {
			canceled = true;
		},
	});
	for await (const chunk of stream) if (chunk === 1) break;
	equal(canceled, true);
	equal(stream.locked, false);
});

test('pipeThrough a transform', async () => {
	const doubled = new TransformStream({
		transform(chunk, controller) {
			controller.enqueue(chunk);
			controller.enqueue(chunk);
		},
		flush(controller) {
			controller.enqueue('end');
		},
	});
	same(await collect(ReadableStream.from([1, 2]).pipeThrough(doubled)), [1, 1, 2, 2, 'end']);
});

test('pipeTo waits for a slow sink, and stops on a signal', async () => {
	const written = [];
	const sink = new WritableStream({
		async write(chunk) {
			await null;
			written.push(chunk);
		},
	});
	await ReadableStream.from(Array.from({ length: 50 }, (_, i) => i)).pipeTo(sink);
	equal(written.length, 50);
	const controller = new AbortController();
	const endless = new ReadableStream({ pull(c) { c.enqueue('x'); } });
	let count = 0;
	const promise = endless.pipeTo(new WritableStream({
		write() {
			if (++count === 10) controller.abort('enough');
		},
	}), { signal: controller.signal });
	let reason;
	await promise.catch((error) => (reason = error));
	equal(reason, 'enough');
});

test('tee gives both branches everything', async () => {
	const [a, b] = ReadableStream.from(['x', 'y']).tee();
	same(await Promise.all([collect(a), collect(b)]), [['x', 'y'], ['x', 'y']]);
});

test('byte streams fill the reader\'s buffer', async () => {
	const stream = new ReadableStream({
		type: 'bytes',
		pull(controller) {
			const request = controller.byobRequest;
			if (request !== null) {
				request.view[0] = 7;
				request.respond(1);
			} else {
				controller.enqueue(new Uint8Array([8]));
			}
		},
	});
	const reader = stream.getReader({ mode: 'byob' });
	const { value } = await reader.read(new Uint8Array(4));
	same([value.length, value[0]], [1, 7]);
	const { value: more } = await reader.read(new Uint8Array(4), { min: 3 });
	equal(more.length, 3);
	reader.releaseLock();
	const [one] = await Promise.all([stream.getReader().read()]);
	equal(one.value[0], 8);
	throws(() => new ReadableStream().getReader({ mode: 'byob' }), TypeError);
});

test('a writer waits for ready', async () => {
	const stream = new WritableStream({ write: () => new Promise((resolve) => setTimeout(resolve, 1)) });
	const writer = stream.getWriter();
	equal(writer.desiredSize, 1);
	writer.write('a');
	equal(writer.desiredSize, 0);
	await writer.ready;
	equal(writer.desiredSize, 1);
	await writer.close();
	await writer.closed;
	await rejects(writer.write('b'), { code: 'ERR_INVALID_STATE' });
});

test('very many chunks through a queue', async () => {
	const count = 200000;
	const stream = new ReadableStream({
		start(controller) {
			for (let i = 0; i < count; i++) controller.enqueue(i);
			controller.close();
		},
	});
	const reader = stream.getReader();
	let sum = 0;
	for (;;) {
		const { done, value } = await reader.read();
		if (done) break;
		sum += value;
	}
	equal(sum, (count * (count - 1)) / 2);
});
