// What WebIDL asks of every interface: property attributes, conversions of arguments,
// iterables of pairs.

import {
	ArrayPrototypeJoin,
	ArrayPrototypePush,
	FunctionPrototypeCall,
	IteratorPrototype,
	MathTrunc,
	NumberIsNaN,
	NumberMaxSafeInteger,
	ObjectDefineProperty,
	ObjectGetPrototypeOf,
	ObjectKeys,
	ObjectSetPrototypeOf,
	ReflectApply,
	ReflectGetOwnPropertyDescriptor,
	ReflectOwnKeys,
	SafeSet,
	StringPrototypeIncludes,
	StringPrototypeToWellFormed,
	SymbolFor,
	SymbolIterator,
	SymbolToStringTag,
	TypeError,
} from './primordials.js';

// ---- interfaces ----

function makeEnumerable(object, except) {
	const names = ReflectOwnKeys(object);
	for (let i = 0; i < names.length; i++) {
		const name = names[i];
		if (typeof name !== 'string' || except[name] === true) continue;
		const descriptor = ReflectGetOwnPropertyDescriptor(object, name);
		if (!descriptor.configurable) continue;
		ObjectDefineProperty(object, name, { __proto__: null, enumerable: true });
	}
}

export function defineTag(prototype, tag) {
	ObjectDefineProperty(prototype, SymbolToStringTag, {
		__proto__: null,
		value: tag,
		writable: false,
		enumerable: false,
		configurable: true,
	});
}

const platformPrototypes = new SafeSet();

// Whether VALUE is an instance of an interface, as far as its prototypes tell.
export function isPlatformObject(value) {
	for (let p = ObjectGetPrototypeOf(value); p !== null; p = ObjectGetPrototypeOf(p))
		if (platformPrototypes.has(p)) return true;
	return false;
}

// Gives CLASS what WebIDL asks for: enumerable methods and attributes, the tag, and
// CONSTANTS on the class and its prototype.
export function defineInterface(Class, tag, constants) {
	platformPrototypes.add(Class.prototype);
	// The bundler may have given it another one.
	ObjectDefineProperty(Class, 'name', { __proto__: null, value: tag });
	makeEnumerable(Class.prototype, { __proto__: null, constructor: true });
	makeEnumerable(Class, { __proto__: null, length: true, name: true, prototype: true });
	defineTag(Class.prototype, tag);
	if (constants === undefined) return;
	const names = ObjectKeys(constants);
	for (let i = 0; i < names.length; i++) {
		const descriptor = { __proto__: null, value: constants[names[i]], enumerable: true };
		ObjectDefineProperty(Class, names[i], descriptor);
		ObjectDefineProperty(Class.prototype, names[i], descriptor);
	}
}

// A second name for a method: the same function object.
export function defineAlias(prototype, name, method) {
	ObjectDefineProperty(prototype, name, {
		__proto__: null,
		value: method,
		writable: true,
		enumerable: false,
		configurable: true,
	});
}

export function illegalInvocation() {
	const error = new TypeError('Illegal invocation');
	error.code = 'ERR_INVALID_THIS';
	throw error;
}

// As Node says it, where its programs may look at the message.
export function invalidThis(name) {
	const error = new TypeError(`Value of "this" must be of type ${name}`);
	error.code = 'ERR_INVALID_THIS';
	throw error;
}

export function illegalConstructor() {
	const error = new TypeError('Illegal constructor');
	error.code = 'ERR_ILLEGAL_CONSTRUCTOR';
	throw error;
}

// What constructors that are not for tenants are called with.
export const internalToken = { __proto__: null };

export function requireArguments(given, needed, what) {
	if (given >= needed) return;
	const error = new TypeError(
		`${what}: ${needed} argument${needed === 1 ? '' : 's'} required, but only ${given} present.`,
	);
	error.code = 'ERR_MISSING_ARGS';
	throw error;
}

// ---- conversions ----

export function toUSVString(value) {
	return StringPrototypeToWellFormed(`${value}`);
}

