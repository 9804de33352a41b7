// React on the server: a page as one string, and one that streams as its parts are ready.
import { createContext, Suspense, use, useContext, useId, useState } from 'react';
import { renderToReadableStream, renderToStaticMarkup, renderToString } from 'react-dom/server';

const Language = createContext('en');

function Greeting({ name }: { name: string }) {
	const [exclamations] = useState(3);
	const language = useContext(Language);
	return (
		<h1 id={useId()} className="greeting" data-language={language}>
			Hello {name}
			{'!'.repeat(exclamations)}
		</h1>
	);
}

function Items({ items }: { items: Promise<string[]> }) {
	return (
		<ul>
			{use(items).map((item) => (
				<li key={item}>{item}</li>
			))}
		</ul>
	);
}

function Page({ items }: { items: Promise<string[]> }) {
	return (
		<html>
			<body>
				<Language value="de">
					<Greeting name="<React>" />
				</Language>
				<Suspense fallback={<p>wait</p>}>
					<Items items={items} />
				</Suspense>
			</body>
		</html>
	);
}

function Broken(): never {
	throw new Error('told to');
}

const html = (body: string | ReadableStream) => new Response(body, { headers: { 'content-type': 'text/html' } });
const slowly = () =>
	new Promise<string[]>((done) => setTimeout(() => done(['one', 'two', 'three']), 50));

export default {
	async fetch(request: Request) {
		switch (new URL(request.url).pathname) {
			case '/string':
				return html(renderToString(<Greeting name="<React>" />));
			case '/static':
				return html(renderToStaticMarkup(<Greeting name="static" />));
			case '/stream':
				return html(await renderToReadableStream(<Page items={slowly()} />, { bootstrapModules: ['/app.js'] }));
			case '/all': {
				const stream = await renderToReadableStream(<Page items={slowly()} />);
				await stream.allReady;
				return html(stream);
			}
			default:
				try {
					await renderToReadableStream(<Broken />, { onError: () => {} });
				} catch (error) {
					return new Response((error as Error).message, { status: 500 });
				}
		}
	},
};
