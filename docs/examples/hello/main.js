// The smallest tenant: one function from a request to a response.
export default {
	fetch(request, env) {
		const name = new URL(request.url).searchParams.get('name') ?? 'World';
		return new Response(`${env.GREETING ?? 'Hello'} ${name}\n`);
	},
};
