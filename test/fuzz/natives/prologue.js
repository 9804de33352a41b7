// Stands before the library in the snapshot of natives_fuzz: every native function, class and
// method is a wrapper, which asks drive.js what to do with the call. The library binds these
// in place of the real ones, so that a call is met where it is really made, in the middle of
// what the library does.
{
	const { native } = globalThis;
	const { apply, construct, defineProperty, getOwnPropertyDescriptor, ownKeys } = Reflect;
	// interfere(index, receiver, arguments, newTarget); undefined: calls go through.
	const fuzz = { __proto__: null, targets: [], interfere: undefined };

	const add = (name, call) => {
		fuzz.targets[fuzz.targets.length] = { __proto__: null, name, call };
		return fuzz.targets.length - 1;
	};

	const wrapFunction = (name, target) => {
		const index = add(name, (receiver, list) => apply(target, receiver, list));
		return {
			__proto__: null,
			[name](...list) {
				return fuzz.interfere === undefined
					? apply(target, this, list)
					: fuzz.interfere(index, this, list, undefined);
			},
		}[name];
	};

	const wrapMembers = (className, prototype) => {
		for (const key of ownKeys(prototype)) {
			const descriptor = getOwnPropertyDescriptor(prototype, key);
			if (key === 'constructor' || typeof key !== 'string') continue;
			const name = `${className}.${key}`;
			if (typeof descriptor.value === 'function') descriptor.value = wrapFunction(name, descriptor.value);
			else if (descriptor.get !== undefined) descriptor.get = wrapFunction(name, descriptor.get);
			defineProperty(prototype, key, descriptor);
		}
	};

	const wrapClass = (name, Class) => {
		wrapMembers(name, Class.prototype);
		const index = add(`new ${name}`, (receiver, list, newTarget) => construct(Class, list, newTarget ?? Class));
		return new Proxy(Class, {
			__proto__: null,
			construct: (target, list, newTarget) =>
				fuzz.interfere === undefined
					? construct(target, list, newTarget)
					: fuzz.interfere(index, undefined, list, newTarget),
		});
	};

	for (const name of ownKeys(native)) {
		const value = native[name];
		if (typeof value !== 'function') continue;
		const isClass = getOwnPropertyDescriptor(value, 'prototype') !== undefined;
		native[name] = isClass ? wrapClass(name, value) : wrapFunction(name, value);
	}
	defineProperty(globalThis, 'fuzz', { __proto__: null, value: fuzz });
}
