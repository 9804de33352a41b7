// What the zygote runs once before it forks: the paths that nearly every program takes.
// A function that was called has its code in place, in a page that all workers then share;
// called for the first time in a worker, it makes that page the worker's own. Leaves
// nothing behind, asks for no randomness.

import { hooks } from './hooks.js';
import { formatWithOptions } from './inspect.js';
import { runTicks } from './ticks.js';
import { clearTimeout, setImmediate, setTimeout } from './timers.js';

const NO_SLOT = -1;
const URL_SHIFT = 9; // isolate/http_exchange.c

// The natives find no exchange in this slot, and do nothing.
function request(url, fields) {
	const frame = hooks.requestFrame;
	frame[0] = NO_SLOT;
	frame[1] = 0;
	frame[2] = url.length << URL_SHIFT;
	hooks.onRequest(`${url}\n${fields}`);
}

const handler = {
	fetch(request) {
		const url = new URL(request.url);
		if (url.pathname === '/text') return new Response(request.method);
		const name = request.headers.get('host') ?? url.searchParams.get('name');
		if (url.pathname === '/json') return Response.json({ name });
		return new Response(name, { status: 201, headers: { 'content-type': 'text/plain' } });
	},
};

function warmServer(paths) {
	const environment = hooks.startProcess();
	hooks.startServer(handler, environment);
	for (let i = 0; i < paths.length; i++)
		request(`http://localhost/${paths[i]}`, 'host\rlocalhost\naccept\r*/*\n');
}

function warmTimers() {
	clearTimeout(setTimeout(runTicks, 1));
	queueMicrotask(runTicks);
	hooks.runTimers(0);
	setImmediate(runTicks);
	hooks.runImmediates(0);
}

hooks.warmUp = () => {
	hooks.afterFork();
	warmServer(['text', 'json', 'other?name=value']);
	warmTimers();
	hooks.warmModules();
	runTicks();
	new TextDecoder().decode(new TextEncoder().encode('warm'));
	JSON.parse(JSON.stringify({ a: [1, 2, 3] }));
	formatWithOptions({}, '%s', 'warm', { a: [1, 'two'] });
	new Date(0).toString(); // reads the time zone, for which no file is there later
	return new Intl.DateTimeFormat('en').format(0);
};

// What a worker in stock runs while it waits: only what every program will.
const first = ['text'];
hooks.warmWorker = () => {
	hooks.afterFork();
	warmServer(first);
	runTicks();
};
