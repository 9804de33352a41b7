// Which modules are built in: see index.js.

import { hooks } from '../hooks.js';
import { ArrayPrototypePush, ArrayPrototypeSort, StringPrototypeSlice, StringPrototypeStartsWith } from '../primordials.js';

const builtins = { __proto__: null };
const names = [];

const late = { __proto__: null };

// The exports of all of them that are made already, once, when the library is complete.
export function eachBuiltin(callback) {
	for (let i = 0; i < names.length; i++)
		if (late[names[i]] !== true) callback(builtins[names[i]]());
}

// GET is called each time that a program imports the module. A name that begins with
// 'node:' is one that has no other.
export function registerBuiltin(name, get) {
	if (builtins[name] === undefined) ArrayPrototypePush(names, name);
	builtins[name] = get;
}

// MAKE is called when a program first imports the module, not before: it warns then, or few
// ever want it.
export function registerLateBuiltin(name, make) {
	let exports;
	late[name] = true;
	registerBuiltin(name, () => (exports ??= make()));
}

// The exports of 'node:NAME' or 'NAME', undefined when it is not built in.
export function builtinModule(id) {
	if (typeof id !== 'string') return undefined;
	if (!StringPrototypeStartsWith(id, 'node:')) return builtins[id]?.();
	if (builtins[id] !== undefined) return builtins[id]();
	const name = StringPrototypeSlice(id, 5);
	return StringPrototypeStartsWith(name, 'tenantd:') ? undefined : builtins[name]?.();
}

// Whether exactly this name is registered.
export function isBuiltinName(id) {
	return builtins[id] !== undefined;
}

export function builtinNames() {
	return ArrayPrototypeSort(names.slice());
}

hooks.builtinModule = builtinModule;
