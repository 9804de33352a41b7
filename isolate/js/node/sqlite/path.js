// Where a database is: a path, a file: URL or one of SQLite's own names.

import bufferModule from '../upstream/buffer.js';
import types from '../upstream/internal/util/types.js';
import pathModule from '../upstream/path.js';
import { process } from '../process_object.js';
import { StringPrototypeIncludes, StringPrototypeSlice, StringPrototypeStartsWith, TypeError, uncurryThis } from '../../primordials.js';
import { isURL } from '../../url.js';
import { nodeError } from '../../validate.js';
import { wrongType } from './checks.js';

const { Buffer } = bufferModule;
const bufferToString = uncurryThis(Buffer.prototype.toString);

function textOf(path) {
	if (typeof path === 'string') return path;
	if (types.isUint8Array(path))
		return bufferToString(Buffer.from(path.buffer, path.byteOffset, path.byteLength));
	if (isURL(path)) {
		if (path.protocol !== 'file:') throw nodeError(TypeError, 'ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file:');
		return path.href;
	}
	return undefined;
}

// The process has no folder of its own: relative paths begin in process.cwd().
export function databasePath(path, what = 'path') {
	const text = textOf(path);
	if (text === undefined || StringPrototypeIncludes(text, '\0'))
		throw wrongType(what, 'a string, Uint8Array, or URL without null bytes');
	if (text === '' || text === ':memory:') return text;
	if (!StringPrototypeStartsWith(text, 'file:'))
		return pathModule.resolve(process.cwd(), text);
	const rest = StringPrototypeSlice(text, 5);
	if (rest === '' || rest[0] === '/' || rest[0] === '?' || StringPrototypeStartsWith(rest, ':memory:'))
		return text;
	return `file:${pathModule.join(process.cwd(), '/')}${rest}`;
}
