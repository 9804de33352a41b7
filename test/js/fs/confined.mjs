// What a program must not get at through node:fs, one check for each way in that another
// runtime once left open. Prints "ok NAME" or "BAD NAME …". Arguments: a folder to read, a
// folder to write, a file outside.
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';

const [read, write, outside] = process.argv.slice(2);

async function check(name, action) {
	try {
		const result = await action();
		console.log(result === true || result === undefined ? `ok ${name}` : `BAD ${name}: ${result}`);
	} catch (error) {
		console.log(`BAD ${name}: ${error.stack}`);
	}
}
async function codeOf(action) {
	try {
		const value = await action();
		return `got ${typeof value === 'object' ? JSON.stringify(value)?.slice(0, 80) : value}`;
	} catch (error) {
		return error.code ?? error.name;
	}
}
async function denied(name, ...actions) {
	await check(name, async () => {
		for (const action of actions) {
			const code = await codeOf(action);
			if (code !== 'ERR_ACCESS_DENIED') return `${action} gave ${code}`;
		}
		return true;
	});
}

// ---- paths in every disguise ----

const traversal = `${read}/../${path.basename(outside)}`;
await denied('plain path', () => fs.readFileSync(outside), () => fsp.readFile(outside), () => fs.openSync(outside));
await denied('.. (CVE-2023-30584)', () => fs.readFileSync(traversal), () => fsp.readFile(traversal));
await denied('Buffer path (CVE-2023-32004)', () => fs.readFileSync(Buffer.from(traversal)), () => fsp.readFile(Buffer.from(outside)));
await denied('Uint8Array path (CVE-2023-39332)', () => fs.readFileSync(new Uint8Array(Buffer.from(traversal))));
await denied('URL path', () => fs.readFileSync(new URL(`file://${outside}`)));
await denied('prefix boundary (CVE-2026-58043)', () => fs.readFileSync(`${read}x`), () => fs.readFileSync(`${read.slice(0, -1)}`));
await denied('relative symlinks in a chain (CVE-2025-55130)', () => fs.readFileSync(`${read}/chain1`), () => fs.statSync(`${read}/chain1`));
await denied('symlink out of a folder (CVE-2021-41641)', () => fs.readFileSync(`${read}/out`), () => fsp.readFile(`${read}/out`));
await denied('own symlink out of a folder', () => {
	fs.rmSync(`${write}/own`, { force: true });
	fs.symlinkSync(outside, `${write}/own`);
	return fs.readFileSync(`${write}/own`);
});
await denied('mkdtemp (CVE-2023-32003)', () => fs.mkdtempSync(`${write}/../t-`), () => fsp.mkdtemp(`${outside}-`));
await denied('lstat, stat, statfs, realpath: does it exist? (CVE-2024-22018, -32005, 2026-21715)',
	() => fs.lstatSync(outside), () => fs.statSync(outside), () => fs.statfsSync(outside),
	() => fs.realpathSync(outside), () => fs.realpathSync.native(outside), () => fsp.realpath(outside),
	() => fs.accessSync(outside), () => fs.readlinkSync(outside), () => fs.readdirSync(path.dirname(outside)));
await check('the same answer whether it is there or not', async () => {
	const texts = [outside, `${path.dirname(outside)}/nothing`].map((name) => {
		try {
			return fs.statSync(name);
		} catch (e) {
			return e.message.replaceAll(name, '') + e.errno + e.syscall;
		}
	});
	return texts[0] === texts[1] || texts.join();
});
await check('existsSync', () => fs.existsSync(outside) === false);
await denied('openAsBlob (CVE-2023-30583)', () => fs.openAsBlob(outside));
await check('watchFile (CVE-2023-30582)', async () => {
	let seen;
	fs.watchFile(outside, { interval: 10 }, (now) => (seen = now.size));
	await new Promise((done) => setTimeout(done, 60));
	fs.unwatchFile(outside);
	return !seen;
});
await check('watch', async () => (await codeOf(() => fs.watch(outside).close())) === 'ENOENT');
await denied('copy, link, rename, symlink tricks', () => fs.copyFileSync(outside, `${write}/c`),
	() => fs.linkSync(outside, `${write}/l`), () => fs.renameSync(outside, `${write}/r`),
	() => fs.cpSync(outside, `${write}/c`), () => fs.copyFileSync(`${read}/a`, outside));
for (const name of ['/proc/self/environ', '/proc/self/mem', '/proc/self/maps', '/proc/1/root/etc/passwd',
	'/dev/fd/../environ', '/dev/fd/3', '/sys/kernel', '/dev/ptmx', '/dev/null', '/etc/passwd', '/proc/self/fd/3'])
	await denied(name, () => fs.readFileSync(name), () => fs.openSync(name, 'r'), () => fs.statSync(name));
await denied('the root', () => fs.readdirSync('/'), () => fs.opendirSync('/'));

// ---- reading is not writing ----

