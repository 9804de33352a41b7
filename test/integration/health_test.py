"""tenant.json's probes and soft limits, with the real daemon and real programs."""

import json
import os
import threading
import time
import unittest

from harness import TenantdTest, request, wait_until

# Unhealthy when the file says so: which probe fails is steered from outside, by requests.
PROGRAM = """
let state = { startup: true, ready: true, alive: true, started: Date.now() };
export default {
  async fetch(req) {
    const { pathname } = new URL(req.url);
    if (pathname === '/startup') return new Response('', { status: state.startup ? 204 : 503 });
    if (pathname === '/ready') return new Response('', { status: state.ready ? 200 : 500 });
    if (pathname === '/pid') return new Response(String(process.pid));
    if (pathname === '/agent') return new Response(state.agent ?? '');
    if (pathname === '/loop') { for (;;); }
    if (pathname === '/hog') { state.hog = new Uint8Array(40 << 20).fill(1); return new Response('hog'); }
    if (pathname.startsWith('/set/')) {
      const [, , key, value] = pathname.split('/');
      state[key] = value === 'true';
      return new Response('set');
    }
    return new Response('hello');
  },
  health() { return state.alive; },
};
"""


class HealthTest(TenantdTest):
    def make(self, name, manifest, source=PROGRAM):
        """The path of a release with that tenant.json."""
        self.write(f"{name}/main.js", source)
        self.write(f"{name}/tenant.json", json.dumps(manifest))
        return os.path.join(self.folder, name)

    def pid(self, name):
        return self.daemon.status(name)["pid"]

    def restarted(self, name, pid, seconds=15):
        def is_new():
            status = self.daemon.status(name)
            return status["state"] == "running" and status["pid"] not in (pid, None) and status
        return wait_until(is_new, seconds, f"another worker of {name}")

    def instance(self, name):
        return self.daemon.status(name)["instances"][0]


