// Programs that are not granted. Granted are /usr/bin/cat, /usr/bin/printf and /usr/bin/env,
// a folder to read and to write. Arguments: that folder.
import { exec, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';
import { check, codeOf, refused } from './check.mjs';

const [folder] = process.argv.slice(2);
const run = promisify(execFile);
const started = (...what) => new Promise((done, fail) => spawn(...what).on('error', fail).on('exit', done));

await check('what is granted works', async () => (await run('/usr/bin/printf', ['%s', 'a b'])).stdout === 'a b');
await refused('another program', ['ERR_ACCESS_DENIED'], () => started('/usr/bin/id'), () => started('/usr/bin/../bin/id'), () => started('/proc/self/exe'), () => started('/usr/bin/cat/../id'), () => run('/usr/bin/id'));
await refused('a shell that is not granted', ['ERR_ACCESS_DENIED'], () => promisify(exec)('cat /etc/passwd'), () => started('/usr/bin/cat', ['x'], { shell: true }), () => started('/usr/bin/cat', { shell: '/bin/bash' }));
await refused('CVE-2025-61787 and family: no name becomes a command line', [], () => started('/usr/bin/cat /etc/passwd'), () => started('/usr/bin/cat\n/usr/bin/id'), () => started('/usr/bin/cat\0/usr/bin/id'), () => started('cat;id'));
await check('CVE-2026-27190 an argument stays one, with its newline', async () => (await run('/usr/bin/printf', ['%s|', 'a\nid', '$(id)', '; id', '-x'])).stdout === 'a\nid|$(id)|; id|-x|');
await refused('deno #25370 the granted program is not to be overwritten', [], () => fs.writeFileSync('/usr/bin/cat', 'x'), () => fs.copyFileSync('/app/main.mjs', '/usr/bin/cat'), () => fs.symlinkSync('/app', '/usr/bin/x'), () => fs.unlinkSync('/usr/bin/cat'), () => fs.renameSync(`${folder}/x`, '/usr/bin/cat'));
await refused('deno #25221 nor one of the same name elsewhere', ['ERR_ACCESS_DENIED', 'ENOENT', 'EACCES'], () => {
	fs.writeFileSync(`${folder}/cat`, '#!/bin/sh\nid\n', { mode: 0o755 });
	return started(`${folder}/cat`);
}, () => started('cat', { cwd: folder, env: { PATH: folder } }), () => started('./cat', { cwd: folder }));
await check('deno #25271 LD_PRELOAD loads nothing that may be written', async () => {
	fs.writeFileSync(`${folder}/evil.so`, fs.readFileSync('/app/evil.so'));
	const child = spawnSync('/usr/bin/printf', ['fine'], { env: { LD_PRELOAD: `${folder}/evil.so`, LD_LIBRARY_PATH: folder, LD_AUDIT: `${folder}/evil.so` } });
	return child.stdout?.toString() === 'fine' || JSON.stringify([child.stdout?.toString(), child.stderr?.toString(), child.error?.code]);
});
await check('its environment is what was given', () => {
	const text = execFileSync('/usr/bin/env', { env: { ONLY: '1' } }).toString();
	return (/^ONLY=1$/m.test(text) && !/TENANTD|CREDENTIALS|SECRET/.test(text)) || text;
});
await check('its descriptors are three', () => {
	const child = spawnSync('/usr/bin/cat', ['/proc/self/fdinfo/3', '/proc/self/fdinfo/4', '/proc/self/fdinfo/5']);
	return (child.status !== 0 && child.stdout.length === 0) || child.stdout.toString();
});
await check('files are the tenant\'s', async () => (await codeOf(() => run('/usr/bin/cat', ['/etc/shadow']))).startsWith('got') ? 'it read /etc/shadow' : true);
await refused('uid, gid, stdio of others', [], () => started('/usr/bin/cat', { uid: 0 }), () => started('/usr/bin/cat', { gid: 0 }), () => started('/usr/bin/cat', { stdio: [3, 4, 5] }), () => started('/usr/bin/cat', { stdio: ['ipc', 'pipe', 'pipe'] }));
const other = process.pid === 1 ? 2 : 1;
await refused('signals to others', [], () => process.kill(other, 9), () => process.kill(-other, 9), () => process.kill(process.ppid || other, 9), () => process.kill(other + 2, 'SIGKILL'));
console.log('end');
