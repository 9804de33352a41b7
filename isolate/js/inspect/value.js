// Any value: inspect itself.
//
// Adapted from lib/internal/util/inspect.js of Node.js 24, so that console prints what
// Node prints. Copyright Node.js contributors; MIT license, see LICENSE.node beside this.

import {
	ArrayIsArray,
	ArrayPrototypeIncludes,
	ArrayPrototypeJoin,
	ArrayPrototypePop,
	ArrayPrototypePush,
	ArrayPrototypePushApply,
	ArrayPrototypeSlice,
	ArrayPrototypeSort,
	ArrayPrototypeSplice,
	ArrayPrototypeUnshift,
	BigInt64Array,
	BigUint64Array,
	DatePrototypeGetTime,
	DatePrototypeToISOString,
	DatePrototypeToString,
	Float16Array,
	Float32Array,
	Float64Array,
	FunctionPrototypeBind,
	FunctionPrototypeCall,
	FunctionPrototypeSymbolHasInstance,
	Int16Array,
	Int32Array,
	Int8Array,
	MapPrototypeGetSize,
	NumberIsNaN,
	Object,
	ObjectAssign,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectKeys,
	ObjectPrototypeHasOwnProperty,
	ObjectPrototypePropertyIsEnumerable,
	ReflectApply,
	RegExp,
	RegExpPrototypeExec,
	RegExpPrototypeSymbolReplace,
	RegExpPrototypeToString,
	SafeMap,
	SetPrototypeGetSize,
	StringPrototypeIncludes,
	StringPrototypeRepeat,
	StringPrototypeReplaceAll,
	StringPrototypeSlice,
	SymbolFor,
	SymbolIterator,
	SymbolPrototypeToString,
	SymbolToStringTag,
	TypedArrayPrototypeGetLength,
	TypedArrayPrototypeGetSymbolToStringTag,
	Uint16Array,
	Uint32Array,
	Uint8Array,
	Uint8ClampedArray,
} from '../primordials.js';
import { typedArrayName } from '../bytes.js';
import { native } from '../native.js';
import { isURL } from '../url.js';
import {
	formatArray,
	formatArrayBuffer,
	formatIterator,
	formatMap,
	formatNamespaceObject,
	formatPromise,
	formatSet,
	formatTypedArray,
	formatWeakCollection,
	formatWeakMap,
	formatWeakSet,
	groupArrayElements,
} from './collections.js';
import { formatError, isError } from './errors.js';
import {
	getBoxedBase,
	getConstructorName,
	getCtxStyle,
	getFunctionBase,
	getIteratorBraces,
	getKeys,
	getOwnNonIndexProperties,
	getPrefix,
} from './names.js';
import {
	colors,
	getUserOptions,
	inspectDefaultOptions,
	kArrayExtrasType,
	kArrayType,
	kObjectType,
	styles,
	stylizeNoColor,
	stylizeWithColor,
} from './options.js';
import {
	escapeFn,
	formatNumber,
	formatPrimitive,
	getStringWidth,
	keyStrRegExp,
	strEscape,
	strEscapeSequencesReplacer,
	stripVTControlCharacters,
} from './strings.js';

const { kind, preview } = native;

export function inspect(value, opts) {
	// Default options
	const ctx = {
		budget: {},
		indentationLvl: 0,
		seen: [],
		currentDepth: 0,
		stylize: stylizeNoColor,
		showHidden: inspectDefaultOptions.showHidden,
		depth: inspectDefaultOptions.depth,
		colors: inspectDefaultOptions.colors,
		customInspect: inspectDefaultOptions.customInspect,
		showProxy: inspectDefaultOptions.showProxy,
		maxArrayLength: inspectDefaultOptions.maxArrayLength,
		maxStringLength: inspectDefaultOptions.maxStringLength,
		breakLength: inspectDefaultOptions.breakLength,
		compact: inspectDefaultOptions.compact,
		sorted: inspectDefaultOptions.sorted,
		getters: inspectDefaultOptions.getters,
		numericSeparator: inspectDefaultOptions.numericSeparator,
	};
	if (arguments.length > 1) {
		// Legacy...
		if (arguments.length > 2) {
			if (arguments[2] !== undefined) {
				ctx.depth = arguments[2];
			}
			if (arguments.length > 3 && arguments[3] !== undefined) {
				ctx.colors = arguments[3];
			}
		}
		// Set user-specified options
		if (typeof opts === 'boolean') {
			ctx.showHidden = opts;
		} else if (opts) {
			const optKeys = ObjectKeys(opts);
			for (let i = 0; i < optKeys.length; ++i) {
				const key = optKeys[i];
				if (
					ObjectPrototypeHasOwnProperty(inspectDefaultOptions, key) ||
					key === 'stylize') {
					ctx[key] = opts[key];
				} else if (ctx.userOptions === undefined) {
					// This is required to pass through the actual user input.
					ctx.userOptions = opts;
				}
			}
		}
	}
	if (ctx.colors) ctx.stylize = stylizeWithColor;
	if (ctx.maxArrayLength === null) ctx.maxArrayLength = Infinity;
	if (ctx.maxStringLength === null) ctx.maxStringLength = Infinity;
	return formatValue(ctx, value, 0);
}

