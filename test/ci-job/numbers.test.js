const assert = require('node:assert');
const { test } = require('node:test');
const isNumber = require('is-number');

test('the installed package works', () => {
	assert.strictEqual(isNumber('5'), true);
	assert.strictEqual(isNumber('five'), false);
});
