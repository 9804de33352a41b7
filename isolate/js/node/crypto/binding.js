// internalBinding('crypto') for Node's own library: what C does (isolate/crypto_*.c), and what
// these files make of it. What node:tls asks of it is in ../tls/binding.js.

import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import { ObjectAssign, Uint8Array } from '../../primordials.js';
import { internalBinding } from '../binding.js';
import { Buffer } from '../buffer.js';
import { codes } from '../errors.js';
import { cryptoBinding } from '../tls/binding.js';
import internalBuffer from '../upstream/internal/buffer.js';
import { constants, numbers } from './constants.js';
import { handlesBinding } from './handles.js';
import { jobs } from './jobs.js';
import './jwk.js';
import { keysBinding } from './keys.js';

const { from } = Buffer;

// For C: what a Buffer is, and text in encodings that only Buffer knows.
hooks.FastBuffer = internalBuffer.FastBuffer;
hooks.decodeString = (text, encoding) => from(text, encoding);

ObjectAssign(cryptoBinding, numbers, keysBinding, jobs, handlesBinding, {
	Hash: native.Hash,
	Hmac: native.Hmac,
	getCachedAliases: () => ({ __proto__: null }),
	getHashes: native.getHashes,
	oneShotDigest: native.oneShotDigest,
	timingSafeEqual: native.timingSafeEqual,
	// Nothing is kept from being swapped out or dumped: there is no swap for workers, and their
	// dumps are off.
	secureBuffer: (length) => new Uint8Array(length),
	secureHeapUsed: () => 0n,
	getOpenSSLSecLevelCrypto: () => 2,
	getFipsCrypto: () => 0,
	testFipsCrypto: () => false,
	setFipsCrypto(enable) {
		if (enable) throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('FIPS mode');
	},
});

internalBinding('constants').crypto = constants;
