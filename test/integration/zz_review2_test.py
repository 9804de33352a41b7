import os, json, tempfile, shutil
from harness import TenantdTest

class Interp(TenantdTest):
    def setUp(self):
        super().setUp()
        self.base = tempfile.mkdtemp(prefix="tenantd-review-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        os.chmod(self.base, 0o755)
        for n in ("ws", "victim"):
            os.mkdir(os.path.join(self.base, n)); os.chmod(os.path.join(self.base, n), 0o755)
        with open(self.base + "/victim/secret", "w") as f: f.write("hello")

    def run_it(self, entry, exec_):
        p = self.write("../" + os.path.basename(self.folder) + "-p.json", json.dumps({"version": 1, "permissions": {
            "fs": {"write": [self.base + "/ws"]}, "child": {"exec": exec_}}}))
        r = self.daemon.ctl("run", "--policy", p, "--", *entry)
        print(self._testMethodName, r.returncode, repr(r.stdout), repr(r.stderr))
        return r

    def script(self, name, text):
        path = f"{self.base}/ws/{name}"
        with open(path, "w") as f: f.write(text)
        os.chmod(path, 0o755)
        return path

    def test_link(self):
        os.symlink(self.base + "/victim", self.base + "/ws/tool")
        r = self.run_it(["/usr/bin/cat", self.base + "/victim/secret"], ["/usr/bin/cat", self.base + "/ws/tool"])
        self.assertNotIn("hello", r.stdout)

    def test_interp(self):
        s = self.script("a.sh", f"#!{self.base}/victim\n")
        r = self.run_it(["/usr/bin/cat", self.base + "/victim/secret"], ["/usr/bin/cat", s])
        self.assertNotIn("hello", r.stdout)

    def test_interp_file(self):
        s = self.script("a.sh", f"#!{self.base}/victim/secret\n")
        r = self.run_it(["/usr/bin/cat", self.base + "/victim/secret"], ["/usr/bin/cat", s])
        self.assertNotIn("hello", r.stdout)

    def test_env(self):
        s = self.script("ci.sh", f"#!/usr/bin/env -S -u {self.base}/victim bash\ncat {self.base}/victim/secret\n")
        r = self.run_it([s], ["/usr/bin/bash", "/usr/bin/cat"])
        self.assertNotIn("hello", r.stdout)
