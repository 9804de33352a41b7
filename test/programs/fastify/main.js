// Fastify: schemas are compiled to code, so its policy grants `eval`.
import { AsyncLocalStorage } from 'node:async_hooks';
import Fastify from 'fastify';

const requests = new AsyncLocalStorage();
const app = Fastify({ logger: { level: 'info' } });
app.addHook('onRequest', (request, reply, done) => requests.run({ id: request.id }, done));

app.get('/', async () => ({ hello: 'Fastify' }));
app.get('/id', async () => {
	await new Promise((done) => setTimeout(done, 5));
	return requests.getStore();
});
app.post(
	'/notes',
	{
		schema: {
			body: {
				type: 'object',
				required: ['text'],
				properties: { text: { type: 'string', maxLength: 20 }, stars: { type: 'integer', default: 3 } },
			},
			response: { 201: { type: 'object', properties: { text: { type: 'string' }, stars: { type: 'integer' } } } },
		},
	},
	async (request, reply) => reply.code(201).send({ ...request.body, hidden: 'by the schema' }),
);
app.register(async (part) => {
	part.decorate('answer', 42);
	part.get('/answer', async () => part.answer);
}, { prefix: '/part' });
app.get('/stream', (request, reply) => {
	reply.type('text/plain');
	return reply.send(ReadableStream.from([new TextEncoder().encode('a web stream\n')]));
});
app.get('/fail', async () => {
	throw new Error('told to');
});
app.get('/inject', async () => (await app.inject('/part/answer')).payload);

process.on('SIGTERM', () => app.close());
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
