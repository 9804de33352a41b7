// node:url's newer half, on ../../../url.js. What differs on Windows is of no use here.

import { native } from '../../../native.js';
import { NumberParseInt, StringPrototypeIncludes, StringPrototypeSlice, uncurryThis } from '../../../primordials.js';
import { isURL as isOwnURL, URL, URLSearchParams } from '../../../url.js';
import { codes } from '../../errors.js';

const { decodeURIComponent } = globalThis;

export { URL, URLSearchParams };

// URL.parse, which gives null for what is none.
export const URLParse = URL.parse.bind(URL);

// As Node decides it, so that another implementation's URL is one too.
export function isURL(value) {
	return (
		isOwnURL(value) ||
		Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined)
	);
}

// What is one of ours, whatever a program has done to it.
export const isURLInstance = isOwnURL;
const hrefOf = uncurryThis(Object.getOwnPropertyDescriptor(URL.prototype, 'href').get);
export const getURLHref = (url) => hrefOf(url);

export const unsafeProtocol = new Set(['javascript', 'javascript:']);
export const hostlessProtocol = new Set(['javascript', 'javascript:']);
export const slashedProtocol = new Set([
	'http',
	'http:',
	'https',
	'https:',
	'ftp',
	'ftp:',
	'gopher',
	'gopher:',
	'file',
	'file:',
	'ws',
	'ws:',
	'wss',
	'wss:',
]);

export function domainToASCII(domain) {
	if (arguments.length < 1) throw new codes.ERR_MISSING_ARGS('domain');
	return native.domainToASCII(`${domain}`);
}

export function domainToUnicode(domain) {
	if (arguments.length < 1) throw new codes.ERR_MISSING_ARGS('domain');
	return native.domainToUnicode(native.domainToASCII(`${domain}`));
}

function fileURL(path) {
	if (typeof path === 'string') path = new URL(path);
	else if (!isURL(path)) throw new codes.ERR_INVALID_ARG_TYPE('path', ['string', 'URL'], path);
	if (path.protocol !== 'file:') throw new codes.ERR_INVALID_URL_SCHEME('file');
	if (path.hostname !== '') throw new codes.ERR_INVALID_FILE_URL_HOST('linux');
	return path;
}

export function fileURLToPath(path) {
	const url = fileURL(path);
	const { pathname } = url;
	if (StringPrototypeIncludes(pathname, '%2f') || StringPrototypeIncludes(pathname, '%2F'))
		throw new codes.ERR_INVALID_FILE_URL_PATH('must not include encoded / characters', url);
	return StringPrototypeIncludes(pathname, '%') ? decodeURIComponent(pathname) : pathname;
}

export function fileURLToPathBuffer(path) {
	const { Buffer } = require('buffer');
	const bytes = Buffer.from(fileURL(path).pathname, 'utf8');
	let length = 0;
	for (let i = 0; i < bytes.length; i++) {
		const value = bytes[i] === 37 ? NumberParseInt(bytes.latin1Slice(i + 1, i + 3), 16) : NaN;
		const isEscape = /^[0-9a-f]{2}$/i.test(bytes.latin1Slice(i + 1, i + 3));
		bytes[length++] = isEscape && bytes[i] === 37 ? value : bytes[i];
		if (isEscape && bytes[i] === 37) i += 2;
	}
	return Buffer.from(bytes.subarray(0, length));
}

export function toPathIfFileURL(value) {
	return isURL(value) ? fileURLToPath(value) : value;
}

// What would mean something else in a URL than in a path.
const escapes = { __proto__: null, '%': '%25', '\\': '%5C', '\n': '%0A', '\r': '%0D', '\t': '%09', '?': '%3F', '#': '%23' };

export function pathToFileURL(filepath) {
	if (typeof filepath !== 'string') throw new codes.ERR_INVALID_ARG_TYPE('path', 'string', filepath);
	let resolved = require('path').posix.resolve(filepath);
	if (filepath[filepath.length - 1] === '/' && resolved[resolved.length - 1] !== '/') resolved += '/';
	let escaped = '';
	for (let i = 0; i < resolved.length; i++) escaped += escapes[resolved[i]] ?? resolved[i];
	return new URL(`file://${escaped}`);
}

export function urlToHttpOptions(url) {
	if ((typeof url !== 'object' && typeof url !== 'function') || url === null)
		throw new codes.ERR_INVALID_ARG_TYPE('url', 'object', url);
	const { hostname, pathname, port, username, password, search } = url;
	const options = {
		__proto__: null,
		...url, // what the program added
		protocol: url.protocol,
		hostname: hostname?.[0] === '[' ? StringPrototypeSlice(hostname, 1, -1) : hostname,
		hash: url.hash,
		search,
		pathname,
		path: `${pathname || ''}${search || ''}`,
		href: url.href,
	};
	if (port !== '') options.port = +port;
	if (username || password)
		options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
	return options;
}

// url.format(URL, options), for internalBinding('url').
export function formatURL(href, fragment, unicode, search, auth) {
	const url = new URL(href);
	if (!fragment) url.hash = '';
	if (!search) url.search = '';
	if (!auth) {
		url.username = '';
		url.password = '';
	}
	if (!unicode || url.host === '') return url.href;
	const at = url.href.indexOf(url.host, url.protocol.length);
	const host = domainToUnicode(url.hostname) + (url.port === '' ? '' : `:${url.port}`);
	return url.href.slice(0, at) + host + url.href.slice(at + url.host.length);
}
