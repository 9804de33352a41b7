"""The first boot: the package is installed, and everything that an operator does with the
service is done. What is left of it is looked at after a reboot (test/vm/second)."""

import json
import os
import re
import signal
import threading
import time

from machine import (PORT, POLICIES, UNIT, MachineTest, ask, ctl, journal, package, run, show,
                     status, wait_until)

SHOP = """
console.log('shop begins');
export default { fetch(request, env) {
  console.error('asked');
  return new Response([env.GREETING ?? 'none', env.API_KEY ?? 'no key'].join(' '));
} };
"""
HUNGRY = """
export default { fetch(request) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  memory.grow(8192);
  new Uint8Array(memory.buffer).fill(1);
} };
"""
WRITER = """
import { writeFileSync, readFileSync } from 'node:fs';
export default { fetch() {
  for (const folder of ['/srv/data', '/home/data'])
    writeFileSync(folder + '/made', 'by a tenant');
  return new Response(readFileSync('/home/data/made', 'utf8'));
} };
"""
EXPOSURE = 60  # of systemd-analyze security, in tenths: what CAP_SYS_ADMIN and V8 leave


class Load:
    """Clients that ask without end, each time on a new connection."""

    def __init__(self, count=2):
        self.answers, self.errors, self.ended = 0, [], False
        self.threads = [threading.Thread(target=self.ask) for _ in range(count)]

    def ask(self):
        while not self.ended:
            try:
                ask()
                self.answers += 1
            except Exception as error:
                self.errors.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.ended = True
        for thread in self.threads:
            thread.join()


