export default {
	fetch(request) {
		if (request.method === 'POST') return request.json().then((body) => Response.json(body));
		if (request.url.endsWith('/headers')) {
			let total = 0;
			for (let i = 0; i < 20; i++) total += request.headers.get(`x-header-${i}`).length;
			return new Response(`${total}`);
		}
		return new Response('Hello World');
	},
};