const file = `${read}/a`;
await denied('a read-only grant', () => fs.writeFileSync(file, 'x'), () => fs.appendFileSync(file, 'x'),
	() => fs.unlinkSync(file), () => fs.truncateSync(file), () => fs.chmodSync(file, 0o777),
	() => fs.utimesSync(file, 1, 1), () => fs.mkdirSync(`${read}/new`), () => fs.rmSync(file),
	() => fs.renameSync(file, `${read}/b`), () => fs.symlinkSync('x', `${read}/s`), () => fs.openSync(file, 'r+'),
	() => fsp.writeFile(file, 'x'));
await check('O_RDONLY|O_CREAT (deno #36497)', async () => {
	await codeOf(() => fs.openSync(`${read}/made`, fs.constants.O_RDONLY | fs.constants.O_CREAT));
	return !fs.existsSync(`${read}/made`);
});
await check('fchmod, futimes, ftruncate on a read-only descriptor (CVE-2024-36137, 2025-55132, 2026-48935)', async () => {
	const before = fs.statSync(file);
	const fd = fs.openSync(file);
	const handle = await fsp.open(file);
	const codes = [];
	for (const action of [() => fs.fchmodSync(fd, 0o777), () => fs.futimesSync(fd, 1, 1), () => fs.ftruncateSync(fd, 0),
		() => handle.chmod(0o777), () => handle.utimes(1, 1), () => handle.truncate(0), () => fs.writeSync(fd, 'x')])
		codes.push(await codeOf(action));
	await handle.close();
	fs.closeSync(fd);
	const after = fs.statSync(file);
	const same = before.mode === after.mode && before.mtimeMs === after.mtimeMs && before.size === after.size;
	return (same && codes.every((code) => ['EROFS', 'EPERM', 'EACCES', 'EBADF', 'EINVAL'].includes(code))) || codes.join();
});
await check('truncate follows no link out (deno #35239)', async () =>
	(await codeOf(() => fs.truncateSync(`${read}/out`))) === 'ERR_ACCESS_DENIED');

// ---- JavaScript that lies ----

await check('patched built-ins (CVE-2023-39331, 2024-21891, 2024-21896)', async () => {
	const saved = [path.resolve, path.normalize, path.toNamespacedPath, Buffer.prototype.utf8Write, String.prototype.startsWith, Array.prototype[Symbol.iterator]];
	path.resolve = path.normalize = path.toNamespacedPath = () => read;
	Buffer.prototype.utf8Write = (text) => text.length;
	String.prototype.startsWith = () => true;
	const codes = [await codeOf(() => fs.readFileSync(outside)), await codeOf(() => fs.readFileSync(Buffer.from(outside))), await codeOf(() => fs.readdirSync(path.dirname(outside)))];
	[path.resolve, path.normalize, path.toNamespacedPath, Buffer.prototype.utf8Write, String.prototype.startsWith] = saved;
	return codes.every((code) => code === 'ERR_ACCESS_DENIED') || codes.join();
});
await check('NUL', async () => (await codeOf(() => fs.readFileSync(`${read}/a\0/../..`))) === 'ERR_INVALID_ARG_VALUE');
await check('a path that is too long', async () => (await codeOf(() => fs.readFileSync(`/${'a/'.repeat(5000)}`))) === 'ENAMETOOLONG');
await check('an object that pretends to be bytes', async () => (await codeOf(() => fs.readFileSync({ length: 1, 0: 47, __proto__: Uint8Array.prototype }))).startsWith('ERR_'));

// ---- descriptors that are not the program's (GHSA-6q4w-9x56-rmwq) ----

await check('descriptors of the runtime', async () => {
	const buffer = Buffer.alloc(16);
	for (let fd = 3; fd < 64; fd++)
		for (const action of [() => fs.readSync(fd, buffer), () => fs.writeSync(fd, 'x'), () => fs.fstatSync(fd), () => fs.closeSync(fd),
			() => fs.readFileSync(fd), () => fs.writeFileSync(fd, 'x'), () => fs.ftruncateSync(fd), () => fs.fchmodSync(fd, 0o777),
			() => fs.fsyncSync(fd), () => new Promise((done, fail) => fs.close(fd, (e) => (e ? fail(e) : done())))]) {
			const code = await codeOf(action);
			if (code !== 'EBADF') return `${fd}: ${action} gave ${code}`;
		}
	for (const fd of [0, 1, 2]) {
		const code = await codeOf(() => fs.closeSync(fd));
		if (code !== 'EBADF') return `close ${fd} gave ${code}`;
	}
	const stream = fs.createReadStream('', { fd: 3 });
	return (await codeOf(() => new Promise((done, fail) => stream.on('error', fail).on('data', done)))) === 'EBADF';
});
await check('a descriptor that was closed is gone, although a request still uses it', async () => {
	const fd = fs.openSync(file);
	const first = new Promise((done) => fs.read(fd, Buffer.alloc(4), 0, 4, 0, (error, count) => done(error?.code ?? count)));
	fs.closeSync(fd);
	const again = await codeOf(() => fs.readSync(fd, Buffer.alloc(4)));
	return (again === 'EBADF' && (await first) === 4) || `${again} ${await first}`;
});

// ---- memory that goes away under a request (GHSA-c25x-cm9x-qqgx) ----