// Return a new empty array to push in the results of the default formatter.
function getEmptyFormatArray() {
	return [];
}

function formatProxy(ctx, proxy, recurseTimes) {
	if (recurseTimes > ctx.depth && ctx.depth !== null) {
		return ctx.stylize('Proxy [Array]', 'special');
	}
	recurseTimes += 1;
	ctx.indentationLvl += 2;
	const res = [
		formatValue(ctx, proxy[0], recurseTimes),
		formatValue(ctx, proxy[1], recurseTimes),
	];
	ctx.indentationLvl -= 2;
	return reduceToSingleString(
		ctx, res, '', ['Proxy [', ']'], kArrayExtrasType, recurseTimes);
}

// Note: using `formatValue` directly requires the indentation level to be
// corrected by setting `ctx.indentationLvL += diff` and then to decrease the
// value afterwards again.
export function formatValue(ctx, value, recurseTimes, typedArray) {
	// Primitive types cannot have properties.
	if (typeof value !== 'object' &&
			typeof value !== 'function') {
		return formatPrimitive(ctx.stylize, value, ctx);
	}
	if (value === null) {
		return ctx.stylize('null', 'null');
	}

	// Memorize the context for custom inspection on proxies.
	const context = value;
	// Always check for proxies to prevent side effects and to prevent triggering
	// any proxy handlers.
	const type = kind(value);
	const proxy = type === 'Proxy' ? getProxyDetails(value, !!ctx.showProxy) : undefined;
	if (proxy !== undefined) {
		if (proxy === null || proxy[0] === null) {
			return ctx.stylize('<Revoked Proxy>', 'special');
		}
		if (ctx.showProxy) {
			return formatProxy(ctx, proxy, recurseTimes);
		}
		value = proxy;
	}

	// Provide a hook for user-specified inspect functions.
	// Check that value is an object with an inspect function on it.
	if (ctx.customInspect) {
		const maybeCustom = value[customInspectSymbol];
		if (typeof maybeCustom === 'function' &&
				// Filter out the util module, its inspect function is special.
				maybeCustom !== inspect &&
				// Also filter out any prototype objects using the circular check.
				ObjectGetOwnPropertyDescriptor(value, 'constructor')?.value?.prototype !== value) {
			// This makes sure the recurseTimes are reported as before while using
			// a counter internally.
			const depth = ctx.depth === null ? null : ctx.depth - recurseTimes;
			const isCrossContext =
				proxy !== undefined || !FunctionPrototypeSymbolHasInstance(Object, context);
			const ret = FunctionPrototypeCall(
				maybeCustom,
				context,
				depth,
				getUserOptions(ctx, isCrossContext),
				inspect,
			);
			// If the custom inspection method returned `this`, don't go into
			// infinite recursion.
			if (ret !== context) {
				if (typeof ret !== 'string') {
					return formatValue(ctx, ret, recurseTimes);
				}
				return StringPrototypeReplaceAll(ret, '\n', `\n${StringPrototypeRepeat(' ', ctx.indentationLvl)}`);
			}
		}
	}

	// Using an array here is actually better for the average case than using
	// a Set. `seen` will only check for the depth and will never grow too large.
	if (ArrayPrototypeIncludes(ctx.seen, value)) {
		let index = 1;
		if (ctx.circular === undefined) {
			ctx.circular = new SafeMap();
			ctx.circular.set(value, index);
		} else {
			index = ctx.circular.get(value);
			if (index === undefined) {
				index = ctx.circular.size + 1;
				ctx.circular.set(value, index);
			}
		}
		return ctx.stylize(`[Circular *${index}]`, 'special');
	}

	return formatRaw(ctx, value, recurseTimes, typedArray);
}

