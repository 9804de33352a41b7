import url, { URL, fileURLToPath, pathToFileURL, domainToASCII, domainToUnicode, urlToHttpOptions } from 'node:url';
import querystring from 'node:querystring';
import path, { posix, win32 } from 'node:path';

process.on('warning', () => {});
process.noDeprecation = true;
for (const text of ['http://user:pa%20ss@Example.COM:8080/p/a/t/h?query=string#hash', '/relative?x=1', 'mailto:a@b.c', 'HTTP://a.b/ü', '//host/path', 'javascript:alert(1)'])
	console.log(url.parse(text), url.parse(text, true).query, url.format(url.parse(text)));
console.log(url.resolve('http://a.com/b/c', '../d'), url.resolve('/one/two', 'three'), url.format({ protocol: 'https', host: 'x.y', pathname: '/z', query: { a: [1, 2] } }));
console.log(url.format(new URL('http://u:p@測試.com/x?q#f'), { auth: false, fragment: false, unicode: true, search: false }));
console.log(fileURLToPath('file:///a%20b/c'), pathToFileURL('/a b/#?%\\c').href, pathToFileURL('/dir/').href, domainToASCII('español.com'), domainToUnicode('xn--espaol-zwa.com'), domainToASCII('xn--iñvalid.com'));
for (const run of [() => fileURLToPath('http://a'), () => fileURLToPath('file://host/a'), () => fileURLToPath('file:///a%2fb'), () => fileURLToPath(5), () => url.parse(5), () => url.parse('http://a:b:c/')])
	try {
		console.log(run());
	} catch (error) {
		console.log(error.name, error.code, error.message);
	}
console.log(urlToHttpOptions(new URL('http://a:b@[::1]:81/x?y#z')), url.URL === globalThis.URL);
console.log(querystring.parse('a=1&b=2&a=3&c=%20d+e&f'), querystring.stringify({ a: [1, 'x y'], b: true, c: null, d: 'ü' }), querystring.escape('a b&ü'), querystring.unescape('%zz%20'));
console.log(path.join('/a', '..', 'b', './c//d'), path.resolve('/x', 'y', '../z'), path.relative('/a/b/c', '/a/d'), path.parse('/home/u/f.tar.gz'), path.format({ dir: '/d', name: 'n', ext: 'e' }), path.normalize('/a/../../b/'), path.isAbsolute('a'), path.basename('/a/b.c', '.c'), path.extname('.x'), path.sep, path.delimiter);
console.log(win32.join('C:\\a', '..', 'b'), posix === path, path.posix.dirname('/a/b/'), path.win32.parse('C:\\x\\y.z'));
try {
	path.join(5);
} catch (error) {
	console.log(error.name, error.code, error.message);
}
