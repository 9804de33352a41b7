// What a thread of the program can do that the program cannot: nothing.
import fs from 'node:fs';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { codeOf } from './check.mjs';

const acts = [
	() => fs.readFileSync(workerData),
	() => fs.writeFileSync('/app/written', ''),
	() => process.dlopen({ exports: {} }, '/lib/x86_64-linux-gnu/libc.so.6'),
	() => process.kill(process.pid === 1 ? 2 : 1, 9),
	() => process.binding('fs'),
	() => import('node:child_process').then(({ execFileSync }) => execFileSync('/bin/sh')),
	() => fetch('http://127.0.0.1:1/'),
];
const open = [];
for (const act of acts) {
	const code = await codeOf(act);
	if (code.startsWith('got')) open.push(`${act} ${code}`);
}
if (typeof native !== 'undefined') open.push('native');
parentPort.postMessage(open.join('; '));
