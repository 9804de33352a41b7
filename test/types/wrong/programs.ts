// Each line that is marked must be refused.
import type { Context, Service } from 'tenantd';
import { waitUntil } from 'tenantd:lifecycle';
import { nothing } from 'tenantd:lifecycle'; // error

export const a = { fetch: () => 'text' } satisfies Service; // error
export const b = { fetch: (request) => new Response(request.nothing) } satisfies Service; // error
export const c = { fetches: () => new Response() } satisfies Service; // error
export const d = { scheduled: (event) => event.when } satisfies Service; // error
export const e = { start: (env: { A: string }) => env.B } satisfies Service<{ A: string }>; // error
export const f = { fetch: (request, env) => new Response(env.A.length) } satisfies Service; // error
export const g = (ctx: Context) => ctx.wait(1); // error
export const h = (ctx: Context) => ctx.listener.name; // error
waitUntil(); // error
addEventListener('shutdown', (event) => event.hold()); // error
fetch('http://db/', { unix: 7 }); // error
