"""Hosts that lack something: by test/variants/without, which makes system calls or features
vanish. tenantd works there as before, or says in one sentence what is missing and what to do;
it never confines less than it says."""

import json
import os
import struct
import subprocess
import tempfile
import unittest

import escape_test
import harness
from harness import Daemon, TenantdTest, request

MOUNTS_ONLY = 1 << 5  # enum attack_flag
WITHOUT = os.path.join(harness.BUILD, "without")

HELLO = "export default { fetch() { return new Response('hello ' + process.getuid()); } };"

# Tries each [operation, path] of its argument.
FILES = """
import fs from 'node:fs';
const act = {
    read: (path) => fs.readFileSync(path, 'utf8'),
    list: (path) => fs.readdirSync(path).join(),
    write: (path) => fs.writeFileSync(path, 'written'),
    append: (path) => fs.appendFileSync(path, '+'),
    mkdir: (path) => fs.mkdirSync(path),
    remove: (path) => fs.rmSync(path),
    rename: (path) => fs.renameSync(path, path + '.moved'),
    link: (path) => fs.linkSync(path, path + '.linked'),
};
for (const [operation, path] of JSON.parse(process.argv[2])) {
    let result;
    try { result = act[operation](path) ?? 'done'; } catch (error) { result = error.code; }
    console.log(JSON.stringify([operation, path, result]));
}
"""


def without(*what):
    return (WITHOUT, *what, "--")


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class RefusalTest(unittest.TestCase):
    """Where tenantd does not start."""

    def refused(self, wrapper, *options):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [*wrapper, os.path.join(harness.BUILD, "tenantd"), "--state", f"{folder}/state",
                 "--socket", f"{folder}/sock", "--policy-dir", f"{folder}/policies", *options],
                capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = [line for line in done.stderr.splitlines() if " error " in line]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def test_no_landlock_is_refused_in_every_tier(self):
        for tier in ("full", "container"):
            message = self.refused(without("landlock"), "--tier", tier)
            self.assertIn("this kernel has no Landlock", message)
            self.assertIn("lsm=", message)

    def test_a_default_container_is_refused_the_tier_full(self):
        message = self.refused(without("what-docker-denies"))
        self.assertIn("CAP_SYS_ADMIN is missing", message)
        self.assertIn("--tier container", message)

    def test_a_profile_without_mounts_is_refused_the_tier_full(self):
        message = self.refused(without("open_tree"))
        self.assertIn("open_tree is missing", message)

    def test_without_ids_to_give_no_tier_is_possible(self):
        message = self.refused(without("setuid"), "--tier", "container")
        self.assertIn("CAP_SETUID is missing", message)

    def test_limits_that_cannot_be_set_are_refused_in_the_tier_full(self):
        message = self.refused(without("cgroup-v1", "cgroup-v2"))
        self.assertIn("no cgroup controller for: memory, cpu, pids", message)
        message = self.refused(without("writable-cgroups"))
        self.assertIn("Read-only file system", message)


