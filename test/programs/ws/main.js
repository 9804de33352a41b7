// ws: a WebSocket server on an HTTP server, with compression, pings and a broadcast.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const server = createServer((request, response) => response.end('Hello ws'));
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 100 } });

server.on('upgrade', (request, socket, head) => {
	if (request.url !== '/chat') {
		socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
		return;
	}
	sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request));
});
sockets.on('connection', (ws) => {
	ws.on('message', (data, isBinary) => {
		if (isBinary) return ws.send(data.reverse());
		const text = data.toString();
		if (text === 'close') return ws.close(4000, 'as you wish');
		for (const client of sockets.clients) client.send(`${text} to ${sockets.clients.size}`);
	});
});
server.listen(process.env.PORT);
