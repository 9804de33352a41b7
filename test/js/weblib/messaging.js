// MessageChannel, BroadcastChannel, structuredClone with transfer, transferable streams.
'use strict';

const once = (target, type) => new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
const fails = (body, name) => {
	try {
		body();
	} catch (error) {
		equal(error.name, name, error.message);
		return;
	}
	throw new Error(`nothing was thrown, not ${name}`);
};

test('a message arrives as a copy, with its ports', async () => {
	const { port1, port2 } = new MessageChannel();
	const other = new MessageChannel();
	const value = { list: [1, 2n], map: new Map([['a', new Date(5)]]), blob: new Blob(['abc']) };
	const arrived = once(port2, 'message');
	port1.postMessage([value, other.port1], [other.port1]);
	const { data, ports } = await arrived;
	equal(data[0].list[1], 2n);
	equal(data[0].map.get('a').getTime(), 5);
	equal(await data[0].blob.text(), 'abc');
	equal(ports.length, 1);
	equal(data[1], ports[0]);
	const answer = once(other.port2, 'message');
	ports[0].postMessage('through it');
	equal((await answer).data, 'through it');
	port1.close();
	other.port2.close();
});

test('messages wait until the port is started', async () => {
	const { port1, port2 } = new MessageChannel();
	port1.postMessage(1);
	port1.postMessage(2);
	await new Promise((resolve) => setTimeout(resolve, 5));
	const seen = [];
	port2.onmessage = (event) => seen.push(event.data);
	port2.onmessageerror = () => seen.push('error');
	await new Promise((resolve) => setTimeout(resolve, 5));
	equal(seen.join(), '1,2');
	port2.close();
});

test('closing one end closes the other, after what was sent', async () => {
	const { port1, port2 } = new MessageChannel();
	const seen = [];
	port2.onmessage = (event) => seen.push(event.data);
	const closed = Promise.all([once(port1, 'close'), once(port2, 'close')]);
	port1.postMessage('last');
	port1.close();
	port1.postMessage('never');
	await closed;
	equal(seen.join(), 'last');
});

test('what cannot be sent or transferred is a DataCloneError', () => {
	const { port1, port2 } = new MessageChannel();
	const { port1: free } = new MessageChannel();
	const gone = new ArrayBuffer(1);
	structuredClone(gone, { transfer: [gone] });
	fails(() => port1.postMessage(() => {}), 'DataCloneError');
	fails(() => port1.postMessage(Symbol('x')), 'DataCloneError');
	fails(() => port1.postMessage(new Headers()), 'DataCloneError');
	fails(() => port1.postMessage(free), 'DataCloneError');
	fails(() => port1.postMessage(1, [port1]), 'DataCloneError');
	fails(() => port1.postMessage(1, [free, free]), 'DataCloneError');
	fails(() => port1.postMessage(1, [gone]), 'DataCloneError');
	fails(() => port1.postMessage(1, [{}]), 'DataCloneError');
	fails(() => port1.postMessage(1, 5), 'TypeError');
	fails(() => new MessagePort(), 'TypeError');
	free.postMessage('is still there');
	port2.close();
});

test('a failure transfers nothing', () => {
	const { port1 } = new MessageChannel();
	const buffer = new ArrayBuffer(4);
	const { port1: free } = new MessageChannel();
	fails(() => port1.postMessage([buffer, free, () => {}], [buffer, free]), 'DataCloneError');
	equal(buffer.byteLength, 4);
	const { port } = structuredClone({ port: free }, { transfer: [free] });
	equal(port instanceof MessagePort, true);
});

test('buffers are moved', async () => {
	const { port1, port2 } = new MessageChannel();
	const buffer = new Uint8Array([1, 2, 3]).buffer;
	const arrived = once(port2, 'message');
	port2.start();
	port1.postMessage(buffer, { transfer: [buffer] });
	equal(buffer.byteLength, 0);
	equal(new Uint8Array((await arrived).data).join(), '1,2,3');
	port1.close();
});

