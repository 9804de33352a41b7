// Node's Timeout and Immediate, as timers/promises makes them.

import { setImmediate, setInterval, setTimeout } from '../../../timers.js';
import { process } from '../../process_object.js';
import { codes } from '../../errors.js';
import { validateNumber } from '../../validators.js';

export function Timeout(callback, after, args, isRepeat, isRefed) {
	const start = isRepeat ? setInterval : setTimeout;
	const timer = args === undefined ? start(callback, after) : start(callback, after, args[0]);
	return isRefed ? timer : timer.unref();
}

export function insert() {} // started already

export function Immediate(callback, args) {
	return setImmediate(callback, args[0]);
}

export function setUnrefTimeout(callback, after) {
	return setTimeout(callback, after).unref();
}

const TIMEOUT_MAX = 2 ** 31 - 1;

export function getTimerDuration(milliseconds, name) {
	validateNumber(milliseconds, name);
	if (milliseconds < 0 || !Number.isFinite(milliseconds))
		throw new codes.ERR_OUT_OF_RANGE(name, 'a non-negative finite number', milliseconds);
	if (milliseconds <= TIMEOUT_MAX) return milliseconds;
	process.emitWarning(
		`${milliseconds} does not fit into a 32-bit signed integer.` +
			`\nTimer duration was truncated to ${TIMEOUT_MAX}.`,
		'TimeoutOverflowWarning',
	);
	return TIMEOUT_MAX;
}
