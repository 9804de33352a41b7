"""Bad input: a precise message through tenantctl and in the log, a non-zero exit, and
whatever ran before keeps running."""

import io
import os
import socket
import subprocess
import tarfile
import tempfile
import unittest

from harness import TenantdTest, free_port, request

GOOD = "export default { fetch() { return new Response('good') } };"


class BadReleaseTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.write("good.js", GOOD)
        self.port = self.deploy("site", self.folder + "/good.js")

    def refuse(self, *texts, source=None, program=None, options=()):
        program = program or self.write("bad.js", source)
        done = self.daemon.ctl("deploy", "site", program, *options)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        for text in texts:
            self.assertIn(text, done.stderr)
        self.assertEqual(request(self.port)[2], b"good")
        self.assertEqual(self.daemon.status("site")["state"], "running")
        return done

    def test_a_syntax_error(self):
        self.refuse("SyntaxError", "bad.js:2", source="const a = 1;\nconst = 2;\n")
        self.assertIn("SyntaxError", self.daemon.log())

    def test_an_error_cannot_forge_fields_of_the_log(self):
        self.refuse("forged", source="throw new Error('a\\n\" event=forged tenant=\"other');" + GOOD)
        lines = [line for line in self.daemon.log().splitlines() if "forged" in line]
        self.assertTrue(lines)
        for line in lines:
            self.assertIn('\\" event=forged tenant=\\"other', line)

    def test_a_missing_module(self):
        self.refuse("ERR_MODULE_NOT_FOUND", "/app/nothing.js", "bad.js",
                    source="import './nothing.js';" + GOOD)

    def test_a_missing_package(self):
        self.refuse("Cannot find package 'express'", source="import 'express';" + GOOD)

    def test_a_missing_export(self):
        self.write("lib/other.js", "export const a = 1;")
        self.write("lib/main.js", "import { b } from './other.js';" + GOOD)
        self.refuse("does not provide an export named 'b'", program=self.folder + "/lib")

    def test_a_top_level_throw(self):
        self.refuse("Error: at the top", "bad.js:1", source="throw new Error('at the top');" + GOOD)

    def test_a_rejected_top_level_await(self):
        self.refuse("Error: later", source="await Promise.reject(new Error('later'));" + GOOD)

    def test_no_default_export(self):
        self.refuse("default export", source="export const fetch = () => {};")

    def test_a_default_export_without_fetch(self):
        self.refuse("fetch", source="export default { fetch: 1 };")

    def test_a_cycle_that_reads_too_early(self):
        self.write("lib/a.js", "import { b } from './b.js'; export const a = b + 1;")
        self.write("lib/b.js", "import { a } from './a.js'; export const b = a + 1;")
        self.write("lib/main.js", "import './a.js';" + GOOD)
        self.refuse("ReferenceError", "b.js:1", program=self.folder + "/lib")

    def test_process_exit_before_ready(self):
        self.refuse("process.exit(0)", source="process.exit(0);" + GOOD)

    def test_an_entry_that_never_becomes_ready(self):
        self.refuse("top-level await", source="await new Promise(() => {});" + GOOD)

    def test_a_busy_loop_at_the_top(self):
        self.write("lib/main.js", "for (;;);" + GOOD)
        self.write("lib/tenant.json", '{"entry": "main.js", "startup": "1s"}')
        self.refuse("site", program=self.folder + "/lib")

    def test_an_empty_folder(self):
        os.mkdir(self.folder + "/empty")
        self.refuse("main.js", program=self.folder + "/empty")

    def test_a_manifest_whose_entry_climbs_out(self):
        self.write("lib/main.js", GOOD)
        self.write("lib/tenant.json", '{"entry": "../main.js"}')
        self.refuse("tenant.json:1:", "/entry", program=self.folder + "/lib")

    def test_an_unknown_key_of_the_manifest(self):
        self.write("lib/main.js", GOOD)
        self.write("lib/tenant.json", '{"entrypoint": "main.js"}')
        self.refuse("entrypoint", "entry", program=self.folder + "/lib")

    def test_a_policy_with_an_unknown_key(self):
        policy = self.write("p.json", '{"version": 1,\n "permisions": {}}')
        self.refuse("p.json:2:", "permisions", "permissions",
                    program=self.folder + "/good.js", options=("--policy", policy))

    def test_a_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.refuse(f"127.0.0.1:{port}", "in use", program=self.folder + "/good.js",
                        options=("--policy", self.policy(port)))

    def test_bad_names(self):
        for name in ("a/b", "..", "A", "a\x1b[31m", "a\nb", "", "-a", "a" * 64, "a b"):
            done = self.daemon.ctl("deploy", name, self.folder + "/good.js")
            self.assertNotEqual(done.returncode, 0, repr(name))
            self.assertNotIn("\x1b", done.stderr)
        self.assertEqual(request(self.port)[2], b"good")

    def test_an_unknown_tenant(self):
        for verb in ("status", "logs", "start", "stop", "restart"):
            done = self.daemon.ctl(verb, "nobody")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("nobody", done.stderr)
        self.assertEqual(self.daemon.ctl("status", "nobody").returncode, 4)

    def test_hostile_archives(self):
        """Past tenantctl, straight to the control socket."""
        def member(name, kind=tarfile.REGTYPE, link=""):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            data = GOOD.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            return info, data

        for members in (
                [member("../out.js")], [member("/etc/out.js")], [member("a/../../out.js")],
                [member("main.js", tarfile.SYMTYPE, "/etc/passwd")],
                [member("d", tarfile.SYMTYPE, "/tmp"), member("d/out.js")],
                [member("main.js", tarfile.LNKTYPE, "/etc/passwd")],
                [member("dev", tarfile.CHRTYPE)], [member("fifo", tarfile.FIFOTYPE)],
                [member("main.js"), member("main.js")], [member("a\nb.js")]):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for info, data in members:
                    archive.addfile(info, io.BytesIO(data))
            answer = self.send_archive(buffer.getvalue())
            self.assertIn('"error"', answer, members[0][0].name)
        for garbage in (b"", b"\0" * 10240, os.urandom(20000)):
            self.assertIn('"error"', self.send_archive(garbage))
        self.assertFalse(os.path.exists("/etc/out.js"))
        self.assertEqual(request(self.port)[2], b"good")

    def send_archive(self, data):
        with tempfile.TemporaryFile() as file, \
                socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            file.write(data)
            file.seek(0)
            control.settimeout(20)
            control.connect(self.daemon.socket)
            socket.send_fds(control, [b'{"verb":"deploy","name":"site"}'], [file.fileno()])
            while True:
                answer = control.recv(200000).decode()
                if '"item"' not in answer:
                    return answer

    def test_garbage_on_the_control_socket(self):
        for data in (b"x", b"{}", b"[1]", b'{"verb":1}', b'{"verb":"nonsense"}', b"{" * 5000,
                     b'{"verb":"deploy"}', b'{"verb":"status","name":{}}', os.urandom(1000)):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
                control.settimeout(10)
                control.connect(self.daemon.socket)
                control.send(data)
                answer = control.recv(200000)
                self.assertTrue(answer == b"" or b'"error"' in answer, (data[:40], answer))
        self.assertEqual(self.daemon.ctl("list").returncode, 0)


