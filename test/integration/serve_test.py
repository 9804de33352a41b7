"""Tenants that serve: deploy, listeners, streaming, logs, status, a real framework."""

import json
import os
import re
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import EXAMPLES, ROOT, Daemon, TenantdTest, free_port, request, wait_until


class ServeTest(TenantdTest):
    def test_deploy_with_the_default_policy_prints_a_url_that_answers(self):
        path = self.write("hello.js", "export default { fetch: () => new Response('hi') };")
        done = self.daemon.ctl("deploy", "plain", path)
        self.addCleanup(self.daemon.ctl, "remove", "plain", "-y")
        self.assertEqual(done.returncode, 0, done.stderr)
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", done.stdout).group(1))
        self.assertEqual(request(port)[::2], (200, b"hi"))

    def test_the_examples(self):
        port = self.deploy("hello", EXAMPLES + "/hello", port=free_port(),
                           permissions={"env": {"set": {"GREETING": "Servus"}}})
        self.assertEqual(request(port, "/?name=Welt")[2], b"Servus Welt\n")
        port = self.deploy("stream", EXAMPLES + "/stream")
        self.assertEqual(request(port, "/", "POST", body=b"straight through")[2],
                         b"STRAIGHT THROUGH")
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while b"1\n\r\n" not in data:
                data += connection.recv(4096)
            self.assertLess(time.monotonic() - started, 0.9)  # before the last of five lines
            while chunk := connection.recv(4096):
                data += chunk
        self.assertIn(b"5\n", data)

    def test_hono_with_curl_and_wrk(self):
        port = self.deploy("hono", ROOT + "/build/examples/hono")
        url = f"http://127.0.0.1:{port}"

        def curl(*arguments):
            return subprocess.run(["curl", "-sS", "--max-time", "10", *arguments],
                                  capture_output=True, text=True, check=True).stdout

        self.assertEqual(curl(url), "Hello from Hono")
        self.assertEqual(json.loads(curl(url + "/hello/w%C3%B6rld")), {"hello": "wörld"})
        created = curl("-X", "POST", "-H", "content-type: application/json", "-d",
                       '{"text":"buy milk"}', "-w", "%{http_code}", url + "/notes")
        self.assertEqual(created, '{"id":1,"text":"buy milk"}201')
        self.assertEqual(json.loads(curl(url + "/notes")), [{"id": 1, "text": "buy milk"}])
        self.assertEqual(curl("-o", "/dev/null", "-w", "%{http_code}", url + "/notes/99"), "404")
        self.assertEqual(curl("-N", url + "/stream"), "line 1\nline 2\nline 3\n")
        self.assertIn("server-timing: app;dur=", curl("-i", url).lower())
        out = subprocess.run(["wrk", "-t1", "-c16", "-d2s", url + "/hello/x"],
                             capture_output=True, text=True, check=True).stdout
        self.assertNotIn("Non-2xx", out)
        self.assertNotIn("Socket errors", out)
        self.assertGreater(int(re.search(r"(\d+) requests in", out).group(1)), 1000)

    def test_wait_until_goes_on_after_the_response(self):
        path = self.write("main.js", """
            export default { fetch(request, env, ctx) {
                ctx.waitUntil(new Promise((done) => setTimeout(() => { console.log('background'); done(); }, 50)));
                return new Response('now');
            } };""")
        port = self.deploy("bg", path)
        self.assertEqual(request(port)[2], b"now")
        wait_until(lambda: "background" in self.daemon.ctl("logs", "bg").stdout)

    def test_an_error_gives_500_with_an_id_that_the_log_repeats(self):
        path = self.write("main.js", """
            export default { async fetch(request) {
                if (request.url.endsWith('/throw')) throw new Error('the secret reason');
                if (request.url.endsWith('/not')) return { no: 'response' };
                return new Response('fine');
            } };""")
        port = self.deploy("err", path)
        for target in ("/throw", "/not"):
            status, _, body = request(port, target)
            self.assertEqual(status, 500)
            self.assertNotIn(b"secret", body)
            self.assertNotIn(b"main.js", body)
            number = re.search(rb"[0-9a-f-]{8,}", body).group(0).decode()
            wait_until(lambda: number in self.daemon.ctl("logs", "err").stdout)
        self.assertIn("the secret reason", self.daemon.ctl("logs", "err").stdout)
        self.assertEqual(request(port)[2], b"fine")

    def test_an_uncaught_exception_ends_the_worker_and_it_comes_back(self):
        path = self.write("main.js", """
            export default { fetch(request) {
                if (request.url.endsWith('/boom')) setTimeout(() => { throw new Error('boom') }, 1);
                return new Response('up');
            } };""")
        port = self.deploy("phoenix", path)
        before = self.daemon.status("phoenix")["pid"]
        request(port, "/boom")
        status = wait_until(lambda: (now := self.daemon.status("phoenix"))["state"] == "running"
                            and now["pid"] != before and now)
        self.assertEqual(status["restarts"], 1)
        self.assertEqual(status["last_exit"]["exit_code"], 1)
        self.assertIn("boom", status["last_exit"]["message"])
        self.assertIn("Error: boom", self.daemon.ctl("logs", "phoenix").stdout)
        self.assertEqual(request(port)[2], b"up")

    def test_a_busy_loop_shows_in_status_and_ends_at_the_cpu_limit(self):
        path = self.write("main.js", """
            export default { fetch(request) {
                if (request.url.endsWith('/busy')) for (;;);
                return new Response('up');
            } };""")
        port = self.deploy("busy", path, limits={"request": {"cpu": "2s"}})
        thread = threading.Thread(target=lambda: self.swallow(port, "/busy"))
        thread.start()
        wait_until(lambda: self.daemon.status("busy")["stats"]
                   and self.daemon.status("busy")["stats"]["loop_busy_ms"] > 300)
        wait_until(lambda: (self.daemon.status("busy")["last_exit"] or {}).get("reason")
                   == "cpu-limit", 20)
        thread.join()
        wait_until(lambda: self.daemon.status("busy")["state"] == "running")
        self.assertEqual(request(port)[2], b"up")

    def swallow(self, port, path):
        try:
            request(port, path, timeout=30)
        except OSError:
            pass

    def test_logs_are_escaped_and_limited(self):
        path = self.write("main.js", r"""
            export default { fetch(request) {
                console.log('\x1b[31mred\x1b[0m \u202Eoverride');
                for (let i = 0; i < 20000; i++) console.error('flood ' + i);
                return new Response('ok');
            } };""")
        port = self.deploy("noisy", path)
        self.assertEqual(request(port)[2], b"ok")
        logs = wait_until(lambda: "suppressed" in (out := self.daemon.ctl(
            "logs", "noisy", "-n", "100000").stdout) and out)
        self.assertNotIn("\x1b", logs)
        self.assertNotIn("\u202e", logs)
        self.assertLess(logs.count("flood"), 20000)

    def test_logs_follow(self):
        path = self.write("main.js",
                          "export default { fetch(r) { console.log('seen', r.url); return new Response() } };")
        port = self.deploy("follow", path)
        process = subprocess.Popen(
            [harness.BUILD + "/tenantctl", "--socket", self.daemon.socket, "logs", "follow", "-f"],
            stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(0.3)
            request(port, "/one")
            for line in process.stdout:
                if "/one" in line:
                    break
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def test_list_status_stop_start_restart_remove(self):
        path = self.write("main.js", "export default { fetch: () => new Response('x') };")
        port = self.deploy("life", path)
        entry = next(t for t in self.daemon.json("list")["tenants"] if t["name"] == "life")
        self.assertEqual((entry["state"], entry["restarts"]), ("running", 0))
        self.assertEqual(self.daemon.ctl("status", "life").returncode, 0)
        self.assertEqual(self.daemon.ctl("start", "life").returncode, 0)
        pid = self.daemon.status("life")["pid"]
        self.assertEqual(self.daemon.ctl("restart", "life").returncode, 0)
        self.assertNotEqual(self.daemon.status("life")["pid"], pid)
        self.assertEqual(request(port)[2], b"x")
        self.assertEqual(self.daemon.ctl("stop", "life").returncode, 0)
        self.assertEqual(self.daemon.ctl("status", "life").returncode, 3)
        with self.assertRaises(OSError):
            request(port)
        self.assertEqual(self.daemon.ctl("start", "life").returncode, 0)
        self.assertEqual(self.port_of("life"), port)
        self.assertEqual(request(port)[2], b"x")
        self.assertEqual(self.daemon.ctl("remove", "life", "-y").returncode, 0)
        self.assertEqual(self.daemon.ctl("status", "life").returncode, 4)

    def test_no_request_is_lost_while_releases_change(self):
        versions = [self.write(f"v{i}/main.js", "export default { async fetch() { await new Promise("
                               f"(r) => setTimeout(r, 5)); return new Response('v{i}'); }} }};")
                    for i in range(4)]
        port = self.deploy("roll", os.path.dirname(versions[0]))
        failures, answers, stop = [], set(), threading.Event()

        def client():
            while not stop.is_set():
                try:
                    status, _, body = request(port)
                    answers.add(body)
                    if status != 200:
                        failures.append(status)
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for version in versions[1:]:
                time.sleep(0.3)
                done = self.daemon.ctl("deploy", "roll", os.path.dirname(version))
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.daemon.ctl("restart", "roll").returncode, 0)
            time.sleep(0.3)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(answers, {b"v0", b"v1", b"v2", b"v3"})

    def test_memory_over_the_limit_kills_only_that_tenant(self):
        good = self.deploy("good", self.write(
            "good.js", "export default { fetch: () => new Response('good') };"))
        path = self.write("main.js", """
            const keep = [];
            export default { fetch(request) {
                if (request.url.endsWith('/eat')) {
                    const m = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
                    m.grow(8192); new Uint8Array(m.buffer).fill(1); keep.push(m);
                }
                return new Response('up');
            } };""")
        port = self.deploy("eater", path, limits={"memory": "64M", "request": {"cpu": "20s"}})
        self.swallow(port, "/eat")
        last = wait_until(lambda: self.daemon.status("eater")["last_exit"])
        self.assertEqual(last["reason"], "oom")
        self.assertEqual(request(good)[2], b"good")
        wait_until(lambda: self.daemon.status("eater")["state"] == "running")
        self.assertEqual(request(port)[2], b"up")

    def test_backoff_after_failures(self):
        path = self.write("main.js", """
            setTimeout(() => process.exit(3), 30);
            export default { fetch: () => new Response('short') };""")
        self.deploy("flaky", path)
        wait_until(lambda: self.daemon.status("flaky")["restarts"] >= 2)
        status = wait_until(lambda: (now := self.daemon.status("flaky"))["state"] == "backoff"
                            and now)
        self.assertGreater(status["backoff_ms"], 0)
        self.assertEqual(status["last_exit"]["exit_code"], 3)

    def test_a_service_without_a_listener_lives_on(self):
        path = self.write("main.js", "console.log('up'); export default { fetch() {} };")
        done = self.daemon.ctl("deploy", "quiet", path, "--policy", self.policy())
        self.addCleanup(self.daemon.ctl, "remove", "quiet", "-y")
        self.assertEqual(done.returncode, 0, done.stderr)
        time.sleep(0.3)
        status = self.daemon.status("quiet")
        self.assertEqual((status["state"], status["restarts"]), ("running", 0))
        with open(f"/proc/{status['pid']}/comm") as file:
            self.assertEqual(file.read(), "t:quiet\n")

    def test_no_two_workers_share_a_namespace(self):
        path = self.write("main.js", "export default { fetch: () => new Response() };")
        pids = [os.getpid(), self.daemon.process.pid]
        for name in ("ns1", "ns2", "ns3"):
            self.deploy(name, path)
            pids.append(self.daemon.status(name)["pid"])
        for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            links = [os.readlink(f"/proc/{pid}/ns/{kind}") for pid in pids[1:]]
            self.assertEqual(len(set(links)), 4, (kind, links))

    def test_unix_listener(self):
        path = self.write("main.js", "export default { fetch: () => new Response('unix') };")
        address = self.folder + "/http.sock"
        done = self.daemon.ctl("deploy", "sock", path, "--policy", self.policy(
            permissions={"net": {"listen": ["unix:" + address]}}))
        self.addCleanup(self.daemon.ctl, "remove", "sock", "-y")
        self.assertEqual(done.returncode, 0, done.stderr)
        out = subprocess.run(["curl", "-sS", "--unix-socket", address, "http://x/"],
                             capture_output=True, text=True).stdout
        self.assertEqual(out, "unix")


