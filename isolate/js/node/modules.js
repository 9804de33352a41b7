// Modules of a program: what a specifier means and what a file is, for import and require
// alike. Resolution, and all of CommonJS, is Node's own code; the graph of ES modules is the
// engine's (isolate/engine/modules.cc), which asks here for each of them.

import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { Error, ObjectFreeze, SafeMap, StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeLastIndexOf, StringPrototypeSlice, StringPrototypeStartsWith } from '../primordials.js';
import { URL } from '../url.js';
import { tellWhatWasTried } from './modules_binding.js';
import { codes } from './errors.js';
import { process } from './process_object.js';
import { builtinModule, builtinNames, registerBuiltin } from './registry.js';
import { fileURLToPath, pathToFileURL } from './own/internal/url.js';
import { findSourceMap, getSourceMapsSupport, setSourceMapsSupport } from './own/internal/source_map/source_map_cache.js';
import { register } from './own/internal/modules/esm/loader.js';
import { stripTypeScriptTypes } from './own/internal/modules/typescript.js';
import { SourceMap } from './upstream/internal/source_map/source_map.js';
import cjs from './upstream/internal/modules/cjs/loader.js';
import assertions from './upstream/internal/modules/esm/assert.js';
import formats from './upstream/internal/modules/esm/get_format.js';
import resolution from './upstream/internal/modules/esm/resolve.js';
import helpers from './upstream/internal/modules/helpers.js';
import packages from './upstream/internal/modules/package_json_reader.js';
import { fillMeta, makeBytes, makeCommonJS, makeJSON, makeText, makeWasm } from './module_formats.js';

export const { Module } = cjs;
const { defaultResolve } = resolution;
const { defaultGetFormat, extensionFormatMap, extname } = formats;

// ---- formats ----

// A release holds JavaScript under the names of the sources that it was made of
// (deploy/esbuild.c), so that what they import each other by is right.
extensionFormatMap['.mts'] = 'module';
extensionFormatMap['.cts'] = 'commonjs';
const made = { __proto__: null, '.ts': true, '.tsx': true, '.jsx': true };

// 'module', 'commonjs', 'json' or 'wasm'; null: its syntax will tell.
function formatOf(url) {
	const parsed = new URL(url);
	if (made[extname(parsed)] === true) {
		const type = packages.getPackageType(parsed);
		return type === 'none' ? null : type;
	}
	return defaultGetFormat(parsed, { __proto__: null });
}

// ---- resolution ----

let root; // of the release, a URL with a slash at its end
let main; // the URL of the entry

const sources = { __proto__: null, '.js': ['.ts', '.tsx'], '.mjs': ['.mts'], '.cjs': ['.cts'], '.jsx': ['.tsx'] };

// A file has one URL, however its name was written.
function resolveAs(specifier, parentURL) {
	const { url } = defaultResolve(specifier, { __proto__: null, parentURL });
	if (!StringPrototypeIncludes(url, '%') || !StringPrototypeStartsWith(url, 'file:')) return url;
	const { search, hash } = new URL(url);
	return pathToFileURL(fileURLToPath(url)).href + search + hash;
}

// As TypeScript has it, './x.js' is also what x.ts will be.
function resolveSource(specifier, parentURL) {
	try {
		return resolveAs(specifier, parentURL);
	} catch (error) {
		if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url === undefined) throw error;
		const url = new URL(error.url);
		const extension = extname(url);
		const others = sources[extension] ?? [];
		for (let i = 0; i < others.length; i++) {
			const path = StringPrototypeSlice(fileURLToPath(url), 0, -extension.length) + others[i];
			if (native.moduleStat(path) === 0) return pathToFileURL(path).href;
		}
		throw error;
	}
}

function resolve(specifier, parentURL) {
	return tellWhatWasTried(resolveSource, specifier, parentURL || root);
}

// require() says what it looked for, too.
const { _resolveFilename } = Module;
Module._resolveFilename = function (request, parent, isMain, options) {
	return tellWhatWasTried(_resolveFilename, request, parent, isMain, options);
};

// ---- what the engine asks ----

const KIND_FILE = 0;
const KIND_EXPORTS = 1;
const KIND_TEXT = 3;

function checkType(url, format, type) {
	const attributes = { __proto__: null };
	const at = StringPrototypeIndexOf(type, '='); // of one that is not `type`
	if (at >= 0) attributes[StringPrototypeSlice(type, 0, at)] = StringPrototypeSlice(type, at + 1);
	else if (type !== '') attributes.type = type;
	assertions.validateAttributes(url, format, attributes);
}

function loadBuiltin(specifier, exports, type) {
	const url =
		StringPrototypeStartsWith(specifier, 'node:') || StringPrototypeStartsWith(specifier, 'tenantd:')
			? specifier
			: `node:${specifier}`;
	checkType(url, 'builtin', type);
	return [url, undefined, KIND_EXPORTS, exports, undefined, undefined];
}

function refuseScheme(specifier) {
	if (StringPrototypeStartsWith(specifier, 'node:') || StringPrototypeStartsWith(specifier, 'tenantd:'))
		throw new codes.ERR_UNKNOWN_BUILTIN_MODULE(specifier);
	const url = URL.parse(specifier);
	if (url !== null && url.protocol !== 'file:')
		throw new codes.ERR_UNSUPPORTED_ESM_URL_SCHEME(url, ['file', 'node']);
}

