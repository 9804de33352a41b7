"""The CI sandbox for real: a job installs a package through npm and runs its tests, with
nothing granted but its folder, npm, and the registry's host."""

import json
import os
import shutil
import unittest
from urllib.parse import urlsplit

import harness
from harness import TenantdTest

NPM = os.path.join(harness.ROOT, "build", "npm")  # tools/npm-itself
JOB = os.path.join(harness.ROOT, "test", "ci-job")


@unittest.skipUnless(os.path.exists(NPM), "npm was not copied (tools/npm-itself build/npm)")
class CiJobTest(TenantdTest):
    def setUp(self):
        super().setUp()
        with open(os.path.join(NPM, "registry")) as file:
            self.registry = file.read().strip()
        for name in os.listdir(JOB):
            shutil.copy(os.path.join(JOB, name), self.folder)

    def job(self, *arguments, connect=True):
        registry = urlsplit(self.registry)
        port = registry.port or {"https": 443, "http": 80}[registry.scheme]
        policy = self.write("../" + os.path.basename(self.folder) + ".json", json.dumps({
            "version": 1,
            "permissions": {
                "fs": {"read": [NPM], "write": [self.folder]},
                "net": {"connect": [f"{registry.hostname}:{port}"] if connect else []},
                "child": {"exec": ["/usr/bin/node", "/usr/bin/sh"]},
                "env": {"set": {"NODE_EXTRA_CA_CERTS": f"{NPM}/ca.crt",
                                "npm_config_registry": self.registry,
                                "npm_config_fetch_retries": "0",
                                "npm_config_audit": "false",
                                "npm_config_update_notifier": "false",
                                "npm_config_loglevel": "http"}}},
            "limits": {"memory": "1G", "pids": 64, "files": 1024, "tmp": "256M", "time": "5m"}}))
        self.addCleanup(self.unlink, policy)
        return self.daemon.ctl_in(self.folder, "run", "--policy", policy, "--", "node",
                                  f"{NPM}/npm/bin/npm-cli.js", *arguments, timeout=400)

    def unlink(self, path):
        if os.path.exists(path):
            os.unlink(path)

    def test_npm_installs_and_tests_with_only_the_registry_granted(self):
        done = self.job("ci")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-3000:])
        self.assertTrue(os.path.exists(self.folder + "/node_modules/is-number/index.js"))
        # What the job made belongs to whom the folder belongs to.
        self.assertEqual(os.stat(self.folder + "/node_modules").st_uid,
                         os.stat(self.folder).st_uid)
        done = self.job("test", connect=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("the installed package works", done.stdout)

    def test_without_the_grant_npm_fails_with_a_clear_denial(self):
        done = self.job("ci", connect=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(os.path.exists(self.folder + "/node_modules/is-number"))
        host = urlsplit(self.registry).hostname
        self.assertRegex(done.stderr, rf"tenantctl: denied: net\.connect {host}:\d+ \(egress\)")

    def test_another_host_is_denied_and_named(self):
        done = self.job("view", "is-number", "--registry", "https://registry.example.com/")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("registry.example.com", done.stderr + done.stdout)

    def test_a_failing_test_fails_the_job(self):
        self.assertEqual(self.job("ci").returncode, 0)
        self.write("broken.test.js", "throw new Error('broken on purpose');\n")
        done = self.job("test", connect=False)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("broken on purpose", done.stdout)


if __name__ == "__main__":
    unittest.main()
