// Node's internal/util/inspect: ours is ../../../../inspect.

export { inspect } from '../../../../inspect.js';
import { stripVTControlCharacters as strip } from '../../../../inspect/strings.js';
import { requireString } from '../../../../validate.js';

export { getStringWidth } from '../../../../inspect/strings.js';
export { format, formatWithOptions } from '../../../printf.js';

export function stripVTControlCharacters(str) {
	requireString(str, 'str');
	return strip(str);
}

// Where a run of more than three entries of B stands in A: [length, index].
export function identicalSequenceRange(a, b) {
	for (let i = 0; i < a.length - 3; i++) {
		const at = b.indexOf(a[i]);
		if (at < 0 || b.length - at <= 3) continue;
		const most = Math.min(a.length - i, b.length - at);
		let length = 1;
		while (length < most && a[i + length] === b[at + length]) length++;
		if (length > 3) return [length, i];
	}
	return [0, 0];
}