export function isObject(value) {
	return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

// undefined and null are the empty dictionary.
const empty = { __proto__: null };
export function toDictionary(value, what) {
	if (value === undefined || value === null) return empty;
	if (!isObject(value)) {
		const error = new TypeError(`${what}: cannot convert to dictionary.`);
		error.code = 'ERR_INVALID_ARG_TYPE';
		throw error;
	}
	return value;
}

// A member that is there with the value undefined counts as missing.
export function hasDictionaryMember(dictionary, name) {
	return dictionary !== empty && (name in dictionary) && dictionary[name] !== undefined;
}

// [EnforceRange] unsigned long long.
export function toEnforcedUnsignedLongLong(value, what) {
	let number = +value;
	if (NumberIsNaN(number) || number === Infinity || number === -Infinity)
		throw new TypeError(`${what} is not a finite number`);
	number = MathTrunc(number);
	if (number < 0 || number > NumberMaxSafeInteger) {
		const error = new TypeError(`${what} is out of range`);
		error.code = 'ERR_OUT_OF_RANGE';
		throw error;
	}
	return number + 0;
}

// sequence<T>: follows the iteration protocol, which tenants may see. ITERATOR is the
// object's own Symbol.iterator method, which the caller has looked up.
export function toSequence(object, iterator, convert, what) {
	const result = [];
	const it = FunctionPrototypeCall(iterator, object);
	if (!isObject(it)) throw new TypeError(`${what} is not iterable`);
	const { next } = it;
	for (;;) {
		const step = FunctionPrototypeCall(next, it);
		if (!isObject(step)) throw new TypeError(`${what}: iterator result is not an object`);
		if (step.done) return result;
		ArrayPrototypePush(result, convert(step.value));
	}
}

// ---- iterables of pairs: URLSearchParams, Headers, FormData ----

// What util.inspect calls instead of its own formatting: (depth, options, inspect).
export const inspectCustom = SymbolFor('nodejs.util.inspect.custom');

function inspectIterator(name, items, depth, options, inspect) {
	if (typeof depth === 'number' && depth < 0) return options.stylize('[Object]', 'special');
	const inner = { __proto__: null, ...options };
	if (options.depth !== null) inner.depth = depth - 1;
	const texts = [];
	for (let i = 0; i < items.length; i++) texts[i] = inspect(items[i], inner);
	const body = StringPrototypeIncludes(inspect(items, inner), '\n')
		? `\n  ${ArrayPrototypeJoin(texts, ',\n  ')}`
		: ` ${ArrayPrototypeJoin(texts, ', ')}`;
	return `${name} Iterator {${body} }`;
}

// Defines entries, keys, values, forEach and Symbol.iterator on CLASS.
// pairAt(object, index) returns [name, value], or undefined past the end; it checks the
// brand. The lists are live, as WebIDL says.
export function definePairIterable(Class, name, pairAt) {
	class PairIterator {
		#object;
		#kind;
		#index = 0;

		constructor(object, kind) {
			this.#object = object;
			this.#kind = kind;
		}
		next() {
			if (!isObject(this) || !(#object in this)) invalidThis(`${name}Iterator`);
			const pair = this.#object === undefined ? undefined : pairAt(this.#object, this.#index++);
			if (pair === undefined) {
				this.#object = undefined;
				return { value: undefined, done: true };
			}
			const kind = this.#kind;
			return { value: kind === 'entries' ? pair : pair[kind === 'keys' ? 0 : 1], done: false };
		}
		static remaining(iterator) {
			const items = [];
			for (let i = iterator.#index; iterator.#object !== undefined; i++) {
				const pair = pairAt(iterator.#object, i);
				if (pair === undefined) break;
				const kind = iterator.#kind;
				items[items.length] = kind === 'entries' ? pair : pair[kind === 'keys' ? 0 : 1];
			}
			return items;
		}
	}
	const { remaining } = PairIterator;
	delete PairIterator.remaining;
	const { prototype } = PairIterator;
	delete prototype.constructor;
	ObjectSetPrototypeOf(prototype, IteratorPrototype);
	ObjectDefineProperty(prototype, 'next', { __proto__: null, enumerable: true });
	defineTag(prototype, `${name} Iterator`);
	defineAlias(prototype, inspectCustom, function (depth, options, inspect) {
		return inspectIterator(name, remaining(this), depth, options, inspect);
	});
	const make = (object, kind) => new PairIterator(object, kind);
	const methods = {
		entries() {
			pairAt(this, 0);
			return make(this, 'entries');
		},
		keys() {
			pairAt(this, 0);
			return make(this, 'keys');
		},
		values() {
			pairAt(this, 0);
			return make(this, 'values');
		},
		forEach(callback, thisArg = undefined) {
			pairAt(this, 0);
			requireArguments(arguments.length, 1, `${name}.forEach`);
			if (typeof callback !== 'function') {
				const error = new TypeError('The "callback" argument must be of type function');
				error.code = 'ERR_INVALID_ARG_TYPE';
				throw error;
			}
			for (let i = 0; ; i++) {
				const pair = pairAt(this, i);
				if (pair === undefined) return;
				ReflectApply(callback, thisArg, [pair[1], pair[0], this]);
			}
		},
	};
	const names = ObjectKeys(methods);
	for (let i = 0; i < names.length; i++)
		ObjectDefineProperty(Class.prototype, names[i], {
			__proto__: null,
			value: methods[names[i]],
			writable: true,
			enumerable: true,
			configurable: true,
		});
	defineAlias(Class.prototype, SymbolIterator, methods.entries);
}