await check('resizable buffers', async () => {
	const size = 1 << 20;
	fs.writeFileSync(`${write}/big`, Buffer.alloc(size, 'x'));
	const fd = fs.openSync(`${write}/big`, 'r+');
	for (let i = 0; i < 20; i++) {
		const memory = new ArrayBuffer(size, { maxByteLength: size });
		const done = new Promise((resolve) => fs.read(fd, new Uint8Array(memory), 0, size, 0, (error, count) => resolve(error?.code ?? count)));
		memory.resize(i * 100);
		if ((await done) !== size) return `read ${await done}`;
		if (new Uint8Array(memory).some((byte) => byte !== 120)) return 'not what the file holds';
		const source = new ArrayBuffer(size, { maxByteLength: size });
		const written = new Promise((resolve) => fs.write(fd, new Uint8Array(source), 0, size, size, (error, count) => resolve(error?.code ?? count)));
		source.resize(0);
		if ((await written) !== size) return `write ${await written}`;
	}
	fs.closeSync(fd);
});
await check('transferred and detached buffers', async () => {
	const fd = fs.openSync(`${write}/big`);
	for (let i = 0; i < 50; i++) {
		let memory = new ArrayBuffer(1 << 18);
		const done = new Promise((resolve) => fs.read(fd, new Uint8Array(memory), 0, 1 << 18, 0, (error, count) => resolve(error?.code ?? count)));
		memory = i % 3 === 0 ? memory.transfer() : i % 3 === 1 ? memory.transfer(10) : structuredClone(memory, { transfer: [memory] });
		memory = undefined;
		if (i % 10 === 0) Array.from({ length: 100 }, () => new ArrayBuffer(1 << 16));
		if ((await done) !== 1 << 18) return await done;
	}
	fs.closeSync(fd);
});
await check('a detached buffer', async () => {
	const fd = fs.openSync(file);
	const memory = new ArrayBuffer(8);
	const view = new Uint8Array(memory);
	memory.transfer();
	const count = await codeOf(() => fs.readSync(fd, view, 0, 0, 0));
	fs.closeSync(fd);
	return count === 'got 0' || count.startsWith('ERR_') || count;
});
await check('no bytes of another request in a short read (GHSA-wrqv-pf6j-mqjp)', async () => {
	const contents = await Promise.all(Array.from({ length: 200 }, () => fsp.readFile(file)));
	return new Set(contents.map((content) => content.buffer)).size === 200 && contents.every((content) => content.toString() === 'content');
});

// ---- process.permission says what the kernel does ----

const table = [read, `${read}/`, `${read}/a`, `${read}/a/`, `${read}/sub/../a`, `${read}/../${path.basename(read)}/a`, `${read}/./a`, `${read}//a`,
	`${read}x`, outside, traversal, `${read}/out`, `${read}/chain1`, '/', '/etc/passwd', '/app', '/app/confined.mjs', `${write}/big`, write,
	path.dirname(read)];
for (const name of table)
	await check(`has fs.read ${name}`, async () => {
		const folder = name.endsWith('/') || [read, write, '/', '/app', path.dirname(read)].includes(name);
		const code = await codeOf(() => (folder ? fs.readdirSync(name) : fs.readFileSync(name)));
		const real = code.startsWith('got') || code === 'ENOTDIR' || code === 'ENOENT';
		return process.permission.has('fs.read', name) === real || `has says ${process.permission.has('fs.read', name)}, but ${code}`;
	});
for (const name of [`${read}/w`, `${write}/w`, `${write}/../w`, `${outside}w`, '/app/w', '/w', `${write}x/w`])
	await check(`has fs.write ${name}`, async () => {
		const code = await codeOf(() => fs.writeFileSync(name, 'x'));
		return process.permission.has('fs.write', name) === code.startsWith('got') || `has says ${process.permission.has('fs.write', name)}, but ${code}`;
	});
await check('has of scopes', () => {
	const answers = ['fs', 'fs.read', 'fs.write', 'net', 'child', 'worker', 'wasi', 'addon', 'inspector', 'eval', 'no-such'].map((scope) => process.permission.has(scope));
	return answers.every((answer) => answer === false) || answers.join();
});
await check('has of a bad scope', async () => (await codeOf(() => process.permission.has(5))) === 'ERR_INVALID_ARG_TYPE');
await check('the error', () => {
	try {
		fs.readFileSync(outside);
	} catch (error) {
		const { code, permission, resource, errno, syscall, message } = error;
		return (
			(code === 'ERR_ACCESS_DENIED' && permission === 'FileSystemRead' && resource === outside && errno === -2 && syscall === 'open' &&
				message.includes(`"fs": { "read": ["${outside}"] }`)) || JSON.stringify(error)
		);
	}
});
await check('chdir', async () => {
	process.chdir(read);
	const name = fs.readFileSync('a', 'utf8');
	const refused = await codeOf(() => process.chdir('/etc'));
	process.chdir('/app');
	return (name === 'content' && refused === 'ENOENT' && process.cwd() === '/app') || refused;
});
console.log('end');
