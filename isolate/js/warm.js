// What the zygote runs once before it forks, and a stock worker while it waits: the
// paths that nearly every program takes, so that their code is compiled and their pages
// are there. Leaves nothing behind, asks for no randomness.

import { hooks } from './hooks.js';
import { runTicks } from './ticks.js';

hooks.warmUp = () => {
	const url = new URL('http://localhost/path?query=1');
	url.searchParams.get('query');
	const headers = new Headers({ 'content-type': 'text/plain' });
	headers.get('content-type');
	new Response('warm', { headers });
	Response.json({ warm: true });
	new Request('http://localhost/', { method: 'POST', body: 'x' }).method;
	new TextDecoder().decode(new TextEncoder().encode('warm'));
	JSON.parse(JSON.stringify({ a: [1, 2, 3] }));
	new Date(0).toString(); // reads the time zone, for which no file is there later
	const formatted = new Intl.DateTimeFormat('en').format(0);
	runTicks();
	return formatted;
};
