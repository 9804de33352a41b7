// node take_upstream.cjs LIST FOLDER: writes the files of Node's own JavaScript library that
// LIST names (MIT, LICENSE.node) into FOLDER, out of the node that runs this: they stay those
// of the distribution's package, unchanged, with its patches. A difference belongs into own/
// or binding.js, which tsconfig.json and inject.js put in their way. Files that are there
// already and right are not touched.

'use strict';

const fs = require('node:fs');
const path = require('node:path');

const [list, folder] = process.argv.slice(2);
const library = process.binding('natives');
const names = fs
	.readFileSync(list, 'utf8')
	.split('\n')
	.filter((line) => line !== '' && !line.startsWith('#'));

function put(name, text) {
	const file = path.join(folder, name);
	if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) return;
	fs.mkdirSync(path.dirname(file), { recursive: true });
	// Another build may be configured at the same time.
	const temporary = `${file}.${process.pid}`;
	fs.writeFileSync(temporary, text);
	fs.renameSync(temporary, file);
}

for (const name of names) {
	if (!Object.hasOwn(library, name)) {
		console.error(`node ${process.version} has no library file ${name} any more (${list})`);
		process.exit(1);
	}
	put(`${name}.js`, library[name]);
}
put('package.json', '{ "type": "commonjs" }\n');
