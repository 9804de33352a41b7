"""The escapes of other JavaScript runtimes, tried from JavaScript in real tenants: each
check of test/escape/js is named by the CVE or issue that it comes from. What concerns
node:fs is in fs_test.py; test/escape/battery.py says for each row where it is tried."""

import glob
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, ROOT, SLOW, TenantdTest, request

PROGRAMS = os.path.join(ROOT, "test", "escape", "js")


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        denied = self.server.denied
        to = {"/redirect": f"http://127.0.0.1:{denied}/", "/redirect-file": "file:///etc/passwd",
              "/redirect-localhost": f"http://localhost:{denied}/",
              "/redirect-data": "data:text/plain,x"}.get(self.path)
        self.send_response(302 if to else 200)
        if to:
            self.send_header("Location", to)
        if self.path == "/proto":
            self.send_header("__proto__", "x")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"granted")

    def log_message(self, *arguments):
        pass


class EscapeJsTest(TenantdTest):
    def setUp(self):
        super().setUp()
        for path in glob.glob(os.path.join(PROGRAMS, "*.mjs")):
            shutil.copy(path, self.folder)
        for name, text in (("package.json", '{"main": "../../../../etc/passwd", "exports": '
                            '{".": "./../../../../etc/passwd", "./exports": "../x"}}'),):
            self.write(f"node_modules/climber/{name}", text)
        self.write("names.wasm", "\0asm\x01\0\0\0")
        self.data = tempfile.mkdtemp(prefix="tenantd-escape-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        os.chmod(self.data, 0o777)

    def attempt(self, program, *arguments, at_least, **policy):
        self.write("main.js", f"await import('./{program}.mjs');")
        done = self.daemon.ctl("run", self.folder, "--policy", self.policy(**policy), "--",
                               *arguments, timeout=120)
        lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "BAD", "end"))]
        bad = [line for line in done.stdout.splitlines() if line.startswith("BAD ")]
        self.assertEqual("\n".join(bad), "", done.stderr[-2000:])
        self.assertEqual(lines[-1:], ["end"], done.stdout[-1000:] + done.stderr[-2000:])
        self.assertGreaterEqual(len(lines) - 1, at_least)
        print(f"\n{program}: {len(lines) - 1} ways tried from JavaScript, none open")

    def test_internals(self):
        self.attempt("internals", "/etc/passwd", at_least=35)
        self.attempt("internals", "/etc/passwd", at_least=35,
                     permissions={"fs": {"read": [self.data]}, "wasm": True, "eval": True})

    def test_internals_without_eval(self):
        self.attempt("internals", "/etc/passwd", at_least=35, permissions={"wasm": False, "eval": False})

    def test_surface(self):
        """Threads, databases, cryptography, codings, modules."""
        self.attempt("surface", "/etc/passwd", self.data, at_least=11,
                     limits={"memory": "512M", "pids": 64},
                     permissions={"eval": True,
                                  "fs": {"read": [self.data], "write": [self.data]}})

    def test_network(self):
        denied = socket.create_server(("127.0.0.1", 0))
        reached = []
        threading.Thread(target=lambda: reached.append(denied.accept()), daemon=True).start()
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
        site.denied = denied.getsockname()[1]
        threading.Thread(target=site.serve_forever, daemon=True).start()
        self.addCleanup(site.server_close)
        self.addCleanup(site.shutdown)
        path = os.path.join(self.data, "sock")
        named = socket.socket(socket.AF_UNIX)
        named.bind(path)
        os.chmod(path, 0o777)
        named.listen()
        port = site.server_address[1]
        proxy = f"http://127.0.0.1:{site.denied}"
        # The unix socket lies in a folder that is granted: that is no grant to connect.
        self.attempt("network", str(port), str(site.denied), path, at_least=14,
                     permissions={
                         "net": {"connect": [f"127.0.0.1:{port}", f"allowed.invalid:{port}"]},
                         "fs": {"read": [self.data]},
                         "env": {"set": {"HTTP_PROXY": proxy, "http_proxy": proxy,
                                         "ALL_PROXY": proxy, "HTTPS_PROXY": proxy}}})
        named.settimeout(0.1)
        self.assertRaises(TimeoutError, named.accept)
        self.assertEqual(reached, [])
        for sock in (named, denied):
            sock.close()

    def test_children(self):
        library = sorted(glob.glob("/usr/lib/x86_64-linux-gnu/libz*.so.*"))[0]
        shutil.copy(library, os.path.join(self.folder, "evil.so"))
        self.attempt("children", self.data, at_least=13, limits={"memory": "512M", "pids": 64},
                     permissions={"child": {"exec": ["/usr/bin/cat", "/usr/bin/printf",
                                                     "/usr/bin/env"]},
                                  "fs": {"read": [self.data], "write": [self.data]}})

    def test_paths_of_policies_have_no_wildcards(self):
        """CVE-2024-21890 (/x/*.pub grants /x), CVE-2026-106071 (a request shorter than the
        prefix), CVE-2026-58043 (/a/b matches /a/bc)."""
        for name in ("x.pub", "x.pubs", "secret", "x"):
            with open(os.path.join(self.data, name), "w") as file:
                file.write("content")
        for granted in (self.data + "/*.pub", self.data + "/x.pub.*", self.data + "/x"):
            policy = self.policy(permissions={"fs": {"read": [granted]}})
            for name in ("x.pub", "x.pubs", "secret"):
                done = self.run_script(
                    f"import fs from 'fs'; console.log(fs.readFileSync('{self.data}/{name}', 'utf8'))",
                    "--policy", policy)
                self.assertNotIn("content", done.stdout, (granted, name))


