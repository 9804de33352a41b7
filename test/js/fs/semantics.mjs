// Prints what node:fs does in the folder process.argv[2]: the same lines as Node does.
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const root = process.argv[2];
const at = (...names) => path.join(root, ...names);
const short = (text) => String(text).replaceAll(root, 'ROOT').replace(/x-\w{6}/g, 'x-XXXXXX').replaceAll('\r', '\\r');

function show(name, value) {
	console.log(`${name}: ${short(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)))}`);
}
function describe(error) {
	const { code, errno, syscall, path: where, dest } = error;
	return `${error.name} [${code}] ${errno} ${syscall} ${where} ${dest} | ${error.message}`;
}
// One operation in its three forms: NAME of fs, ARGUMENTS; each runs after RESET.
async function three(label, name, args, reset = () => {}) {
	const results = [];
	reset();
	try {
		results.push(fs[`${name}Sync`](...args));
	} catch (error) {
		results.push(describe(error));
	}
	reset();
	if (fsp[name])
		results.push(await fsp[name](...args).catch(describe));
	reset();
	results.push(
		await new Promise((resolve) => {
			try {
				fs[name](...args, (error, value) => resolve(error ? describe(error) : value));
			} catch (error) {
				resolve(describe(error));
			}
		}),
	);
	for (const result of results) show(label, result === undefined ? 'undefined' : result);
}

// ---- contents ----

fs.writeFileSync(at('a.txt'), 'héllo');
await three('read', 'readFile', [at('a.txt')]);
await three('read text', 'readFile', [at('a.txt'), 'utf8']);
await three('read latin1', 'readFile', [at('a.txt'), { encoding: 'latin1' }]);
await three('read hex', 'readFile', [at('a.txt'), 'hex']);
await three('read buffer path', 'readFile', [Buffer.from(at('a.txt')), 'utf8']);
await three('read url', 'readFile', [new URL(`file://${at('a.txt')}`), 'utf8']);
await three('read missing', 'readFile', [at('missing')]);
await three('read below a file', 'readFile', [at('a.txt', 'x')]);
await three('read folder', 'readFile', [root]);
await three('read bad path', 'readFile', [12.5]);
await three('read NUL', 'readFile', [`${root}\0x`]);
await three('read bad encoding', 'readFile', [at('a.txt'), 'nonsense']);
await three('read bad flag', 'readFile', [at('a.txt'), { flag: 'nonsense' }]);
await three('read long', 'readFile', [at('n'.repeat(300))]);
await three('write', 'writeFile', [at('b.txt'), 'text']);
await three('write exclusive', 'writeFile', [at('b.txt'), 'text', { flag: 'wx' }]);
await three('write bytes', 'writeFile', [at('b.txt'), new Uint16Array([1, 2])]);
await three('write object', 'writeFile', [at('b.txt'), {}]);
await three('write missing', 'writeFile', [at('no', 'b.txt'), 'x']);
await three('write base64', 'writeFile', [at('b64'), 'aGk=', 'base64']);
await three('append', 'appendFile', [at('b64'), '!']);
show('appended', fs.readFileSync(at('b64'), 'utf8'));
await three('append mode', 'appendFile', [at('c.txt'), 'x', { mode: 0o600 }]);
show('mode', (fs.statSync(at('c.txt')).mode & 0o777).toString(8));
await three('truncate', 'truncate', [at('a.txt'), 3]);
show('truncated', fs.readFileSync(at('a.txt')).toString('hex'));
await three('truncate missing', 'truncate', [at('missing'), 3]);
fs.writeFileSync(at('big'), Buffer.alloc(300000, 'x'));
show('big', (await fsp.readFile(at('big'), 'utf8')).length);

// ---- names ----

await three('mkdir', 'mkdir', [at('d')], () => fs.rmSync(at('d'), { recursive: true, force: true }));
await three('mkdir there', 'mkdir', [at('d')]);
await three('mkdir missing', 'mkdir', [at('x', 'y', 'z')]);
await three('mkdir path', 'mkdir', [at('r', 's', 't'), { recursive: true }], () =>
	fs.rmSync(at('r'), { recursive: true, force: true }));
