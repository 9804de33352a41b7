// What test/wpt/wasm does not ask.
'use strict';

const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
const module = (init) => new Response(empty, { headers: { 'content-type': 'application/wasm', ...init } });

test('the interfaces of ECMA-429', () => {
	for (const name of ['Global', 'Instance', 'Memory', 'Module', 'Table', 'Tag', 'Exception'])
		equal(typeof WebAssembly[name], 'function', name);
	ok(WebAssembly.JSTag instanceof WebAssembly.Tag);
});

test('a module that comes in pieces', async () => {
	const body = new ReadableStream({
		async pull(controller) {
			for (const byte of empty) {
				await null;
				controller.enqueue(Uint8Array.of(byte));
			}
			controller.close();
		},
	});
	const response = new Response(body, { headers: { 'content-type': 'application/wasm' } });
	const { instance, module: compiled } = await WebAssembly.instantiateStreaming(Promise.resolve(response));
	ok(instance instanceof WebAssembly.Instance);
	ok(compiled instanceof WebAssembly.Module);
	equal(response.bodyUsed, true);
});

test('a body that breaks off', async () => {
	const body = new ReadableStream({
		pull(controller) {
			controller.error(new RangeError('broken'));
		},
	});
	const response = new Response(body, { headers: { 'content-type': 'application/wasm' } });
	await rejects(WebAssembly.compileStreaming(response), { name: 'RangeError' });
});

test('a tenant who changes built-ins changes nothing here', async () => {
	const { compile } = WebAssembly;
	const promise = Promise.resolve(module());
	WebAssembly.compile = () => ok(false, 'called');
	Response.prototype.arrayBuffer = () => ok(false, 'called');
	ok((await WebAssembly.compileStreaming(promise)) instanceof WebAssembly.Module);
	equal(promise.constructor, Promise);
	WebAssembly.compile = compile;
});
