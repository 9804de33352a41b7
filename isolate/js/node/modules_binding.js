// What Node's resolution and its CommonJS loader ask of C++: files of the release, their
// package.json, and compiling. A release does not change while a program runs, so what was
// once found stays true.

import cjsLexer from '../node_modules/cjs-module-lexer/lexer.js';
import { native } from '../native.js';
import {
	ArrayIsArray,
	ArrayPrototypePush,
	JSONParse,
	JSONStringify,
	ObjectHasOwn,
	SafeMap,
	SafeSet,
	StringPrototypeCharCodeAt,
	StringPrototypeEndsWith,
	StringPrototypeIncludes,
	StringPrototypeLastIndexOf,
	StringPrototypeSlice,
} from '../primordials.js';
import { process } from './process_object.js';
import { URL } from '../url.js';
import { codes } from './errors.js';
import { internalBinding, registerBinding } from './binding.js';
import { fileURLToPath, pathToFileURL } from './own/internal/url.js';

// ---- files ----

const CACHE_MOST = 8192;
const TRIED_MOST = 64;
const stats = new SafeMap();
let tried; // what was looked for and not found, while somebody wants to know

function remember(cache, key, value) {
	if (cache.size >= CACHE_MOST) cache.clear();
	cache.set(key, value);
	return value;
}

// 0: a file, 1: a folder, negative: neither, or not in the release.
function internalModuleStat(path) {
	const found = stats.get(path) ?? remember(stats, path, native.moduleStat(path));
	if (found < 0 && tried !== undefined && tried.length < TRIED_MOST) ArrayPrototypePush(tried, path);
	return found;
}

// Calls RESOLVE; of what it looked for in vain the error tells.
export function tellWhatWasTried(resolve, ...args) {
	const outer = tried;
	tried = [];
	try {
		return resolve(...args);
	} catch (error) {
		addTried(error, tried);
		throw error;
	} finally {
		tried = outer;
	}
}

function addTried(error, paths) {
	if (paths.length === 0 || ObjectHasOwn(error, 'tried')) return;
	if (error.code !== 'ERR_MODULE_NOT_FOUND' && error.code !== 'MODULE_NOT_FOUND') return;
	const seen = new SafeSet();
	let text = '\nLooked for:';
	for (let i = 0; i < paths.length; i++) {
		if (seen.has(paths[i])) continue;
		seen.add(paths[i]);
		text += `\n- ${paths[i]}`;
	}
	error.message += text; // and the stack is made when somebody first reads it
}

const LEGACY_EXTENSIONS = ['', '.js', '.json', '.node', '/index.js', '/index.json', '/index.node'];
const LEGACY_INDEXES = ['index.js', 'index.json', 'index.node'];

// Which of the places for a package without `exports` is there: a row of the list in
// internal/modules/esm/resolve.
function legacyMainResolve(folder, main, base) {
	const { resolve } = require('path');
	if (typeof main === 'string')
		for (let i = 0; i < LEGACY_EXTENSIONS.length; i++)
			if (internalModuleStat(resolve(folder, `${main}${LEGACY_EXTENSIONS[i]}`)) === 0) return i;
	for (let i = 0; i < LEGACY_INDEXES.length; i++)
		if (internalModuleStat(resolve(folder, LEGACY_INDEXES[i])) === 0) return 7 + i;
	const initial = resolve(folder, typeof main === 'string' ? main : 'index.js');
	throw new codes.ERR_MODULE_NOT_FOUND(initial, base && fileURLToPath(base), undefined);
}

function getFormatOfExtensionlessFile(path) {
	const bytes = native.moduleBytes(path);
	return bytes !== undefined &&
		bytes.length >= 4 &&
		bytes[0] === 0 &&
		bytes[1] === 0x61 &&
		bytes[2] === 0x73 &&
		bytes[3] === 0x6d
		? 1
		: 0;
}

// ---- package.json ----

const packages = new SafeMap(); // by path; null: there is none
const scopes = new SafeMap(); // by folder: the nearest package.json, undefined where there is none

function field(value) {
	if (value === null || value === undefined) return undefined;
	if (typeof value === 'string') return value;
	if (typeof value !== 'object') return undefined;
	// internal/modules/package_json_reader would take such a value for text.
	return ArrayIsArray(value) || ObjectHasOwn(value, '0') ? JSONStringify(value) : value;
}

function parsePackage(path, text, base, specifier) {
	let json;
	try {
		json = JSONParse(StringPrototypeCharCodeAt(text, 0) === 0xfeff ? StringPrototypeSlice(text, 1) : text);
	} catch {
		const from = base === undefined ? undefined : `"${specifier}" from ${fileURLToPath(base)}`;
		const error = new codes.ERR_INVALID_PACKAGE_CONFIG(path, from, undefined);
		error.message += '.';
		throw error;
	}
	if (typeof json !== 'object' || json === null || ArrayIsArray(json)) json = {};
	const own = (name) => (ObjectHasOwn(json, name) ? json[name] : undefined);
	const text_ = (value) => (typeof value === 'string' ? value : undefined);
	const type = own('type');
	return [
		text_(own('name')),
		text_(own('main')),
		type === 'module' || type === 'commonjs' ? type : 'none',
		field(own('imports')),
		field(own('exports')),
		path,
	];
}

