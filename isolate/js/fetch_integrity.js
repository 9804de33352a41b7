// Subresource integrity, as far as fetch()'s `integrity` needs it (SRI, section 3.3).

import {
	ArrayPrototypePush,
	RegExpPrototypeExec,
	StringFromCharCode,
	StringPrototypeReplaceAll,
	StringPrototypeSplit,
	StringPrototypeToLowerCase,
} from './primordials.js';
import { btoa } from './base64.js';
import { native } from './native.js';

const item = /^(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})(?:\?.*)?$/i;
const digests = { __proto__: null, sha256: 'SHA256', sha384: 'SHA384', sha512: 'SHA512' };
const strength = { __proto__: null, sha256: 1, sha384: 2, sha512: 3 };

// The strongest of the hashes that METADATA names: [{ algorithm, value }].
function strongest(metadata) {
	const words = StringPrototypeSplit(metadata, ' ');
	let best = [];
	for (let i = 0; i < words.length; i++) {
		const match = RegExpPrototypeExec(item, words[i]);
		if (match === null) continue;
		const algorithm = StringPrototypeToLowerCase(match[1]);
		const value = StringPrototypeReplaceAll(StringPrototypeReplaceAll(match[2], '-', '+'), '_', '/');
		if (best.length > 0 && strength[algorithm] < strength[best[0].algorithm]) continue;
		if (best.length > 0 && strength[algorithm] > strength[best[0].algorithm]) best = [];
		ArrayPrototypePush(best, { __proto__: null, algorithm, value });
	}
	return best;
}

function toBase64(bytes) {
	let text = '';
	for (let i = 0; i < bytes.length; i++) text += StringFromCharCode(bytes[i]);
	return btoa(text);
}

// Does BYTES have one of METADATA's hashes? Nothing that is known to check is a match.
export function hasIntegrity(bytes, metadata) {
	const hashes = strongest(metadata);
	if (hashes.length === 0) return true;
	const actual = toBase64(native.fetchDigest(digests[hashes[0].algorithm], bytes));
	for (let i = 0; i < hashes.length; i++) if (hashes[i].value === actual) return true;
	return false;
}