function formatRaw(ctx, value, recurseTimes, typedArray) {
	const type = kind(value);
	let keys;
	let protoProps;
	if (ctx.showHidden && (recurseTimes <= ctx.depth || ctx.depth === null)) {
		protoProps = [];
	}

	const constructor = getConstructorName(value, ctx, recurseTimes, protoProps);
	// Reset the variable to check for this later on.
	if (protoProps !== undefined && protoProps.length === 0) {
		protoProps = undefined;
	}

	let tag = '';

	try {
		tag = value[SymbolToStringTag];
	} catch {
		// Ignore error.
	}

	// Only list the tag in case it's non-enumerable / not an own property.
	// Otherwise we'd print this twice.
	if (typeof tag !== 'string' ||
			(tag !== '' &&
			(ctx.showHidden ?
				ObjectPrototypeHasOwnProperty :
				ObjectPrototypePropertyIsEnumerable)(
				value, SymbolToStringTag,
			))) {
		tag = '';
	}
	let base = '';
	let formatter = getEmptyFormatArray;
	let braces;
	let noIterator = true;
	let i = 0;

	let extrasType = kObjectType;
	let extraKeys;

	// Iterators and the rest are split to reduce checks.
	// We have to check all values in case the constructor is set to null.
	// Otherwise it would not possible to identify all types properly.
	if (SymbolIterator in value || constructor === null) {
		noIterator = false;
		if (ArrayIsArray(value)) {
			// Only set the constructor for non ordinary ("Array [...]") arrays.
			const prefix = (constructor !== 'Array' || tag !== '') ?
				getPrefix(constructor, tag, 'Array', `(${value.length})`) :
				'';
			keys = getOwnNonIndexProperties(value, ctx.showHidden);
			braces = [`${prefix}[`, ']'];
			if (value.length === 0 && keys.length === 0 && protoProps === undefined)
				return `${braces[0]}]`;
			extrasType = kArrayExtrasType;
			formatter = formatArray;
		} else if (type === 'Set') {
			const size = SetPrototypeGetSize(value);
			const prefix = getPrefix(constructor, tag, 'Set', `(${size})`);
			keys = getKeys(value, ctx.showHidden);
			formatter = FunctionPrototypeBind(formatSet, null, value);
			if (size === 0 && keys.length === 0 && protoProps === undefined)
				return `${prefix}{}`;
			braces = [`${prefix}{`, '}'];
		} else if (type === 'Map') {
			const size = MapPrototypeGetSize(value);
			const prefix = getPrefix(constructor, tag, 'Map', `(${size})`);
			keys = getKeys(value, ctx.showHidden);
			formatter = FunctionPrototypeBind(formatMap, null, value);
			if (size === 0 && keys.length === 0 && protoProps === undefined)
				return `${prefix}{}`;
			braces = [`${prefix}{`, '}'];
		} else if (typedArrayName(value) !== undefined) {
			keys = getOwnNonIndexProperties(value, ctx.showHidden);
			let bound = value;
			let fallback = '';
			if (constructor === null) {
				fallback = TypedArrayPrototypeGetSymbolToStringTag(value);
				// Reconstruct the array information.
				bound = new typedArrays[fallback](value);
			}
			const size = TypedArrayPrototypeGetLength(value);
			const prefix = getPrefix(constructor, tag, fallback, `(${size})`);
			braces = [`${prefix}[`, ']'];
			if (value.length === 0 && keys.length === 0 && !ctx.showHidden)
				return `${braces[0]}]`;
			// Special handle the value. The original value is required below. The
			// bound function is required to reconstruct missing information.
			formatter = FunctionPrototypeBind(formatTypedArray, null, bound, size);
			extrasType = kArrayExtrasType;

			if (ctx.showHidden) {
				extraKeys = ['BYTES_PER_ELEMENT', 'length', 'byteLength', 'byteOffset', 'buffer'];
				typedArray = true;
			}
		} else if (type === 'Map Iterator') {
			keys = getKeys(value, ctx.showHidden);
			braces = getIteratorBraces('Map', tag);
			// Add braces to the formatter parameters.
			formatter = FunctionPrototypeBind(formatIterator, null, braces);
		} else if (type === 'Set Iterator') {
			keys = getKeys(value, ctx.showHidden);
			braces = getIteratorBraces('Set', tag);
			// Add braces to the formatter parameters.
			formatter = FunctionPrototypeBind(formatIterator, null, braces);
		} else {
			noIterator = true;
		}
	}
	if (noIterator) {
		keys = getKeys(value, ctx.showHidden);
		braces = ['{', '}'];
		if (typeof value === 'function') {
			base = getFunctionBase(ctx, value, constructor, tag);
			if (keys.length === 0 && protoProps === undefined)
				return ctx.stylize(base, 'special');
		} else if (constructor === 'Object') {
			if (type === 'Arguments') {
				braces[0] = '[Arguments] {';
			} else if (tag !== '') {
				braces[0] = `${getPrefix(constructor, tag, 'Object')}{`;
			}
			if (keys.length === 0 && protoProps === undefined) {
				return `${braces[0]}}`;
			}
		} else if (type === 'RegExp') {
			// Make RegExps say that they are RegExps
			base = RegExpPrototypeToString(
				constructor !== null ? value : new RegExp(value),
			);
			const prefix = getPrefix(constructor, tag, 'RegExp');
			if (prefix !== 'RegExp ')
				base = `${prefix}${base}`;
			if ((keys.length === 0 && protoProps === undefined) ||
					(recurseTimes > ctx.depth && ctx.depth !== null)) {
				return ctx.stylize(base, 'regexp');
			}
		} else if (type === 'Date') {
			// Make dates with properties first say the date
			base = NumberIsNaN(DatePrototypeGetTime(value)) ?
				DatePrototypeToString(value) :
				DatePrototypeToISOString(value);
			const prefix = getPrefix(constructor, tag, 'Date');
			if (prefix !== 'Date ')
				base = `${prefix}${base}`;
			if (keys.length === 0 && protoProps === undefined) {
				return ctx.stylize(base, 'date');
			}
		} else if (isError(value)) {
			base = formatError(value, constructor, tag, ctx, keys);
			if (keys.length === 0 && protoProps === undefined)
				return base;
		} else if (type === 'ArrayBuffer' || type === 'SharedArrayBuffer') {
			// Fast path for ArrayBuffer and SharedArrayBuffer.
			// Can't do the same for DataView because it has a non-primitive
			// .buffer property that we need to recurse for.
			const prefix = getPrefix(constructor, tag, type);
			if (typedArray === undefined) {
				formatter = formatArrayBuffer;
			} else if (keys.length === 0 && protoProps === undefined) {
				return prefix +
							`{ [byteLength]: ${formatNumber(ctx.stylize, value.byteLength, false)} }`;
			}
			braces[0] = `${prefix}{`;
			extraKeys = ['byteLength'];
		} else if (type === 'DataView') {
			braces[0] = `${getPrefix(constructor, tag, 'DataView')}{`;
			// .buffer goes last, it's not a primitive like the others.
			extraKeys = ['byteLength', 'byteOffset', 'buffer'];
		} else if (type === 'Promise') {
			braces[0] = `${getPrefix(constructor, tag, 'Promise')}{`;
			formatter = formatPromise;
		} else if (type === 'WeakSet') {
			braces[0] = `${getPrefix(constructor, tag, 'WeakSet')}{`;
			formatter = ctx.showHidden ? formatWeakSet : formatWeakCollection;
		} else if (type === 'WeakMap') {
			braces[0] = `${getPrefix(constructor, tag, 'WeakMap')}{`;
			formatter = ctx.showHidden ? formatWeakMap : formatWeakCollection;
		} else if (type === 'Module') {
			braces[0] = `${getPrefix(constructor, tag, 'Module')}{`;
			// Special handle keys for namespace objects.
			formatter = FunctionPrototypeBind(formatNamespaceObject, null, keys);
		} else if (isBoxed(type)) {
			base = getBoxedBase(value, type, ctx, keys, constructor, tag);
			if (keys.length === 0 && protoProps === undefined) {
				return base;
			}
		} else if (isURL(value) && !(recurseTimes > ctx.depth && ctx.depth !== null)) {
			base = value.href;
			if (keys.length === 0 && protoProps === undefined) {
				return base;
			}
		} else {
			if (keys.length === 0 && protoProps === undefined) {
				if (type === 'External') return ctx.stylize('[External]', 'special');
				return `${getCtxStyle(value, constructor, tag)}{}`;
			}
			braces[0] = `${getCtxStyle(value, constructor, tag)}{`;
		}
	}

	if (recurseTimes > ctx.depth && ctx.depth !== null) {
		let constructorName = StringPrototypeSlice(getCtxStyle(value, constructor, tag), 0, -1);
		if (constructor !== null)
			constructorName = `[${constructorName}]`;
		return ctx.stylize(constructorName, 'special');
	}
	recurseTimes += 1;

	ArrayPrototypePush(ctx.seen, value);
	ctx.currentDepth = recurseTimes;
	let output;
	const indentationLvl = ctx.indentationLvl;
	try {
		output = formatter(ctx, value, recurseTimes);
		if (extraKeys !== undefined) {
			for (i = 0; i < extraKeys.length; i++) {
				let formatted;
				try {
					formatted = formatExtraProperties(ctx, value, recurseTimes, extraKeys[i], typedArray);
				} catch {
					const tempValue = { [extraKeys[i]]: value.buffer[extraKeys[i]] };
					formatted = formatExtraProperties(ctx, tempValue, recurseTimes, extraKeys[i], typedArray);
				}
				ArrayPrototypePush(output, formatted);
			}
		}
		for (i = 0; i < keys.length; i++) {
			ArrayPrototypePush(
				output,
				formatProperty(ctx, value, recurseTimes, keys[i], extrasType),
			);
		}
		if (protoProps !== undefined) {
			ArrayPrototypePushApply(output, protoProps);
		}
	} catch (err) {
		if (!isStackOverflow(err)) throw err;
		const constructorName = StringPrototypeSlice(getCtxStyle(value, constructor, tag), 0, -1);
		return handleMaxCallStackSize(ctx, err, constructorName, indentationLvl);
	}
	if (ctx.circular !== undefined) {
		const index = ctx.circular.get(value);
		if (index !== undefined) {
			const reference = ctx.stylize(`<ref *${index}>`, 'special');
			// Add reference always to the very beginning of the output.
			if (ctx.compact !== true) {
				base = base === '' ? reference : `${reference} ${base}`;
			} else {
				braces[0] = `${reference} ${braces[0]}`;
			}
		}
	}
	ArrayPrototypePop(ctx.seen);

	if (ctx.sorted) {
		const comparator = ctx.sorted === true ? undefined : ctx.sorted;
		if (extrasType === kObjectType) {
			ArrayPrototypeSort(output, comparator);
		} else if (keys.length > 1) {
			const sorted = ArrayPrototypeSort(ArrayPrototypeSlice(output, output.length - keys.length), comparator);
			ArrayPrototypeUnshift(sorted, output, output.length - keys.length, keys.length);
			ReflectApply(ArrayPrototypeSplice, null, sorted);
		}
	}

	const res = reduceToSingleString(
		ctx, output, base, braces, extrasType, recurseTimes, value);
	const budget = ctx.budget[ctx.indentationLvl] || 0;
	const newLength = budget + res.length;
	ctx.budget[ctx.indentationLvl] = newLength;
	// If any indentationLvl exceeds this limit, limit further inspecting to the
	// minimum. Otherwise the recursive algorithm might continue inspecting the
	// object even though the maximum string size (~2 ** 28 on 32 bit systems and
	// ~2 ** 30 on 64 bit systems) exceeded. The actual output is not limited at
	// exactly 2 ** 27 but a bit higher. This depends on the object shape.
	// This limit also makes sure that huge objects don't block the event loop
	// significantly.
	if (newLength > 2 ** 27) {
		ctx.depth = -1;
	}
	return res;
}

