// Streams both ways: GET / counts, a line every 200 ms; POST / sends the body back in
// upper case while it arrives.
export default {
	fetch(request, env, ctx) {
		if (request.method === 'POST') return new Response(request.body.pipeThrough(upperCase()));
		ctx.waitUntil(new Promise((done) => setTimeout(done, 100)));
		return new Response(count(5), { headers: { 'content-type': 'text/plain' } });
	},
};

function upperCase() {
	const decoder = new TextDecoder();
	const encoder = new TextEncoder();
	return new TransformStream({
		transform(chunk, controller) {
			const text = decoder.decode(chunk, { stream: true });
			controller.enqueue(encoder.encode(text.toUpperCase()));
		},
	});
}

function count(most) {
	const encoder = new TextEncoder();
	let n = 0;
	return new ReadableStream({
		async pull(controller) {
			await new Promise((next) => setTimeout(next, 200));
			controller.enqueue(encoder.encode(`${++n}\n`));
			if (n === most) controller.close();
		},
	});
}
