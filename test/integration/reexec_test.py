"""tenantctl daemon-reexec: another program takes over in the daemon's process, and tenants, their
workers and their connections go on."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import harness
import net_servers
from harness import SLOW, Daemon, request, wait_until

PROGRAMS = ("tenantd", "tenant-zygote", "tenant-launcher", "tenantd-egress", "tenantd-ingress",
            "library.snapshot")
REEXECS = 5

SERVICE = """
let served = 0;
export default {
    async fetch(request) {
        const url = new URL(request.url);
        if (url.pathname === '/crash') setTimeout(() => { throw new Error('as a test'); }, 1);
        if (url.pathname === '/log') console.log(url.searchParams.get('line'));
        if (url.pathname === '/get') {
            const answer = await fetch(url.searchParams.get('url'));
            return new Response(`fetched ${await answer.text()}`);
        }
        if (Math.random() < 0.02) await new Promise((resolve) => setTimeout(resolve, 20));
        return new Response(`whole answer ${++served} of %s`);
    },
};
"""


def build_copy(folder):
    """The programs of the build in a folder of their own, to be replaced."""
    for name in PROGRAMS:
        shutil.copy2(os.path.join(harness.BUILD, name), os.path.join(folder, name))


def version_of_build():
    done = subprocess.run([os.path.join(harness.BUILD, "tenantd"), "--version"],
                          capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def other_version(version):
    """Another one that is as long: 0.1.0 becomes 9.1.0."""
    return ("9" if version[0] != "9" else "8") + version[1:]


class CopiedDaemon(Daemon):
    """A daemon whose programs lie in a folder of its own."""

    def __init__(self, *options):
        self.programs = tempfile.mkdtemp(prefix="tenantd-programs-")
        build_copy(self.programs)
        super().__init__(*options)

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                [os.path.join(self.programs, "tenantd"), "--state", self.state, "--policy-dir",
                 self.policies, "--socket", self.socket, *self.options],
                stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or self.ctl("list").returncode == 0,
                   20, "the start of tenantd")

    def close(self):
        try:
            super().close()
        finally:
            shutil.rmtree(self.programs, ignore_errors=True)

    def program(self):
        return os.path.join(self.programs, "tenantd")

    def replace_program(self, data, mode=0o755):
        """As a package manager does it: a new file, by rename."""
        path = self.program() + ".new"
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.rename(path, self.program())

    def real_program(self):
        with open(os.path.join(harness.BUILD, "tenantd"), "rb") as file:
            return file.read()

    def reexec(self):
        return self.ctl("daemon-reexec", "--json")

    def version(self):
        return self.json("version")["tenantd"]

    def descriptors(self):
        """What the daemon has open, without what differs from moment to moment."""
        links = []
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                links.append(re.sub(r"worker-\d+", "worker-N",
                                    os.readlink(f"/proc/{self.process.pid}/fd/{fd}")))
            except FileNotFoundError:
                pass
        return sorted(link.split(":")[0] if ":" in link else link for link in links)

    def cgroups(self):
        """The groups below the daemon's base, in every hierarchy."""
        with open(f"/proc/{self.worker_pid}/cgroup") as file:
            paths = {line.strip().rsplit(":", 1)[1] for line in file}
        bases = {os.path.dirname(path) for path in paths if "worker-" in path}
        found = []
        for root in ("/sys/fs/cgroup", *(os.path.join("/sys/fs/cgroup", name)
                                         for name in os.listdir("/sys/fs/cgroup"))):
            for base in bases:
                folder = root + base
                if os.path.isdir(folder):
                    found += [f"{folder}/{name}" for name in os.listdir(folder)
                              if name.startswith("worker-")]
        return sorted(found)

    def mounts(self):
        with open(f"/proc/{self.process.pid}/mountinfo") as file:
            return len(file.readlines())