class Served:
    """What must work whatever is missing."""

    def test_hello_is_served(self):
        port = self.deploy("hello", self.write("main.js", HELLO), port=0)
        status, _, body = request(port)
        self.assertEqual(status, 200)
        self.assertGreaterEqual(int(body.split()[1]), 1)

    def test_a_process_is_its_own_user_without_capabilities(self):
        self.deploy("who", self.write("main.js", HELLO), port=0)
        shown = self.daemon.status("who")
        with open(f"/proc/{shown['pid']}/status") as file:
            fields = dict(line.split(":", 1) for line in file.read().splitlines())
        self.assertEqual(fields["Uid"].split(), [str(shown["uid"])] * 4)
        self.assertGreaterEqual(shown["uid"], 1879048192)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[name], 16), 0, name)
        self.assertEqual(fields["NoNewPrivs"].strip(), "1")
        self.assertEqual(fields["Seccomp"].strip(), "2")

    def test_files_are_as_granted(self):
        # Not in /tmp, where others than root could have made a link.
        self.grants = tempfile.mkdtemp(prefix="tenantd-grants-", dir="/var/lib")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.grants])
        os.chmod(self.grants, 0o755)
        for name in ("read", "read/sub", "write", "single"):
            os.mkdir(f"{self.grants}/{name}", 0o777)
            os.chmod(f"{self.grants}/{name}", 0o777)
        for name in ("read/file", "read/sub/deep", "write/file", "single/one", "single/other"):
            with open(f"{self.grants}/{name}", "w") as file:
                file.write(name)
            os.chmod(file.name, 0o666)
        os.symlink("/etc/passwd", f"{self.grants}/write/passwd")
        os.symlink("read", f"{self.grants}/alias")  # root's own: followed
        at = lambda name: f"{self.grants}/{name}"
        expected = [
            ("read", "read/file", "read/file"), ("read", "alias/file", "read/file"),
            ("read", "read/sub/deep", "read/sub/deep"),
            ("list", "read", "file,sub"), ("write", "read/file", "ERR_ACCESS_DENIED"),
            ("append", "read/file", "ERR_ACCESS_DENIED"),
            ("write", "read/new", "ERR_ACCESS_DENIED"),
            ("mkdir", "read/made", "ERR_ACCESS_DENIED"),
            ("remove", "read/file", "ERR_ACCESS_DENIED"),
            ("rename", "read/file", "ERR_ACCESS_DENIED"),
            ("link", "read/file", "ERR_ACCESS_DENIED"),
            ("read", "single/one", "single/one"),
            ("write", "single/one", "ERR_ACCESS_DENIED"),
            ("read", "single/other", "ERR_ACCESS_DENIED"),
            ("list", "single", "ERR_ACCESS_DENIED"),
            ("read", "write/file", "write/file"), ("write", "write/new", "done"),
            ("append", "write/file", "done"), ("mkdir", "write/made", "done"),
            ("rename", "write/new", "done"), ("remove", "write/new.moved", "done"),
            ("read", "write/passwd", "ERR_ACCESS_DENIED"),
        ]
        grant = {"read": [at("read"), at("single/one"), at("alias")], "write": [at("write")]}
        policy = self.policy(permissions={"fs": grant})
        asked = json.dumps([[operation, at(name)] for operation, name, _ in expected])
        done = self.daemon.ctl(
            "run", self.write("files.js", FILES), "--policy", policy, "--", asked)
        got = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(got, [[operation, at(name), result]
                               for operation, name, result in expected], done.stderr)
        self.assertEqual(os.stat(at("read/file")).st_mode & 0o7777, 0o666)
        with open(at("single/one")) as file:
            self.assertEqual(file.read(), "single/one")

    def test_modules_know_where_they_are(self):
        self.write("lib/it%.js", "export const url = import.meta.url;\n"
                                 "export const fail = () => { throw new Error('here'); };")
        self.write("main.js", """
            import { url, fail } from './lib/it%25.js';
            import fs from 'node:fs';
            console.log(url === new URL('./lib/it%25.js', import.meta.url).href);
            console.log(fs.readFileSync(import.meta.filename, 'utf8').includes('theAnswer'));
            console.log(import.meta.dirname === process.cwd());
            console.log(process.argv[1] === import.meta.filename);
            try { fail(); } catch (error) { console.log(error.stack.includes(url)); }
            for (const outside of ['../x.js', '/etc/passwd', 'file:///x.js'])
                await import(outside).catch((error) => console.log(error.code));
        """)
        done = self.daemon.ctl("run", self.folder)
        self.assertEqual(done.stdout.split(), ["true"] * 5 + ["ERR_MODULE_NOT_FOUND"] * 3,
                         done.stderr)


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class NoCloneThreeTest(Served, TenantdTest):
    wrapper = without("clone3")

    def test_a_program_is_run(self):
        done = self.daemon.ctl("run", "--", "/bin/echo", "hello")
        self.assertEqual((done.stdout, done.returncode), ("hello\n", 0), done.stderr)


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class NoOpenatTwoTest(Served, TenantdTest):
    wrapper = without("openat2")

    test_a_program_is_run = NoCloneThreeTest.test_a_program_is_run


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class NoCgroupTwoTest(Served, TenantdTest):
    wrapper = without("cgroup-v2")

    @classmethod
    def setUpClass(cls):
        with open("/proc/self/mounts") as file:
            if not any(line.split()[2] == "cgroup" for line in file):
                raise unittest.SkipTest("this host has control groups of version 2 only")
        super().setUpClass()

    def test_the_version_is_told(self):
        self.deploy("told", self.write("main.js", HELLO), port=0)
        self.assertEqual(self.daemon.status("told")["cgroup_version"], "v1")