class BombsTest(TenantdTest):
    """Each uses up one thing; it alone suffers, and the daemon answers meanwhile."""

    # Loading may take ten times the limit of a turn, and 5 s.
    MAY_END_WELL = {"wait": None, "timers": None, "sigterm": 77}

    def setUp(self):
        super().setUp()
        self.neighbour = self.deploy("neighbour", self.write(
            "neighbour/main.js", "export default { fetch() { return new Response('here'); } };"))
        shutil.copy(os.path.join(PROGRAMS, "resources.mjs"), self.folder)
        self.write("main.js", "import './resources.mjs';")

    def bomb(self, name):
        policy = self.policy(limits={"memory": "128M", "request": {"cpu": "200ms"}},
                             permissions={"wasm": True})
        started = time.monotonic()
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "run", self.folder,
             "--policy", policy, "--", name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace")
        try:
            while process.poll() is None and time.monotonic() - started < 20 * SLOW:
                asked = time.monotonic()
                self.assertEqual(request(self.neighbour)[2], b"here")
                self.assertEqual(self.daemon.ctl("status", "neighbour").returncode, 0)
                self.assertLess(time.monotonic() - asked, 3 * SLOW, name)
                if name in ("wait", "output") and time.monotonic() - started > 3:
                    process.terminate()
                time.sleep(0.1)
            self.assertIsNotNone(process.poll(), f"{name} goes on")
        finally:
            process.kill()
            _, errors = process.communicate()
        return process.returncode, errors


def add(name):
    def test(self):
        code, errors = self.bomb(name)
        expected = self.MAY_END_WELL.get(name, 1)
        if expected is not None and name == "sigterm":
            self.assertEqual(code, expected, errors[-500:])
        elif expected is not None:
            self.assertNotEqual(code, 0, errors[-500:])
    setattr(BombsTest, f"test_bomb_{name}", test)


for bomb in ("arraybuffer", "shared", "growth", "array", "string", "wasm", "regexp", "loop",
             "microtasks", "ticks", "promises", "timers", "wait", "recursion", "json", "output",
             "sigterm", "exit"):
    add(bomb)


if __name__ == "__main__":
    unittest.main()
