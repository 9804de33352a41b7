// Node's Timeout and Immediate, as timers/promises makes them.

import { setImmediate, setInterval, setTimeout } from '../../../timers.js';

export function Timeout(callback, after, args, isRepeat, isRefed) {
	const start = isRepeat ? setInterval : setTimeout;
	const timer = args === undefined ? start(callback, after) : start(callback, after, args[0]);
	return isRefed ? timer : timer.unref();
}

export function insert() {} // started already

export function Immediate(callback, args) {
	return setImmediate(callback, args[0]);
}