test('a chain of ports in ports, dropped', () => {
	let last = new MessageChannel().port1;
	for (let i = 0; i < 20000; i++) {
		const { port1, port2 } = new MessageChannel();
		port1.postMessage(null, [last]);
		last = port2;
	}
	last.close();
});

test('a DOMException stays one', async () => {
	const { port1, port2 } = new MessageChannel();
	const arrived = once(port2, 'message');
	port1.postMessage({ reason: new DOMException('why', 'AbortError') });
	const { reason } = (await arrived).data;
	equal(reason instanceof DOMException, true);
	equal(reason.name, 'AbortError');
	port1.close();
});

test('a broadcast reaches all others of its name', async () => {
	const [a, b, c, d] = ['x', 'x', 'x', 'y'].map((name) => new BroadcastChannel(name));
	const seen = [];
	for (const [name, channel] of Object.entries({ a, b, c, d }))
		channel.onmessage = (event) => seen.push(`${name}:${event.data}`);
	a.postMessage('hello');
	await new Promise((resolve) => setTimeout(resolve, 10));
	equal(seen.sort().join(), 'b:hello,c:hello');
	for (const channel of [a, b, c, d]) channel.close();
	fails(() => a.postMessage(1), 'InvalidStateError');
});

test('a transferred readable stream', async () => {
	const source = new ReadableStream({
		start(controller) {
			controller.enqueue('a');
			controller.enqueue({ b: 1 });
			controller.close();
		},
	});
	const copy = structuredClone(source, { transfer: [source] });
	equal(source.locked, true);
	const chunks = [];
	for await (const chunk of copy) chunks.push(JSON.stringify(chunk));
	equal(chunks.join(), '"a",{"b":1}');
});

test('errors pass through a transferred stream', async () => {
	const source = new ReadableStream({
		pull(controller) {
			controller.error(new RangeError('broken'));
		},
	});
	const copy = structuredClone(source, { transfer: [source] });
	let error;
	await copy.getReader().read().catch((e) => (error = e));
	equal(error.name, 'RangeError');
	const bad = new ReadableStream({ start: (controller) => controller.enqueue(() => {}) });
	const reader = structuredClone(bad, { transfer: [bad] }).getReader();
	await reader.read().catch((e) => (error = e));
	equal(error.name, 'DataCloneError');
});

test('a transferred writable stream', async () => {
	const seen = [];
	let ended;
	const end = new Promise((resolve) => (ended = resolve));
	const sink = new WritableStream({ write: (chunk) => void seen.push(chunk), close: () => ended() });
	const writer = structuredClone(sink, { transfer: [sink] }).getWriter();
	const alive = setInterval(() => {}, 1000); // the end that stayed here does not hold the program
	await writer.write(1);
	await writer.write(2);
	await writer.close();
	await end;
	clearInterval(alive);
	equal(seen.join(), '1,2');
});

test('a transferred transform stream', async () => {
	const upper = new TransformStream({
		transform: (chunk, controller) => controller.enqueue(chunk.toUpperCase()),
	});
	const { readable, writable } = structuredClone(upper, { transfer: [upper] });
	const writer = writable.getWriter();
	writer.write('abc');
	writer.close();
	const chunks = [];
	for await (const chunk of readable) chunks.push(chunk);
	equal(chunks.join(), 'ABC');
});

test('a locked stream is not transferred', () => {
	const stream = new ReadableStream();
	stream.getReader();
	fails(() => structuredClone(stream, { transfer: [stream] }), 'DataCloneError');
});

test("Node's ways with a port", async () => {
	const { port1, port2 } = new MessageChannel();
	const seen = [];
	port2.once('message', (value) => seen.push(value));
	port1.postMessage('one');
	port1.postMessage('two');
	await new Promise((resolve) => setTimeout(resolve, 5));
	equal(seen.join(), 'one');
	equal(port2.hasRef(), false);
	equal(port2.listenerCount('message'), 0);
	port1.close();
});
