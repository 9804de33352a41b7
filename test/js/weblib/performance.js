// What test/wpt/user-timing and performance-timeline do not ask, and node:perf_hooks.
'use strict';

const hooks = process.getBuiltinModule('node:perf_hooks');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('the module and the globals are the same', () => {
	equal(hooks.performance, performance);
	for (const name of ['Entry', 'Mark', 'Measure', 'Observer', 'ObserverEntryList', 'ResourceTiming'])
		equal(hooks[`Performance${name}`], globalThis[`Performance${name}`], name);
	equal(hooks.constants.NODE_PERFORMANCE_GC_MAJOR, 4);
	same(Object.keys(performance.toJSON()), ['nodeTiming', 'timeOrigin', 'eventLoopUtilization']);
	ok(Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1000);
});

test('marks and measures', () => {
	const mark = performance.mark('a', { detail: { x: 1 }, startTime: 5 });
	same(mark.toJSON(), { name: 'a', entryType: 'mark', startTime: 5, duration: 0, detail: { x: 1 } });
	const measure = performance.measure('m', { start: 'a', duration: 7 });
	equal(measure.startTime, 5);
	equal(measure.duration, 7);
	equal(performance.getEntriesByName('m')[0], measure);
	throws(() => performance.measure('m', 'nothing'), { name: 'SyntaxError' });
	throws(() => performance.mark(), { name: 'TypeError' });
	throws(() => performance.mark('b', { startTime: -1 }), { name: 'TypeError' });
	const { mark: method } = performance;
	throws(() => method('a'), { name: 'TypeError' });
	throws(() => new Performance(), { name: 'TypeError' });
	performance.clearMarks();
	performance.clearMeasures('m');
	equal(performance.getEntries().length, 0);
});

test('an observer sees what happens', async () => {
	const seen = [];
	const observer = new PerformanceObserver((list) => seen.push(...list.getEntries()));
	observer.observe({ entryTypes: ['mark', 'function'] });
	performance.mark('seen');
	hooks.timerify(function work() {})();
	await sleep(5);
	observer.disconnect();
	performance.mark('unseen');
	await sleep(5);
	same(seen.map((entry) => entry.name).sort(), ['seen', 'work']);
});

test('histograms count as Node does', () => {
	const histogram = hooks.createHistogram();
	equal(histogram.min, 9223372036854776000);
	equal(histogram.max, 0);
	ok(Number.isNaN(histogram.mean));
	for (let i = 1; i <= 1000; i++) histogram.record(i * i);
	// Of Node 24.
	equal(histogram.count, 1000);
	equal(histogram.min, 1);
	equal(histogram.max, 1000447);
	equal(Math.round(histogram.mean), 333851);
	equal(Math.round(histogram.stddev), 298429);
	equal(histogram.percentile(50), 250111);
	equal(histogram.percentile(99.9), 998399);
	same([...histogram.linearBuckets(400000)], [[399872, 632], [799744, 262], [1199104, 106]]);
	same([...histogram.percentiles.keys()].slice(0, 4), [0, 50, 75, 87.5]);
	equal(histogram.exceeds, 0);
	equal(histogram.countBigInt, 1000n);
	const other = hooks.createHistogram({ lowest: 1, highest: 100, figures: 2 });
	other.record(1000);
	equal(other.exceeds, 1);
	equal(other.count, 0);
	throws(() => histogram.record(0), { code: 'ERR_OUT_OF_RANGE' });
	throws(() => histogram.percentile(0), { code: 'ERR_OUT_OF_RANGE' });
	throws(() => hooks.createHistogram({ figures: 6 }), { code: 'ERR_OUT_OF_RANGE' });
	histogram.add(other);
	histogram.reset();
	equal(histogram.count, 0);
});

test('the delay of the event loop', async () => {
	const delay = hooks.monitorEventLoopDelay({ resolution: 2 });
	ok(delay.enable());
	ok(!delay.enable());
	await sleep(20);
	const until = performance.now() + 30;
	while (performance.now() < until);
	await sleep(10);
	ok(delay.disable());
	ok(delay.count > 2, 'nothing was recorded');
	ok(delay.max >= 25e6, `the longest was ${delay.max} ns`);
});

test('the utilization of the event loop', async () => {
	const before = performance.eventLoopUtilization();
	await sleep(30);
	const idle = performance.eventLoopUtilization(before);
	ok(idle.idle > 15, `idle for ${idle.idle} ms`);
	ok(idle.utilization < 0.6);
	const until = performance.now() + 30;
	while (performance.now() < until);
	ok(performance.eventLoopUtilization(before).active >= 29);
});