function readPackageJSON(path, isESM, base, specifier) {
	let found = packages.get(path);
	if (found === undefined) {
		const text = internalModuleStat(path) === 0 ? native.moduleText(path) : undefined;
		found = remember(packages, path, text === undefined ? null : parsePackage(path, text, base, specifier));
	}
	return found ?? undefined;
}

// The package.json that governs what is in FOLDER.
function scopeOf(folder) {
	if (scopes.has(folder)) return scopes.get(folder);
	let found;
	if (!StringPrototypeEndsWith(folder, '/node_modules'))
		found = readPackageJSON(`${folder === '/' ? '' : folder}/package.json`);
	if (found === undefined && folder !== '/' && folder !== '' && !StringPrototypeEndsWith(folder, '/node_modules'))
		found = scopeOf(StringPrototypeSlice(folder, 0, StringPrototypeLastIndexOf(folder, '/')) || '/');
	remember(scopes, folder, found);
	return found;
}

function folderOf(path) {
	return StringPrototypeSlice(path, 0, StringPrototypeLastIndexOf(path, '/')) || '/';
}

function silently(call) {
	const outer = tried;
	tried = undefined;
	try {
		return call();
	} finally {
		tried = outer;
	}
}

function scopeOfURL(url) {
	const { protocol } = new URL(url);
	return protocol === 'file:' ? silently(() => scopeOf(folderOf(fileURLToPath(url)))) : undefined;
}

// ---- compiling ----

function compileFunctionForCJSLoader(content, filename, isSeaMain, shouldDetectModule) {
	const found = native.moduleCompile(content, filename, pathToFileURL(filename).href, shouldDetectModule);
	const canParseAsESM = found === undefined;
	return {
		__proto__: null,
		canParseAsESM,
		function: found,
		sourceMapURL: StringPrototypeIncludes(content, '//# sourceMappingURL=') ? '' + filename : undefined,
		sourceURL: undefined,
	};
}

// A module is known by its URL here.
function getStatus() {
	return native.moduleState(this.url) === 2 ? 4 : 3;
}

function parseExports(source) {
	const { exports, reexports } = cjsLexer.parse(source);
	return [new SetOf(exports), reexports];
}

class SetOf extends SafeSet {
	constructor(items) {
		super();
		for (let i = 0; i < items.length; i++) this.add(items[i]);
	}
}

// ---- all of it ----

const { fs, symbols, url, util, constants } = {
	fs: internalBinding('fs'),
	symbols: internalBinding('symbols'),
	url: internalBinding('url'),
	util: internalBinding('util'),
	constants: internalBinding('constants'),
};
// Node's files ask in one way for modules and for the entries of folders (readdir): what does not
// lie in the release is a matter of fs.
const statOfFile = fs.internalModuleStat;
fs.internalModuleStat = (path) => {
	const found = internalModuleStat(path);
	return found >= 0 || tried !== undefined ? found : statOfFile(path);
};
fs.legacyMainResolve = legacyMainResolve;
fs.getFormatOfExtensionlessFile = getFormatOfExtensionlessFile;
constants.internal = { EXTENSIONLESS_FORMAT_JAVASCRIPT: 0, EXTENSIONLESS_FORMAT_WASM: 1 };
url.canParse = (...args) => URL.canParse(...args);
symbols.vm_dynamic_import_default_internal ??= Symbol('vm_dynamic_import_default_internal');
const names = ['source', 'export_names', 'circular_visited', 'export', 'first_parent', 'last_parent'];
for (let i = 0; i < names.length; i++)
	util.privateSymbols[`module_${names[i]}_private_symbol`] = native.privateSymbol(`module_${names[i]}`);

registerBinding('cjs_lexer', { parse: parseExports });
registerBinding('contextify', {
	...(() => {
		try {
			return internalBinding('contextify');
		} catch {
			return undefined;
		}
	})(),
	compileFunctionForCJSLoader,
	containsModuleSyntax: (source, filename, href) =>
		native.moduleDetect(source, filename, `${href ?? pathToFileURL(filename).href}`),
});
registerBinding('credentials', { safeGetenv: (name) => process.env[name] });
registerBinding('module_wrap', {
	kEvaluated: 4,
	getStatus,
	createRequiredModuleFacade: (href) => native.moduleFacade(href),
});
registerBinding('modules', {
	readPackageJSON,
	getNearestParentPackageJSON: (path) => silently(() => scopeOf(folderOf(path))),
	getPackageScopeConfig(href) {
		const found = scopeOfURL(href);
		return found ?? fileURLToPath(new URL('/package.json', href));
	},
	getPackageType(href) {
		return scopeOfURL(href)?.[2];
	},
	// There is a code cache for each release already: 3 is DISABLED.
	enableCompileCache: () => [3],
	getCompileCacheDir: () => undefined,
	flushCompileCache() {},
	compileCacheStatus: ['FAILED', 'ENABLED', 'ALREADY_ENABLED', 'DISABLED'],
});

export { parseExports };
