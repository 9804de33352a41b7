// The bundler gives functions of files that it joins another name when two have the same:
// what programs can reach gets its own back.

import {
	FunctionPrototype,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ReflectOwnKeys,
	SafeSet,
	StringPrototypeStartsWith,
} from '../primordials.js';

const seen = new SafeSet();

function rename(value, key) {
	const { name } = value;
	if (typeof name !== 'string' || name === key || !StringPrototypeStartsWith(name, key)) return;
	const added = name.slice(key.length);
	if (!/^\d+$/.test(added)) return;
	ObjectDefineProperty(value, 'name', { __proto__: null, value: key });
}

// Of OBJECT's functions, and of their prototypes.
export function restoreNames(object) {
	if (seen.has(object) || object === FunctionPrototype) return;
	seen.add(object);
	const keys = ReflectOwnKeys(object);
	for (let i = 0; i < keys.length; i++) {
		const key = keys[i];
		const { value } = ObjectGetOwnPropertyDescriptor(object, key);
		if (typeof key !== 'string' || key === 'constructor' || value === null) continue;
		if (typeof value === 'function') rename(value, key);
		if (typeof value === 'function' || (key === 'prototype' && typeof value === 'object'))
			restoreNames(value);
	}
}
