// What an object is called: constructors, tags, keys, functions and classes.
//
// Adapted from lib/internal/util/inspect.js of Node.js 24, so that console prints what
// Node prints. Copyright Node.js contributors; MIT license, see LICENSE.node beside this.

import {
	AggregateError,
	AggregateErrorPrototype,
	Array,
	ArrayBuffer,
	ArrayBufferPrototype,
	ArrayIsArray,
	ArrayPrototype,
	ArrayPrototypeFilter,
	ArrayPrototypeForEach,
	ArrayPrototypePop,
	ArrayPrototypePush,
	ArrayPrototypePushApply,
	ArrayPrototypeSplice,
	BigIntPrototypeValueOf,
	Boolean,
	BooleanPrototype,
	BooleanPrototypeValueOf,
	DataView,
	DataViewPrototype,
	Date,
	DatePrototype,
	Error,
	ErrorPrototype,
	Function,
	FunctionPrototype,
	FunctionPrototypeSymbolHasInstance,
	FunctionPrototypeToString,
	Map,
	MapPrototype,
	Number,
	NumberPrototype,
	NumberPrototypeValueOf,
	Object,
	ObjectGetOwnPropertyDescriptor,
	ObjectGetOwnPropertyNames,
	ObjectGetOwnPropertySymbols,
	ObjectGetPrototypeOf,
	ObjectKeys,
	ObjectPrototype,
	ObjectPrototypeHasOwnProperty,
	ObjectPrototypePropertyIsEnumerable,
	Promise,
	PromisePrototype,
	RangeError,
	RangeErrorPrototype,
	ReflectOwnKeys,
	RegExp,
	RegExpPrototype,
	RegExpPrototypeExec,
	RegExpPrototypeSymbolReplace,
	SafeMap,
	SafeSet,
	Set,
	SetPrototype,
	String,
	StringPrototype,
	StringPrototypeIncludes,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeStartsWith,
	StringPrototypeToLowerCase,
	StringPrototypeValueOf,
	SymbolPrototypeValueOf,
	TypeError,
	TypeErrorPrototype,
	TypedArray,
	TypedArrayPrototype,
	WeakMap,
	WeakMapPrototype,
	WeakSet,
	WeakSetPrototype,
	hardenRegExp,
} from '../primordials.js';
import { native } from '../native.js';
import { kObjectType, stylizeNoColor } from './options.js';
import { formatPrimitive } from './strings.js';
import { formatProperty, formatValue, inspect } from './value.js';

const { kind } = native;

// The global constructors of the language itself: this runs before any other is defined.
export const builtInObjects = new SafeSet();
const globalNames = ObjectGetOwnPropertyNames(globalThis);
for (let i = 0; i < globalNames.length; i++)
	if (RegExpPrototypeExec(/^[A-Z][a-zA-Z0-9]+$/, globalNames[i]) !== null)
		builtInObjects.add(globalNames[i]);

const functionKinds = {
	__proto__: null,
	AsyncFunction: 'AsyncFunction',
	AsyncGeneratorFunction: 'AsyncGeneratorFunction',
	GeneratorFunction: 'GeneratorFunction',
};