await three('mkdir path there', 'mkdir', [at('r', 's', 't'), { recursive: true }]);
await three('mkdir path in a file', 'mkdir', [at('a.txt', 's', 't'), { recursive: true }]);
await three('mkdir path over a file', 'mkdir', [at('a.txt'), { recursive: true }]);
fs.writeFileSync(at('r', 's', 'f'), 'f');
fs.symlinkSync('../a.txt', at('r', 'link'));
await three('readdir', 'readdir', [at('r')]);
await three('readdir buffers', 'readdir', [at('r'), 'buffer']);
await three('readdir tree', 'readdir', [at('r'), { recursive: true }]);
await three('readdir types', 'readdir', [at('r'), { withFileTypes: true }]);
await three('readdir tree types', 'readdir', [at('r'), { withFileTypes: true, recursive: true }]);
await three('readdir missing', 'readdir', [at('missing')]);
await three('readdir file', 'readdir', [at('a.txt')]);
await three('rename', 'rename', [at('c.txt'), at('c2.txt')], () => fs.writeFileSync(at('c.txt'), ''));
await three('rename missing', 'rename', [at('missing'), at('m2')]);
await three('copy', 'copyFile', [at('a.txt'), at('copy')]);
await three('copy exclusive', 'copyFile', [at('a.txt'), at('copy'), fs.constants.COPYFILE_EXCL]);
await three('copy missing', 'copyFile', [at('missing'), at('copy')]);
await three('link', 'link', [at('a.txt'), at('hard')], () => fs.rmSync(at('hard'), { force: true }));
await three('link there', 'link', [at('a.txt'), at('hard')]);
await three('symlink', 'symlink', ['a.txt', at('soft')], () => fs.rmSync(at('soft'), { force: true }));
await three('symlink there', 'symlink', ['a.txt', at('soft')]);
await three('readlink', 'readlink', [at('soft')]);
await three('readlink buffer', 'readlink', [at('soft'), 'buffer']);
await three('readlink file', 'readlink', [at('a.txt')]);
await three('realpath', 'realpath', [at('soft')]);
await three('realpath missing', 'realpath', [at('missing', 'x')]);
await three('unlink', 'unlink', [at('soft')], () => fs.existsSync(at('soft')) || fs.symlinkSync('x', at('soft')));
await three('unlink missing', 'unlink', [at('missing')]);
await three('rmdir full', 'rmdir', [at('r')]);
await three('rmdir file', 'rmdir', [at('a.txt')]);
await three('rmdir missing', 'rmdir', [at('missing')]);
await three('rm folder', 'rm', [at('r')]);
await three('rm missing', 'rm', [at('missing')]);
await three('rm force', 'rm', [at('missing'), { force: true }]);
await three('rm tree', 'rm', [at('tree'), { recursive: true }], () => {
	fs.mkdirSync(at('tree', 'a', 'b'), { recursive: true });
	fs.writeFileSync(at('tree', 'a', 'f'), '');
	fs.symlinkSync(root, at('tree', 'a', 'up'));
});
show('nothing else went', fs.existsSync(at('a.txt')) && !fs.existsSync(at('tree')));
await three('access', 'access', [at('a.txt'), fs.constants.R_OK]);
await three('access missing', 'access', [at('missing')]);
await three('chmod', 'chmod', [at('a.txt'), 0o640]);
await three('chmod text', 'chmod', [at('a.txt'), '600']);
await three('chmod bad', 'chmod', [at('a.txt'), 'abc']);
show('mode', (fs.statSync(at('a.txt')).mode & 0o777).toString(8));
await three('utimes', 'utimes', [at('a.txt'), 1000.5, new Date(2000)]);
await three('lutimes', 'lutimes', [at('a.txt'), 1000, '2000']);
show('times', [fs.statSync(at('a.txt')).atimeMs, fs.statSync(at('a.txt')).mtime]);
show('bigint times', fs.statSync(at('a.txt'), { bigint: true }).mtimeNs.toString());
await three('stat missing', 'stat', [at('missing')]);
show('stat maybe', fs.statSync(at('missing'), { throwIfNoEntry: false }));
show('lstat maybe', fs.lstatSync(at('missing'), { throwIfNoEntry: false }));
show('stat keys', Object.keys(fs.statSync(root)));
show('statfs keys', Object.keys(fs.statfsSync(root)));
const temporary = await fsp.mkdtemp(at('tmp-'));
show('mkdtemp', [temporary.length, temporary.startsWith(at('tmp-')), fs.statSync(temporary).isDirectory()]);
await three('mkdtemp missing', 'mkdtemp', [at('missing', 'x-')]);
fs.mkdirSync(at('cp', 'in'), { recursive: true });
fs.writeFileSync(at('cp', 'in', 'f'), 'deep');
await three('cp', 'cp', [at('cp'), at('cp2'), { recursive: true }]);
await three('cp folder', 'cp', [at('cp'), at('cp3')]);
await three('cp filtered', 'cp', [at('cp'), at('cp4'), { recursive: true, filter: (name) => !name.endsWith('f') }]);
show('copied', [fs.readdirSync(at('cp2'), { recursive: true }), fs.readdirSync(at('cp4'), { recursive: true })]);
show('exists', [fs.existsSync(at('a.txt')), fs.existsSync(at('missing')), fs.existsSync(root)]);

