// structuredClone (HTML, section 2.7). Serializing and deserializing are one walk, since
// both ends are here.

import {
	Array,
	ArrayBuffer,
	ArrayBufferPrototypeGetByteLength,
	ArrayBufferPrototypeGetDetached,
	ArrayBufferPrototypeGetMaxByteLength,
	ArrayBufferPrototypeGetResizable,
	ArrayBufferPrototypeSlice,
	ArrayBufferPrototypeTransfer,
	ArrayPrototype,
	BigInt64Array,
	BigIntPrototypeValueOf,
	BigUint64Array,
	BooleanPrototypeValueOf,
	DataView,
	Date,
	DatePrototypeGetTime,
	Error,
	EvalError,
	Float16Array,
	Float32Array,
	Float64Array,
	Int16Array,
	Int32Array,
	Int8Array,
	isolate,
	Map,
	MapIteratorPrototypeNext,
	MapPrototypeEntries,
	MapPrototypeSet,
	NumberPrototypeValueOf,
	Object,
	ObjectDefineProperty,
	ObjectGetOwnPropertyDescriptor,
	ObjectGetPrototypeOf,
	ObjectHasOwn,
	ObjectKeys,
	ObjectPrototype,
	RangeError,
	ReferenceError,
	RegExp,
	RegExpPrototypeGetFlags,
	RegExpPrototypeGetSource,
	SafeMap,
	Set,
	SetIteratorPrototypeNext,
	SetPrototypeAdd,
	SetPrototypeValues,
	StringPrototypeValueOf,
	SymbolIterator,
	SymbolPrototypeToString,
	SyntaxError,
	TypedArrayPrototypeGetLength,
	TypedArrayPrototypeSet,
	TypedArrayPrototypeSlice,
	TypeError,
	Uint16Array,
	Uint32Array,
	Uint8Array,
	Uint8ClampedArray,
	URIError,
} from './primordials.js';
import { viewBuffer, viewByteLength, viewByteOffset } from './bytes.js';
import { DOMException, isDOMException } from './errors.js';
import { native } from './native.js';
import { untransferable } from './untransferable.js';
import { isObject, isPlatformObject, requireArguments, toDictionary, toSequence } from './webidl.js';

const { kind, kindOfMost } = native;

// What kindOfMost says.
const PLAIN = 0;
const ARRAY = 1;

