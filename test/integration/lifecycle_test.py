"""The life of a tenant: instances that share its ports, restarts and their end, sleep, canaries,
and releases that do not stay well. With the real daemon; requests are counted."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import BUILD, SLOW, Daemon, TenantdTest, request, wait_until

# Says who answers: its release and its process.
WHO = """
let count = 0;
export default { fetch(request) {
  const path = new URL(request.url).pathname;
  if (path === '/exit') setTimeout(() => process.exit(Number(new URL(request.url).search.slice(1))), 5);
  if (path === '/throw') setTimeout(() => { throw new Error('on request'); }, 5);
  return new Response('VERSION ' + process.pid + ' ' + ++count);
} };
"""


class Load:
    """Requests, one after the other on connections of their own, from several threads, until
    it is stopped. Counts what each answered."""

    def __init__(self, port, threads=4):
        self.port, self.answers, self.failures = port, {}, []
        self.lock, self.over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.over.is_set():
            try:
                status, _, body = request(self.port, timeout=20)
                answer = body.split()[0].decode() if status == 200 else str(status)
            except (OSError, AssertionError, ValueError, IndexError) as error:
                answer = repr(error)
            with self.lock:
                self.answers[answer] = self.answers.get(answer, 0) + 1
                if not answer.startswith("v"):
                    self.failures.append(answer)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self.answers


class Lifecycle(TenantdTest):
    def program(self, version, source=WHO, **manifest):
        folder = f"{version}"
        self.write(f"{folder}/main.js", source.replace("VERSION", version))
        if manifest:
            self.write(f"{folder}/tenant.json", json.dumps(manifest))
        return os.path.join(self.folder, folder)

    def instances(self, name, state="serving"):
        return [i for i in self.daemon.status(name)["instances"] if i["state"] == state]

    def state(self, name):
        return self.daemon.status(name)["state"]

    def wait_for_state(self, name, state, seconds=10):
        wait_until(lambda: self.state(name) == state, seconds, f"{name} is {state}")

    def events(self, name):
        done = self.daemon.ctl("events", name, "--json", "-n", "1000")
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]


class InstancesTest(Lifecycle):
    def test_they_share_the_port(self):
        port = self.deploy("many", self.program("v1", instances=3), port=0)
        self.assertEqual(len(self.instances("many")), 3)
        pids = {i["pid"] for i in self.instances("many")}
        self.assertEqual(len(pids), 3)
        load = Load(port, 8)
        wait_until(lambda: sum(1 for i in self.instances("many") if i["requests"] > 0) == 3,
                   20, "each instance has answered")
        self.assertEqual(set(load.stop()), {"v1"})

    def test_kill_one_and_the_others_serve(self):
        """No connection is refused, and none fails but those that the dead one held."""
        port = self.deploy("killed", self.program("v1", instances=3), port=0)
        load = Load(port)
        victims = 0
        for _ in range(3):
            time.sleep(0.2)
            victim = self.instances("killed")[0]["pid"]
            os.kill(victim, signal.SIGKILL)
            victims += 1
            wait_until(lambda: victim not in [i["pid"] for i in self.instances("killed")]
                       and len(self.instances("killed")) == 3, 10, "three serve again")
        answers = load.stop()
        # What was under way in a process that is killed is lost with it: at most one of each
        # of the load's threads each time.
        lost = len(load.failures)
        print(f"\n{sum(answers.values())} requests, {victims} instances killed, {lost} lost")
        self.assertLessEqual(lost, victims * 4, load.failures)
        self.assertFalse([f for f in load.failures if "Refused" in f])
        status = self.daemon.status("killed")
        self.assertEqual(status["state"], "running")
        self.assertEqual(status["restarts"], 3)
        self.assertEqual([d["reason"] for d in status["deaths"]], ["signal"] * 3)
        ended = [e for e in self.events("killed") if e["event"] == "ended"]
        self.assertEqual([(e["reason"], e["from"], e["to"]) for e in ended],
                         [("signal", "running", "running")] * 3)

    def test_an_idle_instance_that_is_killed_loses_nothing(self):
        port = self.deploy("calm", self.program("v1", instances=2), port=0)
        for _ in range(3):
            os.kill(self.instances("calm")[0]["pid"], signal.SIGKILL)
            for _ in range(20):
                self.assertEqual(request(port)[0], 200)
            wait_until(lambda: len(self.instances("calm")) == 2)

    def test_all_killed_start_again(self):
        port = self.deploy("all", self.program("v1", instances=3), port=0)
        before = {i["pid"] for i in self.instances("all")}
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(self.instances("all")) == 3
                   and not before & {i["pid"] for i in self.instances("all")})
        self.assertEqual(request(port)[0], 200)

    def test_deploys_under_load_lose_nothing(self):
        port = self.deploy("busy", self.program("v0", instances=3), port=0)
        load = Load(port)
        for i in range(1, 9):
            done = self.daemon.ctl("deploy", "busy", self.program(f"v{i}", instances=3))
            self.assertEqual(done.returncode, 0, done.stderr)
        for _ in range(3):
            self.assertEqual(self.daemon.ctl("restart", "busy").returncode, 0)
        answers = load.stop()
        print(f"\n{sum(answers.values())} requests through 8 deploys and 3 restarts: {answers}")
        self.assertEqual(load.failures, [])
        self.assertGreater(sum(answers.values()), 50)
        wait_until(lambda: len(self.daemon.status("busy")["instances"]) == 3)
        self.assertEqual(request(port)[2].split()[0], b"v8")

    def test_stop_drains_all_within_one_grace(self):
        slow = WHO.replace("return new", "if (path === '/slow') return new Promise("
                           "resolve => setTimeout(() => resolve(new Response('v1 done')), 600));"
                           "return new")
        port = self.deploy("slow", self.program("v1", slow, instances=3, grace="5s"), port=0)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(request(port, "/slow")[2]))
                   for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        begin = time.monotonic()
        self.assertEqual(self.daemon.ctl("stop", "slow").returncode, 0)
        self.assertLess(time.monotonic() - begin, 3 * SLOW)
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [b"v1 done"] * 6)
        self.assertEqual(self.daemon.status("slow")["instances"], [])

    def test_a_hung_one_is_killed_at_the_end_of_the_grace(self):
        hung = WHO.replace("let count = 0;", "let count = 0; process.on('SIGTERM', () => {});"
                           "setInterval(() => {}, 1000);").replace(
            "return new", "if (path === '/hang') return new Promise(() => {}); return new")
        port = self.deploy("hung", self.program("v1", hung, instances=2, grace="500ms"), port=0)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.1)
            begin = time.monotonic()
            self.assertEqual(self.daemon.ctl("stop", "hung").returncode, 0)
            self.assertLess(time.monotonic() - begin, 3 * SLOW)
        self.assertEqual(self.state("hung"), "stopped")


class RestartTest(Lifecycle):
    QUICK = {"backoff": "10ms", "cap": "20ms", "reset": "60s",
             "crashloop": {"count": 4, "window": "60s"}}

    def test_crashloop_and_reset(self):
        port = self.deploy("loop", self.program("v1", restart=self.QUICK), port=0)
        for i in range(4):
            wait_until(lambda: self.state("loop") == "running")
            try:
                request(port, "/exit?3")
            except OSError:
                pass
            wait_until(lambda: len(self.daemon.status("loop")["deaths"]) == i + 1)
        self.wait_for_state("loop", "crashloop")
        status = self.daemon.status("loop")
        self.assertEqual([d["exit_code"] for d in status["deaths"]], [3] * 4)
        self.assertEqual(self.daemon.ctl("status", "loop").returncode, 3)
        with self.assertRaises(ConnectionRefusedError):
            request(port)
        done = self.daemon.ctl("reset", "loop")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("running", done.stdout)
        self.assertEqual(request(port)[0], 200)
        self.assertEqual(self.daemon.status("loop")["restarts"], 0)
        gave_up = [e for e in self.events("loop") if e["to"] == "crashloop"]
        self.assertEqual([(e["event"], e["from"], e["reason"]) for e in gave_up],
                         [("gave-up", "running", "exit")])
        self.assertTrue([e for e in self.events("loop")
                         if e["event"] == "reset" and e["reason"] == "operator"])

    def test_reset_of_what_runs_only_forgets(self):
        self.deploy("fine", self.program("v1"), port=0)
        pid = self.daemon.status("fine")["pid"]
        self.assertEqual(self.daemon.ctl("reset", "fine").returncode, 0)
        self.assertEqual(self.daemon.status("fine")["pid"], pid)
        self.assertEqual(self.daemon.ctl("reset", "nobody").returncode, 4)

    def test_stop_codes(self):
        port = self.deploy("codes", self.program("v1", restart={**self.QUICK, "stopCodes": [64]}),
                           port=0)
        request(port, "/exit?64")
        self.wait_for_state("codes", "stopped")
        self.assertEqual(self.daemon.status("codes")["reason"],
                         "finished: exit code 64, one of stopCodes")
        self.assertEqual(self.events("codes")[-1]["event"], "finished")
        # Another code is a failure.
        self.assertEqual(self.daemon.ctl("start", "codes").returncode, 0)
        request(port, "/exit?65")
        wait_until(lambda: self.daemon.status("codes")["restarts"] == 1
                   and self.state("codes") == "running")

    def test_never_means_failed(self):
        port = self.deploy("never", self.program("v1", restart="never"), port=0)
        request(port, "/exit?1")
        self.wait_for_state("never", "failed")
        self.assertEqual(self.daemon.ctl("reset", "never").returncode, 0)
        self.assertEqual(request(port)[0], 200)

    def test_events_say_why(self):
        port = self.deploy("why", self.program("v1", restart=self.QUICK), port=0)
        following = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "events", "why",
             "-f", "-n", "0", "--json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(following.stdout.close)
        self.addCleanup(following.wait)
        self.addCleanup(following.kill)
        time.sleep(0.2)
        request(port, "/throw")
        event = json.loads(following.stdout.readline())
        self.assertEqual((event["from"], event["to"], event["event"], event["reason"]),
                         ("running", "backoff", "exited", "uncaught"))
        self.assertIn("main.js:6", event["message"])
        self.assertIn("on request", self.daemon.status("why")["last_exit"]["message"])
        self.assertEqual(json.loads(following.stdout.readline())["to"], "starting")
        self.assertEqual(json.loads(following.stdout.readline())["to"], "running")
        # The three forms, and one tenant alone.
        table = self.daemon.ctl("events", "why").stdout
        self.assertIn("why running -> backoff (exited): uncaught", table)
        plain = self.daemon.ctl("events", "why", "--plain", "-n", "1").stdout.split("\t")
        self.assertEqual(plain[1:5], ["why", "ready", "starting", "running"])
        self.assertEqual(self.daemon.ctl("events", "nobody").stdout, "")
        self.assertEqual(self.daemon.ctl("events", "-n", "x").returncode, 2)
        self.assertIn(" why ", self.daemon.ctl("events").stdout)


class IdleTest(Lifecycle):
    def test_sleeps_and_wakes(self):
        port = self.deploy("sleepy", self.program("v1", idle="stop after 1s"), port=0)
        self.assertEqual(request(port)[0], 200)
        self.wait_for_state("sleepy", "idle")
        wait_until(lambda: self.daemon.status("sleepy")["instances"] == [])
        self.assertEqual(self.daemon.ctl("status", "sleepy").returncode, 0)
        for _ in range(2):
            self.assertEqual(request(port)[2].split()[0], b"v1")
        self.assertEqual(self.state("sleepy"), "running")
        last = [(e["event"], e["to"]) for e in self.events("sleepy")][-3:]
        self.assertEqual(last, [("idle", "idle"), ("wake", "starting"), ("ready", "running")])

    def test_no_connection_is_lost_around_sleep(self):
        """Connections come at every moment of falling asleep and waking."""
        port = self.deploy("drowsy", self.program("v1", idle="stop after 1s"), port=0)
        failed, answered, slept = [], 0, 0
        for i in range(40):
            time.sleep(1.6 + (i % 20) * 0.05 if i % 4 == 0 else 0.01)
            try:
                self.assertEqual(request(port)[0], 200)
                answered += 1
            except (OSError, AssertionError) as error:
                failed.append(repr(error))
        slept = len([e for e in self.events("drowsy") if e["to"] == "idle"])
        print(f"\n{answered} requests, {slept} times asleep, {len(failed)} lost")
        self.assertEqual(failed, [])
        self.assertGreater(slept, 3)

    def test_a_kept_alive_connection_keeps_it_awake(self):
        port = self.deploy("awake", self.program("v1", idle="stop after 1s"), port=0)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200"))
            time.sleep(3)
            self.assertEqual(self.state("awake"), "running")
        self.wait_for_state("awake", "idle")

    def test_deploy_while_it_sleeps(self):
        port = self.deploy("dreams", self.program("v1", idle="stop after 1s"), port=0)
        self.wait_for_state("dreams", "idle")
        done = self.daemon.ctl("deploy", "dreams", self.program("v2", idle="stop after 1s"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(request(port)[2].split()[0], b"v2")
        self.wait_for_state("dreams", "idle")
        # A release that is no good leaves it asleep, and ready to wake.
        bad = self.daemon.ctl("deploy", "dreams", self.program("v3", "throw new Error('no')"))
        self.assertEqual(bad.returncode, 1)
        self.assertEqual(self.state("dreams"), "idle")
        self.assertEqual(request(port)[2].split()[0], b"v2")

    def test_stop_and_start_of_what_sleeps(self):
        port = self.deploy("rest", self.program("v1", idle="stop after 1s"), port=0)
        self.wait_for_state("rest", "idle")
        self.assertEqual(self.daemon.ctl("stop", "rest").returncode, 0)
        with self.assertRaises(ConnectionRefusedError):
            request(port)
        self.assertEqual(self.daemon.ctl("start", "rest").returncode, 0)
        self.wait_for_state("rest", "idle")
        self.assertEqual(self.daemon.ctl("start", "rest").returncode, 0)
        self.assertEqual(self.state("rest"), "running")


class TrialTest(Lifecycle):
    DIES = WHO.replace("let count = 0;", "let count = 0; setTimeout(() => process.exit(9), 400);")

    def test_min_healthy_keeps_the_old_one(self):
        port = self.deploy("trial", self.program("v1"), port=0)
        release = self.daemon.status("trial")["release"]
        load = Load(port)
        begin = time.monotonic()
        done = self.daemon.ctl("deploy", "trial", self.program("v2", self.DIES,
                                                               min_healthy="3s"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("process.exit(9)", done.stderr)
        self.assertLess(time.monotonic() - begin, 2.5 * SLOW)
        load.stop()
        # What v2 answered before it ended is fine; nothing else is.
        self.assertLessEqual(len(load.failures), 4, load.failures)
        self.assertEqual(self.daemon.status("trial")["release"], release)
        self.assertEqual(self.state("trial"), "running")
        self.assertEqual(request(port)[2].split()[0], b"v1")
        self.assertTrue([e for e in self.events("trial")
                         if (e["event"], e["from"], e["to"], e["reason"])
                         == ("rejected", "proving", "running", "exit")])

    def test_min_healthy_passes(self):
        port = self.deploy("patient", self.program("v1"), port=0)
        begin = time.monotonic()
        done = self.daemon.ctl("deploy", "patient", self.program("v2"), "--min-healthy", "1s")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        wait_until(lambda: len(self.daemon.status("patient")["instances"]) == 1)
        self.assertEqual(request(port)[2].split()[0], b"v2")

    def test_a_new_tenant_must_be_well_too(self):
        done = self.daemon.ctl("deploy", "fresh", self.program("v1", self.DIES, min_healthy="3s"))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.daemon.ctl("status", "fresh").returncode, 4)

    def test_auto_rollback(self):
        for instances in (1, 2):
            with self.subTest(instances=instances):
                name = f"back{instances}"
                port = self.deploy(name, self.program("v1", instances=instances), port=0)
                release = self.daemon.status(name)["release"]
                done = self.daemon.ctl("deploy", name,
                                       self.program("v2", self.DIES, instances=instances))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(self.daemon.status(name)["rollback_to"], release)
                wait_until(lambda: self.daemon.status(name)["release"] == release
                           and self.state(name) == "running", 10, "rolled back")
                self.assertEqual(request(port)[2].split()[0], b"v1")
                notes = [e for e in self.events(name) if e["event"] == "auto-rollback"]
                self.assertEqual(len(notes), 1)
                self.assertIn("failed within its healthy time: exit", notes[0]["message"])
                # And it stays so: also for a daemon that is killed.
                state = json.load(open(os.path.join(self.daemon.state, "state.json")))
                self.assertEqual([t["release"] for t in state["tenants"] if t["name"] == name],
                                 [release])

    def test_a_daemon_killed_while_it_rolls_back_knows_what_was_bad(self):
        slow = "await new Promise((done) => setTimeout(done, 700));" + WHO
        self.deploy("torn", self.program("v1", slow), port=0)
        good = self.daemon.status("torn")["release"]
        done = self.daemon.ctl("deploy", "torn", self.program("v2", self.DIES))
        self.assertEqual(done.returncode, 0, done.stderr)
        bad = self.daemon.status("torn")["release"]
        wait_until(lambda: [e for e in self.events("torn") if e["event"] == "auto-rollback"])
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.start()
        outcomes = {one["release"]: one["outcome"]
                    for one in self.daemon.json("releases", "torn")["releases"]}
        self.assertEqual(outcomes[good], "previous")
        if self.daemon.status("torn")["release"] == bad:
            done = self.daemon.ctl("deploy", "torn", self.program("v3"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual({one["release"]: one["outcome"] for one in
                              self.daemon.json("releases", "torn")["releases"]}[bad], "rolled-back")
            done = self.daemon.ctl("rollback", "torn")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.daemon.status("torn")["release"], good)

    def test_an_old_release_that_crashes_is_not_rolled_back(self):
        port = self.deploy("old", self.program("v1"), port=0)
        request(port, "/exit?1")
        wait_until(lambda: self.daemon.status("old")["restarts"] == 1
                   and self.state("old") == "running")
        self.assertEqual([e for e in self.events("old") if "rollback" in e["event"]], [])

    def test_auto_rollback_brings_the_policy_back(self):
        port = self.deploy("law", self.program("v1"), port=0, limits={"memory": "100M"})
        done = self.daemon.ctl("deploy", "law", self.program("v2", self.DIES), "--policy",
                               self.policy(0, "other.json", limits={"memory": "200M"}))
        self.assertEqual(done.returncode, 0, done.stderr)
        path = os.path.join(self.daemon.policies, "law.json")
        self.assertIn("200M", open(path).read())
        wait_until(lambda: "100M" in open(path).read() and self.state("law") == "running")
        self.assertEqual(request(port)[2].split()[0], b"v1")

    def test_a_policy_that_changed_while_it_was_stopped_is_not_gone_back_from(self):
        port = self.deploy("halt", self.program("v1"), port=0, limits={"memory": "200M"})
        self.assertEqual(self.daemon.ctl("deploy", "halt", self.program("v2")).returncode, 0)
        self.assertIsNotNone(self.daemon.status("halt")["rollback_to"])
        self.assertEqual(self.daemon.ctl("stop", "halt").returncode, 0)
        path = os.path.join(self.daemon.policies, "halt.json")
        with open(path) as file:
            policy = json.load(file)
        policy["limits"]["memory"] = "100M"
        with open(path, "w") as file:
            json.dump(policy, file)
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "event=policy-changed tenant=halt" in self.daemon.log())
        # The release before would run under the policy that it had.
        self.assertIsNone(self.daemon.status("halt")["rollback_to"])
        self.assertEqual(self.daemon.ctl("start", "halt").returncode, 0)
        request(port, "/exit?1")
        self.wait_for_state("halt", "running")
        self.assertEqual([e for e in self.events("halt") if e["event"] == "auto-rollback"], [])


class CanaryTest(Lifecycle):
    def begin(self, name, *options, instances=3):
        port = self.deploy(name, self.program("v1", instances=instances), port=0)
        done = self.daemon.ctl("deploy", name, self.program("v2", instances=instances), *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.state(name), "canary")
        return port

    def count(self, port, requests):
        counts = {}
        for _ in range(requests):
            version = request(port)[2].split()[0].decode()
            counts[version] = counts.get(version, 0) + 1
        return counts

    def test_by_instances(self):
        port = self.begin("few", "--canary-instances", "1")
        serving = self.instances("few")
        new = self.daemon.status("few")["candidate"]["release"]
        self.assertEqual(sorted(i["release"] == new for i in serving), [False] * 3 + [True])
        release = self.daemon.status("few")["release"]
        self.assertNotEqual(release, new)
        load = Load(port, 8)
        wait_until(lambda: len(load.answers) == 2, 20, "both versions answer")
        done = self.daemon.ctl("promote", "few")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: len(self.daemon.status("few")["instances"]) == 3)
        load.stop()
        self.assertEqual(load.failures, [])
        self.assertEqual(self.state("few"), "running")
        self.assertEqual(self.daemon.status("few")["release"], new)
        self.assertEqual(self.count(port, 10), {"v2": 10})

    def test_by_weight_is_exact(self):
        for weight in (10, 37):
            with self.subTest(weight=weight):
                name = f"share{weight}"
                port = self.begin(name, "--weight", f"{weight}%", instances=2)
                time.sleep(0.3)  # until the workers have heard of it
                before = self.daemon.status(name)["candidate"]["connections"]
                counts = self.count(port, 200)
                after = self.daemon.status(name)["candidate"]["connections"]
                self.assertEqual(counts, {"v1": 200 - 2 * weight, "v2": 2 * weight})
                self.assertEqual(after["canary"] - before["canary"], 2 * weight)
                self.assertEqual(after["before"] - before["before"], 200 - 2 * weight)
                # Within a fleet each gets its turn.
                old = [i["requests"] for i in self.instances(name)
                       if i["release"] == self.daemon.status(name)["release"]]
                self.assertEqual(len(old), 2)
                self.assertLessEqual(max(old) - min(old), 4)

    def test_by_weight_promoted_under_load(self):
        port = self.begin("share", "--weight", "20%", instances=2)
        load = Load(port)
        time.sleep(1)
        self.assertEqual(self.daemon.ctl("promote", "share").returncode, 0)
        time.sleep(0.5)
        answers = load.stop()
        print(f"\n{answers}")
        self.assertEqual(load.failures, [])
        self.assertEqual(self.count(port, 20), {"v2": 20})

    def test_by_weight_rolled_back_under_load(self):
        port = self.begin("undo", "--weight", "50%", instances=2)
        load = Load(port)
        time.sleep(1)
        done = self.daemon.ctl("rollback", "undo")
        self.assertEqual(done.returncode, 0, done.stderr)
        time.sleep(0.3)
        answers = load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(answers.get("v2", 0), 0)
        self.assertEqual(self.state("undo"), "running")
        self.assertEqual(self.count(port, 20), {"v1": 20})

    def test_a_canary_that_crashes_is_dropped(self):
        port = self.deploy("sick", self.program("v1", instances=2), port=0)
        done = self.daemon.ctl("deploy", "sick", self.program("v2", TrialTest.DIES, instances=2),
                               "--canary-instances", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.wait_for_state("sick", "running")
        self.assertIn("failed", self.daemon.status("sick")["reason"])
        self.assertEqual(self.count(port, 10), {"v1": 10})

    def test_one_of_the_old_that_dies_comes_back(self):
        port = self.begin("both", "--weight", "50%", instances=1)
        old = [i for i in self.instances("both")
               if i["release"] == self.daemon.status("both")["release"]][0]["pid"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: len(self.instances("both")) == 2
                   and old not in [i["pid"] for i in self.instances("both")])
        self.assertEqual(self.state("both"), "canary")
        time.sleep(0.3)
        self.assertEqual(self.count(port, 20), {"v1": 10, "v2": 10})

    def test_a_daemon_that_is_killed_forgets_the_canary(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        for version, options in (("v1", ()), ("v2", ("--canary-instances", "1"))):
            done = daemon.ctl("deploy", "c", self.program(version), "--policy",
                              self.policy(0), *options)
            self.assertEqual(done.returncode, 0, done.stderr)
        release = daemon.status("c")["release"]
        daemon.process.kill()
        daemon.process.wait()
        daemon.start()
        wait_until(lambda: daemon.status("c")["state"] == "running")
        self.assertEqual(daemon.status("c")["release"], release)
        port = int(daemon.status("c")["listeners"][0]["address"].rsplit(":", 1)[1])
        self.assertEqual(request(port)[2].split()[0], b"v1")

    def test_a_second_deployment_hears_of_the_canary(self):
        self.begin("taken", "--canary-instances", "1")
        done = self.daemon.ctl("deploy", "taken", self.program("v3"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("canary", done.stderr)
        self.assertEqual(self.daemon.ctl("promote", "taken").returncode, 0)
        self.assertEqual(self.daemon.ctl("promote", "taken").returncode, 1)


class WarmTest(Lifecycle):
    options = ("--warm", "0")

    def test_tenants_want_warm_workers(self):
        def warm():
            # Forked from the zygote, and nobody's yet.
            workers = {i["pid"] for t in self.daemon.json("list")["tenants"]
                       for i in t["instances"]}
            found = 0
            for pid in os.listdir("/proc"):
                if not pid.isdigit() or int(pid) in workers:
                    continue
                try:
                    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
                    line = open(f"/proc/{pid}/cmdline").read()
                except OSError:
                    continue
                # A worker is the supervisor's own child (clone3 with CLONE_PARENT).
                if int(stat[1]) == self.daemon.process.pid and "tenant-zygote" in line:
                    found += 1
            return found
        self.deploy("cold", self.program("v1"), port=0)
        cold = warm()
        self.deploy("w1", self.program("v1", warm=2), port=0)
        self.deploy("w2", self.program("v1", warm=1), port=0)
        wait_until(lambda: warm() == cold + 3, 10, "three warm workers")
        self.daemon.ctl("remove", "w1", "-y")
        wait_until(lambda: warm() == cold + 1, 10, "one warm worker")


class BootTest(Lifecycle):
    """All tenants of a daemon want to start when it does."""

    # After a while it has much to do before it can serve: for so long, on a host of any speed.
    HEAVY = """
