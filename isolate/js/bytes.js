// BufferSource: telling buffers and views apart without touching what tenants can replace.

import {
	ArrayBufferIsView,
	ArrayBufferPrototypeGetByteLength,
	DataViewPrototypeGetBuffer,
	DataViewPrototypeGetByteLength,
	DataViewPrototypeGetByteOffset,
	SharedArrayBufferPrototypeGetByteLength,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeGetByteOffset,
	TypedArrayPrototypeGetSymbolToStringTag,
	TypeError,
	Uint8Array,
} from './primordials.js';

export function isArrayBuffer(value) {
	if (typeof value !== 'object' || value === null) return false;
	try {
		ArrayBufferPrototypeGetByteLength(value);
		return true;
	} catch {
		return false;
	}
}

export function isSharedArrayBuffer(value) {
	if (typeof value !== 'object' || value === null) return false;
	try {
		SharedArrayBufferPrototypeGetByteLength(value);
		return true;
	} catch {
		return false;
	}
}

// "Uint8Array", …, or undefined for anything but a typed array.
export const typedArrayName = TypedArrayPrototypeGetSymbolToStringTag;

export function isUint8Array(value) {
	return typedArrayName(value) === 'Uint8Array';
}

export function isBufferSource(value) {
	return ArrayBufferIsView(value) || isArrayBuffer(value) || isSharedArrayBuffer(value);
}

// The same bytes as a Uint8Array.
export function bytesOf(value) {
	if (ArrayBufferIsView(value)) {
		const name = typedArrayName(value);
		if (name === 'Uint8Array') return value;
		if (name !== undefined)
			return new Uint8Array(
				TypedArrayPrototypeGetBuffer(value),
				TypedArrayPrototypeGetByteOffset(value),
				TypedArrayPrototypeGetByteLength(value),
			);
		return new Uint8Array(
			DataViewPrototypeGetBuffer(value),
			DataViewPrototypeGetByteOffset(value),
			DataViewPrototypeGetByteLength(value),
		);
	}
	if (isArrayBuffer(value) || isSharedArrayBuffer(value)) {
		try {
			return new Uint8Array(value);
		} catch {
			return new Uint8Array(0); // detached
		}
	}
	const error = new TypeError(
		'The argument must be an ArrayBuffer, SharedArrayBuffer or ArrayBufferView',
	);
	error.code = 'ERR_INVALID_ARG_TYPE';
	throw error;
}

export function viewBuffer(view) {
	return typedArrayName(view) === undefined
		? DataViewPrototypeGetBuffer(view)
		: TypedArrayPrototypeGetBuffer(view);
}

export function viewByteOffset(view) {
	return typedArrayName(view) === undefined
		? DataViewPrototypeGetByteOffset(view)
		: TypedArrayPrototypeGetByteOffset(view);
}

export function viewByteLength(view) {
	return typedArrayName(view) === undefined
		? DataViewPrototypeGetByteLength(view)
		: TypedArrayPrototypeGetByteLength(view);
}
