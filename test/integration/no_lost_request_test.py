"""Whatever the operator does to a service under full load, every request gets its answer."""

import json
import os
import subprocess
import sys
import time
import unittest

import harness
from harness import SLOW, TenantdTest

OPERATIONS = int(os.environ.get("TENANTD_OPERATIONS", "100"))
CONNECTIONS = 16

SERVICE = """
export default {
    async fetch() {
        if (Math.random() < 0.05) await new Promise((resolve) => setTimeout(resolve, 20));
        return new Response('whole answer of %s');
    },
};
"""


class Hammer:
    """Full load until the end of the block; then .counts."""

    def __init__(self, port, reuse, body="whole answer of "):
        self.command = [os.path.join(harness.BUILD, "hammer"), str(port), str(CONNECTIONS),
                        str(reuse), body]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *unused):
        out, self.errors = self.process.communicate(timeout=60 * SLOW)
        self.counts = json.loads(out)


class NoLostRequestTest(TenantdTest):
    def write_releases(self):
        for name in ("one", "two"):
            self.write(f"{name}/main.js", SERVICE % name)
            self.write(f"{name}/tenant.json", json.dumps({"instances": 2}))
        return {name: os.path.join(self.folder, name) for name in ("one", "two")}

    def operate(self, number, releases):
        """One of the things that an operator does, in turns."""
        kind = ("one", "two", "rollback", "restart", "reload")[number % 5]
        if kind == "reload":
            self.daemon.process.send_signal(1)
            time.sleep(0.02 * SLOW)
            return
        arguments = {"rollback": ("rollback", "busy", "-m", "as a test"),
                     "restart": ("restart", "busy")}.get(kind, ("deploy", "busy", releases.get(kind)))
        done = self.daemon.ctl(*arguments)
        self.assertEqual(done.returncode, 0, f"{number}: {arguments}: {done.stdout}{done.stderr}")

    def check(self, hammer, what):
        counts = hammer.counts
        print(f"{what}: {counts}", file=sys.stderr)
        self.assertEqual((counts["wrong"], counts["lost"]), (0, 0), hammer.errors)
        self.assertGreater(counts["answers"], OPERATIONS)

    def test_deploys_rollbacks_restarts_and_reloads_lose_nothing(self):
        releases = self.write_releases()
        port = self.deploy("busy", releases["one"])
        self.assertEqual(self.daemon.ctl("deploy", "busy", releases["two"]).returncode, 0)
        for reuse, what in ((1000000, "connections that stay"), (5, "connections of 5 requests")):
            with Hammer(port, reuse) as hammer:
                for number in range(OPERATIONS // 2):
                    self.operate(number, releases)
            self.check(hammer, f"{OPERATIONS // 2} operations, {what}")


if __name__ == "__main__":
    unittest.main()
