"""Chaos, from a seed: processes are killed, the disk fills, system calls fail, the power is
cut. After each, what must hold:

- the active release is one that was activated: the last that was confirmed, or one whose
  deployment was under way; it is whole, and serves;
- no half release and nothing in the making is left;
- no process, mount or control group is left of what was killed; the daemon has no more
  descriptors open than before.

TENANTD_SEED=N repeats a run, TENANTD_ROUNDS=N makes it longer."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "integration"))
import harness
from harness import SLOW, Daemon, request, wait_until
from kill_test import alive, children_of, command_of
from recorder import Recording, strace

SEED = int(os.environ.get("TENANTD_SEED", "20260101"))
ROUNDS = int(os.environ.get("TENANTD_ROUNDS", "20"))
NAME = "subject"


def program(text):
    return f"export default {{ fetch: () => new Response('{text}') }};\n// {text * 2000}\n"


def port_of(status):
    return int(status["listeners"][0]["url"].rstrip("/").rsplit(":", 1)[1])


class World:
    """A daemon, and what is known of its one tenant."""

    def __init__(self, state=None):
        self.folder = tempfile.mkdtemp(prefix="tenantd-chaos-")
        os.chmod(self.folder, 0o711)
        self.programs = os.path.join(self.folder, "programs")
        os.mkdir(self.programs)
        self.daemon = Daemon(folder=self.folder)
        self.count = 0
        self.text_of = {}     # what a release answers, by its id
        self.possible = set() # ids, of which one is active
        self.active = None    # when it was last looked at
        self.before = set()   # what was active before: a new release whose worker ends goes back

    def source(self):
        self.count += 1
        path = os.path.join(self.programs, f"v{self.count}.js")
        with open(path, "w") as file:
            file.write(program(f"v{self.count}"))
        return path, f"v{self.count}"

    def deploy(self):
        """Deploys something new, and takes note of the outcome."""
        path, text = self.source()
        done = self.daemon.ctl("deploy", NAME, path, "--json")
        self.take(done, text)
        return done

    def take(self, done, text):
        if done.returncode == 0:
            release = json.loads(done.stdout)["release"]
            self.text_of[release] = text
            self.before, self.active = {self.active}, release
            self.possible = {release}
        else:
            self.possible.add(text)  # by what it answers: its id is not known

    def close(self):
        try:
            self.daemon.close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class ChaosTest(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        print(f"{self.id().rsplit('.', 1)[1]}: seed {SEED}, {ROUNDS} rounds", file=sys.stderr)

    def world(self):
        world = World()
        self.addCleanup(world.close)
        return world

    def serving(self, daemon, what):
        """The release that is active, and what it answers."""
        def settled():
            before = daemon.status(NAME)
            if not before or before["state"] != "running":
                return None
            text = request(port_of(before))[2].decode()
            after = daemon.status(NAME)
            same = after["state"] == "running" and after["release"] == before["release"]
            return same and (after["release"], text)
        return wait_until(settled, 20, f"{what}: the tenant's return")

    def check(self, world, what, mounts=0):
        """The invariants, once the tenant runs again."""
        daemon = world.daemon
        release, text = self.serving(daemon, what)
        if world.text_of.get(release, text) != text:  # the old one was just leaving
            time.sleep(0.5 * SLOW)
            release, text = self.serving(daemon, what)
        known = {world.text_of.get(one, one) for one in world.possible}
        self.assertIn(text, known, f"{what}: it serves {text}, release {release}")
        self.assertEqual(world.text_of.setdefault(release, text), text, what)
        if release != world.active:
            world.before |= {world.active}
        world.possible, world.active = {release}, release
        stored = os.listdir(os.path.join(daemon.state, "releases"))
        self.assertIn(release, stored, what)
        wait_until(lambda: os.listdir(os.path.join(daemon.state, "staging")) == [], 10,
                   f"{what}: an empty staging folder")
        with open("/proc/mounts") as file:
            self.assertEqual(len([line for line in file if daemon.folder in line]), mounts, what)

    def descriptors(self, world):
        """How many the daemon has when it has come to rest."""
        path = f"/proc/{world.daemon.process.pid}/fd"
        last = [None]

        def rests():
            now = len(os.listdir(path))
            same = now == last[0]
            last[0] = now
            time.sleep(0.3)
            return same
        wait_until(rests, 20)
        return last[0]

    # ---- kills ----

    def victim(self, world):
        """A process of the daemon, or itself: (name, pid)."""
        pids = {"tenantd": world.daemon.process.pid}
        for pid in children_of(world.daemon.process.pid):
            name = os.path.basename(command_of(pid))
            pids["unpacker" if name == "tenantd" else name or f"child {pid}"] = pid
        name = self.random.choice(sorted(pids))
        if self.random.random() < 0.4:
            name = "tenantd"
        return name, pids[name]

    def operate(self, world):
        """Begins something that takes a while: (process, what it deploys or None)."""
        kind = self.random.choice(("deploy", "deploy", "restart", "rollback", "stop and start"))
        text = None
        if kind == "deploy":
            path, text = world.source()
            arguments = ("deploy", NAME, path, "--json")
        elif kind == "rollback":
            arguments = ("rollback", NAME, "-m", "chaos")
            world.possible |= set(world.text_of)
        else:
            arguments = ("restart", NAME)
        return kind, text, subprocess.Popen(
            [os.path.join(harness.BUILD, "tenantctl"), "--socket", world.daemon.socket, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill_round(self, world, number):
        kind, text, process = self.operate(world)
        time.sleep(self.random.random() ** 2 * 0.05 * SLOW)
        name, pid = self.victim(world)
        mine = children_of(world.daemon.process.pid)
        what = f"round {number}, {kind}, then kill of {name}"
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if name == "tenantd":
            world.daemon.process.wait()
            wait_until(lambda: not any(alive(one) for one in mine), 10,
                       f"{what}: the end of its children")
        out, _ = process.communicate(timeout=60 * SLOW)
        process.returncode = process.poll()
        if text:
            world.take(subprocess.CompletedProcess([], process.returncode, out), text)
        if name == "tenantd":
            world.daemon.start()
        else:
            # A worker has its zygote's name.
            world.possible |= world.before - {None}
        self.check(world, what)

    def test_kills(self):
        world = self.world()
        for _ in range(3):
            self.assertEqual(world.deploy().returncode, 0)
        self.check(world, "at first")
        for number in range(ROUNDS):
            self.kill_round(world, number)
        # What piles up would show against a daemon that has seen none of it.
        worn = self.descriptors(world)
        world.daemon.stop()
        world.daemon.start()
        self.check(world, "a fresh daemon")
        self.assertLessEqual(worn, self.descriptors(world) + 4)

    # ---- a full disk ----

    def test_a_full_disk(self):
        world = self.world()
        world.daemon.stop()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs",
                        world.daemon.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", world.daemon.state])
        world.daemon.start()
        self.assertEqual(world.deploy().returncode, 0)
        filler = os.path.join(world.daemon.state, "filler")
        open(filler, "w").close()
        for number in range(ROUNDS):
            room = self.random.choice((0, 4096, 8192, 16384, 65536))
            self.fill(filler, room)
            done = world.deploy()
            what = f"round {number}, {room} bytes left"
            if done.returncode != 0:
                self.assertRegex(done.stderr + done.stdout, "[Nn]o space left|full", what)
            if self.random.random() < 0.3:
                world.daemon.process.kill()
                world.daemon.process.wait()
                os.truncate(filler, 0)
                world.daemon.start()
            else:
                os.truncate(filler, 0)
            self.check(world, what, mounts=1)
        self.assertEqual(world.deploy().returncode, 0)

    @staticmethod
    def fill(path, room):
        with open(path, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        os.truncate(path, max(0, os.path.getsize(path) - room))

    # ---- system calls that fail ----

    FAULTS = (("fsync", "EIO"), ("renameat,renameat2,rename", "EIO"), ("openat,openat2", "EMFILE"),
              ("mkdirat", "ENOSPC"), ("linkat", "EMLINK"), ("unlinkat", "EIO"), ("write", "ENOSPC"),
              ("socketpair", "EMFILE"), ("pidfd_open", "EMFILE"), ("clone,clone3,fork,vfork", "EAGAIN"),
              ("memfd_create", "ENFILE"), ("sendmsg", "ENOBUFS"), ("timerfd_settime", "EINVAL"),
              ("open_tree", "ENOMEM"), ("fchmod", "EPERM"), ("pipe2", "EMFILE"))

    def test_system_calls_that_fail(self):
        world = self.world()
        self.assertEqual(world.deploy().returncode, 0)
        for number in range(ROUNDS):
            calls, error = self.random.choice(self.FAULTS)
            when = f"{self.random.randint(1, 20)}+{self.random.randint(5, 40)}"
            what = f"round {number}, {calls} fails with {error}, when={when}"
            world.daemon.process.kill()
            world.daemon.process.wait()
            world.daemon.wrapper = ("strace", "-D", "-q", "-o", "/dev/null", "-e", f"trace={calls}",
                                    "-e", f"inject={calls}:error={error}:when={when}")
            try:
                world.daemon.start()
                world.deploy()
            except AssertionError:
                self.assertIsNotNone(world.daemon.process.poll(), what)  # it said why, and ended
            world.daemon.process.kill()
            world.daemon.process.wait()
            world.daemon.wrapper = ()
            world.daemon.start()
            self.check(world, what)

    # ---- power cuts ----

    def test_power_cuts(self):
        world = self.world()
        world.daemon.stop()
        shutil.rmtree(world.daemon.state)
        trace = os.path.join(world.folder, "trace")
        world.daemon.wrapper = strace(trace)
        world.daemon.start()
        confirmed = []  # (time, what is active from then on)
        for _ in range(4):
            before = time.time()
            done = world.deploy()
            self.assertEqual(done.returncode, 0, done.stderr)
            confirmed.append((before, time.time(), f"v{world.count}"))
        before = time.time()
        self.assertEqual(world.daemon.ctl("rollback", NAME, "-m", "chaos").returncode, 0)
        confirmed.append((before, time.time(), f"v{world.count - 1}"))
        world.daemon.stop()
        world.daemon.wrapper = ()
        recording = Recording(trace, world.daemon.state)
        total = len(recording.operations)
        self.assertGreater(total, 50, "what the recorder saw")
        points = sorted(self.random.sample(range(1, total + 1), min(total, ROUNDS * 2)))
        print(f"  {total} operations, {len(points)} power cuts", file=sys.stderr)
        for point in points:
            self.cut(world, recording, point, confirmed)
        world.daemon = Daemon(folder=world.folder)

    # ---- a release and its policy ----

    def lawful(self, world, *, dies=False):
        """Deploys a program that says under which policy it runs, with a policy of its own."""
        world.count += 1
        text = f"v{world.count}"
        path = os.path.join(world.programs, f"{text}.js")
        with open(path, "w") as file:
            file.write(f"export default {{ fetch: () => new Response('{text} ' + process.env.LAW) }};\n"
                       + ("setTimeout(() => process.exit(9), 150);\n" if dies else ""))
        policy = os.path.join(world.programs, f"{text}.json")
        with open(policy, "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"listen": ["127.0.0.1:0"]},
                                                     "env": {"set": {"LAW": text}}}}, file)
        return subprocess.Popen(
            [os.path.join(harness.BUILD, "tenantctl"), "--socket", world.daemon.socket, "deploy",
             NAME, path, "--policy", policy],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check_law(self, daemon, what):
        """What serves, which is whatever it was activated with."""
        _, text = self.serving(daemon, what)
        release, law = text.split()
        self.assertEqual(release, law, what)
        self.assertEqual([name for name in os.listdir(daemon.policies) if name.startswith(".")], [],
                         what)
        return release

    def test_kills_between_release_and_policy(self):
        world = self.world()
        out, error = self.lawful(world).communicate(timeout=60 * SLOW)
        before, number = self.check_law(world.daemon, out + error), 0
        while True:
            number += 1
            time.sleep(0.2 * SLOW)  # what its start leaves for when it is idle
            killer = subprocess.Popen(
                ["strace", "-q", "-o", "/dev/null", "-p", str(world.daemon.process.pid),
                 "-e", "trace=fsync,rename,renameat,renameat2,unlinkat", "-e",
                 f"inject=fsync,rename,renameat,renameat2,unlinkat:signal=KILL:when={number}"])
            wait_until(lambda: world.daemon.process.poll() is not None or
                       self.is_traced(world.daemon.process.pid), what="strace")
            deploying = self.lawful(world)
            deploying.communicate(timeout=60 * SLOW)
            what = f"kill before change {number} on the disk"
            if deploying.returncode == 0:
                time.sleep(0.3 * SLOW)  # what is left for when it is idle
            else:
                world.daemon.process.wait(10 * SLOW)
            killed = world.daemon.process.poll() is not None
            if not killed:
                killer.terminate()
            killer.wait()
            if killed:
                world.daemon.start()
            now = self.check_law(world.daemon, what)
            if deploying.returncode == 0:
                self.assertEqual(now, f"v{world.count}", what)
            else:
                self.assertIn(now, (before, f"v{world.count}"), what)
            before = now
            if not killed:
                break
        print(f"  {number - 1} kills", file=sys.stderr)
        self.assertGreater(number, 6)

    @staticmethod
    def is_traced(pid):
        with open(f"/proc/{pid}/status") as file:
            return "TracerPid:\t0\n" not in file.read()

    def test_power_cuts_between_release_and_policy(self):
        world = self.world()
        daemon = world.daemon
        daemon.stop()
        disk = os.path.join(world.folder, "disk")
        os.mkdir(disk, 0o711)
        daemon.state, daemon.policies = (os.path.join(disk, name) for name in ("state", "policy.d"))
        trace = os.path.join(world.folder, "trace")
        daemon.wrapper = strace(trace)
        daemon.start()
        for dies in (False, False, True):
            deploying = self.lawful(world, dies=dies)
            _, error = deploying.communicate(timeout=60 * SLOW)
            self.assertEqual(deploying.returncode, 0, error)
        wait_until(lambda: self.serving(daemon, "before")[1] == "v2 v2", what="the rollback")
        daemon.stop()
        recording = Recording(trace, disk)
        matters = [i for i, operation in enumerate(recording.operations)
                   if "/policy.d" in operation[2] or "/state.json" in operation[2]]
        points = sorted({point for i in matters for point in (i, i + 1) if point > 0})
        points = sorted(self.random.sample(points, min(len(points), ROUNDS * 3)))
        print(f"  {len(recording.operations)} operations, {len(points)} power cuts", file=sys.stderr)
        for point in points:
            self.cut_law(world, recording, point)
        daemon.wrapper = ()
        daemon.start()

    def cut_law(self, world, recording, point):
        folder = os.path.join(world.folder, "cut")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o711)
        half = self.random.choice((0, 1, 100))
        recording.restore(point, folder, half)
        what = f"after {point} of {len(recording.operations)} operations and {half} bytes"
        daemon = Daemon(folder=folder)
        try:
            status = daemon.status(NAME)
            if status and status["release"]:
                self.check_law(daemon, what)
        finally:
            daemon.close()

    def cut(self, world, recording, point, confirmed):
        now = recording.operations[point - 1][0]
        folder = os.path.join(world.folder, "cut")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o711)
        state = os.path.join(folder, "state")
        os.mkdir(state, 0o700)
        half = self.random.choice((0, 1, 100))
        recording.restore(point, state, half)
        shutil.copytree(world.daemon.policies, os.path.join(folder, "policy.d"), dirs_exist_ok=True)
        what = f"after {point} of {len(recording.operations)} operations and {half} bytes"
        # What had been confirmed by then must be there, or what was under way.
        possible = {text for begun, done, text in confirmed if begun <= now <= done}
        earlier = [text for _, done, text in confirmed if done < now]
        if earlier:
            possible.add(earlier[-1])
        daemon = Daemon(folder=folder)
        try:
            status = daemon.status(NAME)
            if not status or not status["release"]:
                self.assertEqual(earlier, [], f"{what}: the tenant is lost")
                return
            _, text = self.serving(daemon, what)
            self.assertIn(text, possible, what)
            wait_until(lambda: os.listdir(os.path.join(state, "staging")) == [], 10,
                       f"{what}: an empty staging folder")
        finally:
            daemon.close()


if __name__ == "__main__":
    unittest.main()
