// Not node:vm, which there is none of: what node:test reads its snapshot files with. They are
// made of lines that the runner has written, and are read, not run.

import { RegExpPrototypeExec, RegExpPrototypeSymbolReplace } from '../../primordials.js';

const ENTRY = /exports\[`((?:[^`\\]|\\[^])*)`\] = `((?:[^`\\]|\\[^])*)`;/g;
const ESCAPE = /\\([^])/g;
const unescape = (text) => RegExpPrototypeSymbolReplace(ESCAPE, text, '$1');

export function createContext(context) {
	return context;
}

export function runInContext(source, context) {
	ENTRY.lastIndex = 0;
	for (let match; (match = RegExpPrototypeExec(ENTRY, source)) !== null; )
		context.exports[unescape(match[1])] = unescape(match[2]);
}