// ---- descriptors ----

const fd = fs.openSync(at('fd'), 'w+', 0o600);
show('writes', [
	fs.writeSync(fd, 'hello world'),
	fs.writeSync(fd, Buffer.from('HELLO'), 0, 3, 2),
	fs.writevSync(fd, [Buffer.from('!'), Buffer.from('?')]),
]);
const into = Buffer.alloc(20, '.');
show('reads', [fs.readSync(fd, into, 1, 5, 0), into.toString(), fs.readSync(fd, into), fs.readvSync(fd, [Buffer.alloc(3), Buffer.alloc(3)], 0)]);
show('read bigint', [fs.readSync(fd, into, 0, 2, 3n), into.toString()]);
fs.ftruncateSync(fd, 4);
fs.fsyncSync(fd);
fs.fdatasyncSync(fd);
fs.futimesSync(fd, 5, 6);
fs.fchmodSync(fd, 0o644);
show('fstat', [fs.fstatSync(fd).size, fs.fstatSync(fd).mtimeMs, fs.fstatSync(fd).mode & 0o777]);
await new Promise((done) => fs.read(fd, { position: 0 }, (error, count, buffer) => {
	show('read callback', [error, count, buffer.length]);
	done();
}));
show('read from descriptor', fs.readFileSync(fd, 'utf8'));
fs.closeSync(fd);
for (const use of [() => fs.closeSync(fd), () => fs.readSync(fd, into), () => fs.fstatSync(fd), () => fs.closeSync(-1), () => fs.closeSync('x')])
	try {
		use();
	} catch (error) {
		show('bad descriptor', describe(error));
	}
try {
	fs.readSync(fd, into, 10, 100);
} catch (error) {
	show('range', describe(error));
}

const handle = await fsp.open(at('handle'), 'w+');
show('handle', [typeof handle.fd, (await handle.write('line 1\nline 2\r\nline 3')).bytesWritten]);
show('handle writev', (await handle.writev([Buffer.from('\n'), Buffer.from('end')])).bytesWritten);
show('handle read', (await handle.read(Buffer.alloc(4), 0, 4, 0)).buffer.toString());
show('handle readv', (await handle.readv([Buffer.alloc(2), Buffer.alloc(2)], 5)).buffers.join());
show('handle stat', (await handle.stat()).size);
await handle.utimes(1, 2);
await handle.chmod(0o600);
await handle.sync();
await handle.datasync();
await handle.close();
await handle.close();
show('closed', await handle.read(Buffer.alloc(1)).catch(describe));
{
	await using second = await fsp.open(at('handle'));
	const lines = [];
	for await (const line of second.readLines()) lines.push(line);
	show('lines', lines);
}
{
	await using third = await fsp.open(at('handle'));
	show('handle readFile', await third.readFile('utf8'));
	let bytes = 0;
	for await (const chunk of third.readableWebStream()) bytes += chunk.byteLength;
	show('web stream at the end', bytes);
}
show('append', await fsp.open(at('handle'), 'a').then(async (h) => {
	await h.appendFile('+');
	await h.truncate(3);
	await h.writeFile('abc');
	await h.close();
	return fs.readFileSync(at('handle'), 'utf8');
}));