function loadFile(url, path, type) {
	let format = formatOf(url);
	let source;
	if (native.moduleState(url) !== 0 && format === null) format = 'module';
	if (format === null) {
		source = native.moduleText(path, url) ?? '';
		format = native.moduleDetect(source, path, url) ? 'module' : 'commonjs';
	}
	checkType(url, format, type);
	switch (format) {
		case 'module':
			return [url, path, KIND_FILE, undefined, undefined, undefined];
		case 'commonjs':
			return makeCommonJS(url, path, source);
		case 'json':
			return makeJSON(url, path);
		case 'wasm':
			return makeWasm(url, path);
		default:
			throw new codes.ERR_UNKNOWN_MODULE_FORMAT(format, url);
	}
}

// [url, path, kind, a, b, object]: isolate/modules.c.
hooks.loadModule = (specifier, referrer, type) => {
	const exports = builtinModule(specifier);
	if (exports !== undefined) return loadBuiltin(specifier, exports, type);
	const text = provided.get(specifier);
	if (text !== undefined) return [specifier, undefined, KIND_TEXT, text, undefined, undefined];
	refuseScheme(specifier);
	const url = resolve(specifier, referrer);
	const built = StringPrototypeStartsWith(url, 'node:') ? builtinModule(url) : undefined;
	if (built !== undefined) return loadBuiltin(url, built, type);
	refuseScheme(url);
	const path = fileURLToPath(url);
	if (type === 'text') return makeText(url, path);
	if (type === 'bytes') return makeBytes(url, path);
	return loadFile(url, path, type);
};

function resolveMeta(specifier, parentURL) {
	let url;
	const name = `${specifier}`;
	if (builtinModule(name) !== undefined)
		return StringPrototypeStartsWith(name, 'node:') || StringPrototypeStartsWith(name, 'tenantd:')
			? name
			: `node:${name}`;
	try {
		url = resolveSource(name, parentURL);
	} catch (error) {
		if (error.code !== 'ERR_UNSUPPORTED_DIR_IMPORT' && error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
		if (typeof error.url !== 'string') throw error;
		url = error.url;
	}
	return url;
}

hooks.initializeMeta = (meta, url) => {
	if (fillMeta(meta, url)) return;
	if (StringPrototypeStartsWith(url, 'file:')) {
		const path = fileURLToPath(url);
		meta.dirname = require('path').dirname(path);
		meta.filename = path;
	}
	meta.main = url === main;
	meta.resolve = function resolve(specifier, parentURL = url) {
		if (arguments.length === 0) throw new codes.ERR_MISSING_ARGS('specifier');
		return resolveMeta(specifier, `${parentURL}`);
	};
	meta.url = url;
};

// ---- the entry ----

function start() {
	const [, , , folder] = native.startInfo();
	root = pathToFileURL(`${folder}/`).href;
	return folder;
}

// In a thread, whose program runPath starts, or provideText gives.
export { start as startModules };

const provided = new SafeMap(); // URL -> text of a module that is in no file
export function provideText(url, text) {
	provided.set(url, text);
}

// Before the fork: what the start of a program runs in here, on one that is not there.
hooks.warmModules = () => {
	const path = '/.warm/main.mjs';
	root = 'file:///.warm/';
	try {
		hooks.loadModule(runPath(path), '', '');
	} catch {
		// it is not there
	}
	main = undefined;
	root = undefined;
};

hooks.runEntry = (entry) => runPath(`${start()}/${entry}`);

// [format, source]: what PATH is, which is `main`; the source where that had to tell.
function formatOfEntry(path) {
	const dot = StringPrototypeLastIndexOf(path, '.');
	const extension = dot <= StringPrototypeLastIndexOf(path, '/') ? '' : StringPrototypeSlice(path, dot);
	let format = extension === '.mjs' ? 'module' : undefined;
	if (format === undefined && native.moduleStat(path) === 0) {
		try {
			format = formatOf(main);
		} catch (error) {
			if (error.code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
			format = 'commonjs';
		}
	}
	if (format !== null) return [format ?? 'module', undefined];
	const source = native.moduleText(path, main) ?? '';
	return [native.moduleDetect(source, path, main) ? 'module' : 'commonjs', source];
}

// Where that is a module, its URL, without running anything.
hooks.findEntry = (entry) => {
	const path = `${start()}/${entry}`;
	main = pathToFileURL(path).href;
	return formatOfEntry(path)[0] === 'module' ? main : undefined;
};

// The URL of the module to import, or what a CommonJS program exports.
export function runPath(path) {
	main = pathToFileURL(path).href;
	const [format, source] = formatOfEntry(path);
	if (format === 'module' || format === 'wasm') return main;
	const options = source === undefined ? undefined : { __proto__: null, source };
	return { __proto__: null, default: Module._load(path, null, true, options) };
}

// ---- node:module ----

Module.register = register;
Module.registerHooks = function registerHooks() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('module.registerHooks()');
};
Module.constants = helpers.constants;
Module.enableCompileCache = helpers.enableCompileCache;
Module.findPackageJSON = packages.findPackageJSON;
Module.flushCompileCache = helpers.flushCompileCache;
Module.getCompileCacheDir = helpers.getCompileCacheDir;
Module.stripTypeScriptTypes = stripTypeScriptTypes;
Module.findSourceMap = findSourceMap;
Module.SourceMap = SourceMap;
Module.getSourceMapsSupport = getSourceMapsSupport;
Module.setSourceMapsSupport = setSourceMapsSupport;
Module._initPaths = function () {};
function refuseAddon(name) {
	const error = new Error(`${name}: native addons cannot be loaded: a tenant runs no machine code of its own`);
	error.code = 'ERR_DLOPEN_DISABLED';
	return error;
}
Module._extensions['.node'] = function (module, filename) {
	throw refuseAddon(filename);
};
process.dlopen = function dlopen(module, filename) {
	throw refuseAddon(filename);
};

// When all of them are registered.
export function finishModules() {
	registerBuiltin('module', () => Module);
	cjs.initializeCJS();
	Module.builtinModules = ObjectFreeze(builtinNames());
}
