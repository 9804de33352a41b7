// performance.now and performance.timeOrigin (High Resolution Time). The rest of Performance
// is in node/own/internal/perf/performance.js.

import { DateNow } from './primordials.js';
import { EventTarget, setEventTimeOrigin } from './events.js';
import { native } from './native.js';
import { defineInterface, illegalConstructor, illegalInvocation, inspectCustom, internalToken, isObject } from './webidl.js';

const { hrtime } = native;

let monotonicOrigin = 0; // of native.hrtime, in ms
let timeOrigin = 0; // of the wall clock, in ms

// At the start of a worker: its time begins now.
export function startClock() {
	monotonicOrigin = hrtime();
	timeOrigin = DateNow();
	setEventTimeOrigin(monotonicOrigin);
}

// Milliseconds.
export const clockOrigins = () => ({ monotonic: monotonicOrigin, wall: timeOrigin });

let isPerformance;

export class Performance extends EventTarget {
	#brand;

	constructor(token = undefined) {
		if (token !== internalToken) illegalConstructor();
		super();
	}
	now() {
		return #brand in this ? hrtime() - monotonicOrigin : illegalInvocation();
	}
	get timeOrigin() {
		return #brand in this ? timeOrigin : illegalInvocation();
	}
	toJSON() {
		if (!(#brand in this)) illegalInvocation();
		return {
			nodeTiming: this.nodeTiming,
			timeOrigin,
			eventLoopUtilization: this.eventLoopUtilization(),
		};
	}
	[inspectCustom](depth, options, inspect) {
		if (typeof depth === 'number' && depth < 0) return 'Performance';
		const inner = { __proto__: null, ...options };
		if (typeof options.depth === 'number') inner.depth = options.depth - 1;
		const { nodeTiming } = this;
		return `Performance ${inspect({ nodeTiming, timeOrigin: this.timeOrigin }, inner)}`;
	}
	static {
		isPerformance = (value) => isObject(value) && #brand in value;
	}
}
defineInterface(Performance, 'Performance');

export const performance = new Performance(internalToken);

export function requirePerformance(value) {
	if (!isPerformance(value)) illegalInvocation();
}
