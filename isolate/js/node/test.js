// node:test and node:test/reporters: Node's own, of which run() is ours
// (own/internal/test_runner/runner.js). There are no mocks of modules and no coverage.

import { setReporters } from './own/internal/modules/esm/loader.js';
import { registerLateBuiltin } from './registry.js';

function makeTest() {
	const test = require('./upstream/test.js');
	const { MockTracker } = require('./upstream/internal/test_runner/mock/mock.js');
	const { codes } = require('./upstream/internal/errors.js');
	MockTracker.prototype.module = function module() {
		throw new codes.ERR_METHOD_NOT_IMPLEMENTED('mock.module()');
	};
	return test;
}

setReporters({
	__proto__: null,
	spec: () => require('./upstream/internal/test_runner/reporter/spec.js'),
	tap: () => require('./upstream/internal/test_runner/reporter/tap.js'),
	dot: () => require('./upstream/internal/test_runner/reporter/dot.js'),
	junit: () => require('./upstream/internal/test_runner/reporter/junit.js'),
});

registerLateBuiltin('node:test', makeTest);
registerLateBuiltin('node:test/reporters', () => require('./upstream/test/reporters.js'));
