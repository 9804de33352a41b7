// Crypto, SubtleCrypto and CryptoKey (Web Cryptography): Node's own. Randomness comes
// straight from the kernel instead, which is faster, and so that no two forks can share any.

import { getRandomValues, randomUUID } from '../../crypto.js';
import { ObjectDefineProperty } from '../../primordials.js';
import { defineInterface, illegalInvocation, requireArguments } from '../../webidl.js';
import webcrypto from '../upstream/internal/crypto/webcrypto.js';
import { restoreNames } from '../names.js';
import './clone.js';

const { crypto, Crypto, CryptoKey, SubtleCrypto } = webcrypto;

function replaceMethod(name, value) {
	ObjectDefineProperty(Crypto.prototype, name, {
		__proto__: null,
		value,
		writable: true,
		enumerable: true,
		configurable: true,
	});
}

const methods = {
	getRandomValues(array) {
		if (this !== crypto) illegalInvocation();
		requireArguments(arguments.length, 1, 'Crypto.getRandomValues');
		return getRandomValues(array);
	},
	randomUUID() {
		return this === crypto ? randomUUID() : illegalInvocation();
	},
};
replaceMethod('getRandomValues', methods.getRandomValues);
replaceMethod('randomUUID', methods.randomUUID);

defineInterface(Crypto, 'Crypto');
defineInterface(SubtleCrypto, 'SubtleCrypto');
defineInterface(CryptoKey, 'CryptoKey');
// The bundler may have given these functions others.

restoreNames(Crypto);
restoreNames(SubtleCrypto);
restoreNames(CryptoKey);

export { crypto, Crypto, CryptoKey, SubtleCrypto };
