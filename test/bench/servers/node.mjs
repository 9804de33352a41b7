// Node has no fetch-style server of its own: the same work on its http module.
import { createServer } from 'node:http';

createServer((request, response) => {
	if (request.method === 'POST') {
		let text = '';
		request.setEncoding('utf8');
		request.on('data', (chunk) => (text += chunk));
		request.on('end', () => {
			response.setHeader('content-type', 'application/json');
			response.end(JSON.stringify(JSON.parse(text)));
		});
	} else if (request.url === '/headers') {
		let total = 0;
		for (let i = 0; i < 20; i++) total += request.headers[`x-header-${i}`].length;
		response.end(`${total}`);
	} else {
		response.end('Hello World');
	}
}).listen(Number(process.argv[2]), '127.0.0.1');
