"""tenantd as a service of systemd: readiness, reload, watchdog, and its delegated cgroup."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import BUILD, SLOW, TenantdTest, request, wait_until

LIMITS = {"memory": "96M", "cpu": "150%", "pids": 40}
POLICY = {"version": 1, "permissions": {"net": {"listen": ["127.0.0.1:0"]}}, "limits": LIMITS}
GREETING = "export default { fetch: (request, env) => new Response(env.GREETING ?? 'none') };"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="replace",
                          timeout=90 * SLOW)


def absence():
    """Why there is no systemd to be a service of, or None."""
    if not os.path.isdir("/run/systemd/system"):
        return "systemd does not run here"
    if not shutil.which("systemd-run"):
        return "there is no systemd-run"
    if not os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        return "the cgroups are not pure v2"
    return None


def group_of(pid):
    with open(f"/proc/{pid}/cgroup") as file:
        return file.read().strip().split("::", 1)[1]


class Service(harness.Daemon):
    """A tenantd that systemd starts, watches and stops."""

    starts = 0

    def start(self):
        self.starts += 1
        self.unit = f"{os.path.basename(self.folder)}-{self.starts}.service"
        # Comes back only when the service has reported that it is ready.
        started = run(
            "systemd-run", "--unit", self.unit, "--quiet", "-p", "Type=notify-reload",
            "-p", "Delegate=yes", "-p", f"WatchdogSec={3 * SLOW:.0f}",
            "-p", f"TimeoutStartSec={30 * SLOW:.0f}", "-p", f"TimeoutStopSec={30 * SLOW:.0f}",
            "-p", f"StandardError=append:{self.log_path}",
            os.path.join(BUILD, "tenantd"), "--state", self.state, "--policy-dir", self.policies,
            "--socket", self.socket, *self.options)
        if started.returncode != 0:
            shown = run("systemctl", "status", "--no-pager", self.unit).stdout
            raise AssertionError(started.stderr + shown + self.log())

    def log(self):
        return super().log() if os.path.exists(self.log_path) else ""

    def show(self, name):
        return run("systemctl", "show", "--value", "-p", name, self.unit).stdout.strip()

    def folder_of_group(self):
        return "/sys/fs/cgroup" + self.show("ControlGroup")

    def stop(self, sig=signal.SIGTERM):
        run("systemctl", "stop", self.unit)
        run("systemctl", "reset-failed", self.unit)

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@unittest.skipIf(absence(), absence())
class SystemdTest(TenantdTest):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Service()

    def deploy_with_limits(self, name):
        self.policy_text = json.dumps(POLICY)
        path = self.write("policy.json", self.policy_text)
        done = self.daemon.ctl("deploy", name, self.write("app/main.js", GREETING), "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-3000:])
        return self.port_of(name)

    def test_it_reports_that_it_is_ready(self):
        self.assertEqual(self.daemon.ctl("list").returncode, 0)  # at once: no waiting
        self.assertEqual(self.daemon.show("ActiveState"), "active")
        self.assertEqual(self.daemon.show("SubState"), "running")
        self.assertNotEqual(self.daemon.show("StatusText"), "")

    def test_a_worker_has_its_limits_in_the_delegated_cgroup(self):
        port = self.deploy_with_limits("limited")
        self.assertEqual(request(port)[2], b"none")
        own = self.daemon.show("ControlGroup")
        main = self.daemon.show("MainPID")
        self.assertEqual(group_of(main), own + "/supervisor")
        group = group_of(self.daemon.status("limited")["pid"])
        self.assertTrue(group.startswith(own + "/tenantd"), group)

        def limit(name):
            with open(f"/sys/fs/cgroup{group}/{name}") as file:
                return file.read().strip()

        self.assertEqual(limit("memory.max"), str(96 << 20))
        self.assertEqual(limit("memory.swap.max"), "0")
        self.assertEqual(limit("memory.oom.group"), "1")
        self.assertEqual(limit("cpu.max"), "150000 100000")
        self.assertEqual(limit("pids.max"), "40")
        self.assertGreater(int(limit("memory.current")), 1 << 18)
        self.assertGreater(int(limit("pids.current")), 0)
        self.assertEqual(self.daemon.ctl("stop", "limited").returncode, 0)
        wait_until(lambda: not os.path.exists("/sys/fs/cgroup" + group), what="the group's end")

    def test_reload_reads_the_policies_again(self):
        port = self.deploy_with_limits("changing")
        self.assertEqual(request(port)[2], b"none")
        policy = json.loads(self.policy_text)
        policy["permissions"]["env"] = {"set": {"GREETING": "again"}}
        with open(self.daemon.policies + "/changing.json", "w") as file:
            json.dump(policy, file)
        # Comes back when the service is ready again.
        done = run("systemctl", "reload", self.daemon.unit)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.daemon.show("ActiveState"), "active")
        wait_until(lambda: request(port)[2] == b"again", what="the changed policy")

    def test_the_watchdog_is_fed(self):
        def fed():
            return int(self.daemon.show("WatchdogTimestampMonotonic"))
        before = fed()
        wait_until(lambda: fed() > before, 12, "a sign of life")

    def test_stopping_drains_and_leaves_nothing(self):
        service = Service()
        try:
            done = service.ctl("deploy", "x", self.write("main.js", GREETING))
            self.assertEqual(done.returncode, 0, done.stderr)
            worker, folder = service.status("x")["pid"], service.folder_of_group()
            self.assertTrue(os.path.isdir(folder))
            self.assertEqual(run("systemctl", "stop", service.unit).returncode, 0)
            self.assertNotIn(service.show("ActiveState"), ("failed", "active"))
            self.assertIn("event=stopped", service.log())
            self.assertFalse(os.path.exists(f"/proc/{worker}"))
            self.assertFalse(os.path.exists(folder))
        finally:
            service.close()

    def test_a_killed_service_takes_its_workers_along(self):
        service = Service()
        try:
            done = service.ctl("deploy", "x", self.write("main.js", GREETING))
            self.assertEqual(done.returncode, 0, done.stderr)
            worker = service.status("x")["pid"]
            os.kill(int(service.show("MainPID")), signal.SIGKILL)
            wait_until(lambda: not os.path.exists(f"/proc/{worker}"), what="the worker's end")
            wait_until(lambda: service.show("ActiveState") == "failed", what="the service's end")
            run("systemctl", "reset-failed", service.unit)
            service.start()
            wait_until(lambda: service.status("x")["state"] == "running")
            self.assertNotEqual(service.status("x")["pid"], worker)
        finally:
            service.close()


if __name__ == "__main__":
    unittest.main()