class FullDiskTest(TenantdTest):
    """The state folder on a file system of 4 MB."""

    @classmethod
    def setUpClass(cls):
        cls.mount = tempfile.mkdtemp(prefix="tenantd-full-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", cls.mount], check=True)
        from harness import Daemon
        cls.daemon = Daemon(folder=cls.mount)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()
        subprocess.run(["umount", "-l", cls.mount], check=True)
        os.rmdir(cls.mount)

    def test_a_full_disk(self):
        port = self.deploy("site", self.write("good.js", GOOD))
        self.write("big/main.js", GOOD + "//" + "x" * 6_000_000)
        done = self.daemon.ctl("deploy", "site", self.folder + "/big")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)
        self.assertEqual(request(port)[2], b"good")
        self.assertEqual(self.daemon.ctl("restart", "site").returncode, 0)
        self.assertEqual(request(port)[2], b"good")


class CheckTest(TenantdTest):
    def test_check(self):
        good = self.policy(free_port())
        self.assertEqual(self.daemon.ctl("check", good).returncode, 0)
        bad = self.write("bad.json", '{"version": 1, "limits": {"memory": "12 parsecs"}}')
        done = self.daemon.ctl("check", bad)
        self.assertEqual(done.returncode, 1)
        self.assertIn("bad.json:1:", done.stderr)
        self.assertIn("/limits/memory", done.stderr)


if __name__ == "__main__":
    unittest.main()
