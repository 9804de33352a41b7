// What programs do, in small pieces: each reaches some native functions with arguments as they
// should be, which drive.js then spoils. Names are numbers of the inputs: add at the end.
globalThis.scenarios = (() => {
	const get = (name) => process.getBuiltinModule(name);
	const crypto = get('node:crypto');
	const zlib = get('node:zlib');
	const sqlite = get('node:sqlite');
	const fs = get('node:fs');
	const util = get('node:util');
	const url = get('node:url');
	const tls = get('node:tls');
	const { targets } = globalThis.fuzz;
	const native = (name) => (...list) => {
		const index = targets.findIndex((target) => target.name === name);
		const newTarget = undefined;
		return globalThis.fuzz.interfere === undefined
			? targets[index].call(undefined, list, newTarget)
			: globalThis.fuzz.interfere(index, undefined, list, newTarget);
	};
	const text = 'The quick brown fox jumps over the lazy dog. äöü \u{1f600}';
	const data = Buffer.from(text);
	const key16 = Buffer.alloc(16, 1);
	const key32 = Buffer.alloc(32, 2);
	const iv = Buffer.alloc(12, 3);
	const ed = crypto.generateKeyPairSync('ed25519');
	const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const x = crypto.generateKeyPairSync('x25519');
	const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 1024 });
	const pem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' });
	const none = () => {};
	const certificateKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgn06HcRh9jACEIXA4
LoQ9AGPWljC0yzQi2blZVBdgMDyhRANCAATBK5W1giURQSqtFjgwYC4JHTy3cYPW
Vd01pIoO4KpMzKy/x1w0WITXMxJjXXPOAudDIgkM/bmwT8iBQVjIOAje
-----END PRIVATE KEY-----
`;
	const certificate = `-----BEGIN CERTIFICATE-----