class ProbeTest(HealthTest):
    def test_the_startup_probe_holds_ready_back(self):
        program = self.make("slow", {"probes": {"startup": {
            "httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 10}}},
            """
            const begin = Date.now();
            export default { fetch(req) {
              return new Response('', { status: Date.now() - begin < 1500 ? 503 : 200 }); } };
            """)
        begin = time.monotonic()
        port = self.deploy("slow", program)
        self.assertGreater(time.monotonic() - begin, 1.4)
        self.assertEqual(request(port)[0], 200)

    def test_no_connection_before_the_startup_probe_has_passed(self):
        program = self.make("gate", {"probes": {"startup": {
            "httpGet": {"path": "/healthz"}, "periodSeconds": 1}}},
            """
            let asked = 0;
            export default { fetch(req) {
              if (new URL(req.url).pathname === '/healthz')
                return new Response('', { status: ++asked < 3 ? 503 : 200 });
              return new Response(String(asked));
            } };
            """)
        port = self.deploy("gate", program)
        self.daemon.ctl("restart", "gate", "--no-wait")
        # The listener is the supervisor's: the connection waits, and is served by then.
        for _ in range(3):
            self.assertGreaterEqual(int(request(port, timeout=20)[2]), 3)

    def test_a_release_whose_startup_probe_fails_is_rejected(self):
        port = self.deploy("strict", self.make("good", {}))
        pid = self.pid("strict")
        program = self.make("bad", {"probes": {"startup": {
            "httpGet": {"path": "/nothing-here"}, "periodSeconds": 1, "failureThreshold": 2}}},
            "export default { fetch() { return new Response('', { status: 404 }); } };")
        done = self.daemon.ctl("deploy", "strict", program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("startup probe GET /nothing-here failed 2 times in a row",
                      done.stdout + done.stderr)
        self.assertIn("404", done.stdout + done.stderr)
        self.assertEqual(self.pid("strict"), pid)
        self.assertEqual(request(port)[2], b"hello")

    def test_a_release_that_never_becomes_ready_is_rejected(self):
        port = self.deploy("ready", self.make("good", {}))
        program = self.make("bad", {"probes": {"readiness": {
            "health": True, "periodSeconds": 1, "failureThreshold": 2}}},
            "export default { fetch() { return new Response('new'); },"
            " health() { throw new Error('no database'); } };")
        done = self.daemon.ctl("deploy", "ready", program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("readiness probe health() failed", done.stdout + done.stderr)
        self.assertIn("no database", done.stdout + done.stderr)
        self.assertEqual(request(port)[2], b"hello")

    def test_readiness_stops_connections_and_lets_them_come_again(self):
        program = self.make("moody", {"probes": {"readiness": {
            "httpGet": {"path": "/ready"}, "periodSeconds": 1, "failureThreshold": 2}}})
        port = self.deploy("moody", program)
        pid = self.pid("moody")
        self.assertTrue(self.instance("moody")["ready"])
        # A connection that is kept open goes on, also while no new one is taken.
        import socket
        kept = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(kept.close)

        def ask(path):
            kept.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            data = b""
            while b"\r\n\r\n" not in data:
                data += kept.recv(65536)
            return data
        ask("/set/ready/false")
        wait_until(lambda: not self.instance("moody")["ready"], 10, "it is unready")
        probe = self.instance("moody")["probes"][0]
        self.assertEqual(probe["role"], "readiness")
        self.assertIn("500", probe["message"])
        shown = self.daemon.ctl("status", "moody").stdout
        self.assertIn("not ready", shown)
        self.assertIn("readiness probe failed", shown)
        with self.assertRaises(TimeoutError):
            request(port, timeout=1.5)
        self.assertIn(b"200", ask("/set/ready/true"))
        wait_until(lambda: self.instance("moody")["ready"], 10, "it is ready again")
        self.assertEqual(request(port)[2], b"hello")
        self.assertEqual(self.pid("moody"), pid)

    def test_liveness_ends_and_restarts(self):
        program = self.make("dead", {"probes": {"liveness": {
            "health": True, "periodSeconds": 1, "failureThreshold": 2}}})
        port = self.deploy("dead", program)
        pid = self.pid("dead")
        self.assertEqual(request(port, "/set/alive/false")[2], b"set")
        status = self.restarted("dead", pid)
        self.assertEqual(status["last_exit"]["reason"], "probe-failed")
        self.assertIn("liveness probe health() failed 2 times in a row",
                      status["last_exit"]["message"])
        self.assertEqual(request(port)[2], b"hello")

    def test_a_busy_loop_fails_liveness(self):
        program = self.make("busy", {"probes": {"liveness": {
            "tcpSocket": {}, "periodSeconds": 1, "failureThreshold": 2}}})
        port = self.deploy("busy", program, limits={"request": {"cpu": "1h"}})
        pid = self.pid("busy")

        def loop():
            try:
                request(port, "/loop", timeout=15)
            except (ConnectionError, TimeoutError):
                pass
        thread = threading.Thread(target=loop)
        thread.start()
        status = self.restarted("busy", pid)
        thread.join()
        self.assertEqual(status["last_exit"]["reason"], "probe-failed")
        self.assertIn("no answer within 1 s", status["last_exit"]["message"])

    def test_who_lets_its_tenant_stop_is_not_asked(self):
        program = self.make("leaves", {"grace": "5s", "probes": {"liveness": {
            "health": True, "periodSeconds": 1, "failureThreshold": 1}}},
            """
            let alive = true;
            export default {
              fetch() { return new Response('hello'); }, health() { return alive; },
              async shutdown() { alive = false; await new Promise((done) => setTimeout(done, 2500)); },
            };
            """)
        self.deploy("leaves", program)
        done = self.daemon.ctl("stop", "leaves")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(self.daemon.status("leaves")["last_exit"]["reason"], "probe-failed")

    def test_probes_work_at_the_concurrency_limit(self):
        program = self.make("full", {"probes": {"liveness": {
            "httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 2}}},
            """
            export default { async fetch(req) {
              if (new URL(req.url).pathname === '/wait')
                await new Promise((done) => setTimeout(done, 4000));
              return new Response('hello');
            } };
            """)
        port = self.deploy("full", program, limits={"request": {"concurrent": 1}})
        pid = self.pid("full")
        self.assertEqual(request(port, "/wait")[2], b"hello")
        self.assertEqual(self.pid("full"), pid)

    def test_events_say_why(self):
        program = self.make("told", {"probes": {"liveness": {
            "health": True, "periodSeconds": 1, "failureThreshold": 1}}})
        port = self.deploy("told", program)
        pid = self.pid("told")
        request(port, "/set/alive/false")
        self.restarted("told", pid)
        events = self.daemon.ctl("events", "told", "--json").stdout
        self.assertIn("probe-failed", events)


class RetireTest(HealthTest):
    def replaced(self, name, port, reason, act):
        pid = self.pid(name)
        act()
        wait_until(lambda: self.pid(name) not in (pid, None), 20, f"{name} is replaced")
        self.assertEqual(request(port)[0], 200)
        self.assertIn(f"retired: {reason}", self.daemon.ctl("events", name, "--json").stdout)
        self.assertEqual(self.daemon.status(name)["state"], "running")

    def test_requests(self):
        port = self.deploy("counted", self.make("counted", {"retire": {"requests": 50}}))
        failures = []

        def act():
            for _ in range(60):
                if request(port)[0] != 200:
                    failures.append(1)
        self.replaced("counted", port, "requests 50", act)
        self.assertEqual(failures, [])

    def test_age(self):
        port = self.deploy("aged", self.make("aged", {"retire": {"age": "1s"}}))
        self.replaced("aged", port, "age 1s", lambda: None)

    def test_memory(self):
        port = self.deploy("large", self.make("large", {"retire": {"memory": "40M"}}))
        self.replaced("large", port, "memory 40M", lambda: request(port, "/hog"))

    def test_cpu(self):
        source = """
        export default { fetch() {
          const end = process.cpuUsage().user + 150000;
          while (process.cpuUsage().user < end);
          return new Response('hello');
        } };
        """
        port = self.deploy("worked", self.make("worked", {"retire": {"cpu": "300ms"}}, source))

        def act():
            for _ in range(8):
                request(port)
        self.replaced("worked", port, "cpu 300ms", act)

    def test_one_that_would_not_be_ready_does_not_take_over(self):
        # Its successor never is: it finds the marker that the first one left.
        source = """
        import { existsSync, writeFileSync } from 'node:fs';
        const first = !existsSync('%s/marker');
        if (first) writeFileSync('%s/marker', '');
        export default { fetch() { return new Response('hello'); }, health() { return first; } };
        """ % (self.folder, self.folder)
        os.chmod(self.folder, 0o777)
        program = self.make("faithful", {"retire": {"age": "1s"}, "probes": {"readiness": {
            "health": True, "periodSeconds": 1, "failureThreshold": 1}}}, source)
        port = self.deploy("faithful", program, permissions={"fs": {"write": [self.folder]}})
        pid = self.pid("faithful")
        wait_until(lambda: "probe-failed" in self.daemon.ctl("events", "faithful", "--json").stdout
                   or "probe-failed" in self.daemon.log(), 10, "a successor has failed")
        self.assertEqual(self.pid("faithful"), pid)
        self.assertEqual(request(port)[2], b"hello")


class ManifestTest(HealthTest):
    def test_an_unknown_time_zone_is_refused(self):
        program = self.make("zone", {"schedules": [{"cron": "@daily", "timeZone": "Europe/Berln"}]})
        done = self.daemon.ctl("deploy", "zone", program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('this host does not know "Europe/Berln"', done.stdout + done.stderr)

    def test_check_takes_a_tenant_json(self):
        self.write("one/tenant.json", '{"instances": 3, "schedules": [{"cron": "@daily"}]}')
        done = self.daemon.ctl("check", self.folder + "/one/tenant.json", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["instances"], 3)
        self.write("two/tenant.json", '{"probes": {"livenes": {}}}')
        done = self.daemon.ctl("check", self.folder + "/two/tenant.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn('did you mean "liveness"?', done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