function formatExtraProperties(ctx, value, recurseTimes, key, typedArray) {
	ctx.indentationLvl += 2;
	const str = formatValue(ctx, value[key], recurseTimes, typedArray);
	ctx.indentationLvl -= 2;

	// These entries are mainly getters. Should they be formatted like getters?
	const name = ctx.stylize(`[${key}]`, 'string');
	return `${name}: ${str}`;
}

export function formatProperty(ctx, value, recurseTimes, key, type, desc,
												original = value) {
	let name, str;
	let extra = ' ';
	desc ??= ObjectGetOwnPropertyDescriptor(value, key);
	if (desc.value !== undefined) {
		const diff = (ctx.compact !== true || type !== kObjectType) ? 2 : 3;
		ctx.indentationLvl += diff;
		str = formatValue(ctx, desc.value, recurseTimes);
		if (diff === 3 && ctx.breakLength < getStringWidth(str, ctx.colors)) {
			extra = `\n${StringPrototypeRepeat(' ', ctx.indentationLvl)}`;
		}
		ctx.indentationLvl -= diff;
	} else if (desc.get !== undefined) {
		const label = desc.set !== undefined ? 'Getter/Setter' : 'Getter';
		const s = ctx.stylize;
		const sp = 'special';
		if (ctx.getters && (ctx.getters === true ||
					(ctx.getters === 'get' && desc.set === undefined) ||
					(ctx.getters === 'set' && desc.set !== undefined))) {
			ctx.indentationLvl += 2;
			try {
				const tmp = FunctionPrototypeCall(desc.get, original);
				if (tmp === null) {
					str = `${s(`[${label}:`, sp)} ${s('null', 'null')}${s(']', sp)}`;
				} else if (typeof tmp === 'object' || typeof tmp === 'function') {
					str = `${s(`[${label}]`, sp)} ${formatValue(ctx, tmp, recurseTimes)}`;
				} else {
					const primitive = formatPrimitive(s, tmp, ctx);
					str = `${s(`[${label}:`, sp)} ${primitive}${s(']', sp)}`;
				}
			} catch (err) {
				const message = `<Inspection threw (${formatValue(ctx, err, recurseTimes)})>`;
				str = `${s(`[${label}:`, sp)} ${message}${s(']', sp)}`;
			}
			ctx.indentationLvl -= 2;
		} else {
			str = ctx.stylize(`[${label}]`, sp);
		}
	} else if (desc.set !== undefined) {
		str = ctx.stylize('[Setter]', 'special');
	} else {
		str = ctx.stylize('undefined', 'undefined');
	}
	if (type === kArrayType) {
		return str;
	}
	if (typeof key === 'symbol') {
		const tmp = RegExpPrototypeSymbolReplace(
			strEscapeSequencesReplacer,
			SymbolPrototypeToString(key),
			escapeFn,
		);
		name = ctx.stylize(tmp, 'symbol');
	} else if (RegExpPrototypeExec(keyStrRegExp, key) !== null) {
		name = key === '__proto__' ? "['__proto__']" : ctx.stylize(key, 'name');
	} else {
		name = ctx.stylize(strEscape(key), 'string');
	}

	if (desc.enumerable === false) {
		name = `[${name}]`;
	}
	return `${name}:${extra}${str}`;
}

function handleMaxCallStackSize(ctx, err, constructorName, indentationLvl) {
	ArrayPrototypePop(ctx.seen);
	ctx.indentationLvl = indentationLvl;
	return ctx.stylize(
		`[${constructorName}: Inspection interrupted ` +
			'prematurely. Maximum call stack size exceeded.]',
		'special',
	);
}

function isBelowBreakLength(ctx, output, start, base) {
	// Each entry is separated by at least a comma. Thus, we start with a total
	// length of at least `output.length`. In addition, some cases have a
	// whitespace in-between each other that is added to the total as well.
	if (ctx.breakLength === Infinity) {
		if (base !== '' && StringPrototypeIncludes(base, '\n')) return false;
		for (let i = 0; i < output.length; i++) {
			if (typeof output[i] === 'string' && StringPrototypeIncludes(output[i], '\n')) return false;
		}
		return true;
	}
	let totalLength = output.length + start;
	if (totalLength + output.length > ctx.breakLength)
		return false;
	for (let i = 0; i < output.length; i++) {
		if (ctx.colors) {
			totalLength += stripVTControlCharacters(output[i]).length;
		} else {
			totalLength += output[i].length;
		}
		if (totalLength > ctx.breakLength) {
			return false;
		}
	}
	// Do not line up properties on the same line if `base` contains line breaks.
	return base === '' || !StringPrototypeIncludes(base, '\n');
}

export function reduceToSingleString(
	ctx, output, base, braces, extrasType, recurseTimes, value) {
	if (ctx.compact !== true) {
		if (typeof ctx.compact === 'number' && ctx.compact >= 1) {
			// Memorize the original output length. In case the output is grouped,
			// prevent lining up the entries on a single line.
			const entries = output.length;
			// Group array elements together if the array contains at least six
			// separate entries.
			if (extrasType === kArrayExtrasType && entries > 6) {
				output = groupArrayElements(ctx, output, value);
			}
			// `ctx.currentDepth` is set to the most inner depth of the currently
			// inspected object part while `recurseTimes` is the actual current depth
			// that is inspected.
			//
			// Example:
			//
			// const a = { first: [ 1, 2, 3 ], second: { inner: [ 1, 2, 3 ] } }
			//
			// The deepest depth of `a` is 2 (a.second.inner) and `a.first` has a max
			// depth of 1.
			//
			// Consolidate all entries of the local most inner depth up to
			// `ctx.compact`, as long as the properties are smaller than
			// `ctx.breakLength`.
			if (ctx.currentDepth - recurseTimes < ctx.compact &&
					entries === output.length) {
				// Line up all entries on a single line in case the entries do not
				// exceed `breakLength`. Add 10 as constant to start next to all other
				// factors that may reduce `breakLength`.
				const start = output.length + ctx.indentationLvl +
											braces[0].length + base.length + 10;
				if (isBelowBreakLength(ctx, output, start, base)) {
					const joinedOutput = ArrayPrototypeJoin(output, ', ');
					if (!StringPrototypeIncludes(joinedOutput, '\n')) {
						return `${base ? `${base} ` : ''}${braces[0]} ${joinedOutput}` +
							` ${braces[1]}`;
					}
				}
			}
		}
		// Line up each entry on an individual line.
		const indentation = `\n${StringPrototypeRepeat(' ', ctx.indentationLvl)}`;
		return `${base ? `${base} ` : ''}${braces[0]}${indentation}  ` +
			`${ArrayPrototypeJoin(output, `,${indentation}  `)}${indentation}${braces[1]}`;
	}
	// Line up all entries on a single line in case the entries do not exceed
	// `breakLength`.
	if (isBelowBreakLength(ctx, output, 0, base)) {
		return `${braces[0]}${base ? ` ${base}` : ''} ${ArrayPrototypeJoin(output, ', ')} ` +
			braces[1];
	}
	const indentation = StringPrototypeRepeat(' ', ctx.indentationLvl);
	// If the opening "brace" is too large, like in the case of "Set {",
	// we need to force the first item to be on the next line or the
	// items will not line up correctly.
	const ln = base === '' && braces[0].length === 1 ?
		' ' : `${base ? ` ${base}` : ''}\n${indentation}  `;
	// Line up each entry on an individual line.
	return `${braces[0]}${ln}${ArrayPrototypeJoin(output, `,\n${indentation}  `)} ${braces[1]}`;
}

const customInspectSymbol = SymbolFor('nodejs.util.inspect.custom');

const typedArrays = {
	__proto__: null,
	BigInt64Array,
	BigUint64Array,
	Float16Array,
	Float32Array,
	Float64Array,
	Int16Array,
	Int32Array,
	Int8Array,
	Uint16Array,
	Uint32Array,
	Uint8Array,
	Uint8ClampedArray,
};

function isBoxed(type) {
	return (
		type === 'Number' ||
		type === 'String' ||
		type === 'Boolean' ||
		type === 'BigInt' ||
		type === 'Symbol'
	);
}

// The target of a proxy, or with its handler: [target, handler].
export function getProxyDetails(value, withHandler) {
	if (kind(value) !== 'Proxy') return undefined;
	const details = preview(value);
	return withHandler ? details : details[0];
}

function isStackOverflow(error) {
	return (
		kind(error) === 'Error' &&
		error.name === 'RangeError' &&
		error.message === 'Maximum call stack size exceeded'
	);
}

inspect.custom = customInspectSymbol;
inspect.colors = colors;
inspect.styles = styles;
ObjectDefineProperty(inspect, 'defaultOptions', {
	__proto__: null,
	get() {
		return inspectDefaultOptions;
	},
	set(options) {
		ObjectAssign(inspectDefaultOptions, options);
	},
});
