// tls.createSecureContext: what one side of TLS trusts and shows.

import { native } from '../../native.js';
import {
	ArrayBufferIsView,
	ArrayIsArray,
	ArrayPrototypeJoin,
	ArrayPrototypePush,
	StringPrototypeSplit,
	StringPrototypeStartsWith,
} from '../../primordials.js';
import { codes } from '../errors.js';
import { validateString } from '../validators.js';
import { defaultAuthorities } from './binding.js';

// node:tls, whose DEFAULT_… properties programs may change; tls.js fills it in.
export const defaults = { __proto__: null, tls: undefined };

const VERSIONS = { __proto__: null, 'TLSv1': 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 };
const METHODS = {
	__proto__: null,
	TLS_method: [0, 0],
	TLS_client_method: [0, 0],
	TLS_server_method: [0, 0],
	SSLv23_method: [0, 0],
	TLSv1_2_method: [0x0303, 0x0303],
	TLSv1_2_client_method: [0x0303, 0x0303],
	TLSv1_2_server_method: [0x0303, 0x0303],
};
const SERVER_PREFERENCE = 1 << 22; // SSL_OP_CIPHER_SERVER_PREFERENCE

function versionOf(which, value, otherwise) {
	value ??= otherwise;
	if (VERSIONS[value] === undefined)
		throw new codes.ERR_TLS_INVALID_PROTOCOL_VERSION(value, which);
	return VERSIONS[value];
}

export function SecureContext(secureProtocol, secureOptions, minVersion, maxVersion) {
	if (!(this instanceof SecureContext))
		return new SecureContext(secureProtocol, secureOptions, minVersion, maxVersion);
	const { DEFAULT_MAX_VERSION, DEFAULT_MIN_VERSION } = defaults.tls;
	let least, most;
	if (secureProtocol) {
		if (minVersion !== undefined && minVersion !== null)
			throw new codes.ERR_TLS_PROTOCOL_VERSION_CONFLICT(minVersion, secureProtocol);
		if (maxVersion !== undefined && maxVersion !== null)
			throw new codes.ERR_TLS_PROTOCOL_VERSION_CONFLICT(maxVersion, secureProtocol);
		if (METHODS[secureProtocol] === undefined)
			throw new codes.ERR_TLS_INVALID_PROTOCOL_METHOD(`Unknown method: ${secureProtocol}`);
		[least, most] = METHODS[secureProtocol];
	}
	if (!least) {
		least = versionOf('minimum', minVersion, DEFAULT_MIN_VERSION);
		most = versionOf('maximum', maxVersion, DEFAULT_MAX_VERSION);
	}
	this.context = new native.TlsContext();
	this.context.setVersions(least, most);
	if (secureOptions & SERVER_PREFERENCE) this.context.preferServer();
}

// ---- certificates and keys ----

function checkInput(value, name) {
	if (typeof value === 'string' || ArrayBufferIsView(value)) return value;
	throw new codes.ERR_INVALID_ARG_TYPE(name, ['string', 'Buffer', 'TypedArray', 'DataView'], value);
}

// One, or an array of them.
function forEach(value, callback) {
	if (value === undefined || value === null || value === false) return;
	if (!ArrayIsArray(value)) {
		callback(value);
		return;
	}
	for (let i = 0; i < value.length; i++) callback(value[i]);
}

function setAuthorities(context, ca) {
	ca ||= defaultAuthorities();
	if (ca === undefined || ca === null) {
		context.useSystemCa();
		return false;
	}
	context.useOwnCa();
	forEach(ca, (value) => context.addCa(checkInput(value, 'options.ca')));
	return true;
}

function setKeys(context, options) {
	const { passphrase } = options;
	if (passphrase !== undefined && passphrase !== null) validateString(passphrase, 'options.passphrase');
	forEach(options.cert, (value) => context.setCertificate(checkInput(value, 'options.cert')));
	forEach(options.key, (value) => {
		const own = value?.pem === undefined ? { pem: value, passphrase } : value;
		context.setKey(checkInput(own.pem, 'options.key'), own.passphrase ?? passphrase ?? undefined);
	});
}

// Names of TLS 1.3's suites begin with TLS_: OpenSSL wants them apart.
function setCiphers(context, ciphers) {
	if (ciphers === undefined || ciphers === null) return;
	validateString(ciphers, 'options.ciphers');
	const parts = StringPrototypeSplit(ciphers, ':');
	const suites = [];
	const list = [];
	for (let i = 0; i < parts.length; i++)
		if (parts[i].length > 0)
			ArrayPrototypePush(StringPrototypeStartsWith(parts[i], 'TLS_') ? suites : list, parts[i]);
	context.setCiphers(ArrayPrototypeJoin(list, ':'), ArrayPrototypeJoin(suites, ':'));
	// A program that names ciphers of one version only wants no others.
	if (suites.length === 0 && list.length > 0) context.setVersions(0, 0x0303);
	else if (list.length === 0 && suites.length > 0) context.setVersions(0x0304, 0);
}

export function createSecureContext(options) {
	options ||= {};
	let { secureOptions } = options;
	if (options.honorCipherOrder) secureOptions |= SERVER_PREFERENCE;
	const secure = new SecureContext(
		options.secureProtocol,
		secureOptions,
		options.minVersion,
		options.maxVersion,
	);
	const { context } = secure;
	const own = setAuthorities(context, options.ca);
	setKeys(context, options);
	forEach(options.pfx, (value) => {
		const one = value?.buf === undefined ? { buf: value, passphrase: options.passphrase } : value;
		context.setPfx(checkInput(one.buf, 'options.pfx'), one.passphrase ?? options.passphrase ?? undefined, own);
	});
	if (options.crl) {
		if (!own)
			throw new codes.ERR_FEATURE_UNAVAILABLE_ON_PLATFORM('options.crl without options.ca');
		forEach(options.crl, (value) => context.addCrl(checkInput(value, 'options.crl')));
	}
	setCiphers(context, options.ciphers === defaults.tls.DEFAULT_CIPHERS ? undefined : options.ciphers);
	const curve = options.ecdhCurve ?? defaults.tls.DEFAULT_ECDH_CURVE;
	validateString(curve, 'options.ecdhCurve');
	if (curve !== 'auto') context.setGroups(curve);
	if (options.sigalgs !== undefined && options.sigalgs !== null) {
		validateString(options.sigalgs, 'options.sigalgs');
		context.setSigalgs(options.sigalgs);
	}
	return secure;
}
