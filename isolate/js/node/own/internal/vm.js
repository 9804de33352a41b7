// What the CommonJS loader compiles a module's wrapper with, when a program has replaced it.

import { native } from '../../../native.js';
import { pathToFileURL } from './url.js';

export function makeContextifyScript(code, filename) {
	return { __proto__: null, code, filename, sourceURL: undefined, sourceMapURL: undefined };
}

// CODE is one expression.
export function runScriptInThisContext({ code, filename }) {
	return native.moduleCompile(`return ${code}`, filename, pathToFileURL(filename).href, false)();
}
