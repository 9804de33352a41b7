"""Files of the host that a policy grants: what the tenant gets, and what happens when a
granted folder is not there any more."""

import json
import os
import shutil
import unittest

import harness
from harness import TenantdTest

WORLD = "/srv/tenantd-grants-integration"

READ = """
import fs from 'node:fs';
try { console.log(fs.readFileSync(process.argv[2], 'utf8')); }
catch (error) { console.log(error.code); }
"""


class GrantsTest(TenantdTest):
    def setUp(self):
        super().setUp()
        shutil.rmtree(WORLD, ignore_errors=True)
        os.makedirs(f"{WORLD}/data/out")
        with open(f"{WORLD}/data/file", "w") as file:
            file.write("granted")
        os.chown(f"{WORLD}/data", 1234, 1235)
        os.chmod(f"{WORLD}/data", 0o700)
        os.chown(f"{WORLD}/data/out", 1234, 1235)
        self.addCleanup(shutil.rmtree, WORLD, True)

    def run_with(self, policy, source, *arguments):
        path = self.write("policy.json", json.dumps(policy))
        return self.run_script(source, "--policy", path, arguments=arguments)

    def policy(self, read=(), write=(), **limits):
        return {"version": 1, "permissions": {"fs": {"read": list(read), "write": list(write)}},
                "limits": limits}

    def test_a_removed_folder_is_an_error_that_names_it(self):
        done = self.run_with(self.policy(read=[f"{WORLD}/gone"]), "console.log('never')")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"/permissions/fs/read/0: {WORLD}/gone: No such file or directory",
                      done.stderr)
        self.assertEqual(done.stdout, "")

    def test_the_release_cannot_be_covered(self):
        done = self.run_with(self.policy(write=["/app/x"]), "console.log('never')")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/permissions/fs/write/0: /app/x", done.stderr)

    def test_a_granted_file_is_read_and_its_sibling_is_not_there(self):
        policy = self.policy(read=[f"{WORLD}/data"])
        for path, text in ((f"{WORLD}/data/file", "granted\n"), ("/etc/passwd", "ENOENT\n")):
            done = self.run_with(policy, READ, path)
            self.assertIn(done.stdout, (text, "ERR_ACCESS_DENIED\n" if "etc" in path else text),
                          done.stderr)

    def test_what_is_written_belongs_to_the_folders_owner(self):
        done = self.run_with(
            self.policy(read=[f"{WORLD}/data"], write=[f"{WORLD}/data/out"], tmp="1M"),
            "import fs from 'node:fs';"
            f"fs.writeFileSync('{WORLD}/data/out/new', 'x');"
            "fs.writeFileSync('/tmp/own', 'y'); console.log(fs.readFileSync('/tmp/own', 'utf8'));"
            f"try {{ fs.chmodSync('{WORLD}/data/out/new', 0o4755); }}"
            "catch (error) { console.log(error.code); }")
        self.assertEqual(done.stdout, "y\nEPERM\n", done.stderr)
        status = os.stat(f"{WORLD}/data/out/new")
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777),
                         (1234, 1235, 0o644))


class ViolationTest(TenantdTest):
    """A system call that the filter refuses is in the audit, by its name."""
    options = ("--runtime", os.path.join(harness.BUILD, "testing"))

    @unittest.skipUnless(os.path.exists(harness.BUILD + "/testing/tenant-zygote"),
                         "the test-only zygote is not built")
    def test_a_refused_call_is_recorded_with_its_name(self):
        done = self.run_script(
            "const names = attack().map(([, name]) => name);"
            "const target = { port: 1, victim: 1, abstract: 'x', socket: '/x' };"
            "for (let i = 0; i < 50; i++)"
            "  console.log(attack(names.indexOf('mount tmpfs'), target)[1]);"
            "await new Promise((resolve) => setTimeout(resolve, 100));")
        self.assertEqual(done.stdout, "1\n" * 50, done.stderr)
        with open(os.path.join(self.daemon.state, "audit", "audit.jsonl")) as file:
            records = [json.loads(line) for line in file]
        self.assertEqual([(r["permission"], r["resource"], r["result"], r["layer"])
                          for r in records], [("syscall", "mount", "denied", "seccomp")])


if __name__ == "__main__":
    unittest.main()
