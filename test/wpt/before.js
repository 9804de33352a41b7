// Runs before testharness.js: what web platform tests expect of the global of a browser, and
// what a tenant does not have. Takes what it needs before a test can change it.
'use strict';

{
	const { readFileSync } = process.getBuiltinModule('fs');
	const { root, path, search, files } = globalThis.__wpt;

	globalThis.GLOBAL = {
		isWindow: () => false,
		isWorker: () => false,
		isShadowRealm: () => false,
	};
	const address = new URL(`https://web-platform.test${path}${search}`);
	globalThis.location = { toString: () => address.href };
	for (const name of ['href', 'origin', 'protocol', 'host', 'hostname', 'pathname', 'search', 'hash'])
		location[name] = address[name];

	// ---- the suite's files stand in for its server ----

	// The package has no binary files. This module exports increment: (i32) => i32.
	const incrementer = Uint8Array.of(
		...[0, 97, 115, 109, 1, 0, 0, 0], // magic and version
		...[1, 6, 1, 96, 1, 127, 1, 127], // types
		...[3, 2, 1, 0], // functions
		...[7, 13, 1, 9, 105, 110, 99, 114, 101, 109, 101, 110, 116, 0, 0], // exports
		...[10, 9, 1, 7, 0, 32, 0, 65, 1, 106, 11], // code
	);
	const read = (pathname) =>
		pathname === '/wasm/incrementer.wasm'
			? incrementer
			: readFileSync(files[pathname] ?? root + decodeURIComponent(pathname));

	const types = { json: 'application/json', js: 'text/javascript', wasm: 'application/wasm' };
	function respond(url) {
		let bytes;
		try {
			bytes = read(url.pathname);
		} catch {
			return new Response('no such file', { status: 404 });
		}
		// What the suite's server calls a pipe.
		const piped = /header\(Content-Type,([^)]*)\)/.exec(url.searchParams.get('pipe'))?.[1];
		const type = piped ?? types[url.pathname.slice(url.pathname.lastIndexOf('.') + 1)];
		const headers = type === undefined ? {} : { 'content-type': type };
		return new Response(bytes, { headers });
	}

	const { fetch: ownFetch } = globalThis;
	globalThis.fetch = (input, init) =>
		new Promise((resolve, reject) => {
			const given = typeof input === 'string' || input instanceof URL ? `${input}` : input.url;
			const url = new URL(given, location.href);
			if (url.protocol === 'data:') {
				resolve(ownFetch(input, init));
				return;
			}
			if (url.origin !== location.origin) throw new TypeError('fetch failed: there is no network');
			const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
			signal?.throwIfAborted();
			signal?.addEventListener('abort', () => reject(signal.reason));
			setTimeout(() => resolve(respond(url)), 0);
		});

	// Of workers. The harness runs already.
	globalThis.importScripts = (...scripts) => {
		for (const script of scripts) {
			const { pathname } = new URL(script, location.href);
			if (pathname !== '/resources/testharness.js') (0, eval)(`${read(pathname)}`);
		}
	};
}