class ReexecCase(unittest.TestCase):
    options = ()

    def setUp(self):
        self.daemon = CopiedDaemon("--warm", "1", *self.options)
        self.addCleanup(self.daemon.close)
        self.folder = tempfile.mkdtemp(prefix="tenantd-program-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.show_log_of_failure)

    def show_log_of_failure(self):
        result = getattr(getattr(self, "_outcome", None), "result", None)
        if result and any(test is self for test, _ in result.failures + result.errors):
            print(f"--- the daemon's log, for {self.id()} ---\n{self.daemon.log()[-6000:]}")

    def release(self, name, source=None, **manifest):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "main.js"), "w") as file:
            file.write(source or SERVICE % name)
        with open(os.path.join(folder, "tenant.json"), "w") as file:
            json.dump(manifest, file)
        return folder

    def deploy(self, name, folder, **permissions):
        policy = os.path.join(self.folder, f"{name}.json")
        net = {"listen": ["127.0.0.1:0"], **permissions.pop("net", {})}
        with open(policy, "w") as file:
            json.dump({"version": 1, "permissions": {"net": net, **permissions}}, file)
        done = self.daemon.ctl("deploy", name, folder, "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        address = self.daemon.status(name)["listeners"][0]["address"]
        return int(address.rsplit(":", 1)[1])

    def reexec(self):
        done = self.daemon.reexec()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def pids(self, name):
        return sorted(instance["pid"] for instance in self.daemon.status(name)["instances"]
                      if instance["pid"])

    def refused(self, *words):
        """It is, and nothing has happened."""
        program = os.readlink(f"/proc/{self.daemon.process.pid}/exe")
        done = self.daemon.reexec()
        self.assertEqual(done.returncode, 1, done.stdout)
        for word in (*words, "nothing was changed"):
            self.assertIn(word, done.stdout + done.stderr)
        self.assertEqual(os.readlink(f"/proc/{self.daemon.process.pid}/exe").split()[0],
                         program.split()[0])


class ReexecTest(ReexecCase):
    # ---- what goes on ----

    def test_reexecs_under_load_lose_no_request_and_keep_all_there_is(self):
        port = self.deploy("busy", self.release("one", instances=2))
        self.answer(port, "/crash")
        wait_until(lambda: self.daemon.status("busy")["deaths"], what="a death")
        wait_until(lambda: len(self.pids("busy")) == 2 and all(
            i["state"] == "serving" for i in self.daemon.status("busy")["instances"]),
            what="both instances")
        before = self.daemon.status("busy")
        events = self.daemon.ctl("events", "busy", "--json").stdout
        pids = self.pids("busy")
        self.daemon.worker_pid = pids[0]
        self.reexec()  # the first, as the others find it
        wait_until(lambda: "event=zygote-ready" in self.daemon.log())
        time.sleep(1 * SLOW)
        descriptors, mounts = self.daemon.descriptors(), self.daemon.mounts()
        groups = len(self.daemon.cgroups())
        for reuse in (1000000, 5):
            hammer = subprocess.Popen(
                [os.path.join(harness.BUILD, "hammer"), str(port), "16", str(reuse),
                 "whole answer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True)
            times = []
            for _ in range(REEXECS):
                times.append(self.reexec()["ms"])
                time.sleep(0.2 * SLOW)
            out, errors = hammer.communicate(timeout=60 * SLOW)
            counts = json.loads(out)
            print(f"{REEXECS} reexecs, connections of {reuse}: {counts}, "
                  f"ms {[round(ms) for ms in times]}", file=sys.stderr)
            self.assertEqual((counts["wrong"], counts["lost"]), (0, 0), errors)
            self.assertGreater(counts["answers"], 100)
        after = self.daemon.status("busy")
        self.assertEqual(self.pids("busy"), pids)
        for key in ("state", "release", "since", "ready_ms", "restarts", "deaths", "reason",
                    "listeners", "uid"):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(self.daemon.ctl("events", "busy", "--json").stdout, events)
        time.sleep(1 * SLOW)
        self.assertEqual(self.daemon.descriptors(), descriptors)
        self.assertEqual(self.daemon.mounts(), mounts)
        self.assertEqual(len(self.daemon.cgroups()), groups)

    def test_everything_works_afterwards(self):
        one, two = self.release("one"), self.release("two")
        port = self.deploy("shop", one)
        request(port, "/log?line=before")
        self.reexec()
        request(port, "/log?line=afterwards")
        wait_until(lambda: "afterwards" in self.daemon.ctl("logs", "shop").stdout, what="the log")
        self.assertIn("before", self.daemon.ctl("logs", "shop").stdout)
        self.assertEqual(self.daemon.ctl("deploy", "shop", two).returncode, 0)
        self.assertIn(b"of two", request(port)[2])
        self.reexec()  # while the old release may still drain, and the new one is watched
        self.assertEqual(self.daemon.ctl("rollback", "shop").returncode, 0)
        self.assertIn(b"of one", request(port)[2])
        self.assertEqual(self.daemon.ctl("stop", "shop").returncode, 0)
        self.reexec()
        self.assertEqual(self.daemon.status("shop")["state"], "stopped")
        self.assertEqual(self.daemon.ctl("start", "shop").returncode, 0)
        self.assertIn(b"of one", request(port)[2])
        self.assertEqual(self.daemon.stop(), 0)

    def test_a_new_release_is_still_watched(self):
        one = self.release("one")
        port = self.deploy("shop", one)
        bad = self.release("bad")
        self.assertEqual(self.daemon.ctl("deploy", "shop", bad).returncode, 0)
        self.reexec()
        self.answer(port, "/crash")
        wait_until(lambda: b"of one" in self.answer(port), what="the automatic rollback")

    def answer(self, port, path="/"):
        try:
            return request(port, path)[2]
        except OSError:
            return b""

    def test_fetch_goes_through_a_new_egress(self):
        class Server(threading.Thread):
            def __init__(self):
                super().__init__(daemon=True)
                self.socket = socket.create_server(("127.0.0.1", 0))
                self.port = self.socket.getsockname()[1]

            def run(self):
                while True:
                    try:
                        client, _ = self.socket.accept()
                    except OSError:
                        return
                    with client:
                        client.recv(65536)
                        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                                       b"Connection: close\r\n\r\nok")

        server = Server()
        server.start()
        self.addCleanup(server.socket.close)
        port = self.deploy("web", self.release("web"),
                           net={"connect": [f"127.0.0.1:{server.port}"]})
        path = f"/get?url=http://127.0.0.1:{server.port}/"
        self.assertEqual(request(port, path)[2], b"fetched ok")
        for _ in range(2):
            self.reexec()
            self.assertEqual(request(port, path)[2], b"fetched ok")

    def test_half_a_line_and_secrets_go_over(self):
        secrets = os.path.join(self.daemon.folder, "secrets")
        os.makedirs(os.path.join(secrets, "quiet"), mode=0o700)
        path = os.path.join(secrets, "quiet", "KEY")
        with open(path, "w") as file:
            file.write("very-secret-value")
        os.chmod(path, 0o600)
        self.daemon.stop()
        self.daemon.options = ("--secrets-dir", secrets)
        self.daemon.start()
        source = """
            export default { async fetch(request) {
                const part = new URL(request.url).searchParams.get('part');
                process.stdout.write(part.replace('SECRET', process.env.KEY));
                return new Response('ok');
            } };"""
        port = self.deploy("quiet", self.release("quiet", source), env={"secrets": ["KEY"]})
        request(port, "/?part=the%20first%20half%20very-sec")
        os.chmod(path, 0o000)
        with open(path, "w") as file:  # rotated: the running worker still has the old one
            file.write("another-value")
        os.chmod(path, 0o600)
        self.reexec()
        request(port, "/?part=ret-value%20the%20second%20SECRET%0A")
        wait_until(lambda: "second" in self.daemon.ctl("logs", "quiet").stdout, what="the line")
        text = self.daemon.ctl("logs", "quiet").stdout
        self.assertIn("the first half *** the second ***", text)
        self.assertNotIn("very-secret-value", self.daemon.log() + text)

    def test_the_old_release_drains_on(self):
        """A request that began before the deploy ends after the reexec, on the old release."""
        source = """
            export default { async fetch(request) {
                if (new URL(request.url).pathname === '/slow')
                    await new Promise((resolve) => setTimeout(resolve, 4000 * %s));
                return new Response('answer of %s');
            } };"""
        port = self.deploy("shop", self.release("one", source % (SLOW, "one")))
        slow = []
        thread = threading.Thread(target=lambda: slow.append(self.answer(port, "/slow")))
        thread.start()
        wait_until(lambda: self.daemon.status("shop")["stats"]["requests_active"], what="it")
        two = self.release("two", source % (SLOW, "two"))
        self.assertEqual(self.daemon.ctl("deploy", "shop", two).returncode, 0)
        self.reexec()
        self.assertEqual([i["state"] for i in self.daemon.status("shop")["instances"]].count(
            "draining"), 1)
        thread.join()
        self.assertEqual(slow, [b"answer of one"])
        self.assertEqual(request(port)[2], b"answer of two")
        wait_until(lambda: len(self.daemon.status("shop")["instances"]) == 1, what="the end")
        self.assertIn("reason=drained", self.daemon.log())

    def test_programs_and_what_was_given_up_go_over(self):
        source = """
            import { execFile } from 'node:child_process';
            import { readFileSync } from 'node:fs';
            export default { async fetch(request) {
                const path = new URL(request.url).pathname;
                try {
                    if (path === '/drop') process.permission.drop('fs.read', '/etc/hostname');
                    if (path === '/read') readFileSync('/etc/hostname');
                    if (path === '/sleep' || path === '/echo')
                        return new Response(await new Promise((resolve, reject) =>
                            execFile(path === '/sleep' ? '/bin/sleep' : '/bin/echo', ['3'],
                                (error, out) => error ? reject(error) : resolve(out))));
                    return new Response('fine');
                } catch (error) { return new Response(error.code ?? String(error)); }
            } };"""
        port = self.deploy("maker", self.release("maker", source),
                           child={"exec": ["/bin/echo", "/bin/sleep"]},
                           fs={"read": ["/etc/hostname"]})
        self.assertEqual(request(port, "/read")[2], b"fine")
        self.reexec()
        self.assertEqual(request(port, "/echo")[2], b"3\n")
        self.assertEqual(request(port, "/read")[2], b"fine")
        self.assertEqual(request(port, "/drop")[2], b"fine")
        # One that runs is waited for.
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(request(port, "/sleep")[0]))
        thread.start()
        time.sleep(0.5 * SLOW)
        self.reexec()
        thread.join()
        self.assertEqual(outcome, [200])
        self.assertEqual(request(port, "/read")[2], b"ERR_ACCESS_DENIED")
        self.assertEqual(request(port, "/echo")[2], b"3\n")

    def test_probes_and_schedules_go_on(self):
        source = """
            let well = true, runs = 0;
            function health() { return well; }
            export default { health, async scheduled() { runs++; }, async fetch(request) {
                if (new URL(request.url).pathname === '/ill') well = false;
                return new Response(String(runs));
            } };"""
        probe = {"health": True, "periodSeconds": 1, "failureThreshold": 2}
        port = self.deploy("well", self.release(
            "well", source, probes={"liveness": probe},
            schedules=[{"cron": "* * * * *"}]))
        pid = self.pids("well")
        for _ in range(3):
            self.reexec()
            time.sleep(0.7 * SLOW)
        self.assertEqual(self.pids("well"), pid)
        self.assertEqual(self.daemon.status("well")["schedules"][0]["missed"], 0)
        request(port, "/ill")
        wait_until(lambda: self.pids("well") not in ([], pid), 15, "the liveness probe")
        self.assertEqual(self.daemon.status("well")["deaths"][0]["reason"], "probe-failed")

    def test_who_sleeps_or_failed_stays_so(self):
        idle = self.release("idle", idle="stop after 1s")
        port = self.deploy("idle", idle)
        broken = self.release("broken", "throw new Error('never');", restart="on-failure")
        self.daemon.ctl("deploy", "broken", broken)
        wait_until(lambda: self.daemon.status("idle")["state"] == "idle", 20, "idleness")
        self.reexec()
        self.assertEqual(self.daemon.status("idle")["state"], "idle")
        self.assertIn(b"whole answer", request(port)[2])
        self.assertEqual(self.daemon.status("idle")["state"], "running")

    def test_a_worker_that_dies_meanwhile_is_noticed(self):
        port = self.deploy("shop", self.release("one"))
        pid = self.pids("shop")[0]
        real = self.daemon.program() + "-real"
        shutil.copy2(self.daemon.program(), real)
        self.daemon.replace_program(
            f"#!/bin/sh\ncase \"$*\" in *--handover=*) kill -9 {pid};; esac\n"
            f"exec {real} \"$@\"\n".encode())
        self.reexec()
        wait_until(lambda: self.pids("shop") not in ([], [pid]), what="another worker")
        self.assertIn(b"whole answer", request(port)[2])
        death = self.daemon.status("shop")["deaths"][0]
        self.assertEqual((death["pid"], death["reason"], death["signal"]), (pid, "signal", 9))

    def test_requests_to_the_daemon_wait_meanwhile(self):
        self.deploy("shop", self.release("one"))
        outcomes = []

        def ask():
            while not done.is_set():
                outcomes.append(self.daemon.ctl("status", "shop").returncode)

        done = threading.Event()
        thread = threading.Thread(target=ask)
        thread.start()
        for _ in range(3):
            self.reexec()
        done.set()
        thread.join()
        self.assertGreater(len(outcomes), 3)
        self.assertEqual(set(outcomes), {0})

    # ---- another version, and none ----

    def follow(self, *arguments):
        process = subprocess.Popen(
            [os.path.join(harness.BUILD, "tenantctl"), "--socket", self.daemon.socket, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = []

        def read():
            for line in process.stdout:
                lines.append(json.loads(line))
        thread = threading.Thread(target=read)
        thread.start()

        def end():
            process.kill()
            process.wait()
            thread.join()
            process.stdout.close()
            process.stderr.close()
        self.addCleanup(end)
        return process, lines

    def test_followers_go_on(self):
        source = SERVICE % "talks" + "let n = 0; setInterval(() => console.log(`line ${n++}`), 10);"
        self.deploy("talks", self.release("talks", source))
        log, lines = self.follow("logs", "talks", "-f", "-n", "0", "--json")
        events, told = self.follow("events", "talks", "-f", "-n", "0", "--json")
        everything, all_told = self.follow("events", "-f", "-n", "0", "--json")
        audit, records = self.follow("audit", "talks", "-f", "-n", "0", "--json")
        wait_until(lambda: len(lines) > 5, what="lines")
        for _ in range(3):
            before = len(lines)
            self.assertEqual(self.daemon.reexec().returncode, 0)
            wait_until(lambda: len(lines) > before + 20, what="lines of after the reexec")
        numbers = [int(line["line"].split()[1]) for line in lines if line["line"].startswith("line")]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        self.assertEqual(self.daemon.ctl("restart", "talks").returncode, 0)
        for one in (told, all_told):
            wait_until(lambda: any(event["event"] == "restart" for event in one), what="the event")
        self.assertEqual([one.poll() for one in (log, events, everything, audit)], [None] * 4)
        # Each of them once.
        self.assertEqual(len([event for event in told if event["event"] == "restart"]), 1)
        # Who follows something that goes is told so, as ever.
        self.assertEqual(self.daemon.ctl("remove", "talks", "-y").returncode, 0)
        self.assertEqual(log.wait(10 * harness.SLOW), 0)

    def test_followers_hear_of_what_was_not_adopted(self):
        self.deploy("lost", self.release("lost"))
        _, told = self.follow("events", "-f", "-n", "0", "--json")
        release = self.daemon.status("lost")["release"]
        manifest = os.path.join(self.daemon.state, "releases", release, "tenant.json")
        os.chmod(manifest, 0o644)
        with open(manifest, "w") as file:
            file.write("{")
        self.assertEqual(self.daemon.reexec().returncode, 0)
        wait_until(lambda: any(event["event"] == "not-adopted" for event in told), what="the event")

    def test_nobody_gets_the_lock_meanwhile(self):
        got, tries, over = [], [0], threading.Event()

        def hammer():
            with open(os.path.join(self.daemon.state, "lock"), "r+") as file:
                while not over.is_set():
                    tries[0] += 1
                    try:
                        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        got.append(time.monotonic())
                        return
                    except OSError:
                        time.sleep(0.0005)
        thread = threading.Thread(target=hammer)
        thread.start()
        for _ in range(2):
            done = self.daemon.reexec()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        over.set()
        thread.join()
        self.assertGreater(tries[0], 20)
        self.assertEqual(got, [])

    def test_another_version_takes_over(self):
        port = self.deploy("shop", self.release("one"))
        pids = self.pids("shop")
        version = version_of_build()
        other = other_version(version)
        data = self.daemon.real_program().replace(version.encode() + b"\0", other.encode() + b"\0")
        data = data.replace(f"tenantd {version}".encode(), f"tenantd {other}".encode())
        self.daemon.replace_program(data)
        done = self.reexec()
        self.assertEqual((done["version"], done["from"], done["pid"]),
                         (other, version, self.daemon.process.pid))
        self.assertEqual((done["adopted"], done["renewed"]), (1, 0))
        self.assertEqual(self.daemon.version()["version"], other)
        self.assertEqual(self.pids("shop"), pids)
        self.assertIn(b"whole answer", request(port)[2])

    def test_a_program_that_cannot_take_over_is_refused(self):
        port = self.deploy("shop", self.release("one"))
        pids = self.pids("shop")
        self.daemon.replace_program(self.daemon.real_program(), 0o644)
        self.refused("Permission denied")
        self.daemon.replace_program(b"this is no program")
        self.refused("Exec format error")
        self.daemon.replace_program(b"#!/bin/sh\necho 'wrong version' >&2\nexit 1\n")
        self.refused("cannot take over", "wrong version")
        os.unlink(self.daemon.program())
        self.refused("No such file or directory")
        self.daemon.replace_program(self.daemon.real_program())
        snapshot = os.path.join(self.daemon.programs, "library.snapshot")
        os.rename(snapshot, snapshot + ".away")
        self.refused("cannot take over")
        os.rename(snapshot + ".away", snapshot)
        self.assertEqual(self.pids("shop"), pids)
        self.assertIn(b"whole answer", request(port)[2])
        self.reexec()

    def test_another_version_of_the_handover_is_refused(self):
        done = subprocess.run([self.daemon.program(), "--check-handover", "999"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("restart the daemon instead", done.stderr)
        done = subprocess.run([self.daemon.program(), "--handover", "9"], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no handover", done.stderr)

    def test_an_exec_that_fails_changes_nothing(self):
        port = self.deploy("shop", self.release("one"))
        pids = self.pids("shop")
        self.daemon.replace_program(b"#!/bin/sh\nchmod 000 \"$0\"\necho fine\n")
        self.refused("cannot run", "Permission denied")
        self.assertIn(b"whole answer", request(port)[2])
        self.assertEqual(self.pids("shop"), pids)
        self.daemon.replace_program(self.daemon.real_program())
        self.assertEqual(self.daemon.ctl("restart", "shop").returncode, 0)
        self.reexec()
        self.assertIn(b"whole answer", request(port)[2])

    def test_a_tenant_that_cannot_be_adopted_starts_anew(self):
        self.deploy("good", self.release("one"))
        port = self.deploy("odd", self.release("two"))
        good, odd = self.pids("good"), self.pids("odd")
        release = self.daemon.status("odd")["release"]
        folder = os.path.join(self.daemon.state, "releases", release)
        os.rename(folder, folder + ".away")
        done = self.reexec()
        self.assertEqual((done["adopted"], done["renewed"]), (1, 1))
        self.assertEqual(self.pids("good"), good)
        wait_until(lambda: not os.path.exists(f"/proc/{odd[0]}"), what="the end of its worker")
        self.assertIn("event=not-adopted tenant=odd", self.daemon.log())
        self.assertIn("not-adopted", self.daemon.ctl("events", "odd").stdout)
        os.rename(folder + ".away", folder)
        self.assertEqual(self.daemon.ctl("start", "odd").returncode, 0)
        self.assertIn(b"whole answer", request(port)[2])

    # ---- what is in the way ----

    def test_a_run_is_in_the_way(self):
        script = os.path.join(self.folder, "long.js")
        with open(script, "w") as file:
            file.write("await new Promise((resolve) => setTimeout(resolve, 60000));\n")
        with subprocess.Popen([os.path.join(harness.BUILD, "tenantctl"), "--socket",
                               self.daemon.socket, "run", script]) as run:
            wait_until(lambda: "event=run" in self.daemon.log() or self.workers(), what="the run")
            self.refused("tenantctl run")
            run.send_signal(signal.SIGINT)
            run.wait(20 * SLOW)
        self.reexec()

    def test_kill_9_at_any_moment_of_it_leaves_nothing(self):
        port = self.deploy("shop", self.release("one"))
        ctl = [os.path.join(harness.BUILD, "tenantctl"), "--socket", self.daemon.socket,
               "daemon-reexec"]
        for part in range(6):
            pid = self.pids("shop")[0]
            with subprocess.Popen(ctl, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
                time.sleep(part * 0.1 * SLOW)
                self.daemon.process.kill()
                self.daemon.process.wait()
            wait_until(lambda worker=pid: self.is_zombie(worker), what="the worker's end")
            self.daemon.start()
            wait_until(lambda: self.daemon.status("shop")["state"] == "running",
                       what="the tenant")
            self.assertIn(b"whole answer", request(port)[2])
        self.assertEqual(self.daemon.stop(), 0)

    def test_a_canary_is_in_the_way(self):
        self.deploy("shop", self.release("one"))
        done = self.daemon.ctl("deploy", "shop", self.release("two"), "--canary-instances", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        pids = self.pids("shop")
        self.refused("shop: its canary waits")
        self.assertEqual(self.pids("shop"), pids)
        self.assertEqual(self.daemon.ctl("promote", "shop").returncode, 0)
        self.reexec()

    def test_the_service_manager_sees_a_reload(self):
        path = os.path.join(self.daemon.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(10 * SLOW)
            self.daemon.stop()
            os.environ["NOTIFY_SOCKET"] = path
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            self.daemon.start()
            self.deploy("shop", self.release("one"))
            self.drain(manager)
            self.reexec()
            told = self.drain(manager)
        states = [word for word in told.split("\n")
                  if word.split("=")[0] in ("RELOADING", "READY", "STOPPING", "MAINPID")]
        self.assertEqual(states, ["RELOADING=1", "READY=1"])

    def drain(self, manager):
        """What was said, until nothing is for a while."""
        told = []
        manager.settimeout(0.5 * SLOW)
        try:
            while True:
                told.append(manager.recv(4096).decode())
        except TimeoutError:
            return "\n".join(told)

    def test_what_a_socket_unit_lends_stays_lent(self):
        self.daemon.stop()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        port = listener.getsockname()[1]
        arguments = ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=shop.socket '
                     'exec "$@"', "sh", self.daemon.program(), "--state", self.daemon.state,
                     "--policy-dir", self.daemon.policies, "--socket", self.daemon.socket]
        with open(self.daemon.log_path, "a") as log:
            self.daemon.process = subprocess.Popen(
                arguments, stdout=log, stderr=log, start_new_session=True, pass_fds=(3,),
                preexec_fn=lambda: os.dup2(listener.fileno(), 3))
        wait_until(lambda: self.daemon.ctl("list").returncode == 0, 20, "the start")
        self.deploy("shop", self.release("one"), net={"listen": [f"127.0.0.1:{port}"]})
        for _ in range(2):
            self.reexec()
            self.assertIn(b"whole answer", request(port)[2])
        self.assertEqual(self.daemon.ctl("stop", "shop").returncode, 0)
        self.assertEqual(self.daemon.ctl("start", "shop").returncode, 0)
        self.assertIn(b"whole answer", request(port)[2])

    def workers(self):
        with open(f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children") as f:
            return len(f.read().split()) > 2

    def is_zombie(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    def test_kill_9_leaves_nothing(self):
        self.deploy("shop", self.release("one"))
        pid = self.pids("shop")[0]
        self.reexec()
        self.daemon.process.kill()
        self.daemon.process.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}") or
                   self.is_zombie(pid), what="the worker's end")
        self.daemon.start()
        wait_until(lambda: self.daemon.status("shop")["state"] == "running", what="the tenant")


class TierContainerTest(ReexecCase):
    options = ("--tier", "container")

    def test_tenants_go_on(self):
        os.chmod(self.folder, 0o755)
        port = self.deploy("shop", self.release("one"))
        pids = self.pids("shop")
        with socket.create_connection(("127.0.0.1", port)) as kept:
            for _ in range(2):
                kept.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertTrue(kept.recv(4096).startswith(b"HTTP/1.1 200"))
                self.reexec()
            kept.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIn(b"of one", kept.recv(4096))
        self.assertEqual(self.pids("shop"), pids)
        self.assertEqual(self.daemon.status("shop")["tier"], "container")
        self.assertEqual(self.daemon.ctl("deploy", "shop", self.release("two")).returncode, 0)
        self.assertIn(b"of two", request(port)[2])


class SharedPortTest(ReexecCase):
    """The connections of shared ports, which tenantd-ingress takes."""

    def setUp(self):
        self.shared = harness.free_port()
        self.options = ("--http", f"127.0.0.1:{self.shared}")
        super().setUp()

    def test_shared_ports_lose_nothing(self):
        self.deploy("shop", self.release("one", instances=2),
                    net={"listen": ["127.0.0.1:0"], "ingress": ["localhost"]})
        self.assertIn(b"whole answer", request(self.shared)[2])
        hammer = subprocess.Popen(
            [os.path.join(harness.BUILD, "hammer"), str(self.shared), "16", "5", "whole answer"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(REEXECS):
            self.reexec()
            time.sleep(0.2 * SLOW)
        out, errors = hammer.communicate(timeout=60 * SLOW)
        counts = json.loads(out)
        print(f"{REEXECS} reexecs, shared port: {counts}", file=sys.stderr)
        self.assertEqual((counts["wrong"], counts["lost"]), (0, 0), errors)
        self.assertGreater(counts["answers"], 100)

    def test_certificates_go_over_even_if_their_files_do_not(self):
        certificates = net_servers.Certificates(self.folder).make("shop", "DNS:localhost")
        secure = harness.free_port()
        self.daemon.stop()
        self.daemon.options = (*self.daemon.options, "--https", f"127.0.0.1:{secure}")
        self.daemon.start()
        site = {"host": "localhost", "certificate": certificates.path("shop.pem"),
                "key": certificates.path("shop.key")}
        self.deploy("shop", self.release("one"), net={"ingress": [site]})
        self.assertIn(b"whole answer", self.get_secure(secure, certificates))
        os.unlink(certificates.path("shop.key"))
        self.reexec()
        self.assertIn(b"whole answer", self.get_secure(secure, certificates))
        # Also of a worker that starts now.
        request(self.daemon_port("shop"), "/")
        os.kill(self.pids("shop")[0], signal.SIGKILL)
        wait_until(lambda: self.daemon.status("shop")["restarts"], what="another worker")
        wait_until(lambda: self.daemon.status("shop")["state"] == "running", what="it")
        self.assertIn(b"whole answer", self.get_secure(secure, certificates))
        self.assertNotIn("PRIVATE KEY", self.daemon.log())

    def daemon_port(self, name):
        return int(self.daemon.status(name)["listeners"][0]["address"].rsplit(":", 1)[1])

    def get_secure(self, port, certificates):
        context = ssl.create_default_context(cadata=certificates.ca)
        with socket.create_connection(("127.0.0.1", port), 10 * SLOW) as plain, \
                context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
            return data


if __name__ == "__main__":
    unittest.main()
