// What upstream/internal/crypto/keys.js derives KeyObject and CryptoKey from: they keep what
// they are in private fields, beyond what a program can reach.

import { native } from '../../native.js';
import { FunctionPrototypeCall } from '../../primordials.js';
import { codes } from '../errors.js';
import { setCryptoKey } from './jobs.js';

const { getKeyType } = native.KeyObjectHandle.prototype;
const typeOf = (handle) => FunctionPrototypeCall(getKeyType, handle);

let keyObjectSlots;
// Brand checks that cost nothing: structuredClone asks of every object.
export let isNativeKeyObject;
export let isNativeCryptoKey;
class NativeKeyObject {
	#handle;

	constructor(handle) {
		typeOf(handle); // throws at what is none, or is empty
		this.#handle = handle;
	}

	static {
		isNativeKeyObject = (value) => #handle in value;
		keyObjectSlots = (key) => {
			if (!(#handle in key)) throw new codes.ERR_INVALID_THIS('KeyObject');
			return [typeOf(key.#handle), key.#handle];
		};
	}
}

let cryptoKeySlots;
class NativeCryptoKey {
	#handle;
	#algorithm;
	#usages;
	#extractable;

	constructor(handle, algorithm, usages, extractable) {
		typeOf(handle);
		this.#handle = handle;
		this.#algorithm = algorithm;
		this.#usages = usages;
		this.#extractable = extractable;
	}

	static {
		isNativeCryptoKey = (value) => #handle in value;
		cryptoKeySlots = (key) => {
			if (!(#handle in key)) throw new codes.ERR_INVALID_THIS('CryptoKey');
			return [typeOf(key.#handle), key.#extractable, key.#algorithm, key.#usages, key.#handle];
		};
	}
}

export const keysBinding = {
	KeyObjectHandle: native.KeyObjectHandle,
	createNativeKeyObjectClass: (make) => make(NativeKeyObject),
	getKeyObjectSlots: (key) => keyObjectSlots(key),
	createCryptoKeyClass(make) {
		const classes = make(NativeCryptoKey);
		setCryptoKey(classes[1]);
		return classes;
	},
	getCryptoKeySlots: (key) => cryptoKeySlots(key),
};
