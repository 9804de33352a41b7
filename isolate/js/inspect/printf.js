// util.format: the substitutions of console.log.
//
// Adapted from lib/internal/util/inspect.js of Node.js 24, so that console prints what
// Node prints. Copyright Node.js contributors; MIT license, see LICENSE.node beside this.

import {
	JSONStringify,
	Number,
	NumberParseFloat,
	NumberParseInt,
	ObjectGetOwnPropertyDescriptor,
	ObjectGetPrototypeOf,
	ObjectPrototypeHasOwnProperty,
	String,
	StringPrototypeCharCodeAt,
	StringPrototypeSlice,
	StringPrototypeSplit,
	SymbolToPrimitive,
} from '../primordials.js';
import { builtInObjects } from './names.js';
import { inspectDefaultOptions, stylizeNoColor } from './options.js';
import { formatBigInt, formatNumber } from './strings.js';
import { getProxyDetails, inspect } from './value.js';

function hasBuiltInToString(value) {
	// Prevent triggering proxy traps.
	const proxyTarget = getProxyDetails(value, false);
	if (proxyTarget !== undefined) {
		if (proxyTarget === null) {
			return true;
		}
		value = proxyTarget;
	}

	let hasOwnToString = ObjectPrototypeHasOwnProperty;
	let hasOwnToPrimitive = ObjectPrototypeHasOwnProperty;

	// Count objects without `toString` and `Symbol.toPrimitive` function as built-in.
	if (typeof value.toString !== 'function') {
		if (typeof value[SymbolToPrimitive] !== 'function') {
			return true;
		} else if (ObjectPrototypeHasOwnProperty(value, SymbolToPrimitive)) {
			return false;
		}
		hasOwnToString = returnFalse;
	} else if (ObjectPrototypeHasOwnProperty(value, 'toString')) {
		return false;
	} else if (typeof value[SymbolToPrimitive] !== 'function') {
		hasOwnToPrimitive = returnFalse;
	} else if (ObjectPrototypeHasOwnProperty(value, SymbolToPrimitive)) {
		return false;
	}

	// Find the object that has the `toString` property or `Symbol.toPrimitive` property
	// as own property in the prototype chain.
	let pointer = value;
	do {
		pointer = ObjectGetPrototypeOf(pointer);
	} while (!hasOwnToString(pointer, 'toString') &&
		!hasOwnToPrimitive(pointer, SymbolToPrimitive));

	// Check closer if the object is a built-in.
	const descriptor = ObjectGetOwnPropertyDescriptor(pointer, 'constructor');
	return descriptor !== undefined &&
		typeof descriptor.value === 'function' &&
		builtInObjects.has(descriptor.value.name);
}

function returnFalse() {
	return false;
}

const firstErrorLine = (error) => StringPrototypeSplit(error.message, '\n', 1)[0];
let CIRCULAR_ERROR_MESSAGE;
function tryStringify(arg) {
	try {
		return JSONStringify(arg);
	} catch (err) {
		// Populate the circular error message lazily
		if (!CIRCULAR_ERROR_MESSAGE) {
			try {
				const a = {};
				a.a = a;
				JSONStringify(a);
			} catch (circularError) {
				CIRCULAR_ERROR_MESSAGE = firstErrorLine(circularError);
			}
		}
		if (err.name === 'TypeError' &&
				firstErrorLine(err) === CIRCULAR_ERROR_MESSAGE) {
			return '[Circular]';
		}
		throw err;
	}
}

function formatNumberNoColor(number, options) {
	return formatNumber(
		stylizeNoColor,
		number,
		options?.numericSeparator ?? inspectDefaultOptions.numericSeparator,
	);
}

function formatBigIntNoColor(bigint, options) {
	return formatBigInt(
		stylizeNoColor,
		bigint,
		options?.numericSeparator ?? inspectDefaultOptions.numericSeparator,
	);
}

// util.formatWithOptions, with the arguments as an array.
export function formatWithOptions(inspectOptions, args) {
	const first = args[0];
	let a = 0;
	let str = '';
	let join = '';

	if (typeof first === 'string') {
		if (args.length === 1) {
			return first;
		}
		let tempStr;
		let lastPos = 0;

		for (let i = 0; i < first.length - 1; i++) {
			if (StringPrototypeCharCodeAt(first, i) === 37) { // '%'
				const nextChar = StringPrototypeCharCodeAt(first, ++i);
				if (a + 1 !== args.length) {
					switch (nextChar) {
						case 115: { // 's'
							const tempArg = args[++a];
							if (typeof tempArg === 'number') {
								tempStr = formatNumberNoColor(tempArg, inspectOptions);
							} else if (typeof tempArg === 'bigint') {
								tempStr = formatBigIntNoColor(tempArg, inspectOptions);
							} else if (typeof tempArg !== 'object' ||
												 tempArg === null ||
												 !hasBuiltInToString(tempArg)) {
								tempStr = String(tempArg);
							} else {
								tempStr = inspect(tempArg, {
									...inspectOptions,
									compact: 3,
									colors: false,
									depth: 0,
								});
							}
							break;
						}
						case 106: // 'j'
							tempStr = tryStringify(args[++a]);
							break;
						case 100: { // 'd'
							const tempNum = args[++a];
							if (typeof tempNum === 'bigint') {
								tempStr = formatBigIntNoColor(tempNum, inspectOptions);
							} else if (typeof tempNum === 'symbol') {
								tempStr = 'NaN';
							} else {
								tempStr = formatNumberNoColor(Number(tempNum), inspectOptions);
							}
							break;
						}
						case 79: // 'O'
							tempStr = inspect(args[++a], inspectOptions);
							break;
						case 111: // 'o'
							tempStr = inspect(args[++a], {
								...inspectOptions,
								showHidden: true,
								showProxy: true,
								depth: 4,
							});
							break;
						case 105: { // 'i'
							const tempInteger = args[++a];
							if (typeof tempInteger === 'bigint') {
								tempStr = formatBigIntNoColor(tempInteger, inspectOptions);
							} else if (typeof tempInteger === 'symbol') {
								tempStr = 'NaN';
							} else {
								tempStr = formatNumberNoColor(
									NumberParseInt(tempInteger), inspectOptions);
							}
							break;
						}
						case 102: { // 'f'
							const tempFloat = args[++a];
							if (typeof tempFloat === 'symbol') {
								tempStr = 'NaN';
							} else {
								tempStr = formatNumberNoColor(
									NumberParseFloat(tempFloat), inspectOptions);
							}
							break;
						}
						case 99: // 'c'
							a += 1;
							tempStr = '';
							break;
						case 37: // '%'
							str += StringPrototypeSlice(first, lastPos, i);
							lastPos = i + 1;
							continue;
						default: // Any other character is not a correct placeholder
							continue;
					}
					if (lastPos !== i - 1) {
						str += StringPrototypeSlice(first, lastPos, i - 1);
					}
					str += tempStr;
					lastPos = i + 1;
				} else if (nextChar === 37) {
					str += StringPrototypeSlice(first, lastPos, i);
					lastPos = i + 1;
				}
			}
		}
		if (lastPos !== 0) {
			a++;
			join = ' ';
			if (lastPos < first.length) {
				str += StringPrototypeSlice(first, lastPos);
			}
		}
	}

	while (a < args.length) {
		const value = args[a];
		str += join;
		str += typeof value !== 'string' ? inspect(value, inspectOptions) : value;
		join = ' ';
		a++;
	}
	return str;
}
