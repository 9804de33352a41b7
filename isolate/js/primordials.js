// The built-ins as they are before any tenant code runs. Library code calls these and
// nothing else, so that a tenant who replaces Array.prototype.push, Map.prototype.get or
// Promise.prototype.then changes only its own program. Methods take `this` as their first
// argument: ArrayPrototypePush(list, item). The names are those that Node uses inside.
//
// Syntax can reach replaced built-ins too: `for…of` and `[...list]` over arrays call
// Array.prototype[Symbol.iterator], so library code uses index loops; object literals
// for descriptors and options have `__proto__: null`.

// ---- constructors ----

const captured = globalThis;
export const {
	AggregateError,
	Array,
	ArrayBuffer,
	BigInt,
	BigInt64Array,
	BigUint64Array,
	Boolean,
	DataView,
	Date,
	Error,
	EvalError,
	Float16Array,
	Float32Array,
	Float64Array,
	Function,
	Int8Array,
	Int16Array,
	Int32Array,
	Map,
	Number,
	Object,
	Promise,
	Proxy,
	RangeError,
	ReferenceError,
	RegExp,
	Set,
	String,
	Symbol,
	SyntaxError,
	TypeError,
	URIError,
	Uint8Array,
	Uint8ClampedArray,
	Uint16Array,
	Uint32Array,
	WeakMap,
	WeakRef,
	WeakSet,
} = captured;
export const TypedArray = Object.getPrototypeOf(Uint8Array);

const { bind, call } = Function.prototype;
export const uncurryThis = bind.bind(call);
const getter = (prototype, name) =>
	uncurryThis(Object.getOwnPropertyDescriptor(prototype, name).get);
const bound = (object, name) => object[name].bind(object);

// ---- static functions ----

export const ArrayIsArray = bound(Array, 'isArray');
export const ArrayBufferIsView = bound(ArrayBuffer, 'isView');
export const DateNow = bound(Date, 'now');
export const JSONParse = bound(JSON, 'parse');
export const JSONStringify = bound(JSON, 'stringify');
export const MathFloor = bound(Math, 'floor');
export const MathMax = bound(Math, 'max');
export const MathMin = bound(Math, 'min');
export const MathRound = bound(Math, 'round');
export const MathSqrt = bound(Math, 'sqrt');
export const MathTrunc = bound(Math, 'trunc');
export const NumberIsFinite = bound(Number, 'isFinite');
export const NumberIsInteger = bound(Number, 'isInteger');
export const NumberIsNaN = bound(Number, 'isNaN');
export const NumberParseFloat = bound(Number, 'parseFloat');
export const NumberParseInt = bound(Number, 'parseInt');
export const ObjectAssign = bound(Object, 'assign');
export const ObjectCreate = bound(Object, 'create');
export const ObjectDefineProperty = bound(Object, 'defineProperty');
export const ObjectFreeze = bound(Object, 'freeze');
export const ObjectGetOwnPropertyDescriptor = bound(Object, 'getOwnPropertyDescriptor');
export const ObjectGetOwnPropertyNames = bound(Object, 'getOwnPropertyNames');
export const ObjectGetOwnPropertySymbols = bound(Object, 'getOwnPropertySymbols');
export const ObjectGetPrototypeOf = bound(Object, 'getPrototypeOf');
export const ObjectHasOwn = bound(Object, 'hasOwn');
export const ObjectIs = bound(Object, 'is');
export const ObjectKeys = bound(Object, 'keys');
export const ObjectSeal = bound(Object, 'seal');
export const ObjectSetPrototypeOf = bound(Object, 'setPrototypeOf');
export const ObjectValues = bound(Object, 'values');
export const ReflectConstruct = bound(Reflect, 'construct');
export const ReflectDeleteProperty = bound(Reflect, 'deleteProperty');
export const ReflectApply = bound(Reflect, 'apply');
export const ReflectGetOwnPropertyDescriptor = bound(Reflect, 'getOwnPropertyDescriptor');
export const ReflectOwnKeys = bound(Reflect, 'ownKeys');
export const StringFromCharCode = bound(String, 'fromCharCode');
export const SymbolDispose = Symbol.dispose;
export const SymbolFor = bound(Symbol, 'for');
export const ErrorCaptureStackTrace = bound(Error, 'captureStackTrace');
export const { NEGATIVE_INFINITY, POSITIVE_INFINITY, MAX_SAFE_INTEGER: NumberMaxSafeInteger } = Number;
export const { encodeURIComponent } = captured;

