// internalBinding('crypto'), its objects that keep something between calls: ciphers,
// signatures in pieces, Diffie-Hellman, certificates. C takes bytes and gives ArrayBuffers;
// Node's library wants strings decoded and Buffers.

import {
	Date,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	ReflectApply,
} from '../../primordials.js';
import { native } from '../../native.js';
import { internalBinding } from '../binding.js';
import { Buffer } from '../buffer.js';
import { process } from '../process_object.js';
import { certificateOf } from '../tls/certificate.js';
import internalBuffer from '../upstream/internal/buffer.js';
import internalUtil from '../upstream/internal/util.js';

const { FastBuffer } = internalBuffer;
const { from } = Buffer;
const { normalizeEncoding } = internalUtil;

export function toBuffer(buffer) {
	return new FastBuffer(buffer);
}

// A name that is no encoding's means UTF-8, as in Node's C++.
function toBytes(data, encoding) {
	return typeof data === 'string' ? from(data, normalizeEncoding(encoding) ?? 'utf8') : data;
}

// The names that people see when they print an object that has one of them.
function named(name, Class) {
	ObjectDefineProperty(Class, 'name', { __proto__: null, value: name });
	return Class;
}

// ---- ciphers ----

let warnedOfShortTag = false;

function warnOfShortTag() {
	if (warnedOfShortTag) return;
	warnedOfShortTag = true;
	process.emitWarning(
		'Using AES-GCM authentication tags of less than 128 bits without ' +
			'specifying the authTagLength option when initializing decryption ' +
			'is deprecated.',
		'DeprecationWarning',
		'DEP0182',
	);
}

class CipherBase extends native.CipherBase {
	update(data, encoding) {
		return toBuffer(super.update(toBytes(data, encoding)));
	}
	final() {
		return toBuffer(super.final());
	}
	getAuthTag() {
		const tag = super.getAuthTag();
		return tag === undefined ? undefined : toBuffer(tag);
	}
	setAuthTag(tag) {
		const result = super.setAuthTag(tag);
		if (result === 'short') warnOfShortTag();
		return result !== false;
	}
}

const rsa =
	(operation) =>
	(...args) =>
		toBuffer(ReflectApply(operation, undefined, args));

const ciphers = {
	CipherBase: named('CipherBase', CipherBase),
	getCipherInfo: native.getCipherInfo,
	getCiphers: native.getCiphers,
	privateDecrypt: rsa(native.privateDecrypt),
	privateEncrypt: rsa(native.privateEncrypt),
	publicDecrypt: rsa(native.publicDecrypt),
	publicEncrypt: rsa(native.publicEncrypt),
	kWebCryptoCipherEncrypt: 0,
	kWebCryptoCipherDecrypt: 1,
};
const modes = ['CTR', 'CBC', 'GCM', 'KW', 'OCB'];
for (let i = 0; i < modes.length; i++)
	for (let j = 0; j < 3; j++) ciphers[`kKeyVariantAES_${modes[i]}_${128 + 64 * j}`] = 3 * i + j;

// ---- signatures ----

class Sign extends native.Sign {
	update(data, encoding) {
		super.update(toBytes(data, encoding));
	}
	sign(...args) {
		return toBuffer(ReflectApply(super.sign, this, args));
	}
}

class Verify extends native.Verify {
	update(data, encoding) {
		super.update(toBytes(data, encoding));
	}
}

const signatures = {
	Sign: named('Sign', Sign),
	Verify: named('Verify', Verify),
	kSignJobModeSign: 0,
	kSignJobModeVerify: 1,
	kSigEncDER: 0,
	kSigEncP1363: 1,
	RSA_PKCS1_PSS_PADDING: 6,
};

// ---- key exchange ----

const exchange = (Base) =>
	class extends Base {
		computeSecret(key) {
			const secret = super.computeSecret(key);
			return typeof secret === 'string' ? secret : toBuffer(secret);
		}
		getPublicKey(form) {
			return toBuffer(super.getPublicKey(form));
		}
		getPrivateKey() {
			return toBuffer(super.getPrivateKey());
		}
	};

const overPrimes = (Base) =>
	class extends exchange(Base) {
		generateKeys() {
			return toBuffer(super.generateKeys());
		}
		getPrime() {
			return toBuffer(super.getPrime());
		}
		getGenerator() {
			return toBuffer(super.getGenerator());
		}
	};

function ECDHConvertKey(key, curve, form) {
	const converted = native.ecdhConvertKey(key, curve, form);
	return typeof converted === 'string' ? converted : toBuffer(converted);
}

const exchanges = {
	DiffieHellman: named('DiffieHellman', overPrimes(native.DiffieHellman)),
	DiffieHellmanGroup: named('DiffieHellmanGroup', overPrimes(native.DiffieHellmanGroup)),
	ECDH: named('ECDH', exchange(native.ECDH)),
	ECDHConvertKey,
	getCurves: native.getCurves,
};

// ---- certificates ----

const certificate = native.X509Certificate.prototype;
const { legacy, rawBuffer, validFromTime, validToTime } = certificate;

function defineMethod(name, value) {
	ObjectDefineProperty(certificate, name, {
		__proto__: null,
		value,
		writable: true,
		enumerable: false,
		configurable: true,
	});
}
defineMethod('validFromDate', function validFromDate() {
	return new Date(FunctionPrototypeCall(validFromTime, this));
});
defineMethod('validToDate', function validToDate() {
	return new Date(FunctionPrototypeCall(validToTime, this));
});
defineMethod('raw', function raw() {
	return toBuffer(FunctionPrototypeCall(rawBuffer, this));
});
defineMethod('toLegacy', function toLegacy() {
	return certificateOf(FunctionPrototypeCall(legacy, this));
});

const ofSpkac = (read) => (spkac) => {
	const result = read(spkac);
	return result === '' ? '' : toBuffer(result);
};

const certificates = {
	parseX509: native.parseX509,
	certVerifySpkac: native.certVerifySpkac,
	certExportPublicKey: ofSpkac(native.certExportPublicKey),
	certExportChallenge: ofSpkac(native.certExportChallenge),
	X509_CHECK_FLAG_ALWAYS_CHECK_SUBJECT: 0x1,
	X509_CHECK_FLAG_NO_WILDCARDS: 0x2,
	X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS: 0x4,
	X509_CHECK_FLAG_MULTI_LABEL_WILDCARDS: 0x8,
	X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS: 0x10,
	X509_CHECK_FLAG_NEVER_CHECK_SUBJECT: 0x20,
};

// ---- text of JWKs ----

const encoding = internalBinding('encoding_binding');
encoding.encodeUtf8String = native.utf8Encode;
encoding.decodeUTF8 = (bytes, keepsMark, isFatal) =>
	native.utf8Decode(bytes, (isFatal ? 1 : 0) | (keepsMark ? 0 : 2));

export const handlesBinding = {
	...ciphers,
	...signatures,
	...exchanges,
	...certificates,
};
