// Ways out through what the runtime brings along: threads, databases, cryptography, codings,
// modules. Arguments: a file of the host that was not granted, a folder that may be written.
import * as crypto from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { DatabaseSync, backup } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import { check, codeOf, refused } from './check.mjs';

const [outside, folder] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const failed = (codes) => codes.every((code) => !code.startsWith('got')) || codes.join();

// ---- threads ----

const endOf = (file, options) =>
	new Promise((resolve, reject) => new Worker(file, options).on('error', reject).on('exit', (code) => (code ? reject(new Error(`code ${code}`)) : resolve('ran'))));
await check('a thread takes no file from outside', async () =>
	failed([await codeOf(() => endOf(outside)), await codeOf(() => endOf(new URL(`file://${outside}`))), await codeOf(() => endOf('../../../etc/passwd'))]));
await check('CVE-2025-23083 a thread takes no options that reach out', async () => {
	const source = `const { parentPort } = require('node:worker_threads');
		try { require('fs').readFileSync(${JSON.stringify(outside)}); parentPort.postMessage('read'); } catch {}`;
	for (const execArgv of [['--allow-fs-read=*'], ['--require', outside], ['--inspect=0.0.0.0:9229'], ['--expose-internals']]) {
		let said;
		try {
			const worker = new Worker(source, { eval: true, execArgv });
			worker.on('message', (message) => (said = message));
			await new Promise((resolve) => worker.on('error', resolve).on('exit', resolve));
		} catch {}
		if (said) return `${execArgv}: ${said}`;
	}
});

// ---- databases ----

await check('CVE-2025-48935, 2026-58041 ATTACH, VACUUM INTO and backup stay in the grants', async () => {
	const db = new DatabaseSync(':memory:');
	const codes = [];
	for (const target of [outside, `file:${outside}`, `file:${outside}?immutable=1&vfs=unix-none`, `${folder}/../../etc/passwd`, '/etc/x.db', '/app/x.db'])
		codes.push(await codeOf(() => db.exec(`ATTACH '${target}' AS a; SELECT * FROM a.sqlite_master; CREATE TABLE a.t(x)`)), await codeOf(() => db.exec(`VACUUM INTO '${target}'`)));
	codes.push(await codeOf(() => new DatabaseSync(outside).exec('SELECT * FROM sqlite_master')), await codeOf(() => backup(db, '/etc/x.db')));
	return failed(codes);
});
await check('sqlite loads no code and reads no files', async () => {
	const codes = [await codeOf(() => new DatabaseSync(':memory:', { allowExtension: true }).loadExtension(outside))];
	const db = new DatabaseSync(':memory:');
	codes.push(await codeOf(() => db.enableLoadExtension(true)), await codeOf(() => db.loadExtension(outside)));
	for (const sql of [`load_extension('${outside}')`, `readfile('${outside}')`, `writefile('${folder}/x', 1)`, `fts3_tokenizer('simple', x'4141414141414141')`, 'edit(1)'])
		codes.push(await codeOf(() => db.exec(`SELECT ${sql}`)));
	return failed(codes);
});
await check('PRAGMAs that name folders or write the schema lead nowhere', async () => {
	const db = new DatabaseSync(':memory:');
	db.exec('CREATE TABLE t(a)');
	for (const pragma of [`temp_store_directory='/etc'`, `data_store_directory='/etc'`, 'writable_schema=1', 'trusted_schema=1', 'journal_mode=WAL', 'mmap_size=1099511627776', 'cell_size_check=0'])
		await codeOf(() => db.exec(`PRAGMA ${pragma}`));
	const code = await codeOf(() => db.exec(`UPDATE sqlite_master SET sql = 'garbage'; PRAGMA schema_version = 9; SELECT * FROM t`));
	return !code.startsWith('got') || code;
});

// ---- cryptography ----

await check('CVE-2023-30586 OpenSSL takes no configuration, engine or provider from the program', async () => {
	fs.writeFileSync(`${folder}/evil`, 'openssl_conf = x\n[x]\nproviders = y\n[y]\nevil = z\n[z]\nmodule = /app/evil.so\nactivate = 1\n');
	for (const name of ['OPENSSL_CONF', 'OPENSSL_MODULES', 'OPENSSL_ENGINES', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'RANDFILE', 'SSLKEYLOGFILE']) process.env[name] = `${folder}/evil`;
	const codes = [await codeOf(() => crypto.setEngine(`${folder}/evil`)), await codeOf(() => crypto.createHash('evil')), await codeOf(() => crypto.createPrivateKey(`file://${outside}`)),
		await codeOf(() => crypto.createPrivateKey(outside)), await codeOf(() => crypto.createPrivateKey(`org.openssl.engine:evil:${outside}`)), await codeOf(() => crypto.createCipheriv('evil', 'x', 'y'))];
	if (crypto.createHash('sha256').update('a').digest('hex').slice(0, 8) !== 'ca978112') return 'another SHA-256';
	return failed(codes);
});
await refused('lengths and costs that ask too much', [], () => crypto.generatePrimeSync(2 ** 31), () => crypto.randomBytes(2 ** 40), () => crypto.scryptSync('a', 'b', 64, { N: 2 ** 30, r: 8, maxmem: 2 ** 50 }),
	() => crypto.createHash('shake128', { outputLength: 2 ** 40 }).digest(), () => crypto.pbkdf2Sync('a', 'b', 1, 2 ** 40, 'sha1'));

// ---- codings ----

await check('a bomb that is unpacked has the bound that was asked for', async () => {
	const zeros = Buffer.alloc(8 << 20);
	const maxOutputLength = 1 << 20;
	return failed([await codeOf(() => zlib.gunzipSync(zlib.gzipSync(zeros), { maxOutputLength })),
		await codeOf(() => zlib.brotliDecompressSync(zlib.brotliCompressSync(zeros, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }), { maxOutputLength })),
		await codeOf(() => zlib.zstdDecompressSync(zlib.zstdCompressSync(zeros), { maxOutputLength }))]);
});

// ---- modules ----

await refused('require leads nowhere that import does not', [], () => require(outside), () => require(`file://${outside}`), () => require('../../../../../..' + outside), () => require('./..' + outside),
	() => require('climber'), () => require('climber/exports'), () => require('/proc/self/environ'));
await check('import.meta.resolve and require.resolve tell nothing of the host', async () => {
	const answers = [outside, '/etc/there-is-none'].map((path) => codeOf(() => require.resolve(path)));
	const [one, other] = await Promise.all(answers);
	const urls = [`file://${outside}`, 'file:///etc/there-is-none'];
	return (one === other && !one.startsWith('got') && urls.every((url) => import.meta.resolve(url) === url)) || [one, other].join();
});
await check('what the release is made of cannot be changed', async () => {
	const codes = [];
	for (const place of ['/app/main.js', '/app/.cache', '/proc/self/mem', '/proc/self/fd/3']) codes.push(await codeOf(() => fs.writeFileSync(place, 'x')));
	return failed(codes);
});
console.log('end');