class InContainer(Served):
    """The promises of the tier container."""

    options = ("--tier", "container")

    def test_the_tier_is_told_and_demanded(self):
        self.deploy("told", self.write("main.js", HELLO), port=0, tier="container")
        self.assertEqual(self.daemon.status("told")["tier"], "container")
        done = self.daemon.ctl("run", self.write("main.js", HELLO), "--policy",
                               self.policy(tier="full"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('demands the tier "full"', done.stderr)

    def test_what_needs_mounts_and_namespaces_is_refused(self):
        script = self.write("main.js", HELLO)
        for policy, message in (({"limits": {"tmp": "1M"}}, "/limits/tmp"),
                                ({"permissions": {"child": {"exec": ["/bin/sh"]}}},
                                 "/permissions/child/exec")):
            done = self.daemon.ctl("run", script, "--policy", self.policy(**policy))
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(message, done.stderr)
            self.assertIn("tier", done.stderr)
        done = self.daemon.ctl("run", "--", "/bin/true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tier", done.stderr)

    @escape_test.needs_hook
    def test_a_worker_cannot_take_the_hosts_mounts_away(self):
        """Its mounts are the host's here: what DROP unmounts elsewhere is everybody's."""
        folder = tempfile.mkdtemp(prefix="tenantd-grants-")
        self.addCleanup(os.rmdir, folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], stderr=subprocess.DEVNULL)
        daemon = Daemon("--tier", "container", "--runtime", escape_test.TESTING)
        self.addCleanup(daemon.close)
        os.chmod(self.folder, 0o755)
        self.write("main.js", escape_test.SENDER)
        policy = self.policy(permissions={"fs": {"write": [folder]}})
        for scope in (b"fs", b"fs.write"):
            drop = struct.pack("=II", 12, 0xffffffff) + scope + b"\0\0"  # its own number
            done = daemon.ctl("run", self.folder, "--policy", policy, "--", escape_test.CHANNEL,
                              drop.hex())
            self.assertIn("a message of no worker", done.stderr)
            self.assertTrue(os.path.ismount(folder))
            with open(os.path.join(folder, "file"), "w") as file:
                file.write("still")

    def test_a_file_that_the_tenants_user_may_not_read_is_warned_of(self):
        with tempfile.NamedTemporaryFile() as secret:  # root's, mode 0600
            policy = self.policy(permissions={"fs": {"read": [secret.name]}})
            done = self.daemon.ctl("run", self.write("files.js", FILES), "--policy", policy, "--",
                                   json.dumps([["read", secret.name]]))
        self.assertIn('"EACCES"', done.stdout)  # granted, and refused by the file's mode
        self.assertIn("chown or chmod it", self.daemon.log())

    def test_nothing_is_watched(self):
        folder = tempfile.mkdtemp(prefix="tenantd-grants-")
        self.addCleanup(os.rmdir, folder)
        policy = self.policy(permissions={"fs": {"read": [folder]}})
        script = self.write("watch.js", """
            import fs from 'node:fs';
            for (const path of [process.argv[2], '/tmp'])
                try { fs.watch(path); console.log('works'); }
                catch (error) { console.log(error.code); }
        """)
        done = self.daemon.ctl("run", script, "--policy", policy, "--", folder)
        self.assertNotIn("works", done.stdout)
        self.assertEqual(done.stdout.split()[0], "EPERM", done.stderr)

    def test_files_cannot_be_dropped(self):
        folder = tempfile.mkdtemp(prefix="tenantd-grants-")
        self.addCleanup(os.rmdir, folder)
        policy = self.policy(permissions={"fs": {"read": [folder]}})
        script = self.write("drop.js", """
            try { process.permission.drop('fs'); } catch (error) { console.log(error.message); }
        """)
        done = self.daemon.ctl("run", script, "--policy", policy)
        self.assertIn("cannot be dropped in the tier container", done.stdout, done.stderr)

    def test_a_tenant_that_wants_all_memory_dies_alone(self):
        self.deploy("quiet", self.write("main.js", HELLO), port=0)
        done = self.run_script("""
            const kept = [];
            for (let i = 0; i < 4096; i++) kept.push(new Uint8Array(1 << 20).fill(1));
            console.log('all');
        """, name="bomb.js")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("all", done.stdout)
        self.assertEqual(request(self.port_of("quiet"))[0], 200)

    def test_one_that_computes_for_ever_is_ended(self):
        port = self.deploy("spin", self.write("main.js", """
            export default { fetch() { for (;;); } };
        """), port=0, limits={"request": {"cpu": "100ms"}})
        before = self.daemon.status("spin")["pid"]
        with self.assertRaises(OSError):
            request(port)
        harness.wait_until(lambda: self.daemon.status("spin")["pid"] not in (before, 0, None),
                           what="another process")


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class DockerTest(InContainer, TenantdTest):
    wrapper = without("what-docker-denies")

    def test_what_is_not_limited_is_told(self):
        self.deploy("told", self.write("main.js", HELLO), port=0)
        self.assertEqual(self.daemon.status("told")["not_enforced"], ["memory", "cpu", "pids"])
        used = self.daemon.status("told")["cgroup"]  # of the process, where no group counts
        self.assertGreater(used["memory"], 0)
        self.assertGreater(used["cpu_usec"], 0)
        self.assertGreater(used["pids"], 0)
        shown = self.daemon.ctl("status", "told").stdout
        self.assertIn("not limited", shown)
        doctor = json.loads(self.daemon.ctl("doctor", "--json").stdout)
        groups = [item for item in doctor["items"] if item["name"] == "control groups"]
        self.assertEqual(groups[0]["state"], "missing")


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class ContainerTierOnHostTest(InContainer, TenantdTest):
    """With everything there: cgroups limit as in the tier full."""

    def test_limits_are_enforced(self):
        self.deploy("told", self.write("main.js", HELLO), port=0)
        self.assertEqual(self.daemon.status("told")["not_enforced"], [])
        self.assertGreater(self.daemon.status("told")["cgroup"]["memory_limit"], 0)


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class NoCloneThreeEscapeTest(escape_test.EscapeTest):
    """The battery in real workers."""

    wrapper = without("clone3")


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class NoOpenatTwoEscapeTest(escape_test.EscapeTest):
    wrapper = without("openat2")


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class DockerEscapeTest(escape_test.EscapeTest):
    """What may succeed is what mounts alone stop: sandbox_attack_test lists it by name."""

    wrapper = without("what-docker-denies")
    options = (*escape_test.EscapeTest.options, "--tier", "container")

    def test_no_attack_gets_out_of_a_worker(self):
        self.attack("worker in docker", escape_test.JITLESS | MOUNTS_ONLY)

    def test_no_attack_gets_out_of_a_worker_with_grants(self):
        policy = self.policy(
            permissions={"fs": self.files(), "net": {"connect": ["192.0.2.1:80"]}})
        self.attack("worker in docker with grants",
                    escape_test.JITLESS | escape_test.FILES | MOUNTS_ONLY, "--policy", policy)

    def test_no_attack_gets_out_of_a_jitless_worker(self):
        self.attack("jitless worker in docker", MOUNTS_ONLY, "--policy",
                    self.policy(permissions={"jit": False}))


@unittest.skipUnless(os.path.exists(WITHOUT), "test/variants/without is not built")
class UnitTest(unittest.TestCase):
    """The confinement's own tests, where the feature is not what they are about."""

    def passes(self, what, *programs):
        for program in programs:
            done = subprocess.run([*without(*what), os.path.join(harness.BUILD, program)],
                                  capture_output=True, text=True, timeout=240 * harness.SLOW)
            output = done.stdout + done.stderr
            self.assertEqual(done.returncode, 0, output[-3000:])
            counts = [line for line in output.splitlines() if "PASSED" in line]
            print(f"\nwithout {' '.join(what)}: {program}: {counts[0].strip()}")

    def test_without_clone3(self):
        self.passes(("clone3",), "sandbox_test", "sandbox_grant_test",
                    "sandbox_grant_owners_test", "sandbox_pool_test")

    def test_without_openat2(self):
        self.passes(("openat2",), "sandbox_test", "sandbox_grant_test",
                    "sandbox_grant_paths_test", "job_test", "store_test",
                    "archive_test", "common_file_test")

    def test_without_cgroup_v2(self):
        self.passes(("cgroup-v2",), "sandbox_test", "cgroup_test")

    def test_in_docker(self):
        self.passes(("what-docker-denies",), "seccomp_test", "sandbox_container_test")


if __name__ == "__main__":
    unittest.main()
