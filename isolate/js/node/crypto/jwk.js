// JSON Web Keys (RFC 7517, 7518, 8037): C has the numbers (isolate/crypto_key_jwk.c), here they
// become base64url and back. Properties come in Node's order.

import { codedError } from '../../errors.js';
import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import {
	Error,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	ReflectApply,
	TypeError,
} from '../../primordials.js';
import { Buffer } from '../buffer.js';

const { KeyObjectHandle } = native;
const { init, initParts, jwkParts } = KeyObjectHandle.prototype;
const { from } = Buffer;
const { toString } = Buffer.prototype;

// Only the library uses them.
delete KeyObjectHandle.prototype.initParts;
delete KeyObjectHandle.prototype.jwkParts;

// ---- out ----

const rsaNames = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'];
const curves = { __proto__: null, prime256v1: 'P-256', secp256k1: 'secp256k1', secp384r1: 'P-384', secp521r1: 'P-521' };
const edwards = { __proto__: null, ED25519: 'Ed25519', ED448: 'Ed448', X25519: 'X25519', X448: 'X448' };

function put(target, key, value) {
	ObjectDefineProperty(target, key, {
		__proto__: null,
		value: typeof value === 'string' ? value : FunctionPrototypeCall(toString, value, 'base64url'),
		writable: true,
		enumerable: true,
		configurable: true,
	});
}

// Without iterators, which a program may have changed.
function putEC(target, parts) {
	const curve = parts[1];
	const d = parts[4];
	put(target, 'kty', 'EC');
	put(target, 'x', parts[2]);
	put(target, 'y', parts[3]);
	if (curves[curve] === undefined)
		throw codedError(Error, 'ERR_CRYPTO_JWK_UNSUPPORTED_CURVE', `Unsupported JWK EC curve: ${curve}.`);
	put(target, 'crv', curves[curve]);
	if (d !== undefined) put(target, 'd', d);
}

function putRaw(target, parts) {
	const type = parts[1];
	const publicKey = parts[2];
	const privateKey = parts[3];
	if (edwards[type] !== undefined) {
		put(target, 'crv', edwards[type]);
		if (privateKey !== undefined) put(target, 'd', privateKey);
		put(target, 'x', publicKey);
		put(target, 'kty', 'OKP');
		return;
	}
	if (privateKey !== undefined) put(target, 'priv', privateKey);
	put(target, 'kty', 'AKP');
	put(target, 'alg', type);
	put(target, 'pub', publicKey);
}

// exportJwk(target, whether RSA-PSS keys have one): target.
function exportJwk(target, pss) {
	const parts = FunctionPrototypeCall(jwkParts, this);
	if (parts === undefined)
		throw codedError(Error, 'ERR_CRYPTO_OPERATION_FAILED', 'Failed to export JWK');
	switch (parts[0]) {
		case 'oct':
			put(target, 'kty', 'oct');
			put(target, 'k', parts[1]);
			break;
		case 'EC':
			putEC(target, parts);
			break;
		case 'raw':
			putRaw(target, parts);
			break;
		default:
			if (parts.length === 0 || (parts[0] === 'RSA-PSS' && !pss))
				throw codedError(Error, 'ERR_CRYPTO_JWK_UNSUPPORTED_KEY_TYPE', 'Unsupported JWK Key Type.');
			put(target, 'kty', 'RSA');
			for (let i = 1; i < parts.length; i++) put(target, rsaNames[i - 1], parts[i]);
	}
	return target;
}
ObjectDefineProperty(KeyObjectHandle.prototype, 'exportJwk', {
	__proto__: null,
	value: exportJwk,
	writable: true,
	configurable: true,
});
hooks.exportJwk = (handle) => FunctionPrototypeCall(exportJwk, handle, {}, false);

// ---- in ----

function invalid(message) {
	return codedError(TypeError, 'ERR_CRYPTO_INVALID_JWK', message);
}

const decode = (text) => from(text, 'base64url');

// PARTS are the arguments of initParts.
function make(message, parts) {
	const handle = new KeyObjectHandle();
	if (!ReflectApply(initParts, handle, parts)) throw invalid(message);
	return handle;
}

// Whether the last of the values makes it a private key. All others must be strings.
function isPrivate(message, required, optional) {
	for (let i = 0; i < required.length; i++)
		if (typeof required[i] !== 'string') throw invalid(message);
	if (optional !== undefined && typeof optional !== 'string') throw invalid(message);
	return optional !== undefined;
}

function importRSA(jwk) {
	const message = 'Invalid JWK RSA key';
	const { n, e, d } = jwk;
	if (!isPrivate(message, [n, e], d)) return make(message, ['RSA', '', false, decode(n), decode(e)]);
	const { p, q, dp, dq, qi } = jwk;
	isPrivate(message, [p, q, dp, dq, qi], undefined);
	return make(message, [
		'RSA',
		'',
		true,
		decode(n),
		decode(e),
		decode(d),
		decode(p),
		decode(q),
		decode(dp),
		decode(dq),
		decode(qi),
	]);
}

function importEC(jwk) {
	const message = 'Invalid JWK EC key';
	const { crv } = jwk;
	if (typeof crv !== 'string') throw invalid(message);
	const curve = native.curveName(crv);
	if (curve === undefined)
		throw codedError(TypeError, 'ERR_CRYPTO_INVALID_CURVE', 'Invalid EC curve name');
	const { x, y, d } = jwk;
	return isPrivate(message, [x, y], d)
		? make(message, ['EC', curve, true, decode(x), decode(y), decode(d)])
		: make(message, ['EC', curve, false, decode(x), decode(y)]);
}

function importOKP(jwk) {
	const message = 'Invalid JWK OKP key';
	const { crv, x, d } = jwk;
	const withPrivate = isPrivate(message, [crv, x], d);
	switch (crv) {
		case 'Ed25519':
		case 'Ed448':
		case 'X25519':
		case 'X448':
			return make(message, ['raw', crv, withPrivate, decode(withPrivate ? d : x)]);
		default:
			throw invalid(message);
	}
}

function importAKP(jwk) {
	const message = 'Invalid JWK AKP key';
	const { alg, pub, priv } = jwk;
	if (typeof alg !== 'string' || !native.isPostQuantum(alg))
		throw invalid('Unsupported JWK AKP "alg"');
	const withPrivate = isPrivate(message, [pub], priv);
	return make(message, ['raw', alg, withPrivate, decode(withPrivate ? priv : pub)]);
}

// A KeyObjectHandle of what JWK describes.
hooks.importJwk = (jwk, secret) => {
	if (secret) {
		const { k } = jwk;
		if (typeof k !== 'string') throw invalid('Invalid JWK secret key format');
		const handle = new KeyObjectHandle();
		FunctionPrototypeCall(init, handle, 0, decode(k));
		return handle;
	}
	const { kty } = jwk;
	if (typeof kty !== 'string') throw invalid('Invalid JWK format');
	switch (kty) {
		case 'RSA':
			return importRSA(jwk);
		case 'EC':
			return importEC(jwk);
		case 'OKP':
			return importOKP(jwk);
		case 'AKP':
			return importAKP(jwk);
		default:
			throw invalid(`${kty} is not a supported JWK key type`);
	}
};
