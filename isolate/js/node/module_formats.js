// Modules that are no JavaScript of the language's own kind, as the engine wants them
// (isolate/modules.c): [url, path, kind, names, evaluate, object]. CommonJS as Node's
// internal/modules/esm/translators has it.

import { native } from '../native.js';
import {
	ArrayPrototypePush,
	JSONParse,
	isolate,
	JSONStringify,
	ObjectHasOwn,
	SafeMap,
	SafeSet,
	SafeWeakMap,
	StringPrototypeCharCodeAt,
	StringPrototypeIncludes,
	StringPrototypeSlice,
	StringPrototypeStartsWith,
} from '../primordials.js';
import { internalBinding } from './binding.js';
import { parseExports } from './modules_binding.js';
import { BuiltinModule } from './own/internal/bootstrap/realm.js';
import cjs from './upstream/internal/modules/cjs/loader.js';

const { Module, kModuleExport, kModuleExportNames, kModuleSource, kIsCachedByESMLoader } = cjs;

const KIND_NAMES = 2;
const KIND_TEXT = 3;

function withoutMark(text) {
	return StringPrototypeCharCodeAt(text, 0) === 0xfeff ? StringPrototypeSlice(text, 1) : text;
}

function readText(path) {
	return withoutMark(native.moduleText(path) ?? '');
}

function makeValue(url, value) {
	return [url, undefined, KIND_NAMES, ['default'], () => [value], undefined];
}

// ---- CommonJS ----

function cachedModule(filename) {
	let module = Module._cache[filename];
	if (module !== undefined) return module;
	module = new Module(filename, undefined);
	module.filename = filename;
	module.paths = Module._nodeModulePaths(module.path);
	module[kIsCachedByESMLoader] = true;
	Module._cache[filename] = module;
	return module;
}

// The names that the lexer sees in it, and in what it exports again.
function exportNamesOf(module, filename, source) {
	if (module[kModuleExportNames] !== undefined) return module[kModuleExportNames];
	source = withoutMark(source ?? native.moduleText(filename) ?? '');
	module[kModuleSource] = source;
	let names = new SafeSet();
	let reexports = [];
	try {
		({ 0: names, 1: reexports } = parseExports(source));
	} catch {
		// It is no JavaScript that the lexer knows: running it will say what is wrong.
	}
	module[kModuleExportNames] = names; // first, for cycles
	for (let i = 0; i < reexports.length; i++) addReexports(names, module, reexports[i]);
	return names;
}

function addReexports(names, module, request) {
	let resolved;
	try {
		resolved = Module._resolveFilename(request, module, false);
	} catch {
		return;
	}
	if (BuiltinModule.normalizeRequirableId(resolved) !== undefined) return;
	if (cjs.findLongestRegisteredExtension(resolved) !== '.js') return;
	exportNamesOf(cachedModule(resolved), resolved).forEach((name) => names.add(name));
}

function valueOf(exports, name) {
	try {
		return exports !== null && exports !== undefined && ObjectHasOwn(exports, name) ? exports[name] : undefined;
	} catch {
		return undefined; // a getter that throws
	}
}

export function makeCommonJS(url, filename, source) {
	const module = cachedModule(filename);
	const found = exportNamesOf(module, filename, source);
	const names = ['default', 'module.exports'];
	found.forEach((name) => {
		if (name !== 'default' && name !== 'module.exports') ArrayPrototypePush(names, name);
	});
	const evaluate = () => {
		if (!module.loaded) cjs.wrapModuleLoad(filename, undefined, false, { __proto__: null, shouldSkipModuleHooks: true });
		let { exports } = module;
		if (module[kModuleExport] !== undefined) {
			exports = module[kModuleExport];
			module[kModuleExport] = undefined;
		}
		const values = [exports, exports];
		for (let i = 2; i < names.length; i++) ArrayPrototypePush(values, valueOf(exports, names[i]));
		return values;
	};
	return [url, undefined, KIND_NAMES, names, evaluate, undefined];
}

// ---- JSON, text, bytes ----

// The object is the one that require() gives.
export function makeJSON(url, path) {
	const isShared = !StringPrototypeIncludes(url, '?') && !StringPrototypeIncludes(url, '#');
	const cached = isShared ? Module._cache[path] : undefined;
	if (cached?.loaded) return makeValue(url, cached.exports);
	let value;
	try {
		value = JSONParse(readText(path));
	} catch (error) {
		error.message = `${path}: ${error.message}`;
		throw error;
	}
	if (isShared) Module._cache[path] = { exports: value, loaded: true };
	return makeValue(url, value);
}

