// The tests of an npm package, as it is published: each file of them, in one program.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const folder = path.join(__dirname, 'node_modules', process.argv[2], 'test');
const left = new Set(process.argv.slice(3));
for (const name of fs.readdirSync(folder).sort())
	if (name.endsWith('.test.js') && !left.has(name)) require(path.join(folder, name));
