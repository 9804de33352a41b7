"""tenant.json's schedules, with the real daemon: a minute is the shortest there is, so each
test looks at several things while it waits for one."""

import json
import os
import signal
import time
import unittest

from harness import SLOW, Daemon, TenantdTest, request, wait_until

PROGRAM = """
const runs = [];
export default {
  fetch() { return Response.json(runs); },
  async scheduled(event, env, ctx) {
    runs.push({ cron: event.cron, due: event.scheduledTime, missed: event.missed, at: Date.now() });
    MORE
  },
};
"""


def to_next_minute(least=8):
    """Seconds until the next whole minute, which is at least so far away."""
    rest = 60 - time.time() % 60
    if rest < least * SLOW:
        time.sleep(rest + 1)
        rest = 60 - time.time() % 60
    return rest


class ScheduleTest(TenantdTest):
    def make(self, name, manifest, more=""):
        self.write(f"{name}/main.js", PROGRAM.replace("MORE", more))
        self.write(f"{name}/tenant.json", json.dumps(manifest))
        return os.path.join(self.folder, name)

    def schedule(self, name, number=0):
        return self.daemon.status(name)["schedules"][number]

    def test_what_is_due_runs_once_in_one_instance(self):
        every = {"schedules": [{"cron": "* * * * *"}]}
        rest = to_next_minute(15)
        port = self.deploy("each", self.make("each", {
            "schedules": [{"cron": "* * * * *"}, {"cron": "0 0 1 1 *", "timeZone": "Asia/Tokyo"}]}))
        self.deploy("fails", self.make("fails", every, "throw new Error('no disk');"))
        self.deploy("sleeps", self.make("sleeps", {**every, "idle": "stop after 1s"}))
        self.deploy("dies", self.make("dies", every, "process.exit(3);"))
        self.deploy("many", self.make("many", {**every, "instances": 2}))
        self.deploy("stopped", self.make("stopped", every))
        self.daemon.ctl("stop", "stopped")
        wait_until(lambda: self.daemon.status("sleeps")["state"] == "idle", 10, "it sleeps")
        self.assertEqual(request(port)[2], b"[]")
        shown = self.schedule("each")
        self.assertRegex(shown["next"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$")
        self.assertIsNone(shown["last"])
        self.assertTrue(self.schedule("each", 1)["next"].endswith("-12-31T15:00:00Z"))

        wait_until(lambda: self.schedule("each")["last"], rest + 10, "a run")
        runs = json.loads(request(port)[2])
        self.assertEqual(len(runs), 1)
        self.assertEqual(runs[0]["cron"], "* * * * *")
        self.assertEqual(runs[0]["due"] % 60000, 0)
        self.assertEqual(runs[0]["missed"], 0)
        self.assertLess(runs[0]["at"] - runs[0]["due"], 5000 * SLOW)
        self.assertEqual(self.schedule("each")["last"]["outcome"], "ok")

        last = wait_until(lambda: self.schedule("fails")["last"], 10, "a failure")
        self.assertEqual(last["outcome"], "failed")
        self.assertIn("no disk", last["message"])
        self.assertIn("no disk", self.daemon.ctl("status", "fails").stdout)
        self.assertIn("schedule", self.daemon.ctl("events", "fails", "--json").stdout)

        last = wait_until(lambda: self.schedule("sleeps")["last"], 10, "the run of a sleeper")
        self.assertEqual(last["outcome"], "ok")
        wait_until(lambda: self.daemon.status("sleeps")["state"] == "idle", 15, "it sleeps again")

        last = wait_until(lambda: self.schedule("dies")["last"], 10, "the end of a worker")
        self.assertIn("its worker ended: exit", last["message"])

        wait_until(lambda: self.schedule("many")["last"], 10, "a run of one of two")
        self.assertEqual(self.schedule("many")["running"], 0)
        self.assertIsNone(self.schedule("stopped")["last"])

    def test_no_overlap(self):
        rest = to_next_minute()
        slow = "await new Promise((done) => setTimeout(done, 90000));"
        self.deploy("alone", self.make("alone", {"schedules": [{"cron": "* * * * *"}]}, slow))
        self.deploy("crowd", self.make(
            "crowd", {"schedules": [{"cron": "* * * * *", "overlap": True}]}, slow))
        wait_until(lambda: self.schedule("alone")["running"] == 1, rest + 10, "a run")
        wait_until(lambda: self.schedule("crowd")["running"] == 2, 75, "two runs")
        wait_until(lambda: self.schedule("alone")["missed"] == 1, 10, "a missed run")
        self.assertEqual(self.schedule("alone")["running"], 1)
        self.assertIn("the one before is still under way", self.daemon.ctl("logs", "alone").stdout)


class RestartTest(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.program = os.path.join(self.daemon.folder, "program")
        os.mkdir(self.program)
        with open(self.program + "/main.js", "w") as file:
            file.write(PROGRAM.replace("MORE", ""))
        with open(self.program + "/tenant.json", "w") as file:
            json.dump({"schedules": [{"cron": "* * * * *"}]}, file)
        done = self.daemon.ctl("deploy", "shop", self.program)
        self.assertEqual(done.returncode, 0, done.stderr)

    def schedule(self):
        return self.daemon.status("shop")["schedules"][0]

    def end(self, how):
        if how == signal.SIGKILL:
            os.kill(self.daemon.process.pid, signal.SIGKILL)
            self.daemon.process.wait()
        else:
            self.daemon.stop(how)

    def move_back(self, seconds):
        path = self.daemon.state + "/schedules.json"
        with open(path) as file:
            state = json.load(file)
        for entry in state["schedules"]:
            entry["accounted"] -= seconds
        with open(path, "w") as file:
            json.dump(state, file)

    def test_what_was_due_while_the_daemon_was_away_is_told_not_run(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            to_next_minute()
            time.sleep(0.5)  # it is written a moment after
            before = self.schedule()
            self.end(how)
            self.move_back(600)
            self.daemon.start()
            wait_until(lambda: self.daemon.status("shop")["state"] == "running")
            self.assertEqual(self.schedule()["missed"] - before["missed"], 10, how)
            self.assertEqual(self.schedule()["last"], before["last"])
        # All of them are told to the next run.
        rest = to_next_minute(0)
        wait_until(lambda: self.schedule()["last"] != before["last"], rest + 10, "a run")
        address = self.daemon.status("shop")["listeners"][0]["address"]
        runs = json.loads(request(int(address.rsplit(":", 1)[1]))[2])
        self.assertIn(runs[0]["missed"], (10, 20))
        # And what came out of it outlives the daemon.
        time.sleep(0.5)
        self.end(signal.SIGKILL)
        self.daemon.start()
        self.assertEqual(self.schedule()["last"]["outcome"], "ok")

    def test_a_removed_tenant_leaves_nothing(self):
        self.daemon.ctl("remove", "shop", "-y")
        def is_written():
            with open(self.daemon.state + "/schedules.json") as file:
                return json.load(file)["schedules"] == []
        wait_until(lambda: os.path.exists(self.daemon.state + "/schedules.json") and is_written())

    def test_a_broken_file_stops_nobody(self):
        time.sleep(0.5)
        self.end(signal.SIGKILL)
        with open(self.daemon.state + "/schedules.json", "w") as file:
            file.write('{"version": 1, "schedules": [{"ten')
        self.daemon.start()
        wait_until(lambda: self.daemon.status("shop")["state"] == "running")
        self.assertEqual(self.schedule()["missed"], 0)
        self.assertTrue(os.path.exists(self.daemon.state + "/schedules.json.bad"))


if __name__ == "__main__":
    unittest.main()
