// Hono: routing, middleware, validation, cookies, streams, server-sent events.
import { Hono } from 'hono';
import { basicAuth } from 'hono/basic-auth';
import { getCookie, setCookie } from 'hono/cookie';
import { etag } from 'hono/etag';
import { HTTPException } from 'hono/http-exception';
import { sign, verify } from 'hono/jwt';
import { stream, streamSSE } from 'hono/streaming';
import { validator } from 'hono/validator';

type Bindings = { SECRET: string };

const app = new Hono<{ Bindings: Bindings }>();
app.use('/etag', etag());
app.use('/private/*', basicAuth({ username: 'ada', password: 'lovelace' }));
app.onError((error, c) =>
	error instanceof HTTPException ? error.getResponse() : c.json({ error: error.message }, 500),
);

app.get('/', (c) => c.text('Hello Hono'));
app.get('/hello/:name', (c) => c.json({ hello: c.req.param('name'), query: c.req.query('q') }));
app.post(
	'/notes',
	validator('json', (value: { text?: string }, c) =>
		typeof value.text === 'string' ? { text: value.text } : c.json({ error: 'no text' }, 400),
	),
	(c) => c.json({ text: c.req.valid('json').text }, 201),
);
app.post('/upload', async (c) => {
	const { file, name } = await c.req.parseBody();
	return c.json({ name, size: (file as File).size, type: (file as File).type });
});
app.get('/cookie', (c) => {
	const visits = Number(getCookie(c, 'visits') ?? 0) + 1;
	setCookie(c, 'visits', String(visits), { httpOnly: true });
	return c.text(String(visits));
});
app.get('/token', async (c) => {
	const token = await sign({ sub: 'ada' }, c.env.SECRET, 'HS256');
	return c.json(await verify(token, c.env.SECRET, 'HS256'));
});
app.get('/etag', (c) => c.text('the same'));
app.get('/private/page', (c) => c.text('for ada'));
app.get('/stream', (c) =>
	stream(c, async (out) => {
		for (let i = 1; i <= 3; i++) {
			await out.write(`line ${i}\n`);
			await out.sleep(5);
		}
	}),
);
app.get('/events', (c) =>
	streamSSE(c, async (out) => {
		for (let i = 1; i <= 2; i++) await out.writeSSE({ event: 'tick', id: String(i), data: `${i}` });
	}),
);
app.get('/fail', () => {
	throw new Error('told to');
});

export default app;
