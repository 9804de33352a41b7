// util.format and util.formatWithOptions.

import { formatWithOptions as formatList } from '../inspect.js';
import { invalidArgumentType } from '../validate.js';

export function format(...args) {
	return formatList(undefined, args);
}

export function formatWithOptions(inspectOptions, ...args) {
	if (typeof inspectOptions !== 'object' || inspectOptions === null)
		throw invalidArgumentType('inspectOptions', 'of type object', inspectOptions);
	return formatList(inspectOptions, args);
}
