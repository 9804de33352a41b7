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


if __name__ == "__main__":
    unittest.main()
