// Certificates as objects, the form of tls.getPeerCertificate and toLegacyObject.

import {
	ArrayPrototypePush,
	JSONParse,
	StringPrototypeCharCodeAt,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeSplit,
} from '../../primordials.js';
import { bufferOf } from '../net/handle.js';

// RAW as C makes it, in place.
export function certificateOf(raw) {
	if (raw.pubkey !== undefined) raw.pubkey = bufferOf(raw.pubkey);
	if (raw.raw !== undefined) raw.raw = bufferOf(raw.raw);
	return raw;
}

// `infoAccess` as an object: "OCSP - URI:http://…" is ['http://…'] of 'OCSP - URI'. A value in
// quotes is a JSON string.
function parseInfoAccess(text) {
	const result = { __proto__: null };
	const lines = StringPrototypeSplit(text, '\n');
	for (let i = 0; i < lines.length; i++) {
		const colon = StringPrototypeIndexOf(lines[i], ':');
		if (colon < 0) continue;
		const key = StringPrototypeSlice(lines[i], 0, colon);
		let value = StringPrototypeSlice(lines[i], colon + 1);
		if (StringPrototypeCharCodeAt(value, 0) === 0x22) value = JSONParse(value);
		if (key in result) ArrayPrototypePush(result[key], value);
		else result[key] = [value];
	}
	return result;
}

export function translatePeerCertificate(certificate) {
	if (!certificate) return null;
	if (certificate.issuerCertificate != null && certificate.issuerCertificate !== certificate)
		certificate.issuerCertificate = translatePeerCertificate(certificate.issuerCertificate);
	if (typeof certificate.infoAccess === 'string')
		certificate.infoAccess = parseInfoAccess(certificate.infoAccess);
	return certificate;
}