import fs from 'node:fs';
const begin = performance.now();
if (fs.existsSync('FLAG'))
	while (performance.now() - begin < 700);
""" + WHO
    AT_ONCE = 2 * len(os.sched_getaffinity(0))
    # Nothing to do but to wait, for as long as it may.
    WAITS = "await new Promise((done) => setTimeout(done, 4000));" + WHO

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        super().setUp()

    def boot(self):
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.start()

    def tenants(self):
        return {one["name"]: one for one in self.daemon.json("list")["tenants"]}

    def heavy(self, count, startup):
        """So many of them run, and will be slow to start."""
        flags = os.path.join(self.folder, "flags")
        os.mkdir(flags)
        flag = os.path.join(flags, "heavy")
        program = self.program("v1", self.HEAVY.replace("FLAG", flag), startup=startup)
        names = [f"heavy{i:02}" for i in range(count)]
        for name in names:
            self.deploy(name, program, port=0, permissions={"fs": {"read": [flags]}})
        with open(flag, "w"):
            pass
        return names

    def test_a_few_start_at_a_time(self):
        # The last ones' turn comes when their time would be over, had it begun with the daemon's.
        rounds = 6
        names = self.heavy(rounds * self.AT_ONCE, f"{int(rounds * 600 * SLOW)}ms")
        self.boot()
        most, waiting = 0, 0

        def all_run():
            nonlocal most, waiting
            states = [(one["state"], one["pid"]) for one in self.tenants().values()]
            most = max(most, len([1 for state, pid in states if state == "starting" and pid]))
            waiting = max(waiting, len([1 for state, pid in states if state == "starting" and not pid]))
            return all(state == "running" for state, _ in states)
        wait_until(all_run, 60, "the start of all")
        self.assertLessEqual(most, self.AT_ONCE)
        self.assertGreater(waiting, self.AT_ONCE)
        self.assertNotIn("event=start-failed", self.daemon.log())
        self.assertEqual([one["restarts"] for one in self.tenants().values()], [0] * len(names))

    def test_who_is_wanted_first_comes_first(self):
        names = self.heavy(12, "60s")
        port = self.port_of(names[-1])
        self.boot()
        # It is listened for all of them, whosever turn it is.
        with socket.create_connection(("127.0.0.1", port), 5 * SLOW):
            done = self.daemon.ctl("start", names[-1])
        self.assertEqual(done.returncode, 0, done.stderr)
        waiting = [name for name, one in self.tenants().items() if one["state"] == "starting"]
        self.assertGreater(len(waiting), 2)
        self.assertEqual(self.daemon.ctl("stop", waiting[-1]).returncode, 0)
        self.assertEqual(self.daemon.ctl("remove", waiting[-2], "-y").returncode, 0)
        gone = set(waiting[-2:])
        wait_until(lambda: all(one["state"] == "running" or name in gone
                               for name, one in self.tenants().items()), 60, "the start of all")

    def test_those_that_wait_hold_nobody_up(self):
        program = self.program("v1", self.WAITS, startup="30s")
        names = [f"waits{i:02}" for i in range(12)]
        deploying = [subprocess.Popen([os.path.join(BUILD, "tenantctl"), "--socket",
                                       self.daemon.socket, "deploy", name, program],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                     for name in names]
        for one in deploying:
            said = one.communicate(timeout=60 * SLOW)[1]
            self.assertEqual(one.returncode, 0, said)
        self.deploy("zz-last", self.program("v2"))
        self.boot()
        begin = time.monotonic()
        wait_until(lambda: self.tenants()["zz-last"]["state"] == "running", 30)
        # Not after all the others, a few at a time.
        self.assertLess(time.monotonic() - begin, 9 * SLOW)


if __name__ == "__main__":
    unittest.main()