// ---- promises ----

export const PromisePrototypeThen = uncurryThis(Promise.prototype.then);
export const PromiseResolve = bound(Promise, 'resolve');
export const PromiseReject = bound(Promise, 'reject');
export const PromiseWithResolvers = bound(Promise, 'withResolvers');

// ---- symbols ----

export const SymbolAsyncIterator = Symbol.asyncIterator;
export const SymbolIterator = Symbol.iterator;
export const SymbolToPrimitive = Symbol.toPrimitive;
export const SymbolToStringTag = Symbol.toStringTag;

// ---- prototypes, and methods with `this` as first argument ----

export const ArrayPrototype = Array.prototype;
export const ArrayPrototypeFilter = uncurryThis(Array.prototype.filter);
export const ArrayPrototypeForEach = uncurryThis(Array.prototype.forEach);
export const ArrayPrototypeIncludes = uncurryThis(Array.prototype.includes);
export const ArrayPrototypeIndexOf = uncurryThis(Array.prototype.indexOf);
export const ArrayPrototypeJoin = uncurryThis(Array.prototype.join);
export const ArrayPrototypeMap = uncurryThis(Array.prototype.map);
export const ArrayPrototypePop = uncurryThis(Array.prototype.pop);
export const ArrayPrototypePush = uncurryThis(Array.prototype.push);
export const ArrayPrototypeSlice = uncurryThis(Array.prototype.slice);
export const ArrayPrototypeSort = uncurryThis(Array.prototype.sort);
export const ArrayPrototypeSplice = uncurryThis(Array.prototype.splice);
export const ArrayPrototypeUnshift = uncurryThis(Array.prototype.unshift);
export const ArrayBufferPrototype = ArrayBuffer.prototype;
export const ArrayBufferPrototypeSlice = uncurryThis(ArrayBuffer.prototype.slice);
export const ArrayBufferPrototypeTransfer = uncurryThis(ArrayBuffer.prototype.transfer);
export const BigIntPrototypeValueOf = uncurryThis(BigInt.prototype.valueOf);
export const BooleanPrototype = Boolean.prototype;
export const BooleanPrototypeValueOf = uncurryThis(Boolean.prototype.valueOf);
export const DatePrototype = Date.prototype;
export const DatePrototypeGetTime = uncurryThis(Date.prototype.getTime);
export const DatePrototypeToISOString = uncurryThis(Date.prototype.toISOString);
export const DatePrototypeToString = uncurryThis(Date.prototype.toString);
export const ErrorPrototype = Error.prototype;
export const ErrorPrototypeToString = uncurryThis(Error.prototype.toString);
export const FunctionPrototype = Function.prototype;
export const FunctionPrototypeBind = uncurryThis(Function.prototype.bind);
export const FunctionPrototypeCall = uncurryThis(Function.prototype.call);
export const FunctionPrototypeToString = uncurryThis(Function.prototype.toString);
export const MapPrototype = Map.prototype;
export const MapPrototypeEntries = uncurryThis(Map.prototype.entries);
export const MapPrototypeSet = uncurryThis(Map.prototype.set);
export const NumberPrototype = Number.prototype;
export const NumberPrototypeToFixed = uncurryThis(Number.prototype.toFixed);
export const NumberPrototypeToString = uncurryThis(Number.prototype.toString);
export const NumberPrototypeValueOf = uncurryThis(Number.prototype.valueOf);
export const ObjectPrototype = Object.prototype;
export const ObjectPrototypeHasOwnProperty = uncurryThis(Object.prototype.hasOwnProperty);
export const ObjectPrototypePropertyIsEnumerable = uncurryThis(Object.prototype.propertyIsEnumerable);
export const ObjectPrototypeToString = uncurryThis(Object.prototype.toString);
export const RegExpPrototype = RegExp.prototype;
export const RegExpPrototypeExec = uncurryThis(RegExp.prototype.exec);
export const RegExpPrototypeToString = uncurryThis(RegExp.prototype.toString);
export const SetPrototype = Set.prototype;
export const SetPrototypeAdd = uncurryThis(Set.prototype.add);
export const SetPrototypeValues = uncurryThis(Set.prototype.values);
export const StringPrototype = String.prototype;
export const StringPrototypeCharCodeAt = uncurryThis(String.prototype.charCodeAt);
export const StringPrototypeCodePointAt = uncurryThis(String.prototype.codePointAt);
export const StringPrototypeEndsWith = uncurryThis(String.prototype.endsWith);
export const StringPrototypeIncludes = uncurryThis(String.prototype.includes);
export const StringPrototypeIndexOf = uncurryThis(String.prototype.indexOf);
export const StringPrototypeLastIndexOf = uncurryThis(String.prototype.lastIndexOf);
export const StringPrototypeNormalize = uncurryThis(String.prototype.normalize);
export const StringPrototypePadEnd = uncurryThis(String.prototype.padEnd);
export const StringPrototypePadStart = uncurryThis(String.prototype.padStart);
export const StringPrototypeRepeat = uncurryThis(String.prototype.repeat);
export const StringPrototypeReplace = uncurryThis(String.prototype.replace);
export const StringPrototypeReplaceAll = uncurryThis(String.prototype.replaceAll);
export const StringPrototypeSlice = uncurryThis(String.prototype.slice);
export const StringPrototypeSplit = uncurryThis(String.prototype.split);
export const StringPrototypeStartsWith = uncurryThis(String.prototype.startsWith);
export const StringPrototypeToLowerCase = uncurryThis(String.prototype.toLowerCase);
export const StringPrototypeToUpperCase = uncurryThis(String.prototype.toUpperCase);
export const StringPrototypeToWellFormed = uncurryThis(String.prototype.toWellFormed);
export const StringPrototypeTrim = uncurryThis(String.prototype.trim);
export const StringPrototypeValueOf = uncurryThis(String.prototype.valueOf);
export const SymbolPrototypeToString = uncurryThis(Symbol.prototype.toString);
export const SymbolPrototypeValueOf = uncurryThis(Symbol.prototype.valueOf);
export const TypedArrayPrototype = TypedArray.prototype;
export const TypedArrayPrototypeFill = uncurryThis(TypedArray.prototype.fill);
export const TypedArrayPrototypeSet = uncurryThis(TypedArray.prototype.set);
export const TypedArrayPrototypeSlice = uncurryThis(TypedArray.prototype.slice);
export const TypedArrayPrototypeSubarray = uncurryThis(TypedArray.prototype.subarray);
export const WeakMapPrototype = WeakMap.prototype;
export const WeakRefPrototypeDeref = uncurryThis(WeakRef.prototype.deref);
export const WeakSetPrototype = WeakSet.prototype;
export const AggregateErrorPrototype = AggregateError.prototype;
export const DataViewPrototype = DataView.prototype;
export const PromisePrototype = Promise.prototype;
export const RangeErrorPrototype = RangeError.prototype;
export const TypeErrorPrototype = TypeError.prototype;
export const FunctionPrototypeSymbolHasInstance = uncurryThis(Function.prototype[Symbol.hasInstance]);
export const RegExpPrototypeSymbolReplace = uncurryThis(RegExp.prototype[Symbol.replace]);
export const RegExpPrototypeSymbolSplit = uncurryThis(RegExp.prototype[Symbol.split]);
export const MapIteratorPrototypeNext = uncurryThis(new Map().entries().next);
export const SetIteratorPrototypeNext = uncurryThis(new Set().values().next);
export const IteratorPrototype = Object.getPrototypeOf(
	Object.getPrototypeOf([][Symbol.iterator]()),
);
export const AsyncIteratorPrototype = Object.getPrototypeOf(
	Object.getPrototypeOf(async function* () {}.prototype),
);