export function makeText(url, path) {
	return makeValue(url, readText(path));
}

export function makeBytes(url, path) {
	return makeValue(url, native.moduleBytes(path));
}

// ---- WebAssembly: https://webassembly.github.io/esm-integration ----

const pending = new SafeMap(); // by URL: what import.meta of the text below gets
const instances = new SafeWeakMap(); // by namespace

function refuseName(url, kind, name) {
	throw new WebAssembly.LinkError(`Invalid Wasm ${kind} "${name}" in ${url}`);
}

function isReserved(name) {
	return StringPrototypeStartsWith(name, 'wasm:') || StringPrototypeStartsWith(name, 'wasm-js:');
}

function compile(url, path) {
	try {
		return new WebAssembly.Module(native.moduleBytes(path), {
			builtins: ['js-string'],
			importedStringConstants: 'wasm:js/string-constants',
		});
	} catch (error) {
		error.message = `${path}: ${error.message}`;
		throw error;
	}
}

function textOf(modules, names) {
	let text = '';
	for (let i = 0; i < modules.length; i++)
		text += `import * as i${i} from ${JSONStringify(modules[i])};\n`;
	for (let i = 0; i < names.length; i++) text += `let e${i};\nexport { e${i} as ${JSONStringify(names[i])} };\n`;
	text += `const m = import.meta;\nconst v = m.run([`;
	for (let i = 0; i < modules.length; i++) text += `i${i},`;
	text += ']);\n';
	for (let i = 0; i < names.length; i++) text += `if (v[${i}] !== m.unset) e${i} = v[${i}];\n`;
	return text;
}

class WasmModule {
	constructor(compiled, modules, names, globals) {
		this.compiled = compiled;
		this.modules = modules;
		this.names = names;
		this.globals = globals;
	}
	// A global of another module of this kind is handed over as it is, not as its value.
	importObject(namespaces) {
		const imports = { __proto__: null };
		for (let i = 0; i < namespaces.length; i++) {
			const instance = instances.get(namespaces[i]);
			imports[this.modules[i]] = instance === undefined ? namespaces[i] : { __proto__: null, ...namespaces[i], ...globalsOf(instance) };
		}
		return imports;
	}
	run(namespaces) {
		const { exports } = new WebAssembly.Instance(this.compiled, this.importObject(namespaces));
		this.exports = exports;
		const values = [];
		for (let i = 0; i < this.names.length; i++) {
			const value = exports[this.names[i]];
			ArrayPrototypePush(values, this.globals.has(this.names[i]) ? globalValue(value) : value);
		}
		return values;
	}
}
isolate(WasmModule);

const unset = Symbol('unset');

function globalValue(global) {
	try {
		return global.value;
	} catch {
		return unset; // v128
	}
}

function globalsOf({ exports, globals }) {
	const result = { __proto__: null };
	globals.forEach((name) => {
		result[name] = exports[name];
	});
	return result;
}

export function makeWasm(url, path) {
	if (native.moduleState(url) !== 0) return [url, undefined, KIND_TEXT, '', undefined, undefined];
	const compiled = compile(url, path);
	const modules = new SafeSet();
	const names = [];
	const globals = new SafeSet();
	const imports = WebAssembly.Module.imports(compiled);
	for (let i = 0; i < imports.length; i++) {
		if (StringPrototypeStartsWith(imports[i].module, 'wasm-js:')) refuseName(url, 'import', imports[i].module);
		if (isReserved(imports[i].name)) refuseName(url, 'import name', imports[i].name);
		modules.add(imports[i].module);
	}
	const exports = WebAssembly.Module.exports(compiled);
	for (let i = 0; i < exports.length; i++) {
		if (isReserved(exports[i].name)) refuseName(url, 'export name', exports[i].name);
		if (exports[i].kind === 'global') globals.add(exports[i].name);
		ArrayPrototypePush(names, exports[i].name);
	}
	const list = [];
	modules.forEach((name) => ArrayPrototypePush(list, name));
	pending.set(url, new WasmModule(compiled, list, names, globals));
	return [url, undefined, KIND_TEXT, textOf(list, names), undefined, compiled];
}

// Whether URL is a module of the text above, whose META this is.
export function fillMeta(meta, url) {
	const module = pending.get(url);
	if (module === undefined) return false;
	pending.delete(url);
	meta.unset = unset;
	meta.run = (namespaces) => module.run(namespaces);
	return true;
}
