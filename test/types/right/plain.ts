// Without naming types; import.meta, events of the global, files of the release.
import { ready, waitUntil } from 'tenantd:lifecycle';
import page from './page.html' with { type: 'text' };

addEventListener('shutdown', (event) => event.waitUntil(Promise.resolve()));
ready();
waitUntil(fetch('http://db/', { unix: '/run/db.sock' }));
const where: string = import.meta.dirname + import.meta.resolve('./x.js');

export default {
	fetch(request: Request): Response {
		return new Response(`${page.length} ${where} ${request.url} ${import.meta.main}`);
	},
};