class UserIdTest(TenantdTest):
    """Whose worker it is says its user id on the host, whatever it was made from."""

    options = ("--warm", "2")

    def uid_of(self, name):
        with open(f"/proc/{self.daemon.status(name)['pid']}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        ids = set(fields["Uid"].split()) | set(fields["Gid"].split())
        self.assertEqual(len(ids), 1)
        uid = int(ids.pop())
        self.assertEqual(uid, self.daemon.status(name)["uid"])
        return uid

    def test_a_tenant_keeps_its_user_id(self):
        path = self.write("main.js", "export default { fetch: () => new Response('hi') };")
        self.deploy("one", path)
        self.deploy("two", path)
        first, second = self.uid_of("one"), self.uid_of("two")
        self.assertEqual(abs(first - second), 2)
        for _ in range(4):
            self.assertEqual(self.daemon.ctl("restart", "one").returncode, 0)
            self.assertEqual(self.uid_of("one"), first)
            time.sleep(0.1)  # the stock is filled again
        self.assertEqual(self.uid_of("two"), second)
        self.assertEqual(self.run_script("console.log('runs')").stdout, "runs\n")

    def test_a_slot_beyond_the_range_is_exchanged(self):
        daemon = Daemon("--uid-count", "2060")
        try:
            path = self.write("main.js", "export default { fetch: () => new Response('hi') };")
            for name in ("a", "b"):
                self.assertEqual(daemon.ctl("deploy", name, path).returncode, 0)
            daemon.stop()
            file = daemon.state + "/state.json"
            with open(file) as state:
                text = state.read()
            self.assertEqual(text.count('"uid_slot": 1'), 1)
            with open(file, "w") as state:
                state.write(text.replace('"uid_slot": 1', '"uid_slot": 7'))
            daemon.start()
            uids = {name: daemon.status(name)["uid"] for name in ("a", "b")}
            self.assertEqual(sorted(uids.values()), [1879048193, 1879048195])
        finally:
            daemon.close()


class WarmStockTest(ServeTest):
    """All of it again with workers confined ahead."""

    options = ("--warm", "2")


if __name__ == "__main__":
    unittest.main()
