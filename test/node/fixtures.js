// Stands in for Node's test/common/fixtures.js where a test reads its fixtures only: they are
// granted to it where they lie, not part of the release. Tests that load some as modules have
// all of them in the release, and Node's own file.
'use strict';

const path = require('path');
const fs = require('fs');
const { pathToFileURL } = require('url');

const fixturesDir = process.env.NODE_TEST_FIXTURES;
const fixturesPath = (...args) => path.join(fixturesDir, ...args);
const readSync = (args, encoding) => fs.readFileSync(fixturesPath(...(Array.isArray(args) ? args : [args])), encoding);
const readKey = (name, encoding) => fs.readFileSync(fixturesPath('keys', name), encoding);

module.exports = {
	fixturesDir,
	path: fixturesPath,
	fileURL: (...args) => pathToFileURL(fixturesPath(...args)),
	readSync,
	readKey,
	readKeys: (encoding, ...names) => names.map((name) => readKey(name, encoding)),
	get utf8TestText() {
		return fs.readFileSync(fixturesPath('utf8_test_text.txt'), 'utf8').trim();
	},
	get utf8TestTextPath() {
		return fixturesPath('utf8_test_text.txt');
	},
};
