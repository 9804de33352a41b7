"""node:sqlite in real tenants: the kernel decides which files are databases."""

import os
import shutil
import sqlite3
import tempfile
import unittest

from harness import TenantdTest


class SqliteTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.data = tempfile.mkdtemp(prefix="tenantd-data-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        os.chmod(self.data, 0o755)
        self.read = os.path.join(self.data, "read")
        self.writable = os.path.join(self.data, "write")
        self.outside = os.path.join(self.data, "secret.db")
        os.mkdir(self.read)
        os.mkdir(self.writable)
        os.chmod(self.writable, 0o777)
        for path in (os.path.join(self.read, "a.db"), self.outside):
            with sqlite3.connect(path) as database:
                database.execute("CREATE TABLE t(x)")
                database.execute("INSERT INTO t VALUES (5)")
            database.close()

    def run_with_grants(self, text, **parts):
        program = os.path.join(self.data, "program.mjs")
        with open(program, "w") as file:
            file.write("import { backup, DatabaseSync } from 'node:sqlite';\n"
                       "const attempt = (run) => { try { return run(); }"
                       " catch (error) { return `${error.code} ${error.message}`; } };\n" + text)
        policy = self.policy(
            permissions={"fs": {"read": [self.read], "write": [self.writable]}}, **parts)
        return self.daemon.ctl("run", program, "--policy", policy)

    def test_databases_on_granted_files(self):
        done = self.run_with_grants(f"""
            process.chdir('{self.writable}');
            const db = new DatabaseSync('a.db');
            db.exec('CREATE TABLE t(x); BEGIN');
            const insert = db.prepare('INSERT INTO t VALUES (?)');
            for (let i = 0; i < 5000; i++) insert.run(i);
            db.exec('COMMIT; VACUUM');
            console.log(db.location(), db.prepare('PRAGMA journal_mode = WAL').get().journal_mode);
            db.exec('UPDATE t SET x = x + 1');
            const other = new DatabaseSync('a.db', {{ timeout: 10 }});
            console.log(other.prepare('SELECT sum(x) AS s FROM t').get().s);
            db.exec('BEGIN IMMEDIATE');
            console.log(attempt(() => other.exec('DELETE FROM t')));
            db.exec('ROLLBACK');
            other.close();
            console.log(await backup(db, 'copy.db') > 5);
            db.close();
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            os.path.join(self.writable, "a.db") + " wal", str(sum(range(1, 5001))),
            "ERR_SQLITE_ERROR database is locked", "true"])
        for name in ("a.db", "copy.db"):
            database = sqlite3.connect(os.path.join(self.writable, name))
            self.assertEqual(database.execute("SELECT count(*) FROM t").fetchone(), (5000,))
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            database.close()

    def test_nothing_outside_of_the_grants(self):
        done = self.run_with_grants(f"""
            const db = new DatabaseSync('{self.read}/a.db', {{ readOnly: true }});
            console.log(db.prepare('SELECT x FROM t').get().x);
            console.log(attempt(() => new DatabaseSync('{self.read}/a.db').exec('DELETE FROM t')));
            console.log(attempt(() => new DatabaseSync('{self.outside}', {{ readOnly: true }})).split(' is not')[0]);
            console.log(attempt(() => new DatabaseSync('{self.read}/new.db')).split(' is not')[0]);
            const own = new DatabaseSync(':memory:', {{ allowExtension: true }});
            console.log(attempt(() => own.exec("ATTACH '{self.outside}' AS o")).split(':')[0]);
            console.log(attempt(() => own.exec("VACUUM INTO '{self.data}/stolen.db'")).split(':')[0]);
            console.log(attempt(() => own.enableLoadExtension(true)).split(' ')[0]);
            console.log(attempt(() => own.prepare("SELECT load_extension('/x')").get()));
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "5", "ERR_SQLITE_ERROR attempt to write a readonly database",
            f'ERR_ACCESS_DENIED Access to "{self.outside}" (FileSystemRead)',
            f'ERR_ACCESS_DENIED Access to "{self.read}/new.db" (FileSystemWrite)',
            "ERR_SQLITE_ERROR unable to open database",
            "ERR_SQLITE_ERROR unable to open database",
            "ERR_LOAD_SQLITE_EXTENSION", "ERR_SQLITE_ERROR not authorized"])
        self.assertFalse(os.path.exists(os.path.join(self.data, "stolen.db")))

    def test_a_query_without_end_is_ended(self):
        done = self.run_with_grants("""
            new DatabaseSync(':memory:').prepare(
                'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c').get();
        """, limits={"request": {"cpu": "200ms"}})
        self.assertEqual(done.returncode, 152, done.stderr)

    def test_a_query_that_wants_too_much_memory_fails_alone(self):
        done = self.run_with_grants("""
            const db = new DatabaseSync(':memory:');
            db.exec('CREATE TABLE t(x)');
            const insert = db.prepare('INSERT INTO t VALUES (zeroblob(1000000))');
            console.log(attempt(() => { for (;;) insert.run(); }));
            console.log(db.prepare('SELECT 1 AS x').get().x);
        """, limits={"memory": "128M"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), ["ERR_SQLITE_ERROR out of memory", "1"])

    def test_its_own_functions_cannot_pull_it_away(self):
        """Node itself falls over the first of these."""
        done = self.run_with_grants("""
            const db = new DatabaseSync(':memory:');
            let statement;
            db.function('shut', () => { db.close(); });
            db.function('again', () => statement.get().x);
            db.function('swap', () => { db.deserialize(db.serialize()); });
            console.log(attempt(() => db.prepare('SELECT shut()').get()));
            statement = db.prepare('SELECT again() AS x');
            console.log(attempt(() => statement.get()));
            console.log(attempt(() => db.prepare('SELECT swap()').get()));
            console.log(db.prepare('SELECT 1 AS x').get().x);
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "ERR_INVALID_STATE database is currently in use",
            "ERR_INVALID_STATE statement is currently in use",
            "ERR_INVALID_STATE database is currently in use", "1"])

    def test_its_authorizer_cannot_pull_it_away(self):
        """SQLite is in the middle of its parser, or of its sessions, while it asks."""
        done = self.run_with_grants(f"process.chdir('{self.writable}');" """
            import { constants } from 'node:sqlite';
            const db = new DatabaseSync(':memory:');
            const other = new DatabaseSync(':memory:');
            db.exec('CREATE TABLE t(x PRIMARY KEY, y); CREATE TABLE log(x);'
                + ' CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x); END');
            const select = db.prepare('SELECT x FROM t');
            const insert = db.prepare('INSERT INTO t VALUES (?, 1)');
            const answers = new Set();
            const refused = (run) => answers.add(attempt(run));
            const rows = db.prepare('SELECT * FROM (VALUES (1), (2))').iterate();
            rows.next();
            const copies = [];
            db.setAuthorizer(() => {
                copies.push(backup(db, './copy.db').catch((error) => attempt(() => { throw error; })));
                refused(() => rows.return());
                refused(() => db.exec('DROP TRIGGER g'));
                refused(() => db.prepare('SELECT 1'));
                refused(() => select.all());
                refused(() => db.setAuthorizer(null));
                refused(() => db.function('f', () => 1));
                refused(() => db.createSession());
                refused(() => db.applyChangeset(new Uint8Array(8)));
                refused(() => db.serialize());
                return constants.SQLITE_OK;
            });
            db.exec("INSERT INTO t VALUES ('a', 1)");
            for (const copy of await Promise.all(copies)) answers.add(copy);
            console.log([...answers].join(), rows.next().value.column1);
            answers.clear();
            db.setAuthorizer(() => {
                refused(() => db.deserialize(other.serialize()));
                return constants.SQLITE_OK;
            });
            db.exec("INSERT INTO t VALUES ('b', 1)");
            console.log([...answers].join());
            answers.clear();
            db.setAuthorizer(null);
            const session = db.createSession();
            db.setAuthorizer((action) => {
                if (action === constants.SQLITE_PRAGMA) refused(() => session.close());
                return constants.SQLITE_OK;
            });
            insert.run('c');
            console.log([...answers].join());
            db.setAuthorizer(null);
            console.log(session.changeset().length > 10, attempt(() => session.close()));
            console.log(db.prepare('SELECT count(*) AS n FROM log').get().n);
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "ERR_INVALID_STATE database cannot be used by its own authorizer 2",
            "ERR_INVALID_STATE database is currently in use",
            "ERR_INVALID_STATE database is currently in use", "true undefined", "3"])

    def test_sessions_collected_while_they_record(self):
        """SQLite walks along all sessions when the authorizer's garbage is collected."""
        done = self.run_with_grants("""
            import { constants } from 'node:sqlite';
            const db = new DatabaseSync(':memory:');
            const kept = [];
            for (let i = 0; i < 20; i++)
                db.exec(`CREATE TABLE t${i}(x PRIMARY KEY)`);
            let asked = 0;
            const litter = () => {
                let last;
                for (let i = 0; i < 300; i++) last = new Array(10000).fill(i);
                return last.length;
            };
            for (let i = 0; i < 20; i++) {
                for (let j = 0; j < 5; j++) db.createSession();
                kept.push(db.createSession());
                const insert = db.prepare(`INSERT INTO t${i} VALUES (1)`);
                db.setAuthorizer((action) => {
                    if (action === constants.SQLITE_PRAGMA && asked++ % 10 === 0) {
                        litter();
                        new DatabaseSync(':memory:');
                    }
                    return constants.SQLITE_OK;
                });
                insert.run();
                db.setAuthorizer(null);
            }
            console.log(asked > 20, kept.every((session) => session.changeset().length > 5));
            db.close();
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "true true\n")

    def test_setters_of_prototypes_are_not_called(self):
        done = self.run_with_grants("""
            const db = new DatabaseSync(':memory:');
            db.exec('CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2)');
            const select = db.prepare('SELECT a, b FROM t');
            let called = 0;
            const pull = () => { called++; db.close(); };
            // What the library's own JavaScript pushes is neither a list nor a row.
            const set = (value) => { if (Array.isArray(value) || value?.a) pull(); };
            Object.defineProperty(Array.prototype, 0, { configurable: true, set });
            Object.defineProperty(Object.prototype, 'errcode', { configurable: true, set: pull });
            const columns = select.columns();
            const rows = select.all();
            let error;
            try { db.exec('nonsense'); } catch (thrown) { error = thrown; }
            delete Array.prototype[0];
            delete Object.prototype.errcode;
            console.log(called, columns.length, rows.length, rows[0].b, error.errcode);
        """)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "0 2 1 2 1\n")

    def test_statements_of_one_turn_do_not_pile_up(self):
        done = self.run_with_grants("""
            const db = new DatabaseSync(':memory:');
            const sql = `SELECT '${'x'.repeat(2000)}'`;
            for (let i = 0; i < 200000; i++) db.prepare(sql);
            console.log('done');
        """, limits={"memory": "512M"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "done\n")


if __name__ == "__main__":
    unittest.main()