class InstalledTest(MachineTest):
    def main_pid(self):
        return int(show("MainPID"))

    def test_01_the_package_installs_and_starts(self):
        os.makedirs("/etc/credstore", exist_ok=True)
        with open("/etc/credstore/tenantd.shop.API_KEY", "w") as file:
            file.write("s3cret-of-shop")
        os.chmod("/etc/credstore/tenantd.shop.API_KEY", 0o600)
        done = run("dpkg", "-i", package())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(show("ActiveState"), "active", run(
            "journalctl", "-u", UNIT, "-n", "30", "--no-pager").stdout)
        self.assertEqual(show("UnitFileState"), "enabled")
        self.assertEqual(run("dpkg", "--verify", "tenantd").stdout, "")
        for path in ("/usr/share/man/man8/tenantd.8.gz", "/usr/share/man/man1/tenantctl.1.gz",
                     "/usr/share/bash-completion/completions/tenantctl",
                     "/usr/share/zsh/vendor-completions/_tenantctl",
                     "/usr/lib/tenantd/library.snapshot", POLICIES + "/README"):
            self.assertTrue(os.path.isfile(path), path)

    def test_02_the_units_are_right(self):
        done = run("systemd-analyze", "verify", "--man=no", UNIT, "tenantd-http.socket",
                   "tenantd-https.socket")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        done = run("systemd-analyze", "security", f"--threshold={EXPOSURE}", "--no-pager", UNIT)
        level = re.search(r"Overall exposure level.*", done.stdout)
        print(level.group() if level else done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_03_a_tenant_is_deployed(self):
        self.deploy("shop", SHOP, permissions={
            "net": {"listen": [f"127.0.0.1:{PORT}"]}, "env": {"secrets": ["API_KEY"]}})
        self.assertEqual(ask(), "none s3cret-of-shop")
        self.assertEqual(show("StatusText"), "1 tenant up")
        self.assertEqual(show("NFileDescriptorStore"), "1")

    def test_04_reload_applies_the_policies(self):
        with open(POLICIES + "/shop.json") as file:
            policy = json.load(file)
        policy["permissions"]["env"]["set"] = {"GREETING": "hello"}
        with open(POLICIES + "/shop.json", "w") as file:
            json.dump(policy, file)
        self.succeed("systemctl", "reload", UNIT)
        wait_until(lambda: ask() == "hello s3cret-of-shop", what="the changed policy")

    def test_05_the_journal_has_fields(self):
        release = status("shop")["release"][:12]
        begun = journal("TENANT=shop", "STREAM=stdout")
        self.assertEqual({entry["MESSAGE"] for entry in begun}, {"shop begins"})
        self.assertEqual(begun[-1]["PRIORITY"], "6")
        self.assertEqual(begun[-1]["RELEASE"], release)
        self.assertEqual(begun[-1]["SYSLOG_IDENTIFIER"], "tenantd/shop")
        self.assertEqual(begun[-1]["_SYSTEMD_UNIT"], UNIT)
        self.assertRegex(begun[-1]["INSTANCE"], "^[0-9]+$")
        self.assertEqual(journal("TENANT=shop", "STREAM=stderr")[-1]["PRIORITY"], "4")
        ready = journal("TENANT=shop", "EVENT=ready")
        self.assertIn("event=ready tenant=shop", ready[-1]["MESSAGE"])
        self.assertEqual(ready[-1]["RELEASE"], release)

    def test_06_a_restart_refuses_no_connection(self):
        before = self.main_pid()
        with Load() as load:
            wait_until(lambda: load.answers > 5)
            for _ in range(2):
                self.succeed("systemctl", "restart", UNIT)
                answers = load.answers
                wait_until(lambda: load.answers > answers + 5, what="answers again")
        print(f"{load.answers} answers through two restarts")
        self.assertEqual(load.errors, [])
        self.assertNotEqual(self.main_pid(), before)

    def test_07_an_upgrade_refuses_no_connection(self):
        with Load(1) as load:
            wait_until(lambda: load.answers > 2)
            self.succeed("dpkg", "-i", package())
            answers = load.answers
            wait_until(lambda: load.answers > answers + 2, what="answers again")
        print(f"{load.answers} answers through an upgrade")
        self.assertEqual(load.errors, [])

    def test_08_the_watchdog_kills_what_hangs(self):
        self.restart_with_a_quick_watchdog()
        pid, restarts = self.main_pid(), int(show("NRestarts"))
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: int(show("NRestarts")) > restarts, 60, "the watchdog")
        # Whoever comes before it is back waits.
        self.assertEqual(ask(), "hello s3cret-of-shop")
        self.assertNotEqual(self.main_pid(), pid)
        self.assertTrue(journal(f"UNIT={UNIT}", "UNIT_RESULT=watchdog") or
                        "Watchdog timeout" in run("journalctl", "-b", "-u", UNIT).stdout)

    def restart_with_a_quick_watchdog(self):
        def remove():
            os.unlink(f"{folder}/watchdog.conf")
            self.succeed("systemctl", "daemon-reload")
        folder = f"/run/systemd/system/{UNIT}.d"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/watchdog.conf", "w") as file:
            file.write("[Service]\nWatchdogSec=10s\n")
        self.addCleanup(remove)
        self.succeed("systemctl", "daemon-reload")
        self.succeed("systemctl", "restart", UNIT)

    def test_09_out_of_memory_ends_one_tenant(self):
        self.deploy("hungry", HUNGRY, permissions={"net": {"listen": ["127.0.0.1:8082"]}},
                    limits={"memory": "64M", "request": {"cpu": "60s"}})
        wait_until(lambda: status("shop")["state"] == "running")
        pid, daemon = status("shop")["pid"], self.main_pid()
        with self.assertRaises(Exception):
            ask(8082)
        wait_until(lambda: any("reason=oom" in entry["MESSAGE"] for entry in journal(
            "TENANT=hungry", "EVENT=ended")), what="an end with the reason oom")
        self.assertIn("oom", ctl("events", "hungry").stdout)
        self.assertEqual(ask(), "hello s3cret-of-shop")
        self.assertEqual(status("shop")["pid"], pid)
        self.assertEqual(self.main_pid(), daemon)
        self.assertEqual(show("ActiveState"), "active")
        self.succeed("tenantctl", "remove", "hungry", "-y")

    def test_10_the_unit_takes_nothing_from_tenants(self):
        for folder in ("/srv/data", "/home/data"):
            os.makedirs(folder, exist_ok=True)
        self.deploy("writer", WRITER, permissions={
            "net": {"listen": ["127.0.0.1:8083"]},
            "fs": {"write": ["/srv/data", "/home/data"], "read": ["/srv/data", "/home/data"]}})
        self.assertEqual(ask(8083), "by a tenant")
        self.assertTrue(os.path.exists("/srv/data/made"))
        self.succeed("tenantctl", "stop", "writer")

    def test_11_jobs_run_below_the_unit(self):
        policy = "/srv/job.json"
        with open(policy, "w") as file:
            json.dump({"version": 1, "permissions": {"child": {"exec": ["/usr/bin/sh"]}}}, file)
        done = run("tenantctl", "run", "--policy", policy, "--", "/usr/bin/sh", "-c",
                   "read line < /proc/self/stat; echo ${line%% *}; exit 7", cwd="/srv")
        self.assertEqual(done.returncode, 7, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^\d+\n$")

    def test_12_shared_ports_by_socket_unit(self):
        self.deploy("web", "export default { fetch: () => new Response('shared') };",
                    permissions={"net": {"ingress": ["web.example"]}})
        self.succeed("systemctl", "enable", "tenantd-http.socket")
        # systemd starts no socket unit of a service that runs already.
        self.succeed("systemctl", "stop", UNIT)
        self.succeed("systemctl", "start", "tenantd-http.socket")
        # The port is open before the daemon is; the first client starts it.
        self.assertEqual(ask(80, "web.example"), "shared")
        self.assertEqual(show("ActiveState"), "active")
        with Load(1) as load:
            self.succeed("systemctl", "restart", UNIT)
            self.assertEqual(ask(80, "web.example"), "shared")
        self.assertEqual(load.errors, [])

    def test_13_another_libnode_has_another_snapshot_made(self):
        snapshot = "/usr/lib/tenantd/library.snapshot"
        before = os.stat(snapshot)
        library = run("ldd", "/usr/lib/tenantd/tenant-zygote").stdout
        path = re.search(r"libnode\.so\S* => (\S+)", library).group(1)
        # As dpkg does when it unpacks a new one.
        self.succeed("dpkg-trigger", "--by-package=libnode137", "--no-await",
                     os.path.join("/usr", path.lstrip("/").removeprefix("usr/")))
        self.succeed("dpkg", "--configure", "--pending")
        self.assertNotEqual(os.stat(snapshot).st_ino, before.st_ino)
        self.assertEqual(ask(), "hello s3cret-of-shop")

    def test_14_a_wrong_snapshot_is_told_in_one_sentence(self):
        snapshot = "/usr/lib/tenantd/library.snapshot"
        os.rename(snapshot, snapshot + ".right")
        with open(snapshot, "w") as file:
            file.write("nothing that V8 made" * 10)
        done = run("/usr/sbin/tenantd", "--state", "/tmp/other", "--socket", "/tmp/other.sock",
                   "--uid-base", "1900000000", "--cgroup", "other")
        os.rename(snapshot + ".right", snapshot)
        self.assertEqual(done.returncode, 1)
        self.assertIn(snapshot, done.stderr)
        self.assertIn("not a snapshot of this program", done.stderr)

    def test_15_a_reexec_is_nothing_to_the_service_manager(self):
        self.restart_with_a_quick_watchdog()
        wait_until(lambda: status("shop")["state"] == "running")
        worker, daemon, restarts = status("shop")["pid"], self.main_pid(), show("NRestarts")
        begun = time.monotonic()
        with Load(1) as load:
            wait_until(lambda: load.answers > 2)
            self.succeed("tenantctl", "daemon-reexec")
            answers = load.answers
            wait_until(lambda: load.answers > answers + 2, what="answers again")
        self.assertEqual(load.errors, [])
        self.assertEqual((status("shop")["pid"], self.main_pid()), (worker, daemon))
        asked = len(journal("TENANT=shop", "STREAM=stderr"))
        self.assertEqual(ask(), "hello s3cret-of-shop")
        wait_until(lambda: len(journal("TENANT=shop", "STREAM=stderr")) > asked,
                   what="its lines in the journal")
        self.succeed("systemctl", "reload", UNIT)
        time.sleep(max(0, begun + 15 - time.monotonic()))  # the watchdog is still fed
        self.assertEqual((show("ActiveState"), show("NRestarts"), self.main_pid()),
                         ("active", restarts, daemon))

    def test_16_left_for_the_next_boot(self):
        wait_until(lambda: status("shop")["state"] == "running")
        self.assertEqual(status("writer")["state"], "stopped")
        print(self.succeed("systemctl", "status", "--no-pager", "-n", "0", UNIT))
