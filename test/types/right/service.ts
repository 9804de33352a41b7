// All functions of a service, with the environment that its policy grants.
import type { Service } from 'tenantd';

interface Env {
	readonly API_KEY: string;
	readonly MODE: 'production' | 'test';
}

export default {
	async start(env, ctx) {
		if (env.MODE === 'test') ctx.ready();
	},
	async fetch(request, env, ctx) {
		ctx.waitUntil(fetch('https://api.example.com', { headers: { authorization: env.API_KEY } }));
		const { name } = (await request.json()) as { name: string };
		return Response.json({ name, listener: ctx.listener?.name ?? 'ingress' });
	},
	health: () => true,
	scheduled(event) {
		console.log(event.cron, new Date(event.scheduledTime).toISOString(), event.missed + 1);
	},
	async shutdown() {},
} satisfies Service<Env>;
