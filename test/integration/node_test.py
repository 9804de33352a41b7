"""Node's built-in modules: the programs of test/js/node say the same here and in Node.

Needs /usr/bin/node (Debian's, of the same line as the library follows)."""

import difflib
import os
import shutil
import subprocess
import unittest

from harness import ROOT, TenantdTest

PROGRAMS = os.path.join(ROOT, "test", "js", "node")


@unittest.skipUnless(shutil.which("node"), "needs node, to compare with")
class NodeTest(TenantdTest):
    def compare(self, name, stdin=b""):
        path = os.path.join(PROGRAMS, name + ".mjs")
        expected = subprocess.run(["node", path], input=stdin, capture_output=True, timeout=60)
        self.assertEqual(expected.returncode, 0, expected.stderr.decode())
        # Where a program's file lies must be the same, as error messages show it.
        actual = subprocess.run(
            [os.path.join(os.environ.get("TENANTD_BUILD", os.path.join(ROOT, "build/release")),
                          "tenantctl"), "--socket", self.daemon.socket, "run", path],
            input=stdin, capture_output=True, timeout=60)
        difference = "\n".join(difflib.unified_diff(
            expected.stdout.decode(errors="replace").splitlines(),
            actual.stdout.decode(errors="replace").splitlines(), "node", "tenantd", lineterm="", n=1))
        self.assertEqual(difference, "", actual.stderr.decode()[-2000:])
        self.assertEqual(actual.returncode, 0, actual.stderr.decode()[-2000:])

    def test_standard_input_of_a_script(self):
        self.compare("stdin", b"line\n" * 50000 + "ende ☃".encode())
        self.compare("stdin", b"")


def add(name):
    def test(self):
        self.compare(name)
    test.__doc__ = f"{name}.mjs says the same as in Node"
    setattr(NodeTest, f"test_{name}", test)


for file in sorted(os.listdir(PROGRAMS)):
    if file.endswith(".mjs") and file != "stdin.mjs":
        add(file[:-4])


if __name__ == "__main__":
    unittest.main()
