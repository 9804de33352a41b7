// What make bench runtime asks of every runtime: /name?n=times does a thing that often in one
// request, so that HTTP does not count; who asks measures the process's CPU time.

const BASE = 'https://shop.example.com/catalog/';
const LINKS = [
	'https://user:pass@example.com:8080/a/b/../c?query=string&more=1#hash',
	'/products/42?sort=price&page=3',
	'../images/photo%20one.jpg',
	'https://münchen.example/straße?q=über',
	'http://192.168.1.10:3000/api/v2/users/1234567890/orders',
	'?utm_source=newsletter&utm_medium=email&utm_campaign=launch',
	'https://cdn.example.org/lib/framework@18.2.0/umd/framework.production.min.js',
	'wss://stream.example.net/live?token=eyJhbGciOiJIUzI1NiJ9',
];

const record = (i) => ({
	id: i,
	name: `item number ${i}`,
	price: i * 1.25,
	tags: ['new', 'sale', 'b2b'],
	stock: { berlin: i % 7, paris: i % 5 },
	active: i % 2 === 0,
});
const CLONED = {
	items: Array.from({ length: 50 }, (_, i) => record(i)),
	when: new Date(1700000000000),
	index: new Map(Array.from({ length: 50 }, (_, i) => [`key${i}`, i])),
	seen: new Set(['a', 'b', 'c']),
	bytes: new Uint8Array(1024),
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const fill = (text, length) => {
	const bytes = encoder.encode(text.repeat(Math.ceil(length / text.length)));
	let end = length;
	while ((bytes[end] & 0xc0) === 0x80) end--;
	return bytes.slice(0, end);
};
const ASCII = fill('{"id":1,"name":"item number 1","price":10},', 65536);
const MIXED = fill('{"name":"Bücher für Köln","price":"10 €","note":"日本語"},', 65536);
const KILOBYTE = fill('0123456789abcdef', 1024);
const CHUNK = fill('x', 65536);

const rows = Array.from({ length: 60 }, (_, i) => record(i));
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ESCAPES[c]);
function page(title) {
	let html = `<!doctype html><html><head><title>${escape(title)}</title></head><body><table>`;
	for (const row of rows)
		html +=
			`<tr class="${row.active ? 'on' : 'off'}"><td>${row.id}</td><td>${escape(row.name)}</td>` +
			`<td>${row.price.toFixed(2)} &euro;</td><td>${row.tags.map(escape).join(', ')}</td>` +
			`<td><a href="/item/${row.id}">more about this</a></td><td>${row.stock.berlin}</td></tr>`;
	return html + '</table></body></html>';
}

const loops = {
	'/parse_url'(n) {
		let length = 0;
		for (let i = 0; i < n; i++) {
			const url = new URL(LINKS[i & 7], BASE);
			length += url.pathname.length + url.hostname.length;
		}
		return length;
	},
	async '/sha256_1k'(n) {
		let sum = 0;
		for (let i = 0; i < n; i++)
			sum += new Uint8Array(await crypto.subtle.digest('SHA-256', KILOBYTE))[0];
		return sum;
	},
	'/decode_ascii_64k'(n) {
		let length = 0;
		for (let i = 0; i < n; i++) length += decoder.decode(ASCII).length;
		return length;
	},
	'/decode_utf8_64k'(n) {
		let length = 0;
		for (let i = 0; i < n; i++) length += decoder.decode(MIXED).length;
		return length;
	},
	async '/timers_10k'(n) {
		let fired = 0;
		for (let i = 0; i < n; i++)
			await new Promise((resolve) => {
				let left = 9990;
				const tick = () => {
					fired++;
					if (--left === 0) resolve();
				};
				for (let j = 0; j < 9990; j++) setTimeout(tick, j % 10);
			});
		return fired;
	},
	'/structured_clone'(n) {
		let count = 0;
		for (let i = 0; i < n; i++) count += structuredClone(CLONED).items.length;
		return count;
	},
};

async function upload(body) {
	const reader = body.getReader();
	let length = 0;
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return length;
		length += value.byteLength;
	}
}

function download() {
	let left = 16;
	return new ReadableStream({
		pull(controller) {
			controller.enqueue(CHUNK.slice());
			if (--left === 0) controller.close();
		},
	});
}

export { CHUNK, page };

export async function count(path, query) {
	const n = Number(query.slice(query.indexOf('n=') + 2));
	return `${await loops[path](n)}`;
}

export default {
	async fetch(request) {
		const url = new URL(request.url);
		switch (url.pathname) {
			case '/json':
				return Response.json(await request.json());
			case '/page':
				return new Response(page('Page <1>'), { headers: { 'content-type': 'text/html' } });
			case '/upload':
				return new Response(`${await upload(request.body)}`);
			case '/download':
				return new Response(download());
			default:
				if (url.pathname in loops) return new Response(await count(url.pathname, url.search));
				return new Response('Hello World');
		}
	},
};
