// Which modules are built in: see index.js.

import { hooks } from '../hooks.js';
import { ArrayPrototypePush, ArrayPrototypeSort, StringPrototypeSlice, StringPrototypeStartsWith } from '../primordials.js';

const builtins = { __proto__: null };
const names = [];

// The exports of all of them, once, when the library is complete.
export function eachBuiltin(callback) {
	for (let i = 0; i < names.length; i++) callback(builtins[names[i]]());
}

// GET is called each time that a program imports the module.
export function registerBuiltin(name, get) {
	if (builtins[name] === undefined) ArrayPrototypePush(names, name);
	builtins[name] = get;
}

// The exports of 'node:NAME' or 'NAME', undefined when it is not built in.
export function builtinModule(id) {
	if (typeof id !== 'string') return undefined;
	if (!StringPrototypeStartsWith(id, 'node:')) return builtins[id]?.();
	const name = StringPrototypeSlice(id, 5);
	return StringPrototypeStartsWith(name, 'tenantd:') ? undefined : builtins[name]?.();
}

export function builtinNames() {
	return ArrayPrototypeSort(names.slice());
}

hooks.builtinModule = builtinModule;