const classRegExp = /^(\s+[^(]*?)\s*{/;
const stripCommentsRegExp = hardenRegExp(/(\/\/.*?\n)|(\/\*(.|\n)*?\*\/)/g);

function isInstanceof(object, proto) {
	try {
		return object instanceof proto;
	} catch {
		return false;
	}
}

// Special-case for some builtin prototypes in case their `constructor` property has been tampered.
const wellKnownPrototypes = new SafeMap()
	.set(ArrayPrototype, { name: 'Array', constructor: Array })
	.set(ArrayBufferPrototype, { name: 'ArrayBuffer', constructor: ArrayBuffer })
	.set(FunctionPrototype, { name: 'Function', constructor: Function })
	.set(MapPrototype, { name: 'Map', constructor: Map })
	.set(SetPrototype, { name: 'Set', constructor: Set })
	.set(ObjectPrototype, { name: 'Object', constructor: Object })
	.set(TypedArrayPrototype, { name: 'TypedArray', constructor: TypedArray })
	.set(RegExpPrototype, { name: 'RegExp', constructor: RegExp })
	.set(DatePrototype, { name: 'Date', constructor: Date })
	.set(DataViewPrototype, { name: 'DataView', constructor: DataView })

	.set(ErrorPrototype, { name: 'Error', constructor: Error })
	.set(AggregateErrorPrototype, { name: 'AggregateError', constructor: AggregateError })
	.set(RangeErrorPrototype, { name: 'RangeError', constructor: RangeError })
	.set(TypeErrorPrototype, { name: 'TypeError', constructor: TypeError })

	.set(BooleanPrototype, { name: 'Boolean', constructor: Boolean })
	.set(NumberPrototype, { name: 'Number', constructor: Number })
	.set(StringPrototype, { name: 'String', constructor: String })
	.set(PromisePrototype, { name: 'Promise', constructor: Promise })
	.set(WeakMapPrototype, { name: 'WeakMap', constructor: WeakMap })
	.set(WeakSetPrototype, { name: 'WeakSet', constructor: WeakSet });

export function getConstructorName(obj, ctx, recurseTimes, protoProps) {
	let firstProto;
	const tmp = obj;
	while (obj) {
		const wellKnownPrototypeNameAndConstructor = wellKnownPrototypes.get(obj);
		if (wellKnownPrototypeNameAndConstructor !== undefined) {
			const { name, constructor } = wellKnownPrototypeNameAndConstructor;
			if (FunctionPrototypeSymbolHasInstance(constructor, tmp)) {
				if (protoProps !== undefined && firstProto !== obj) {
					addPrototypeProperties(
						ctx, tmp, firstProto || tmp, recurseTimes, protoProps);
				}
				return name;
			}
		}
		const descriptor = ObjectGetOwnPropertyDescriptor(obj, 'constructor');
		if (descriptor !== undefined &&
				typeof descriptor.value === 'function' &&
				descriptor.value.name !== '' &&
				isInstanceof(tmp, descriptor.value)) {
			if (protoProps !== undefined &&
				 (firstProto !== obj ||
				 !builtInObjects.has(descriptor.value.name))) {
				addPrototypeProperties(
					ctx, tmp, firstProto || tmp, recurseTimes, protoProps);
			}
			return String(descriptor.value.name);
		}

		obj = ObjectGetPrototypeOf(obj);
		if (firstProto === undefined) {
			firstProto = obj;
		}
	}

	if (firstProto === null) {
		return null;
	}

	const res = (kind(tmp) || 'Object');

	if (recurseTimes > ctx.depth && ctx.depth !== null) {
		return `${res} <Complex prototype>`;
	}

	const protoConstr = getConstructorName(
		firstProto, ctx, recurseTimes + 1, protoProps);

	if (protoConstr === null) {
		return `${res} <${inspect(firstProto, {
			__proto__: null,
			...ctx,
			customInspect: false,
			depth: -1,
		})}>`;
	}

	return `${res} <${protoConstr}>`;
}

// This function has the side effect of adding prototype properties to the
// `output` argument (which is an array). This is intended to highlight user
// defined prototype properties.
function addPrototypeProperties(ctx, main, obj, recurseTimes, output) {
	let depth = 0;
	let keys;
	let keySet;
	do {
		if (depth !== 0 || main === obj) {
			obj = ObjectGetPrototypeOf(obj);
			// Stop as soon as a null prototype is encountered.
			if (obj === null) {
				return;
			}
			// Stop as soon as a built-in object type is detected.
			const descriptor = ObjectGetOwnPropertyDescriptor(obj, 'constructor');
			if (descriptor !== undefined &&
					typeof descriptor.value === 'function' &&
					builtInObjects.has(descriptor.value.name)) {
				return;
			}
		}

		if (depth === 0) {
			keySet = new SafeSet();
		} else {
			ArrayPrototypeForEach(keys, (key) => keySet.add(key));
		}
		// Get all own property names and symbols.
		keys = ReflectOwnKeys(obj);
		ArrayPrototypePush(ctx.seen, main);
		for (let i = 0; i < keys.length; i++) {
			const key = keys[i];
			// Ignore the `constructor` property and keys that exist on layers above.
			if (key === 'constructor' ||
					ObjectPrototypeHasOwnProperty(main, key) ||
					(depth !== 0 && keySet.has(key))) {
				continue;
			}
			const desc = ObjectGetOwnPropertyDescriptor(obj, key);
			if (typeof desc.value === 'function') {
				continue;
			}
			const value = formatProperty(
				ctx, obj, recurseTimes, key, kObjectType, desc, main);
			if (ctx.colors) {
				// Faint!
				ArrayPrototypePush(output, `\u001b[2m${value}\u001b[22m`);
			} else {
				ArrayPrototypePush(output, value);
			}
		}
		ArrayPrototypePop(ctx.seen);
	// Limit the inspection to up to three prototype layers. Using `recurseTimes`
	// is not a good choice here, because it's as if the properties are declared
	// on the current object from the users perspective.
	} while (++depth !== 3);
}

/** @type {(constructor: string, tag: string, fallback: string, size?: string) => string} */
export function getPrefix(constructor, tag, fallback, size = '') {
	if (constructor === null) {
		if (tag !== '' && fallback !== tag) {
			return `[${fallback}${size}: null prototype] [${tag}] `;
		}
		return `[${fallback}${size}: null prototype] `;
	}

	let result = `${constructor}${size} `;
	if (tag !== '') {
		const position = StringPrototypeIndexOf(constructor, tag);
		if (position === -1) {
			result += `[${tag}] `;
		} else {
			const endPos = position + tag.length;
			if (endPos !== constructor.length &&
				constructor[endPos] === StringPrototypeToLowerCase(constructor[endPos])) {
				result += `[${tag}] `;
			}
		}
	}
	return result;
}

// Look up the keys of the object.
export function getKeys(value, showHidden) {
	let keys;
	const symbols = ObjectGetOwnPropertySymbols(value);
	if (showHidden) {
		keys = ObjectGetOwnPropertyNames(value);
		if (symbols.length !== 0)
			ArrayPrototypePushApply(keys, symbols);
	} else {
		// Throws for the namespace of a module that has not been evaluated.
		try {
			keys = ObjectKeys(value);
		} catch {
			keys = ObjectGetOwnPropertyNames(value);
		}
		if (symbols.length !== 0) {
			const filter = (key) => ObjectPrototypePropertyIsEnumerable(value, key);
			ArrayPrototypePushApply(keys, ArrayPrototypeFilter(symbols, filter));
		}
	}
	return keys;
}

export function getCtxStyle(value, constructor, tag) {
	let fallback = '';
	if (constructor === null) {
		fallback = (kind(value) || 'Object');
		if (fallback === tag) {
			fallback = 'Object';
		}
	}
	return getPrefix(constructor, tag, fallback);
}

export function getIteratorBraces(type, tag) {
	if (tag !== `${type} Iterator`) {
		if (tag !== '')
			tag += '] [';
		tag += `${type} Iterator`;
	}
	return [`[${tag}] {`, '}'];
}

export function getBoxedBase(value, type, ctx, keys, constructor, tag) {
	let fn = SymbolPrototypeValueOf;
	if (type === 'Number') fn = NumberPrototypeValueOf;
	else if (type === 'Boolean') fn = BooleanPrototypeValueOf;
	else if (type === 'BigInt') fn = BigIntPrototypeValueOf;
	else if (type === 'String') {
		fn = StringPrototypeValueOf;
		// The indexed entries of boxed strings only repeat it.
		ArrayPrototypeSplice(keys, 0, value.length);
	}
	let base = `[${type}`;
	if (type !== constructor) {
		if (constructor === null) {
			base += ' (null prototype)';
		} else {
			base += ` (${constructor})`;
		}
	}
	base += `: ${formatPrimitive(stylizeNoColor, fn(value), ctx)}]`;
	if (tag !== '' && tag !== constructor) {
		base += ` [${tag}]`;
	}
	if (keys.length !== 0 || ctx.stylize === stylizeNoColor)
		return base;
	return ctx.stylize(base, StringPrototypeToLowerCase(type));
}

function getClassBase(value, constructor, tag) {
	const hasName = ObjectPrototypeHasOwnProperty(value, 'name');
	const name = (hasName && value.name) || '(anonymous)';
	let base = `class ${name}`;
	if (constructor !== 'Function' && constructor !== null) {
		base += ` [${constructor}]`;
	}
	if (tag !== '' && constructor !== tag) {
		base += ` [${tag}]`;
	}
	if (constructor !== null) {
		const superName = ObjectGetPrototypeOf(value).name;
		if (superName) {
			base += ` extends ${superName}`;
		}
	} else {
		base += ' extends [null prototype]';
	}
	return `[${base}]`;
}

export function getFunctionBase(ctx, value, constructor, tag) {
	const stringified = FunctionPrototypeToString(value);
	if (StringPrototypeStartsWith(stringified, 'class') && stringified[stringified.length - 1] === '}') {
		const slice = StringPrototypeSlice(stringified, 5, -1);
		const bracketIndex = StringPrototypeIndexOf(slice, '{');
		if (bracketIndex !== -1 &&
				(!StringPrototypeIncludes(StringPrototypeSlice(slice, 0, bracketIndex), '(') ||
				// Slow path to guarantee that it's indeed a class.
				RegExpPrototypeExec(classRegExp, RegExpPrototypeSymbolReplace(stripCommentsRegExp, slice)) !== null)
		) {
			return getClassBase(value, constructor, tag);
		}
	}
	const type = functionKinds[kind(value)] ?? 'Function';
	let base = `[${type}`;
	if (constructor === null) {
		base += ' (null prototype)';
	}
	if (value.name === '') {
		base += ' (anonymous)';
	} else {
		base += `: ${typeof value.name === 'string' ? value.name : formatValue(ctx, value.name)}`;
	}
	base += ']';
	if (constructor !== type && constructor !== null) {
		base += ` ${constructor}`;
	}
	if (tag !== '' && constructor !== tag) {
		base += ` [${tag}]`;
	}
	return base;
}

// Own keys that are not array indices. Enumerating those of a huge array costs more than
// it can tell: then there are none.
export function getOwnNonIndexProperties(value, showHidden) {
	const symbols = ObjectGetOwnPropertySymbols(value);
	const result = [];
	if (value.length <= 65536) {
		const names = showHidden ? ObjectGetOwnPropertyNames(value) : ObjectKeys(value);
		// Indices come first, in ascending order.
		let first = names.length;
		while (first > 0 && !isIndex(names[first - 1])) first--;
		for (let i = first; i < names.length; i++) ArrayPrototypePush(result, names[i]);
	} else if (showHidden && ArrayIsArray(value)) {
		ArrayPrototypePush(result, 'length');
	}
	for (let i = 0; i < symbols.length; i++)
		if (showHidden || ObjectPrototypePropertyIsEnumerable(value, symbols[i]))
			ArrayPrototypePush(result, symbols[i]);
	return result;
}

function isIndex(name) {
	return RegExpPrototypeExec(/^(?:0|[1-9][0-9]{0,9})$/, name) !== null && +name < 2 ** 32 - 1;
}
