"""node:fs and process.permission in real tenants with real grants, next to real Node."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from harness import ROOT, TenantdTest

PROGRAMS = os.path.join(ROOT, "test", "js", "fs")


class FsTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.data = tempfile.mkdtemp(prefix="tenantd-data-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        os.chmod(self.data, 0o755)
        self.read = os.path.join(self.data, "read")
        self.writable = os.path.join(self.data, "write")
        self.outside = os.path.join(self.data, "secret")
        os.makedirs(os.path.join(self.read, "sub"))
        os.mkdir(self.writable)
        os.chmod(self.writable, 0o777)
        for path in (os.path.join(self.read, "a"), self.outside, self.read + "x"):
            with open(path, "w") as file:
                file.write("content" if path != self.outside else "the secret")
        os.symlink(self.outside, os.path.join(self.read, "out"))
        os.symlink("chain2", os.path.join(self.read, "chain1"))
        os.symlink("sub/chain3", os.path.join(self.read, "chain2"))
        os.symlink("../../secret", os.path.join(self.read, "sub", "chain3"))

    def grants(self, **parts):
        return self.policy(
            permissions={"fs": {"read": [self.read], "write": [self.writable]}}, **parts)

    def run_program(self, name, *arguments, policy=None):
        return self.daemon.ctl("run", os.path.join(PROGRAMS, name), "--policy",
                               policy or self.grants(), "--", *arguments)

    def test_operations_behave_as_in_node(self):
        program = os.path.join(PROGRAMS, "semantics.mjs")
        expected = subprocess.run(["node", program, self.writable], capture_output=True,
                                  text=True, check=True).stdout.splitlines()
        shutil.rmtree(self.writable)
        os.mkdir(self.writable)
        os.chmod(self.writable, 0o777)
        done = self.run_program("semantics.mjs", self.writable)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout[-2000:])
        lines = done.stdout.splitlines()
        self.assertGreater(len(expected), 250)
        for ours, nodes in zip(lines, expected):
            self.assertEqual(ours, nodes)
        self.assertEqual(len(lines), len(expected))

    def test_nothing_outside_of_the_grants(self):
        done = self.run_program("confined.mjs", self.read, self.writable, self.outside)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout[-2000:])
        lines = done.stdout.splitlines()
        self.assertEqual([line for line in lines if not line.startswith("ok ")], ["end"])
        self.assertGreater(len(lines), 60)
        with open(self.outside) as file:
            self.assertEqual(file.read(), "the secret")

    def test_what_is_open_outlives_a_drop(self):
        """Also a file that is open for writing, with which no mount becomes read-only."""
        done = self.run_script(f"""
            import fs from 'node:fs';
            const path = '{self.writable}/log';
            const codeOf = (action) => {{ try {{ action(); return 'done'; }} catch (e) {{ return e.code; }} }};
            const fd = fs.openSync(path, 'w');
            process.permission.drop('fs.write');
            fs.writeSync(fd, 'still');
            console.log(codeOf(() => fs.writeFileSync(path + '2', '')), codeOf(() => fs.unlinkSync(path)),
                fs.readFileSync(path, 'utf8'));
            process.permission.drop('fs.write');
            process.permission.drop('fs.read');
            console.log(codeOf(() => fs.readFileSync(path)));
            """, "--policy", self.grants(), name="drop.mjs")
        self.assertEqual(done.stdout, "ERR_ACCESS_DENIED ERR_ACCESS_DENIED still\n"
                         "ERR_ACCESS_DENIED\n", done.stderr)

    def test_dropped_permissions_are_gone(self):
        done = self.run_program("drop.mjs", self.read, self.writable)
        self.assertEqual(done.stdout.splitlines(), [
            "got content got undefined got x true true true",
            "ERR_INVALID_ARG_VALUE",
            "got content ERR_ACCESS_DENIED got x true false true",
            "ERR_ACCESS_DENIED ERR_ACCESS_DENIED ERR_ACCESS_DENIED false false false",
            "ERR_INVALID_ARG_VALUE",
        ], done.stderr)

    def test_a_single_file_is_granted_and_nothing_beside_it(self):
        policy = self.policy(permissions={"fs": {"read": [os.path.join(self.read, "a")]}})
        done = self.run_script(f"""
            import fs from 'fs';
            const code = (f) => {{ try {{ return f() }} catch (e) {{ return e.code }} }};
            console.log(code(() => fs.readFileSync('{self.read}/a', 'utf8')),
                code(() => fs.readFileSync('{self.read}/a/', 'utf8')),
                code(() => fs.readdirSync('{self.read}')), code(() => fs.readFileSync('{self.read}/out')),
                process.permission.has('fs.read', '{self.read}/a'), process.permission.has('fs.read', '{self.read}/a/'),
                process.permission.has('fs.read', '{self.read}'));
            """, "--policy", policy)
        self.assertEqual(
            done.stdout,
            "content ENOTDIR ERR_ACCESS_DENIED ERR_ACCESS_DENIED true false false\n", done.stderr)

    def test_tmp_is_private_and_limited(self):
        source = """
            import fs from 'node:fs/promises';
            await fs.writeFile('/tmp/a', 'mine');
            console.log(await fs.readdir('/tmp'), process.permission.has('fs.write', '/tmp/x'));
            try { await fs.writeFile('/tmp/b', Buffer.alloc(4 << 20)); } catch (e) { console.log(e.code, e.syscall); }
            console.log((await fs.statfs('/tmp')).blocks > 0);
            """
        for _ in range(2):
            done = self.run_script(source, "--policy", self.policy(limits={"tmp": "1M"}))
            self.assertEqual(done.stdout, "[ 'a' ] true\nENOSPC write\ntrue\n", done.stderr)
        done = self.run_script(source)
        self.assertIn("ERR_ACCESS_DENIED", done.stderr)

    def test_a_program_without_grants_reads_its_release(self):
        self.write("data.json", '{"a": 1}')
        self.write("main.js", """
            import { readFileSync } from 'fs';
            import { readFile, readdir } from 'fs/promises';
            console.log(readFileSync('data.json', 'utf8'), JSON.parse(await readFile(new URL('data.json', import.meta.url))).a,
                (await readdir('.')).includes('main.js'));
            try { readFileSync('/etc/hostname') } catch (e) { console.log(e.code) }
            """)
        done = self.daemon.ctl("run", self.folder + "/main.js")
        if "Cannot find" in done.stderr or "data.json" in done.stderr:
            done = self.daemon.ctl("run", self.folder)
        self.assertEqual(done.stdout, '{"a": 1} 1 true\nERR_ACCESS_DENIED\n', done.stderr)

    def test_denials_are_audited_once_and_openings_with_all(self):
        source = f"""
            import fs from 'node:fs';
            for (let i = 0; i < 100; i++) try {{ fs.readFileSync('{self.outside}') }} catch {{}}
            for (let i = 0; i < 5000; i++) fs.existsSync('/nothing/' + i);
            fs.readFileSync('{self.read}/a');
            fs.writeFileSync('{self.writable}/a', '');
            """

        def audited(audit):
            done = self.run_script(source, "--policy", self.grants(audit=audit))
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(os.path.join(self.daemon.state, "audit", "audit.jsonl")) as file:
                lines = [json.loads(line) for line in file]
            last = lines[-1]["tenant"]
            return [line for line in lines if line["tenant"] == last and "resource" in line]

        lines = audited("denied")
        secrets = [line for line in lines if line["resource"] == self.outside]
        self.assertEqual(len(secrets), 1, lines)
        self.assertEqual([secrets[0][key] for key in ("permission", "result", "layer")],
                         ["fs.read", "denied", "mount"])
        self.assertLess(len(lines), 500)  # of 5001 denials
        self.assertFalse([line for line in lines if line["result"] == "allowed"])

        source = source.replace("5000", "1")
        allowed = {(line["permission"], line["resource"])
                   for line in audited("all") if line["result"] == "allowed"}
        self.assertLessEqual({("fs.read", f"{self.read}/a"), ("fs.write", f"{self.writable}/a")},
                             allowed)

    def test_a_file_that_is_too_large_is_an_error(self):
        with open(os.path.join(self.read, "huge"), "w") as file:
            file.truncate(1 << 40)
        done = self.run_script(f"""
            import fs from 'node:fs/promises';
            try {{ await fs.readFile('{self.read}/huge') }} catch (e) {{ console.log(e.code, e.name) }}
            """, "--policy", self.grants(limits={"memory": "128M"}))
        self.assertEqual(done.stdout, "ERR_FS_FILE_TOO_LARGE RangeError\n", done.stderr)

    def test_async_context_survives_the_thread_pool(self):
        done = self.run_script(f"""
            import fs from 'node:fs';
            import {{ AsyncLocalStorage }} from 'node:async_hooks';
            const storage = new AsyncLocalStorage();
            storage.run('mine', () => fs.readFile('{self.read}/a', () => console.log(storage.getStore())));
            storage.run('other', async () => {{ await fs.promises.stat('{self.read}'); console.log(storage.getStore()); }});
            """, "--policy", self.grants())
        self.assertEqual(sorted(done.stdout.split()), ["mine", "other"], done.stderr)


if __name__ == "__main__":
    unittest.main()