MIIBvDCCAWKgAwIBAgIUaWc9NcJp4qT2KwnWucco5gTILiEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYS5leGFtcGxlMCAXDTI2MTEyMTIyMDgwNVoYDzIxMjYxMDI4
MjIwODA1WjAUMRIwEAYDVQQDDAlhLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATBK5W1giURQSqtFjgwYC4JHTy3cYPWVd01pIoO4KpMzKy/x1w0WITX
MxJjXXPOAudDIgkM/bmwT8iBQVjIOAjeo4GPMIGMMB0GA1UdDgQWBBTz15xYnjAd
iXElblqziVdiGu9nBDAfBgNVHSMEGDAWgBTz15xYnjAdiXElblqziVdiGu9nBDAP
BgNVHRMBAf8EBTADAQH/MCwGA1UdEQQlMCOCCWEuZXhhbXBsZYcEfwAAAYEFYUBi
LmOGCWh0dHA6Ly94LzALBgNVHQ8EBAMCB4AwCgYIKoZIzj0EAwIDSAAwRQIgD8BQ
Xhl4pNUqXqgjaE0LbzNOcR6hMgqwUsTv7QFnT3wCIQDgim3V7PAB+qWZ87LMawvL
rUAcAbRgxOYTaTK5YoJ/1Q==
-----END CERTIFICATE-----
`;

	function cipher(name, key, nonce, options) {
		const c = crypto.createCipheriv(name, key, nonce, options);
		if (options?.aad) c.setAAD(options.aad, { plaintextLength: data.length });
		c.setAutoPadding?.(true);
		const out = Buffer.concat([c.update(data), c.final()]);
		const d = crypto.createDecipheriv(name, key, nonce, options);
		if (options?.aad) {
			d.setAuthTag(c.getAuthTag());
			d.setAAD(options.aad, { plaintextLength: out.length });
		}
		d.update(out);
		d.final();
	}

	async function webcrypto() {
		const { subtle } = globalThis.crypto;
		const aes = await subtle.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt', 'decrypt']);
		const sealed = await subtle.encrypt({ name: 'AES-GCM', iv }, aes, data);
		await subtle.decrypt({ name: 'AES-GCM', iv }, aes, sealed);
		const ecdsa = await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
		const signature = await subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, ecdsa.privateKey, data);
		await subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, ecdsa.publicKey, signature, data);
		const jwk = await subtle.exportKey('jwk', ecdsa.privateKey);
		await subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']);
		const base = await subtle.importKey('raw', key16, 'PBKDF2', false, ['deriveBits']);
		await subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: key16, iterations: 2 }, base, 128);
	}

	function database() {
		const db = new sqlite.DatabaseSync(':memory:');
		db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b)');
		const session = db.createSession({ table: 't' });
		const insert = db.prepare('INSERT INTO t VALUES(?, $b)');
		insert.run({ $b: 'x' }, 1);
		insert.run({ $b: new Uint8Array(3) }, 2);
		insert.setReadBigInts(true);
		const select = db.prepare('SELECT * FROM t');
		select.all();
		select.get();
		select.columns();
		for (const row of select.iterate()) none(row);
		none(select.sourceSQL, select.expandedSQL, db.isOpen, db.isTransaction, db.location());
		db.function('f', { varargs: true }, (...list) => list.length);
		db.prepare('SELECT f(1, 2.5, ?, x\'00\') AS r').get('s');
		db.aggregate('s', { start: 0, step: (sum, v) => sum + v, result: (sum) => sum });
		db.prepare('SELECT s(a) FROM t').get();
		const changes = session.changeset();
		session.patchset();
		session.close();
		const other = new sqlite.DatabaseSync(':memory:');
		other.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b)');
		other.applyChangeset(changes, { onConflict: () => 0, filter: () => true });
		db.enableDefensive?.(true);
		db.setAuthorizer?.(() => 0);
		sqlite.backup(db, '/backup').then(none, none);
		other.close();
	}

	function buffers() {
		const b = Buffer.from(text);
		const t = Buffer.alloc(64);
		for (const encoding of ['utf8', 'ucs2', 'latin1', 'ascii', 'hex', 'base64', 'base64url']) {
			const encoded = b.toString(encoding, 1, 20);
			t.write(encoded, 1, 40, encoding);
			b.indexOf(encoded, 0, encoding);
			b.lastIndexOf('q', -1, encoding);
			t.fill('6162', 3, 20, encoding);
			Buffer.byteLength(encoded, encoding);
		}
		b.indexOf(0x20, 2);
		b.indexOf(Buffer.from('fox'));
		b.copy(t, 1, 2, 30);
		b.compare(t, 0, 10, 1, 11);
		Buffer.compare(b, t);
		t.swap16().swap32().swap64();
		get('node:buffer').transcode(b, 'utf8', 'ucs2');
		get('node:buffer').isUtf8(b);
		get('node:buffer').isAscii(b);
		b.equals(t);
	}

	return {
		__proto__: null,
		hash: () => crypto.createHash('sha256').update(text).update(data).copy().digest('hex'),
		xof: () => crypto.createHash('shake128', { outputLength: 20 }).update(data).digest(),
		oneShot: () => crypto.hash('sha1', data, 'hex'),
		hmac: () => crypto.createHmac('sha256', key16).update(data).digest(),
		gcm: () => cipher('aes-128-gcm', key16, iv, { aad: data }),
		ccm: () => cipher('aes-128-ccm', key16, iv, { aad: data, authTagLength: 16 }),
		ocb: () => cipher('aes-128-ocb', key16, iv, { aad: data, authTagLength: 16 }),
		chacha: () => cipher('chacha20-poly1305', key32, iv, { aad: data, authTagLength: 16 }),
		cbc: () => cipher('aes-256-cbc', key32, key16),
		keyWrap: () => cipher('aes-128-wrap', key16, Buffer.alloc(8, 0xa6)),
		cipherInfo: () => (crypto.getCipherInfo('aes-128-cbc', { ivLength: 16 }), crypto.getCiphers(), crypto.getHashes(), crypto.getCurves()),
		sign: () => crypto.verify('sha256', data, ec.publicKey, crypto.sign('sha256', data, ec.privateKey)),
		signEd: () => crypto.verify(null, data, ed.publicKey, crypto.sign(null, data, ed.privateKey)),
		signer() {
			const signature = crypto.createSign('sha256').update(data).sign({ key: rsa.privateKey, padding: 6, saltLength: 20 });
			crypto.createVerify('sha256').update(data).verify({ key: rsa.publicKey, padding: 6 }, signature);
		},
		rsa() {
			const sealed = crypto.publicEncrypt({ key: rsa.publicKey, oaepHash: 'sha1', oaepLabel: key16 }, key16);
			crypto.privateDecrypt({ key: rsa.privateKey, oaepHash: 'sha1', oaepLabel: key16 }, sealed);
			crypto.publicDecrypt(rsa.publicKey, crypto.privateEncrypt(rsa.privateKey, key16));
		},
		keys() {
			for (const pair of [ed, ec, x, rsa]) {
				crypto.createPublicKey({ key: pair.publicKey.export({ format: 'jwk' }), format: 'jwk' });
				const der = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
				crypto.createPrivateKey({ key: der, type: 'pkcs8', format: 'der' }).equals(pair.privateKey);
				none(pair.publicKey.asymmetricKeyDetails, pair.publicKey.asymmetricKeyType);
			}
			crypto.createPrivateKey({ key: pem, passphrase: 'x' });
			pem && ec.privateKey.export({ type: 'sec1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'p' });
			const secret = crypto.createSecretKey(key16);
			none(secret.export(), secret.symmetricKeySize, secret.equals(secret));
		},
		keygen() {
			crypto.generateKeyPair('ec', { namedCurve: 'P-256', publicKeyEncoding: { type: 'spki', format: 'pem' } }, none);
			crypto.generateKeyPair('ed25519', none);
			crypto.generateKey('hmac', { length: 64 }, none);
			crypto.generateKeySync('aes', { length: 128 });
			crypto.generateKeyPair('rsa', { modulusLength: 512 }, none);
			crypto.generateKeyPair('dh', { group: 'modp1' }, none);
		},
		derive() {
			crypto.pbkdf2('p', key16, 2, 20, 'sha1', none);
			crypto.pbkdf2Sync('p', key16, 2, 20, 'sha1');
			crypto.scryptSync('p', key16, 20, { N: 16 });
			crypto.hkdfSync('sha256', key16, key16, key16, 20);
			crypto.argon2Sync?.('argon2id', { message: key16, nonce: key16, parallelism: 1, tagLength: 16, memory: 16, passes: 1 });
		},
		random() {
			crypto.randomFillSync(Buffer.alloc(20));
			crypto.randomBytes(10, none);
			crypto.randomInt(100);
			crypto.randomUUID();
			crypto.checkPrimeSync(7n);
			crypto.generatePrimeSync(32);
			crypto.timingSafeEqual(key16, key16);
		},
		dh() {
			const group = crypto.getDiffieHellman('modp5');
			const dh = crypto.createDiffieHellman(group.getPrime(), group.getGenerator());
			dh.generateKeys();
			dh.setPrivateKey(dh.getPrivateKey());
			dh.setPublicKey(dh.getPublicKey());
			dh.computeSecret(dh.getPublicKey());
			none(dh.verifyError);
			crypto.diffieHellman({ privateKey: x.privateKey, publicKey: x.publicKey });
		},
		ecdh() {
			const a = crypto.createECDH('prime256v1');
			a.generateKeys();
			a.setPrivateKey(a.getPrivateKey());
			a.setPublicKey(a.getPublicKey());
			a.computeSecret(a.getPublicKey(null, 'compressed'));
			crypto.ECDH.convertKey(a.getPublicKey(), 'prime256v1', undefined, undefined, 'hybrid');
		},
		kem() {
			if (!crypto.encapsulate) return;
			const { sharedKey, ciphertext } = crypto.encapsulate(x.publicKey);
			none(crypto.decapsulate(x.privateKey, ciphertext), sharedKey);
		},
		x509() {
			const c = new crypto.X509Certificate(certificate);
			none(c.subject, c.subjectAltName, c.issuer, c.infoAccess, c.validFrom, c.validToDate, c.fingerprint, c.fingerprint256);
			none(c.fingerprint512, c.keyUsage, c.serialNumber, c.raw, c.publicKey, c.ca, c.toString(), c.toLegacyObject());
			c.checkHost('a.example', { subject: 'always' });
			c.checkEmail('a@b.c');
			c.checkIP('127.0.0.1');
			c.checkIssued(c);
			c.checkPrivateKey(ec.privateKey);
			c.verify(c.publicKey);
			crypto.Certificate.verifySpkac(data);
			crypto.Certificate.exportChallenge(data);
			crypto.Certificate.exportPublicKey(data);
		},
		webcrypto,
		zlib() {
			for (const [pack, unpack] of [['deflateSync', 'inflateSync'], ['gzipSync', 'gunzipSync'], ['brotliCompressSync', 'brotliDecompressSync'], ['zstdCompressSync', 'zstdDecompressSync'], ['deflateRawSync', 'inflateRawSync']])
				zlib[unpack](zlib[pack](data));
			zlib.crc32(data, 1);
		},
		zlibStream() {
			const stream = zlib.createDeflate({ level: 3, dictionary: key16 });
			stream.on('error', none).on('data', none);
			stream.write(data);
			stream.params(1, 2, none);
			stream.flush(none);
			stream.end(data, () => (stream.reset(), stream.close()));
			zlib.brotliCompress(data, none);
			zlib.gunzip(data, none);
		},
		compression() {
			const stream = new CompressionStream('gzip');
			const writer = stream.writable.getWriter();
			writer.write(data).catch(none);
			writer.close().catch(none);
			stream.readable.getReader().read().catch(none);
		},
		database,
		buffers,
		url() {
			const u = new URL('http://user:pw@höst:81/p/../q?a=1#f');
			u.host = 'b:2';
			u.pathname = '/ä';
			u.search = '?x';
			none(u.href, URL.canParse('x', 'http://h'), url.format(u, { unicode: true }), url.domainToASCII('ä'), url.domainToUnicode('xn--4ca'));
			const p = new URLPattern({ pathname: '/:a/*' });
			p.exec('http://h/x/y');
		},
		text() {
			const e = new TextEncoder();
			e.encodeInto(text, new Uint8Array(20));
			new TextDecoder('utf-8', { fatal: true }).decode(e.encode(text));
			new TextDecoder('utf-16le').decode(data);
			new TextDecoder('shift_jis').decode(data);
			atob(btoa('abc'));
		},
		clone() {
			structuredClone({ a: [1, new Map([[1, data]])], e: new Error('x'), b: new Blob([data]) });
			const buffer = new ArrayBuffer(8);
			structuredClone(buffer, { transfer: [buffer] });
		},
		ports() {
			const { port1, port2 } = new MessageChannel();
			port1.onmessage = none;
			port2.postMessage({ a: 1, b: new Uint8Array(4) });
			port2.postMessage(port1 && 1, []);
			const channel = new BroadcastChannel('c');
			channel.postMessage(1);
			get('node:worker_threads').receiveMessageOnPort(port1);
			port1.close();
			channel.close();
		},
		inspect: () => util.inspect({ a: new Proxy({}, {}), m: new Map([[1, 2]]).entries(), p: Promise.resolve(1), w: new WeakSet([{}]) }, { showProxy: true, showHidden: true }),
		console: () => util.format('%s %o', new Date(0), [1, { b: 2 }]),
		timers() {
			clearTimeout(setTimeout(none, 1).unref());
			setImmediate(none);
			queueMicrotask(none);
			process.nextTick(none);
		},
		process() {
			none(process.memoryUsage(), process.cpuUsage(), process.hrtime(), process.hrtime.bigint(), process.resourceUsage(), process.getActiveResourcesInfo(), process.umask());
		},
		files() {
			fs.writeFileSync('/file', data);
			none(fs.readFileSync('/file', 'utf8'), fs.statSync('/file'), fs.readdirSync('/'), fs.existsSync('/none'));
			const fd = fs.openSync('/file', 'r+');
			const b = Buffer.alloc(10);
			fs.readSync(fd, b, 1, 5, 2);
			fs.writevSync(fd, [b, b], 3);
			fs.readvSync(fd, [b], 0);
			fs.ftruncateSync(fd, 4);
			fs.futimesSync(fd, 1, 2);
			fs.fsyncSync(fd);
			fs.fstatSync(fd);
			fs.closeSync(fd);
			fs.mkdirSync('/a/b', { recursive: true });
			fs.renameSync('/file', '/a/f');
			fs.copyFileSync('/a/f', '/a/g');
			fs.symlinkSync('x', '/a/l');
			none(fs.readlinkSync('/a/l'), fs.realpathSync('/a/g'), fs.lstatSync('/a/l'), fs.mkdtempSync('/a/t'));
			fs.chmodSync('/a/g', 0o600);
			fs.opendirSync('/a').closeSync();
			fs.rmSync('/a', { recursive: true });
			fs.readFile('/none', none);
			fs.promises.writeFile('/p', data).then(() => fs.promises.readFile('/p')).catch(none);
			const watcher = fs.watch('/', none);
			watcher.on('error', none);
			watcher.close();
		},
		parser() {
			const Parser = native('new HTTPParser');
			const parser = Parser();
			const connections = native('new ConnectionsList')();
			parser.initialize(1, {}, 0, 0, connections);
			parser[0] = parser[1] = parser[2] = parser[3] = parser[4] = none;
			parser.execute(Buffer.from('POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\nX-Y: z\r\n\r\nabc'));
			none(parser.getCurrentBuffer(), connections.all(), connections.idle(), connections.active(), connections.expired(1, 2));
			parser.pause();
			parser.resume();
			parser.finish();
			parser.close();
			const answers = Parser();
			answers.initialize(2, {}, 0, 1, connections);
			answers.execute(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n'));
			answers.free();
		},
		tls() {
			const context = tls.createSecureContext({ cert: certificate, key: undefined, ciphers: 'HIGH', minVersion: 'TLSv1.2', ecdhCurve: 'auto' });
			none(context, tls.getCiphers(), tls.rootCertificates?.length);
			const session = tls.connect({ socket: new (get('node:stream').Duplex)({ read: none, write: (c, e, f) => f() }), servername: 'a', ALPNProtocols: ['h2'] });
			session.on('error', none);
			session.write('x');
			session.destroy();
		},
		modules() {
			const m = get('node:module');
			none(m.builtinModules);
			m.createRequire('/app/x.js').resolve('node:fs');
		},
		v8: () => get('node:v8').getHeapStatistics(),
		net() {
			const net = get('node:net');
			net.connect(1, '127.0.0.1').on('error', none);
			net.createServer().on('error', none).listen(0);
			fetch('http://127.0.0.1:1/').catch(none);
			get('node:dns').lookup('a.example', none);
		},
		tlsPair() {
			const all = (name, receiver, ...list) => {
				const index = targets.findIndex((target) => target.name === `TlsSession.${name}`);
				return globalThis.fuzz.interfere === undefined
					? targets[index].call(receiver, list)
					: globalThis.fuzz.interfere(index, receiver, list, undefined);
			};
			const attempt = (...list) => {
				try {
					return all(...list);
				} catch {}
			};
			const make = (server, options) => {
				const session = tls.createSecureContext(options);
				const Session = native('new TlsSession');
				return Session(session.context, server, false, 'a');
			};
			const server = make(true, { cert: certificate, key: certificateKey });
			const client = make(false, {});
			const out = Buffer.alloc(20000);
			for (let i = 0; i < 6; i++) {
				for (const [from, to] of [[client, server], [server, client]]) {
					all('advance', from);
					const sent = all('pull', from);
					if (sent?.length) all('feed', to, sent);
				}
			}
			all('write', client, data, 0);
			all('feed', server, all('pull', client) ?? data);
			all('read', server, out);
			for (const name of ['verifyError', 'certificate', 'describe', 'ephemeralKey', 'session', 'ticket', 'shutdown']) all(name, client);
			all('peerCertificate', client, true);
			all('finished', client, true);
			attempt('exportKeys', client, 20, 'label', data);
			all('feedEnd', client);
		},
		limits() {
			const db = new sqlite.DatabaseSync(':memory:');
			none(db.limits);
			db.exec('CREATE TABLE t(a)');
			const statement = db.prepare('SELECT * FROM t');
			const rows = statement.iterate();
			rows.next();
			rows.return();
			if (db.serialize) db.deserialize(db.serialize());
			db.close();
		},
		permission: () => process.permission?.has('fs.read', '/'),
		websocket: () => new WebSocketPair(),
	};
})();
