// The same work on Node's http module and its own streams.
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { CHUNK, count, page } from './runtime.js';

function download() {
	let left = 16;
	return new Readable({
		read() {
			this.push(left-- > 0 ? CHUNK.slice() : null);
		},
	});
}

createServer(async (request, response) => {
	const [path, query = ''] = request.url.split('?');
	if (path === '/json') {
		let text = '';
		request.setEncoding('utf8');
		for await (const chunk of request) text += chunk;
		response.setHeader('content-type', 'application/json');
		response.end(JSON.stringify(JSON.parse(text)));
	} else if (path === '/page') {
		response.setHeader('content-type', 'text/html');
		response.end(page('Page <1>'));
	} else if (path === '/upload') {
		let length = 0;
		for await (const chunk of request) length += chunk.byteLength;
		response.end(`${length}`);
	} else if (path === '/download') {
		download().pipe(response);
	} else if (query) {
		response.end(await count(path, query));
	} else {
		response.end('Hello World');
	}
}).listen(Number(process.argv[2]), '127.0.0.1');
