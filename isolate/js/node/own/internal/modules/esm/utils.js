// The conditions of `exports` and `imports` for import.

import { ArrayIsArray, SafeSet } from '../../../../../primordials.js';
import { codes } from '../../../../errors.js';
import { getOptionValue } from '../../options.js';

const conditions = new SafeSet(['node', 'import', 'module-sync', ...getOptionValue('--conditions')]);

export function getConditionsSet(wanted) {
	if (wanted === undefined) return conditions;
	if (!ArrayIsArray(wanted)) throw new codes.ERR_INVALID_ARG_VALUE('conditions', wanted, 'expected an array');
	return new SafeSet(wanted);
}
