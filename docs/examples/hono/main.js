// An application on a framework from npm: routing, JSON, streaming, middleware.
import { Hono } from 'hono';
import { stream } from 'hono/streaming';
import { HTTPException } from 'hono/http-exception';

const app = new Hono();
const notes = new Map();
let lastId = 0;

app.use('*', async (c, next) => {
	const started = performance.now();
	await next();
	c.header('server-timing', `app;dur=${(performance.now() - started).toFixed(1)}`);
});

app.get('/', (c) => c.text('Hello from Hono'));
app.get('/hello/:name', (c) => c.json({ hello: c.req.param('name') }));

app.get('/notes', (c) => c.json([...notes.values()]));
app.post('/notes', async (c) => {
	const { text } = await c.req.json();
	if (typeof text !== 'string') throw new HTTPException(400, { message: 'text is missing' });
	const note = { id: ++lastId, text };
	notes.set(note.id, note);
	return c.json(note, 201);
});
app.get('/notes/:id{[0-9]+}', (c) => {
	const note = notes.get(Number(c.req.param('id')));
	return note ? c.json(note) : c.notFound();
});

app.get('/stream', (c) =>
	stream(c, async (out) => {
		for (let i = 1; i <= 3; i++) {
			await out.write(`line ${i}\n`);
			await out.sleep(10);
		}
	}),
);

export default app;