// ---- streams ----

async function collect(stream) {
	const chunks = [];
	for await (const chunk of stream) chunks.push(typeof chunk === 'string' ? chunk : chunk.toString());
	return chunks;
}
fs.writeFileSync(at('s'), '0123456789');
show('stream', await collect(fs.createReadStream(at('s'))));
show('stream range', await collect(fs.createReadStream(at('s'), { start: 2, end: 6, highWaterMark: 2, encoding: 'utf8' })));
show('stream missing', await collect(fs.createReadStream(at('missing'))).catch(describe));
await pipeline(fs.createReadStream(at('big')), fs.createWriteStream(at('big2')));
show('piped', fs.statSync(at('big2')).size);
const out = fs.createWriteStream(at('w'), { flags: 'a' });
out.write('one ');
out.cork();
out.write('two ');
out.write('three');
out.uncork();
await new Promise((done) => out.end(done));
show('write stream', [fs.readFileSync(at('w'), 'utf8'), out.bytesWritten, short(out.path)]);
const events = [];
const reading = fs.createReadStream(at('s'));
for (const name of ['open', 'ready', 'end', 'close']) reading.on(name, () => events.push(name));
reading.resume();
await new Promise((done) => reading.on('close', done));
show('events', events);
const controller = new AbortController();
const aborted = collect(fs.createReadStream(at('big'), { signal: controller.signal })).catch((e) => `${e.name} ${e.code}`);
controller.abort();
show('aborted stream', await aborted);

// ---- the rest ----

for (const form of [
	(signal) => fsp.readFile(at('big'), { signal }),
	(signal) => fsp.writeFile(at('never'), 'x', { signal }),
]) {
	show('aborted before', await form(AbortSignal.abort()).catch((e) => `${e.name} ${e.code} ${e.message}`));
	const stop = new AbortController();
	const promise = form(stop.signal).catch((e) => `${e.name} ${e.code} ${e.message}`);
	stop.abort('why');
	show('aborted', await promise);
}
const dir = await fsp.opendir(at('cp2'));
const entries = [];
for await (const entry of dir) entries.push([entry.name, entry.isDirectory(), short(entry.parentPath)]);
show('opendir', entries);
show('opendir missing', await fsp.opendir(at('missing')).catch(describe));
const syncDir = fs.opendirSync(at('cp2'));
show('readSync', [syncDir.readSync().name, syncDir.readSync()]);
syncDir.closeSync();
show('blob', await (await fs.openAsBlob(at('s'), { type: 'text/plain' })).text());
const iterator = fsp.watch(root)[Symbol.asyncIterator]();
const next = iterator.next();
await sleep(50);
fs.writeFileSync(at('watched'), 'x');
show('watch', [(await next).value.filename, (await iterator.return()).done]);
const changes = [];
const watcher = fs.watch(root, (type, name) => changes.push(name));
await sleep(50);
fs.writeFileSync(at('watched2'), 'x');
while (changes.length === 0) await sleep(10);
watcher.close();
show('watcher', changes[0]);
const change = new Promise((done) => fs.watchFile(at('s'), { interval: 20 }, (now, before) => done([now.size, before.size])));
await sleep(60);
fs.writeFileSync(at('s'), 'longer than it was');
show('watchFile', await change);
fs.unwatchFile(at('s'));
try {
	fs.watch(at('missing'));
} catch (error) {
	show('watch missing', describe(error));
}
show('constants', fs.constants.O_CREAT + fs.constants.S_IFMT + fs.constants.COPYFILE_EXCL);
show('names', Object.keys(fsp).filter((name) => name !== 'constants').sort());
const many = await Promise.all(Array.from({ length: 5000 }, () => fsp.readFile(at('a.txt'))));
show('many at once', many.length);
