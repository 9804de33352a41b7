// atob and btoa (HTML, section 8.3; forgiving-base64 of the infra standard).

import { DOMException } from './errors.js';
import { native } from './native.js';
import { RegExpPrototypeExec } from './primordials.js';
import { requireArguments } from './webidl.js';

const FOREIGN = /[^\t\n\f\r +/0-9A-Za-z=]/;
const { base64Decode, base64Encode } = native;

export function atob(data) {
	requireArguments(arguments.length, 1, 'atob');
	const text = `${data}`;
	const result = base64Decode(text);
	if (result === undefined)
		throw new DOMException(
			RegExpPrototypeExec(FOREIGN, text) !== null
				? 'Invalid character'
				: 'The string to be decoded is not correctly encoded.',
			'InvalidCharacterError',
		);
	return result;
}

export function btoa(data) {
	requireArguments(arguments.length, 1, 'btoa');
	const result = base64Encode(`${data}`);
	if (result === undefined)
		throw new DOMException('Invalid character', 'InvalidCharacterError');
	return result;
}