// ---- getters ----

export const ArrayBufferPrototypeGetByteLength = getter(ArrayBuffer.prototype, 'byteLength');
export const ArrayBufferPrototypeGetDetached = getter(ArrayBuffer.prototype, 'detached');
export const ArrayBufferPrototypeGetMaxByteLength = getter(ArrayBuffer.prototype, 'maxByteLength');
export const ArrayBufferPrototypeGetResizable = getter(ArrayBuffer.prototype, 'resizable');
export const DataViewPrototypeGetBuffer = getter(DataView.prototype, 'buffer');
export const DataViewPrototypeGetByteLength = getter(DataView.prototype, 'byteLength');
export const DataViewPrototypeGetByteOffset = getter(DataView.prototype, 'byteOffset');
export const MapPrototypeGetSize = getter(Map.prototype, 'size');
export const SetPrototypeGetSize = getter(Set.prototype, 'size');
export const TypedArrayPrototypeGetBuffer = getter(TypedArray.prototype, 'buffer');
export const TypedArrayPrototypeGetByteLength = getter(TypedArray.prototype, 'byteLength');
export const TypedArrayPrototypeGetByteOffset = getter(TypedArray.prototype, 'byteOffset');
export const TypedArrayPrototypeGetLength = getter(TypedArray.prototype, 'length');
export const RegExpPrototypeGetFlags = getter(RegExp.prototype, 'flags');
export const RegExpPrototypeGetSource = getter(RegExp.prototype, 'source');
export const TypedArrayPrototypeGetSymbolToStringTag = getter(
	TypedArray.prototype,
	Symbol.toStringTag,
);

