// Errors that end a thread, on their way to its parent: Node's file of that name, on messages
// instead of bytes.

import {
	ErrorPrototype,
	Error,
	EvalError,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectGetPrototypeOf,
	RangeError,
	ReferenceError,
	ReflectOwnKeys,
	SafeSet,
	SymbolFor,
	SyntaxError,
	TypeError,
	URIError,
} from '../../../primordials.js';
import { isDOMException } from '../../../errors.js';
import { inspect } from '../../../inspect.js';
import { serialize } from '../../../messaging/serialize.js';

const customInspect = SymbolFor('nodejs.util.inspect.custom');
const constructors = { __proto__: null, Error, TypeError, RangeError, URIError, SyntaxError, ReferenceError, EvalError };

function isClonable(value) {
	try {
		serialize(value, [], undefined);
		return true;
	} catch {
		return false;
	}
}

function collect(object, target, properties, seen) {
	if (object === null || object === ErrorPrototype) return;
	collect(ObjectGetPrototypeOf(object), target, properties, seen);
	const keys = ReflectOwnKeys(object);
	for (let i = 0; i < keys.length; i++) {
		const key = keys[i];
		if (typeof key !== 'string' || key === '__proto__' || key === 'constructor') continue;
		let value;
		let enumerable;
		try {
			const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
			enumerable = descriptor.enumerable;
			value = descriptor.get ? FunctionPrototypeCall(descriptor.get, target) : descriptor.value;
		} catch {
			continue;
		}
		if (key === 'cause') value = serializeError(value, seen);
		else if (typeof value === 'function' || typeof value === 'symbol' || !isClonable(value)) continue;
		properties[key] = [value, enumerable];
	}
}

function nameOf(error) {
	for (let p = error; p !== null; p = ObjectGetPrototypeOf(p)) {
		const name = ObjectGetOwnPropertyDescriptor(p, 'constructor')?.value?.name;
		if (constructors[name] !== undefined) return name;
	}
	return 'Error';
}

// A value that can be sent.
export function serializeError(error, seen = new SafeSet()) {
	if (typeof error === 'symbol') return { kind: 'symbol', value: error.description };
	if (Error.isError(error) && !isDOMException(error)) {
		if (seen.has(error)) return { kind: 'circular' };
		seen.add(error);
		const properties = { __proto__: null };
		collect(error, error, properties, seen);
		return { kind: 'error', name: nameOf(error), properties };
	}
	if (error !== null && typeof error === 'object' && customInspect in error)
		return { kind: 'custom', value: inspect(error) };
	if (isClonable(error)) return { kind: 'value', value: error };
	return { kind: 'text', value: inspect(error) };
}

export function deserializeError(from) {
	switch (from.kind) {
		case 'error': {
			const error = new constructors[from.name]();
			delete error.stack;
			const keys = ReflectOwnKeys(from.properties);
			for (let i = 0; i < keys.length; i++) {
				const [value, enumerable] = from.properties[keys[i]];
				ObjectDefineProperty(error, keys[i], {
					__proto__: null,
					value: keys[i] === 'cause' ? deserializeError(value) : value,
					writable: true,
					enumerable,
					configurable: true,
				});
			}
			return error;
		}
		case 'symbol':
			return SymbolFor(from.value);
		case 'custom':
			return { __proto__: null, [customInspect]: () => from.value };
		case 'circular':
			return { __proto__: null, [customInspect]: () => '[Circular object]' };
		default:
			return from.value;
	}
}
