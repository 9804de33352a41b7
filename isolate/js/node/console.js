// console.Console: Node's own, for consoles of a program's own streams. The global console is
// ours (../console.js), and counts as one of them.

import { console } from '../console.js';
import { ObjectDefineProperty, ReflectOwnKeys } from '../primordials.js';

const { Console } = require('./upstream/internal/console/constructor.js');

// What Node's instanceof looks for is a symbol that every Console has, and nobody exports.
const some = new Console({ write() {}, on() {}, once() {}, removeListener() {} });
const keys = ReflectOwnKeys(some);
for (let i = 0; i < keys.length; i++)
	if (typeof keys[i] === 'symbol' && keys[i].description === 'kIsConsole')
		ObjectDefineProperty(console, keys[i], {
			__proto__: null,
			value: true,
			writable: true,
			enumerable: false,
			configurable: true,
		});

ObjectDefineProperty(console, 'Console', {
	__proto__: null,
	value: Console,
	writable: true,
	enumerable: true,
	configurable: true,
});
