// DatabaseSync.prototype.limits: SQLite's own limits of one connection.

import {
	NumberIsInteger,
	ObjectDefineProperty,
	ObjectKeys,
	RangeError,
	TypeError,
} from '../../primordials.js';
import { nodeError } from '../../validate.js';
import { checkObject, outOfRange, wrongType } from './checks.js';

// As SQLite numbers them.
const numbers = {
	__proto__: null,
	length: 0,
	sqlLength: 1,
	column: 2,
	exprDepth: 3,
	compoundSelect: 4,
	vdbeOp: 5,
	functionArg: 6,
	attach: 7,
	likePatternLength: 8,
	variableNumber: 9,
	triggerDepth: 10,
};
const names = ObjectKeys(numbers);
const MOST = 0x7fffffff; // SQLite lowers it to what it was built with

function limitValue(value) {
	if (value === Infinity) return MOST;
	if (typeof value !== 'number' || !NumberIsInteger(value))
		throw nodeError(
			TypeError,
			'ERR_INVALID_ARG_TYPE',
			'Limit value must be a non-negative integer or Infinity.',
		);
	if (value < 0 || value > MOST)
		throw nodeError(RangeError, 'ERR_OUT_OF_RANGE', 'Limit value must be non-negative.');
	return value;
}

// CHANGE(number, value) gives the limit, and sets it if VALUE is not negative.
export function makeLimits(change) {
	const limits = {};
	for (let i = 0; i < names.length; i++) {
		const number = numbers[names[i]];
		ObjectDefineProperty(limits, names[i], {
			__proto__: null,
			get: () => change(number, -1),
			set: (value) => {
				change(number, limitValue(value));
			},
			enumerable: true,
			configurable: false,
		});
	}
	return limits;
}

// Of the option: [[number, value], …].
export function initialLimits(option) {
	const list = [];
	if (option === undefined) return list;
	checkObject(option, 'options.limits');
	for (let i = 0; i < names.length; i++) {
		const value = option[names[i]];
		if (value === undefined) continue;
		const what = `options.limits.${names[i]}`;
		if (typeof value !== 'number' || !NumberIsInteger(value)) throw wrongType(what, 'an integer');
		if (value < 0 || value > MOST) throw outOfRange(what, 'non-negative');
		list[list.length] = [numbers[names[i]], value];
	}
	return list;
}
