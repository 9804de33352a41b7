// structuredClone and postMessage of CryptoKey and KeyObject: as DER or bytes, and what they
// are for. A program sees neither.

import { registerSerializable } from '../../messaging/serialize.js';
import { native } from '../../native.js';
import { FunctionPrototypeCall } from '../../primordials.js';
import keys from '../upstream/internal/crypto/keys.js';
import { numbers } from './constants.js';
import { isNativeCryptoKey, isNativeKeyObject } from './keys.js';

const { kKeyEncodingPKCS8, kKeyEncodingSPKI, kKeyFormatDER, kKeyTypePrivate, kKeyTypePublic, kKeyTypeSecret } = numbers;
const {
	getCryptoKeyAlgorithm,
	getCryptoKeyExtractable,
	getCryptoKeyHandle,
	getCryptoKeyUsagesMask,
	getKeyObjectHandle,
	InternalCryptoKey,
	PrivateKeyObject,
	PublicKeyObject,
	SecretKeyObject,
} = keys;
const { KeyObjectHandle } = native;
const { export: exportKey, getKeyType, init } = KeyObjectHandle.prototype;

function writeHandle(handle) {
	switch (FunctionPrototypeCall(getKeyType, handle)) {
		case kKeyTypeSecret:
			return [kKeyTypeSecret, FunctionPrototypeCall(exportKey, handle)];
		case kKeyTypePublic:
			return [kKeyTypePublic, FunctionPrototypeCall(exportKey, handle, kKeyFormatDER, kKeyEncodingSPKI)];
		default:
			return [
				kKeyTypePrivate,
				FunctionPrototypeCall(exportKey, handle, kKeyFormatDER, kKeyEncodingPKCS8, null, null),
			];
	}
}

function readHandle(type, data) {
	const handle = new KeyObjectHandle();
	if (type === kKeyTypeSecret) FunctionPrototypeCall(init, handle, type, data);
	else
		FunctionPrototypeCall(
			init,
			handle,
			type,
			data,
			kKeyFormatDER,
			type === kKeyTypePublic ? kKeyEncodingSPKI : kKeyEncodingPKCS8,
			null,
			null,
		);
	return handle;
}

registerSerializable(
	'CryptoKey',
	isNativeCryptoKey,
	(key) => {
		const parts = writeHandle(getCryptoKeyHandle(key));
		parts[2] = getCryptoKeyAlgorithm(key);
		parts[3] = getCryptoKeyUsagesMask(key);
		parts[4] = getCryptoKeyExtractable(key);
		return parts;
	},
	(parts) => new InternalCryptoKey(readHandle(parts[0], parts[1]), parts[2], parts[3], parts[4]),
);

const classes = [SecretKeyObject, PublicKeyObject, PrivateKeyObject]; // by kKeyType…
registerSerializable(
	'KeyObject',
	isNativeKeyObject,
	(key) => writeHandle(getKeyObjectHandle(key)),
	(parts) => new classes[parts[0]](readHandle(parts[0], parts[1])),
);
