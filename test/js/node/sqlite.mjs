import { constants, DatabaseSync, StatementSync } from 'node:sqlite';

const attempt = (name, run) => {
	try {
		console.log(name, run());
	} catch (error) {
		console.log(name, error.name, error.code, error.errcode, error.errstr, error.message);
	}
};

const db = new DatabaseSync(':memory:');
db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, n REAL, s TEXT UNIQUE, b BLOB)');
const insert = db.prepare('INSERT INTO t(n, s, b) VALUES ($n, :s, ?)');
console.log(insert.run({ n: 1.5, s: 'ä☃' }, new Uint8Array([1, 2, 255])));
console.log(insert.run({ $n: null, ':s': 'second' }, Buffer.alloc(0)), insert.expandedSQL, insert.sourceSQL);
attempt('unique', () => insert.run({ n: 1, s: 'second' }, null));
attempt('unknown', () => insert.run({ zzz: 1 }));
attempt('unbindable', () => insert.run({ n: () => {} }));
const all = db.prepare('SELECT * FROM t ORDER BY id');
console.log(all.all(), all.get(), [...all.iterate()].length, all.columns());
all.setReturnArrays(true);
all.setReadBigInts(true);
console.log(all.get());
attempt('large', () => db.prepare('SELECT 9007199254740993 AS x').get());
attempt('syntax', () => db.prepare('SELEC'));
attempt('empty', () => db.prepare(' -- nothing'));
attempt('illegal', () => new StatementSync());

db.function('twice', (x) => x * 2);
db.function('join', { varargs: true }, (...list) => list.join('+'));
db.function('boom', () => {
	throw new RangeError('boom');
});
db.function('later', async () => {});
attempt('function', () => db.prepare("SELECT twice(21) AS a, join(1, 'b', NULL) AS b").get());
attempt('throws', () => db.prepare('SELECT boom()').get());
attempt('async', () => db.prepare('SELECT later()').get());
db.aggregate('total2', { start: 0, step: (sum, x) => sum + x, inverse: (sum, x) => sum - x, result: (sum) => `=${sum}` });
attempt('aggregate', () => db.prepare('SELECT total2(id) AS t FROM t').get());
attempt('window', () => db.prepare('SELECT total2(id) OVER (ORDER BY id ROWS 1 PRECEDING) AS t FROM t').all());
db.setAuthorizer((code) => (code === constants.SQLITE_DELETE ? constants.SQLITE_DENY : constants.SQLITE_OK));
attempt('denied', () => db.exec('DELETE FROM t'));
db.setAuthorizer(null);

const session = db.createSession();
db.exec("UPDATE t SET s = 'changed' WHERE id = 2; INSERT INTO t(s) VALUES ('new')");
const changes = session.changeset();
session.close();
const other = new DatabaseSync(':memory:');
other.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, n REAL, s TEXT UNIQUE, b BLOB); INSERT INTO t(s, b) VALUES ('x', 'x'), ('second', x'')");
console.log(other.applyChangeset(changes, { onConflict: () => constants.SQLITE_CHANGESET_OMIT }), other.prepare('SELECT id, s FROM t').all());
const copy = new DatabaseSync(':memory:');
copy.deserialize(db.serialize());
console.log(copy.prepare('SELECT count(*) AS c FROM t').get(), copy.location(), copy.isTransaction);

const sql = db.createTagStore(2);
console.log(sql.get`SELECT ${5} + ${6} AS sum`, sql.all`SELECT s FROM t WHERE id > ${1}`, sql.size, sql.capacity);
console.log(db.limits.attach, Object.keys(db.limits));
attempt('limit', () => (db.limits.attach = -1));
attempt('open', () => db.open());
attempt('path', () => new DatabaseSync('a\0b'));
attempt('extension', () => db.loadExtension('x'));
