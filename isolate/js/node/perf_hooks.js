// node:perf_hooks, Node's own. The interfaces of the performance timeline are globals, too.

import perfHooks from 'perf_hooks';
import Histogram from 'internal/histogram';
import { defineClasses } from '../globals.js';
import { registerBuiltin } from './registry.js';

// Statistics that histogram.js does not have.
for (const name of ['mannWhitneyTest', 'percentileCI', 'welchTest'])
	delete Histogram.Histogram.prototype[name];

const {
	PerformanceEntry,
	PerformanceMark,
	PerformanceMeasure,
	PerformanceObserver,
	PerformanceObserverEntryList,
	PerformanceResourceTiming,
} = perfHooks;
defineClasses({
	PerformanceEntry,
	PerformanceMark,
	PerformanceMeasure,
	PerformanceObserver,
	PerformanceObserverEntryList,
	PerformanceResourceTiming,
});

registerBuiltin('perf_hooks', () => perfHooks);
