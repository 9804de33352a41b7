import process, { nextTick, hrtime } from 'node:process';
import fallback from 'process';
import { EventEmitter } from 'events';
import os, { EOL } from 'node:os';

console.log(process === globalThis.process, process === fallback, process instanceof EventEmitter, Object.prototype.toString.call(process));
console.log(typeof process.version, process.platform, process.arch, process.argv.length, process.exitCode, typeof hrtime.bigint());
console.log(process.getBuiltinModule('fs') !== undefined, process.getBuiltinModule('node:events') === EventEmitter, process.getBuiltinModule('nope'));
process.on('warning', (warning) => console.log('warning', warning.name, warning.code, warning.message, warning.detail));
process.emitWarning('one');
process.emitWarning('two', 'CustomWarning', 'C001');
process.emitWarning('three', { type: 'Typed', code: 'C2', detail: 'more' });
process.emitWarning(new Error('four'));
for (const run of [() => process.emitWarning(5), () => nextTick(5), () => (process.exitCode = 'x'), () => process.emitWarning('x', 5)])
	try {
		run();
	} catch (error) {
		console.log(error.name, error.code);
	}
nextTick((...args) => console.log('tick', args), 1, 2);
console.log(EOL === '\n', os.platform(), os.type(), os.arch(), os.endianness(), os.devNull, os.constants.signals.SIGTERM, os.constants.errno.ENOENT, Object.keys(os.constants));
console.log(`${os.platform}`, Array.isArray(os.cpus()), os.loadavg().length, typeof os.totalmem(), typeof os.hostname());
await import('node:nope').catch((error) => console.log(error.code, error.message.split(' imported')[0]));
const all = await import('node:path');
console.log(typeof all.default.join, typeof all.join, Object.keys(await import('stream/promises')));
process.on('exit', (code) => console.log('exit', code, process.exitCode));
process.on('beforeExit', (code) => console.log('beforeExit', code));
process.exitCode = 0;
