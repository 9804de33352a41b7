// The program that test/unit/http_server_test.py talks to. A classic script.
const encode = (text) => new TextEncoder().encode(text);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const events = []; // what happened to earlier requests; GET /events empties it
let kept;

const routes = {
	'/': () => new Response('Hello World'),
	'/async': async () => {
		await 1;
		return new Response('async');
	},
	'/slow': async (request, url) => {
		await sleep(+url.searchParams.get('ms'));
		return new Response('slow');
	},
	'/hang': (request) =>
		new Promise(() => {
			request.signal.onabort = () => events.push(`abort ${request.signal.reason.name}`);
		}),
	'/unicode': () => new Response('h\u00e9llo \u{1f600}'),
	'/latin1': () => new Response('h\u00e9llo'),
	'/large': () => new Response('\u00e9'.repeat(100000)),
	'/bytes': () => new Response(new Uint8Array([0, 1, 255])),
	'/empty': () => new Response(),
	'/status': (request, url) =>
		new Response(null, { status: +url.searchParams.get('code'), statusText: url.searchParams.get('text') ?? '' }),
	'/json': () => Response.json({ a: 1 }),
	'/cookies': () => {
		const headers = new Headers();
		headers.append('set-cookie', 'a=1');
		headers.append('set-cookie', 'b=2');
		headers.append('x', '1');
		headers.append('x', '2');
		headers.append('date', 'Thu, 01 Jan 1970 00:00:00 GMT');
		return new Response('x', { headers });
	},
	'/hop': () =>
		new Response('hop', {
			headers: {
				connection: 'close', 'transfer-encoding': 'chunked', 'content-length': '99',
				'keep-alive': 'x', upgrade: 'y',
			},
		}),
	'/head-length': () => new Response(null, { headers: { 'content-length': '123' } }),
	'/echo': async (request) => new Response(await request.text()),
	'/echo-sync-start': (request) => request.bytes().then((bytes) => new Response(bytes)),
	'/echo-stream': (request) => new Response(request.body),
	'/echo-json': async (request) => Response.json(await request.json()),
	'/form': async (request) => Response.json([...(await request.formData())].map(([k, v]) =>
		[k, typeof v === 'string' ? v : [v.name, v.type, v.size]])),
	'/request': (request) =>
		Response.json({
			method: request.method,
			url: request.url,
			headers: Object.fromEntries(request.headers),
			hasBody: request.body !== null,
		}),
	'/twenty': (request) => {
		let text = '';
		for (let i = 0; i < 20; i++) text += request.headers.get(`x-${i}`);
		return new Response(text);
	},
	'/ignore-body': () => new Response('ignored'),
	'/read-later': (request, url, ctx) => {
		ctx.waitUntil(request.text().then((text) => events.push(`later ${text.length}`)));
		return new Response('ok');
	},
	'/stream-later': (request, url, ctx) => {
		ctx.waitUntil(
			(async () => {
				let length = 0;
				for await (const chunk of request.body) {
					length += chunk.length;
					await sleep(5);
				}
				events.push(`stream ${length}`);
			})(),
		);
		return new Response('ok');
	},
	'/too-late': (request) => {
		setTimeout(() => {
			request.text().then(
				(text) => events.push(`text ${text}`),
				(error) => events.push(`${error.name} ${request.url} ${request.headers.get('host') !== null}`),
			);
		}, 100);
		return new Response('ok');
	},
	'/read-slowly': async (request, url) => {
		let length = 0;
		for await (const chunk of request.body) {
			length += chunk.length;
			await sleep(+url.searchParams.get('ms'));
		}
		return new Response(`${length}`);
	},
	'/cancel-body': async (request) => {
		const reader = request.body.getReader();
		await reader.read();
		await reader.cancel();
		return new Response('cancelled');
	},
	'/body-error': async (request) => {
		try {
			await request.text();
		} catch (error) {
			events.push(`body ${error.name}`);
			throw error;
		}
		return new Response('whole');
	},
	'/clone': async (request) => {
		const copy = request.clone();
		const [a, b] = await Promise.all([request.text(), copy.text()]);
		return new Response(`${a === b} ${a.length}`);
	},
	'/new-request': async (request) => {
		const other = new Request(request, { headers: { x: 'y' } });
		return new Response(`${request.bodyUsed} ${await other.text()} ${other.headers.get('x')}`);
	},
	'/stream': (request, url) => {
		let left = +(url.searchParams.get('count') ?? 3);
		return new Response(
			new ReadableStream({
				pull(controller) {
					if (left-- > 0) controller.enqueue(encode(`chunk${left}\n`));
					else controller.close();
				},
			}),
		);
	},
	'/slow-stream': () =>
		new Response(
			new ReadableStream({
				async start(controller) {
					for (let i = 0; i < 3; i++) {
						controller.enqueue(encode(`${i}`));
						await sleep(50);
					}
					controller.close();
				},
			}),
		),
	'/endless': () => {
		let given = 0;
		return new Response(
			new ReadableStream(
				{
					pull(controller) {
						given += 65536;
						controller.enqueue(new Uint8Array(65536));
					},
					cancel(reason) {
						events.push(`cancel ${reason.name} ${given < 50e6}`);
					},
				},
				{ highWaterMark: 0 },
			),
		);
	},
	'/stream-error': () => {
		let first = true;
		return new Response(
			new ReadableStream({
				async pull(controller) {
					if (!first) {
						await sleep(50);
						throw new Error('stream broke');
					}
					first = false;
					controller.enqueue(encode('part'));
				},
			}),
		);
	},
	'/stream-string': () => new Response(new ReadableStream({ start(c) { c.enqueue('text'); } })),
	'/promised': (request, url) => {
		const body = new ReadableStream({
			start(controller) {
				controller.enqueue(encode('12345'));
				controller.close();
			},
		});
		return new Response(body, { headers: { 'content-length': url.searchParams.get('length') } });
	},
	'/throw': () => {
		throw new Error('secret detail');
	},
	'/reject': async () => {
		throw new TypeError('secret rejection');
	},
	'/throw-string': () => {
		throw 'secret string';
	},
	'/undefined': () => undefined,
	'/number': async () => 5,
	'/error-response': () => Response.error(),
	'/used': async () => {
		const response = new Response('x');
		await response.text();
		return response;
	},
	'/same': () => (kept ??= new Response('x')),
	'/wait-reject': (request, url, ctx) => {
		ctx.waitUntil(Promise.reject(new Error('waited in vain')));
		return new Response('ok');
	},
	'/wait': (request, url, ctx) => {
		ctx.waitUntil(sleep(+url.searchParams.get('ms')).then(() => console.log('waited')));
		return new Response('ok');
	},
	'/env': (request, url, ctx, env) => Response.json(env),
	'/events': () => Response.json(events.splice(0)),
	'/busy': () => {
		for (const end = Date.now() + 50; Date.now() < end; );
		return new Response('busy');
	},
};

globalThis.handler = {
	greeting: 'called as a method',
	fetch(request, env, ctx) {
		if (this.greeting === undefined) throw new Error('not called as a method');
		const url = new URL(request.url);
		const route = routes[url.pathname];
		if (route === undefined) return new Response('not found', { status: 404 });
		return route(request, url, ctx, env);
	},
};
