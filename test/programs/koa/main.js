// Koa: middleware around middleware, on a server that it makes itself.
import { Readable } from 'node:stream';
import Koa from 'koa';

const app = new Koa({ keys: ['a key to sign cookies'] });
app.silent = true;

app.use(async (ctx, next) => {
	const order = ['first'];
	ctx.state.order = order;
	try {
		await next();
	} catch (error) {
		ctx.status = error.status ?? 500;
		ctx.body = { error: error.message };
	}
	order.push('last');
	ctx.set('x-order', order.join(' '));
});
app.use(async (ctx, next) => {
	ctx.state.order.push('inner');
	await next();
});
app.use(async (ctx) => {
	switch (ctx.path) {
		case '/':
			ctx.body = 'Hello Koa';
			break;
		case '/json':
			ctx.body = { query: ctx.query, type: ctx.accepts('html', 'json') };
			break;
		case '/echo': {
			const parts = [];
			for await (const part of ctx.req) parts.push(part);
			ctx.type = 'text/plain';
			ctx.body = Buffer.concat(parts);
			break;
		}
		case '/stream':
			ctx.type = 'text/plain';
			ctx.body = Readable.from(['one\n', 'two\n', 'three\n']);
			break;
		case '/response':
			ctx.body = new Response('a web response\n', { headers: { 'x-web': 'yes' } });
			break;
		case '/cookie':
			ctx.cookies.set('name', 'ada', { signed: true });
			ctx.body = ctx.cookies.get('name', { signed: true }) ?? 'nobody';
			break;
		case '/fail':
			ctx.throw(402, 'told to');
	}
});

app.listen(Number(process.env.PORT));
