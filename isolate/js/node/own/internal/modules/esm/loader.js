// What the CommonJS loader asks of the other one, which is the engine's.

import { native } from '../../../../../native.js';
import { PromiseResolve, StringPrototypeEndsWith, StringPrototypeSlice, StringPrototypeStartsWith } from '../../../../../primordials.js';
import { fileURLToPath, pathToFileURL } from '../../url.js';
import { codes } from '../../../../errors.js';

const loader = {
	__proto__: null,
	importSyncForRequire(mod, filename) {
		const url = pathToFileURL(filename).href;
		const { getStatus } = internalBinding('module_wrap');
		const { kRequiredModuleSymbol } = require('internal/modules/cjs/loader');
		mod[kRequiredModuleSymbol] = { __proto__: null, url, getStatus };
		return { wrap: url, namespace: native.moduleRequire(url) };
	},
	// As a file of the release that stands beside PARENT (a URL of a file) would import it.
	import(specifier, parent = 'file:///app/') {
		if (StringPrototypeStartsWith(`${specifier}`, REPORTER))
			return PromiseResolve({ default: reporters[StringPrototypeSlice(specifier, REPORTER.length)]() });
		const url = StringPrototypeEndsWith(`${parent}`, '/') ? `${parent}[test]` : `${parent}`;
		return native.moduleCompile('return import(exports)', fileURLToPath(url), url, false)(`${specifier}`);
	},
};

// node:test's, by name: they are loaded when a run wants them.
const REPORTER = 'reporter:';
let reporters = { __proto__: null };
export function setReporters(table) {
	reporters = table;
}
export function reporterURL(name) {
	return reporters[name] === undefined ? name : REPORTER + name;
}

export function getOrInitializeCascadedLoader() {
	return loader;
}

export function register() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('module.register()');
}
