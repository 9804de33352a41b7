// internalBinding('performance'): clocks, milestones and histograms for Node's own files of
// node:perf_hooks. Nothing observes the garbage collector, HTTP, DNS and sockets.

import { native } from '../native.js';
import { clockOrigins } from '../performance.js';
import { ObjectDefineProperty } from '../primordials.js';
import { DelayHandle, HistogramHandle } from './histogram.js';

// Programs see these.
const constants = {
	NODE_PERFORMANCE_GC_MAJOR: 4,
	NODE_PERFORMANCE_GC_MINOR: 1,
	NODE_PERFORMANCE_GC_MINOR_MARK_SWEEP: 2,
	NODE_PERFORMANCE_GC_INCREMENTAL: 8,
	NODE_PERFORMANCE_GC_WEAKCB: 16,
	NODE_PERFORMANCE_GC_FLAGS_NO: 0,
	NODE_PERFORMANCE_GC_FLAGS_CONSTRUCT_RETAINED: 2,
	NODE_PERFORMANCE_GC_FLAGS_FORCED: 4,
	NODE_PERFORMANCE_GC_FLAGS_SYNCHRONOUS_PHANTOM_PROCESSING: 8,
	NODE_PERFORMANCE_GC_FLAGS_ALL_AVAILABLE_GARBAGE: 16,
	NODE_PERFORMANCE_GC_FLAGS_ALL_EXTERNAL_MEMORY: 32,
	NODE_PERFORMANCE_GC_FLAGS_SCHEDULE_IDLE: 64,
};

function defineHidden(names) {
	for (let i = 0; i < names.length; i++)
		ObjectDefineProperty(constants, names[i], { __proto__: null, value: i });
}
defineHidden([
	'NODE_PERFORMANCE_ENTRY_TYPE_GC',
	'NODE_PERFORMANCE_ENTRY_TYPE_HTTP',
	'NODE_PERFORMANCE_ENTRY_TYPE_HTTP2',
	'NODE_PERFORMANCE_ENTRY_TYPE_NET',
	'NODE_PERFORMANCE_ENTRY_TYPE_DNS',
	'NODE_PERFORMANCE_ENTRY_TYPE_QUIC',
]);
defineHidden([
	'NODE_PERFORMANCE_MILESTONE_TIME_ORIGIN_TIMESTAMP',
	'NODE_PERFORMANCE_MILESTONE_TIME_ORIGIN',
	'NODE_PERFORMANCE_MILESTONE_ENVIRONMENT',
	'NODE_PERFORMANCE_MILESTONE_NODE_START',
	'NODE_PERFORMANCE_MILESTONE_V8_START',
	'NODE_PERFORMANCE_MILESTONE_LOOP_START',
	'NODE_PERFORMANCE_MILESTONE_LOOP_EXIT',
	'NODE_PERFORMANCE_MILESTONE_BOOTSTRAP_COMPLETE',
]);

// A worker begins when its clock does: all that Node does before is in the snapshot. The first
// in microseconds of the wall clock, the others in nanoseconds of hrtime.
const start = () => clockOrigins().monotonic * 1e6;
const milestones = {
	__proto__: null,
	get 0() {
		return clockOrigins().wall * 1e3;
	},
	get 1() {
		return start();
	},
	get 2() {
		return start();
	},
	get 3() {
		return start();
	},
	get 4() {
		return start();
	},
	get 5() {
		return start();
	},
	6: -1,
	get 7() {
		return start();
	},
};

export const performanceBinding = {
	constants,
	milestones,
	observerCounts: [0, 0, 0, 0, 0, 0],
	setupObservers() {},
	installGarbageCollectionTracking() {},
	removeGarbageCollectionTracking() {},
	now: () => native.hrtime() - clockOrigins().monotonic,
	loopIdleTime: () => native.loopMetrics()[0],
	uvMetricsInfo() {
		const [, loops, events, waiting] = native.loopMetrics();
		return [loops, events, waiting];
	},
	Histogram: HistogramHandle,
	createELDHistogram: (resolution) => new DelayHandle(resolution),
};