// ---- collections whose methods cannot be replaced ----

function makeSafe(Unsafe, Safe) {
	const names = Reflect.ownKeys(Unsafe.prototype);
	for (let i = 0; i < names.length; i++) {
		const descriptor = Object.getOwnPropertyDescriptor(Unsafe.prototype, names[i]);
		if (!Object.hasOwn(Safe.prototype, names[i]))
			Object.defineProperty(Safe.prototype, names[i], { __proto__: null, ...descriptor });
	}
	Object.setPrototypeOf(Safe.prototype, null);
	Object.freeze(Safe.prototype);
	Object.freeze(Safe);
	return Safe;
}
// The constructors must not be given an iterable: they would call a replaced `next`.
export const SafeMap = makeSafe(Map, class SafeMap extends Map {});
export const SafeSet = makeSafe(Set, class SafeSet extends Set {});
export const SafeWeakMap = makeSafe(WeakMap, class SafeWeakMap extends WeakMap {});

// Array.prototype.push.apply without a limit on the number of items.
export function ArrayPrototypePushApply(target, items) {
	for (let i = 0; i < items.length; i++) ArrayPrototypePush(target, items[i]);
}

// For a promise that only the library sees: without a constructor, `then` makes a plain
// promise of its result and does not ask Promise[Symbol.species]. (Of promises that
// tenants hold, `then` reads `constructor`, as the language has it: a tenant who replaces
// that learns when the library waits, but gets nothing else.)
export function hidePromise(promise) {
	return ObjectDefineProperty(promise, 'constructor', { __proto__: null, value: undefined });
}

// Gives an internal class a prototype without a prototype, so that its constructor's
// assignments cannot run setters that a tenant put on Object.prototype.
export function isolate(Class) {
	ObjectSetPrototypeOf(Class.prototype, null);
	return Class;
}

// A regular expression that RegExp.prototype[Symbol.replace] and the like use as it is: they
// look up exec and flags as properties, which a tenant may have replaced on the prototype.
const regexpNames = Reflect.ownKeys(RegExp.prototype);
export function hardenRegExp(regexp) {
	for (let i = 0; i < regexpNames.length; i++) {
		if (regexpNames[i] === 'constructor') continue;
		const value = regexp[regexpNames[i]];
		ObjectDefineProperty(regexp, regexpNames[i], { __proto__: null, value });
	}
	return regexp;
}

// V8 makes SharedArrayBuffer only in a context that came out of a snapshot, so these are
// captured by main.js before anything of the tenant runs.
export let SharedArrayBufferPrototype;
export let SharedArrayBufferPrototypeGetByteLength;
export let SharedArrayBufferPrototypeGetGrowable;
export let SharedArrayBufferPrototypeGetMaxByteLength;

export function captureLate() {
	SharedArrayBufferPrototype = globalThis.SharedArrayBuffer.prototype;
	SharedArrayBufferPrototypeGetByteLength = getter(SharedArrayBufferPrototype, 'byteLength');
	SharedArrayBufferPrototypeGetGrowable = getter(SharedArrayBufferPrototype, 'growable');
	SharedArrayBufferPrototypeGetMaxByteLength = getter(SharedArrayBufferPrototype, 'maxByteLength');
}
