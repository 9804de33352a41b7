"""kill -9 of anything at any moment: nothing is lost, nothing is left over."""

import glob
import os
import re
import signal
import subprocess
import time
import unittest

from harness import BUILD, SLOW, Daemon, TenantdTest, request, wait_until

HELLO = "export default { fetch: () => new Response('hello') };"


def children_of(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid:
                found.append(int(path.split("/")[2]))
        except OSError:
            pass
    return found


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().split("\0")[0]
    except OSError:
        return ""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def cgroups_of(daemon):
    """What is below the control groups that a daemon made itself."""
    said = re.search(r'event=cgroups message="(.*)"', daemon.log())
    return [path for root in re.findall(r"/[^ ,]+", said[1]) for path in glob.glob(root + "/*/")]


class KillTest(TenantdTest):
    def zygote(self):
        """The zygote is the child that is no worker: it holds descriptor 3 to the daemon."""
        workers = {t["pid"] for t in self.daemon.json("list")["tenants"]}
        return [pid for pid in children_of(self.daemon.process.pid)
                if pid not in workers and "zygote" in command_of(pid)][0]

    def test_kill_a_worker(self):
        port = self.deploy("w", self.write("main.js", HELLO))
        pid = self.daemon.status("w")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: (now := self.daemon.status("w"))["state"] == "running"
                   and now["pid"] != pid)
        self.assertEqual(self.daemon.status("w")["last_exit"]["reason"], "signal")
        self.assertEqual(request(port)[2], b"hello")

    def test_kill_the_zygote(self):
        port = self.deploy("z", self.write("main.js", HELLO))
        worker = self.daemon.status("z")["pid"]
        zygote = self.zygote()
        os.kill(zygote, signal.SIGKILL)
        self.assertEqual(request(port)[2], b"hello")
        wait_until(lambda: not alive(zygote))
        self.assertEqual(self.daemon.ctl("restart", "z").returncode, 0)
        self.assertEqual(request(port)[2], b"hello")
        self.assertNotEqual(self.daemon.status("z")["pid"], worker)
        self.assertNotEqual(self.zygote(), zygote)

    def test_kill_the_supervisor_again_and_again(self):
        port = self.deploy("s", self.write("main.js", HELLO))
        release = self.daemon.status("s")["release"]
        for delay in (0, 0.05, 0.2, 0.01, 0.1)[:5 if SLOW == 1 else 2]:
            time.sleep(delay)
            pids = [self.daemon.process.pid] + children_of(self.daemon.process.pid)
            self.daemon.process.kill()
            self.daemon.process.wait()
            wait_until(lambda: not any(alive(pid) for pid in pids[1:]), 5,
                       "the end of all workers with their supervisor")
            self.daemon.start()
            wait_until(lambda: self.daemon.status("s")["state"] == "running")
            self.assertEqual(self.daemon.status("s")["release"], release)
            self.assertEqual(self.port_of("s"), port)
            self.assertEqual(request(port)[2], b"hello")
        with open("/proc/mounts") as mounts:
            self.assertEqual([line for line in mounts if self.daemon.folder in line], [])

    def test_kill_the_supervisor_while_it_deploys(self):
        port = self.deploy("d", self.write("v0.js", HELLO))
        import subprocess
        import harness
        for i in range(0, 8, 1 if SLOW == 1 else 3):
            path = self.write(f"v{i + 1}.js", HELLO.replace("hello", f"v{i + 1}")
                              + "//" + "x" * 100000)
            deploy = subprocess.Popen(
                [harness.BUILD + "/tenantctl", "--socket", self.daemon.socket, "deploy", "d", path],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.004 * i)
            self.daemon.process.kill()
            self.daemon.process.wait()
            deploy.wait(20)
            self.daemon.start()
            wait_until(lambda: self.daemon.status("d")["state"] == "running")
            self.assertIn(request(port)[2], (b"hello", *(f"v{n}".encode() for n in range(1, i + 2))))
        self.assertEqual(os.listdir(self.daemon.state + "/staging"), [])

    def test_nothing_is_left_when_it_stops(self):
        other = Daemon()
        try:
            other.ctl("deploy", "x", self.write("main.js", HELLO))
            self.assertNotEqual(cgroups_of(other), [])
            pids = children_of(other.process.pid)
            self.assertEqual(other.stop(), 0)
            self.assertFalse(any(alive(pid) for pid in pids))
            self.assertEqual(cgroups_of(other), [])
        finally:
            other.close()


class StopTest(TenantdTest):
    def test_sigterm_drains(self):
        import threading
        daemon = Daemon()
        try:
            path = self.write("main.js", """
                export default { async fetch() {
                    await new Promise((r) => setTimeout(r, 500)); return new Response('slow'); } };""")
            self.assertEqual(daemon.ctl("deploy", "slow", path).returncode, 0)
            port = int(daemon.status("slow")["listeners"][0]["address"].rsplit(":", 1)[1])
            answers = []
            thread = threading.Thread(target=lambda: answers.append(request(port)))
            thread.start()
            time.sleep(0.2)
            self.assertEqual(daemon.stop(), 0)
            thread.join()
            self.assertEqual(answers[0][::2], (200, b"slow"))
            self.assertEqual(answers[0][1].get("connection"), "close")
        finally:
            daemon.close()

    def test_sigterm_while_it_starts(self):
        """At every moment of the start: a clean end, or the signal's own before there is
        anything to clean up. Never a crash, never a failure, never a process left."""
        daemon = Daemon()
        try:
            path = self.write("main.js", HELLO)
            self.assertEqual(daemon.ctl("deploy", "early", path).returncode, 0)
            self.assertEqual(daemon.stop(), 0)
            ends = set()
            for step in range(0, 16, 1 if SLOW == 1 else 4):
                with open(daemon.log_path, "w") as log:
                    daemon.process = subprocess.Popen(
                        [os.path.join(BUILD, "tenantd"), "--state", daemon.state, "--policy-dir",
                         daemon.policies, "--socket", daemon.socket],
                        stdout=log, stderr=log, start_new_session=True)
                time.sleep(step * 0.015)
                children = children_of(daemon.process.pid)
                ends.add(code := daemon.stop())
                self.assertIn(code, (0, -signal.SIGTERM), daemon.log())
                wait_until(lambda: not any(alive(child) for child in children))
            self.assertIn(0, ends)
        finally:
            daemon.close()

    def test_sighup_keeps_the_old_policy_on_error(self):
        path = self.write("main.js", "export default { fetch: (r, env) => new Response(env.M) };")
        port = self.deploy("hup", path, permissions={"env": {"set": {"M": "one"}}})
        self.assertEqual(request(port)[2], b"one")
        file = self.daemon.policies + "/hup.json"
        good = open(file).read()
        with open(file, "w") as out:
            out.write(good.replace("one", "two").replace('"version"', '"verzion"'))
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "verzion" in self.daemon.log())
        self.assertEqual(request(port)[2], b"one")
        with open(file, "w") as out:
            out.write(good.replace("one", "two"))
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: request(port)[2] == b"two")

    def test_sighup_does_not_wait_for_a_fifo(self):
        path = self.write("main.js", HELLO)
        port = self.deploy("fifo", path)
        os.mkfifo(self.daemon.policies + "/fifo.json")
        try:
            self.daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "fifo.json is not a regular file" in self.daemon.log())
            self.assertEqual(self.daemon.status("fifo")["state"], "running")
            self.assertEqual(request(port)[2], b"hello")
        finally:
            os.unlink(self.daemon.policies + "/fifo.json")


if __name__ == "__main__":
    unittest.main()
