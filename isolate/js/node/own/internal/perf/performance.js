// The part of Performance (../../../../performance.js) that Node's own files make: the
// timeline, marks and measures, and what only Node has.

import { performance, Performance, requirePerformance } from '../../../../performance.js';
import { ObjectDefineProperty } from '../../../../primordials.js';
import { defineEventHandler, dispatch, Event, makeTrusted } from '../../../../events.js';
import { requireArguments } from '../../../../webidl.js';
import {
	clearEntriesFromBuffer,
	filterBufferMapByNameAndType,
	setDispatchBufferFull,
	setResourceTimingBufferSize,
} from 'internal/perf/observe';
import { clearMarkTimings, mark, measure } from 'internal/perf/usertiming';
import { eventLoopUtilization } from 'internal/perf/event_loop_utilization';
import { markResourceTiming } from 'internal/perf/resource_timing';
import nodeTiming from 'internal/perf/nodetiming';
import timerify from 'internal/perf/timerify';

export { performance, Performance };

const optionalString = (value) => (value === undefined ? undefined : `${value}`);

const members = {
	clearMarks(markName = undefined) {
		requirePerformance(this);
		const name = optionalString(markName);
		clearMarkTimings(name);
		clearEntriesFromBuffer('mark', name);
	},
	clearMeasures(measureName = undefined) {
		requirePerformance(this);
		clearEntriesFromBuffer('measure', optionalString(measureName));
	},
	clearResourceTimings() {
		requirePerformance(this);
		clearEntriesFromBuffer('resource');
	},
	getEntries() {
		requirePerformance(this);
		return filterBufferMapByNameAndType();
	},
	getEntriesByName(name, type = undefined) {
		requirePerformance(this);
		requireArguments(arguments.length, 1, 'Performance.getEntriesByName');
		return filterBufferMapByNameAndType(`${name}`, optionalString(type));
	},
	getEntriesByType(type) {
		requirePerformance(this);
		requireArguments(arguments.length, 1, 'Performance.getEntriesByType');
		return filterBufferMapByNameAndType(undefined, `${type}`);
	},
	mark(markName, markOptions = {}) {
		requirePerformance(this);
		requireArguments(arguments.length, 1, 'Performance.mark');
		return mark(markName, markOptions);
	},
	measure(measureName, startOrMeasureOptions = {}, endMark = undefined) {
		requirePerformance(this);
		requireArguments(arguments.length, 1, 'Performance.measure');
		return measure(`${measureName}`, startOrMeasureOptions, endMark);
	},
	setResourceTimingBufferSize(maxSize) {
		requirePerformance(this);
		requireArguments(arguments.length, 1, 'Performance.setResourceTimingBufferSize');
		setResourceTimingBufferSize(maxSize >>> 0);
	},
};

function define(name, value, enumerable) {
	ObjectDefineProperty(Performance.prototype, name, {
		__proto__: null,
		value,
		writable: true,
		enumerable,
		configurable: true,
	});
}

for (const name of Object.keys(members)) define(name, members[name], true);
define('eventLoopUtilization', eventLoopUtilization, false);
define('markResourceTiming', markResourceTiming, false);
define('nodeTiming', nodeTiming, false);
define('timerify', timerify, false);
defineEventHandler(Performance.prototype, 'resourcetimingbufferfull');

setDispatchBufferFull((type) => {
	dispatch(performance, makeTrusted(new Event(type)));
});