const views = {
	__proto__: null,
	BigInt64Array,
	BigUint64Array,
	DataView,
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
const errors = {
	__proto__: null,
	Error,
	EvalError,
	RangeError,
	ReferenceError,
	SyntaxError,
	TypeError,
	URIError,
};

function cannotClone(what) {
	return new DOMException(`${what} could not be cloned.`, 'DataCloneError');
}

// Platform objects that can be cloned: { is(value), clone(value, cloneInner) }.
const cloneables = [];

// For Blob and the like: IS is the brand check; CLONE makes the copy.
export function registerCloneable(is, clone) {
	cloneables[cloneables.length] = { is, clone };
}

// messaging/serialize.js fills this in: the transfer of ports and streams.
let transferMore = { needed: () => false, clone: undefined };
export function setTransfer(more) {
	transferMore = more;
}

class Cloner {
	constructor(twins) {
		this.memory = new SafeMap(); // original -> clone
		this.twins = twins; // transferred buffer -> what replaces it, or undefined
	}

	clone(value) {
		switch (typeof value) {
			case 'object':
				return value === null ? null : this.object(value);
			case 'function':
				throw cannotClone(`${value}`);
			case 'symbol':
				throw cannotClone(SymbolPrototypeToString(value));
			default:
				return value;
		}
	}

	object(value) {
		const known = this.memory.get(value);
		if (known !== undefined) return known;
		const most = kindOfMost(value);
		if (most === PLAIN) return this.plain(value);
		if (most === ARRAY) return this.array(value);
		const name = kind(value);
		switch (name) {
			case 'Arguments':
				return this.properties(value, this.keep(value, {}));
			case 'Map':
				return this.map(value);
			case 'Set':
				return this.set(value);
			case 'Date':
				return this.keep(value, new Date(DatePrototypeGetTime(value)));
			case 'RegExp':
				return this.keep(
					value,
					new RegExp(RegExpPrototypeGetSource(value), RegExpPrototypeGetFlags(value)),
				);
			case 'Error':
				return this.error(value);
			case 'Number':
				return this.keep(value, Object(NumberPrototypeValueOf(value)));
			case 'String':
				return this.keep(value, Object(StringPrototypeValueOf(value)));
			case 'Boolean':
				return this.keep(value, Object(BooleanPrototypeValueOf(value)));
			case 'BigInt':
				return this.keep(value, Object(BigIntPrototypeValueOf(value)));
			case 'ArrayBuffer':
				return this.keep(value, this.buffer(value));
			case 'SharedArrayBuffer':
			case 'WebAssembly.Module':
				// Both sides may use the same: there is one agent.
				return this.keep(value, value);
			default:
				if (views[name] !== undefined) return this.view(value, name);
				throw cannotClone(name === 'Proxy' ? '#<Object>' : `#<${name}>`);
		}
	}

	keep(value, copy) {
		this.memory.set(value, copy);
		return copy;
	}

	plain(value) {
		for (let i = 0; i < cloneables.length; i++)
			if (cloneables[i].is(value))
				return this.keep(
					value,
					cloneables[i].clone(value, (inner) => this.clone(inner)),
				);
		if (ObjectGetPrototypeOf(value) !== ObjectPrototype && isPlatformObject(value))
			throw cannotClone('#<Object>');
		return this.properties(value, this.keep(value, {}));
	}

	properties(value, copy) {
		const keys = ObjectKeys(value);
		for (let i = 0; i < keys.length; i++) {
			const key = keys[i];
			if (!ObjectHasOwn(value, key)) continue; // a getter before it removed it
			define(copy, key, this.clone(value[key]), ObjectPrototype);
		}
		return copy;
	}

	array(value) {
		const { length } = value;
		const copy = this.keep(value, new Array(length));
		const keys = ObjectKeys(value);
		if (keys.length === length && (length === 0 || keys[length - 1] === `${length - 1}`)) {
			for (let i = 0; i < length; i++)
				if (ObjectHasOwn(value, i)) define(copy, i, this.clone(value[i]), ArrayPrototype);
			return copy;
		}
		for (let i = 0; i < keys.length; i++)
			if (ObjectHasOwn(value, keys[i]))
				define(copy, keys[i], this.clone(value[keys[i]]), ArrayPrototype);
		return copy;
	}

	// The entries are read before any of them is cloned: cloning can run getters.
	map(value) {
		const copy = this.keep(value, new Map());
		const entries = [];
		const iterator = MapPrototypeEntries(value);
		for (let step; !(step = MapIteratorPrototypeNext(iterator)).done; )
			entries[entries.length] = step.value;
		for (let i = 0; i < entries.length; i++) {
			const key = this.clone(entries[i][0]);
			MapPrototypeSet(copy, key, this.clone(entries[i][1]));
		}
		return copy;
	}

	set(value) {
		const copy = this.keep(value, new Set());
		const items = [];
		const iterator = SetPrototypeValues(value);
		for (let step; !(step = SetIteratorPrototypeNext(iterator)).done; )
			items[items.length] = step.value;
		for (let i = 0; i < items.length; i++) SetPrototypeAdd(copy, this.clone(items[i]));
		return copy;
	}

	error(value) {
		if (isDOMException(value)) {
			const copy = this.keep(value, new DOMException(value.message, value.name));
			hidden(copy, 'stack', value.stack);
			return copy;
		}
		let { name } = value;
		name = name === undefined ? 'Error' : `${name}`;
		const message = ObjectGetOwnPropertyDescriptor(value, 'message');
		const Constructor = errors[name] ?? Error;
		const hasMessage = message !== undefined && 'value' in message;
		const copy = hasMessage ? new Constructor(`${message.value}`) : new Constructor();
		this.keep(value, copy);
		const { stack } = value;
		hidden(copy, 'stack', typeof stack === 'string' ? stack : undefined);
		if (ObjectHasOwn(value, 'cause')) hidden(copy, 'cause', this.clone(value.cause));
		return copy;
	}

	buffer(value) {
		if (ArrayBufferPrototypeGetDetached(value)) throw cannotClone('A detached ArrayBuffer');
		if (this.twins?.has(value)) {
			const twin = emptyTwin(value);
			this.twins.set(value, twin);
			return twin;
		}
		if (!ArrayBufferPrototypeGetResizable(value)) return ArrayBufferPrototypeSlice(value, 0);
		const copy = emptyTwin(value);
		TypedArrayPrototypeSet(new Uint8Array(copy), new Uint8Array(value));
		return copy;
	}

	view(value, name) {
		const buffer = viewBuffer(value);
		const copy = this.object(buffer);
		if (isOutOfBounds(value, name)) throw cannotClone('An out-of-bounds view');
		const View = views[name];
		const offset = viewByteOffset(value);
		if (kind(buffer) === 'ArrayBuffer' && tracksLength(value, buffer))
			return this.keep(value, new View(copy, offset));
		const length =
			name === 'DataView' ? viewByteLength(value) : TypedArrayPrototypeGetLength(value);
		return this.keep(value, new View(copy, offset, length));
	}
}
isolate(Cloner);

function define(target, key, value, prototype) {
	// Assigning would run a setter, or set the prototype.
	if (key in prototype)
		ObjectDefineProperty(target, key, {
			__proto__: null,
			value,
			writable: true,
			enumerable: true,
			configurable: true,
		});
	else target[key] = value;
}

function hidden(target, key, value) {
	ObjectDefineProperty(target, key, {
		__proto__: null,
		value,
		writable: true,
		enumerable: false,
		configurable: true,
	});
}

function emptyTwin(buffer) {
	const length = ArrayBufferPrototypeGetByteLength(buffer);
	if (!ArrayBufferPrototypeGetResizable(buffer)) return new ArrayBuffer(length);
	return new ArrayBuffer(length, {
		__proto__: null,
		maxByteLength: ArrayBufferPrototypeGetMaxByteLength(buffer),
	});
}

function isOutOfBounds(view, name) {
	try {
		if (name === 'DataView') viewByteLength(view);
		else TypedArrayPrototypeSlice(view, 0, 0); // validates
		return false;
	} catch {
		return true;
	}
}

// Whether a view's length follows that of its resizable buffer. Nothing tells it, so a
// view of such a buffer that reaches to its end is taken for one.
function tracksLength(view, buffer) {
	return (
		ArrayBufferPrototypeGetResizable(buffer) &&
		viewByteOffset(view) + viewByteLength(view) === ArrayBufferPrototypeGetByteLength(buffer)
	);
}

function toTransferList(options) {
	const { transfer } = toDictionary(options, 'structuredClone options');
	if (transfer === undefined) return [];
	const iterator = isObject(transfer) ? transfer[SymbolIterator] : undefined;
	if (typeof iterator !== 'function') {
		const error = new TypeError('structuredClone: transfer is not iterable');
		error.code = 'ERR_INVALID_ARG_TYPE';
		throw error;
	}
	return toSequence(
		transfer,
		iterator,
		(item) => {
			if (!isObject(item)) throw new TypeError('structuredClone: cannot transfer a primitive');
			return item;
		},
		'structuredClone: transfer',
	);
}

// Each transferred buffer gets a twin, which views in the clone refer to; the contents
// move when everything has been cloned, so that a failure leaves the original alone.
function makeTwins(transfer) {
	if (transfer.length === 0) return undefined;
	const twins = new SafeMap();
	for (let i = 0; i < transfer.length; i++) {
		const item = transfer[i];
		if (kind(item) !== 'ArrayBuffer' || item[untransferable] === true)
			throw new DOMException('Value not transferable', 'DataCloneError');
		if (twins.has(item))
			throw new DOMException('An ArrayBuffer is in the transfer list twice', 'DataCloneError');
		twins.set(item, undefined);
	}
	return twins;
}

function move(item, twin) {
	if (ArrayBufferPrototypeGetDetached(item))
		throw new DOMException('An ArrayBuffer is detached', 'DataCloneError');
	const contents = ArrayBufferPrototypeTransfer(item);
	if (twin !== undefined)
		TypedArrayPrototypeSet(new Uint8Array(twin), new Uint8Array(contents));
}

export function structuredClone(value, options = undefined) {
	requireArguments(arguments.length, 1, 'structuredClone');
	const transfer = options === undefined ? [] : toTransferList(options);
	if (!isObject(value) && typeof value !== 'symbol' && transfer.length === 0) return value;
	if (transfer.length > 0 && transferMore.needed(transfer)) return transferMore.clone(value, transfer);
	const twins = makeTwins(transfer);
	const result = new Cloner(twins).clone(value);
	for (let i = 0; i < transfer.length; i++) move(transfer[i], twins.get(transfer[i]));
	return result;
}
