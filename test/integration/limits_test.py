"""Each limit ends in the right place: the program gets the error, or the tenant dies alone
and its status names the reason. A neighbour answers in between.

Elsewhere: limits of jobs (job_test), of a run's time and stack (know_test), of scripts
(run_test), of a body that is decoded (fetch_test), of egress by itself (egress_test), of the
log's files (test/unit/daemon_logs_test.c)."""

import json
import os
import socket
import threading
import time

from harness import SLOW, TenantdTest, request, wait_until

NEIGHBOUR = "export default { fetch: () => new Response('still here') };\n"


class LimitsTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.neighbour = self.deploy("neighbour", self.write("neighbour.js", NEIGHBOUR))

    def serve(self, source, *, limits, permissions=None, manifest=None, before=""):
        """Deploys SOURCE, the body of an async fetch(request, url), as `limited`."""
        imports = [line for line in source.split("\n") if line.strip().startswith("import ")]
        body = [line for line in source.split("\n") if line not in imports]
        program = os.path.join(self.folder, "limited")
        self.write("limited/main.js", "\n".join([
            *imports, "const kept = [];", before,
            "export default { async fetch(request) { const url = new URL(request.url);", *body,
            "return new Response('up'); } };"]))
        self.write("limited/tenant.json", json.dumps(manifest or {}))
        permissions = {**(permissions or {})}
        permissions["net"] = {"listen": ["127.0.0.1:0"], **permissions.get("net", {})}
        policy = self.write("limited.json", json.dumps(
            {"version": 1, "permissions": permissions, "limits": limits}))
        done = self.daemon.ctl("deploy", "limited", program, "--policy", policy)
        self.addCleanup(self.daemon.ctl, "remove", "limited", "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.port_of("limited")

    def ask(self, port, path="/", **options):
        """The answer's text; what the worker dies of has none."""
        try:
            return request(port, path, timeout=30, **options)[2].decode()
        except OSError:
            return None

    def dies_of(self, port, reason, message, path="/go"):
        """PATH ends the worker, for REASON; it comes back, and the neighbour never went."""
        self.assertIsNone(self.ask(port, path))
        last = wait_until(lambda: self.daemon.status("limited")["last_exit"], what="an end")
        self.assertEqual(last["reason"], reason, last)
        self.assertRegex(last["message"], message)
        self.assertEqual(self.ask(self.neighbour), "still here")
        wait_until(lambda: self.daemon.status("limited")["state"] == "running")
        self.assertEqual(self.ask(port), "up")
        self.assertEqual(self.daemon.status("limited")["restarts"], 1)
        self.assertEqual(self.daemon.status("neighbour")["restarts"], 0)

    # ---- memory ----

    def test_a_full_heap(self):
        port = self.serve("if (url.pathname === '/go') for (;;) kept.push([kept.length]);",
                          limits={"memory": "48M", "request": {"cpu": "60s"}})
        self.dies_of(port, "heap-limit", "limits.memory")

    def test_buffers_are_a_range_error_or_the_tenants_own_end(self):
        port = self.serve("""
            if (url.pathname === '/go')
                try { for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); }
                catch (e) { kept.length = 0; return new Response(e.name); }
            """, limits={"memory": "48M", "request": {"cpu": "60s"}})
        if self.ask(port, "/go") != "RangeError":
            last = wait_until(lambda: self.daemon.status("limited")["last_exit"])
            self.assertIn(last["reason"], ("oom", "heap-limit"))
        self.assertEqual(self.ask(self.neighbour), "still here")

    def test_answers_that_nobody_reads(self):
        port = self.serve("if (url.pathname === '/big') return new Response(big);",
                          limits={"memory": "64M"}, before="const big = new Uint8Array(4 << 20);")
        clients = []
        for _ in range(40):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            clients.append(client)
        # Whoever reads is served: not at once, since those were first.
        wait_until(lambda: self.ask(port) == "up", what="room for others")
        status, _, body = request(port, "/big", timeout=30)
        self.assertEqual((status, len(body)), (200, 4 << 20))
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)
        # Those that were waited for longest went.
        self.assertIn("cut", {self.outcome(client) for client in clients})

    def outcome(self, client):
        data = b""
        client.settimeout(30)
        try:
            while chunk := client.recv(1 << 20):
                data += chunk
                if data.startswith(b"HTTP/1.1 503") or len(data) > 4 << 20:
                    break
        except ConnectionResetError:
            pass
        return "503" if data.startswith(b"HTTP/1.1 503") else \
            "whole" if len(data) > 4 << 20 else "cut"

    def test_recursion_is_a_range_error(self):
        port = self.serve("const f = () => f() + 1;"
                          "try { f(); } catch (e) { return new Response(e.name); }", limits={})
        for _ in range(3):
            self.assertEqual(self.ask(port), "RangeError")
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)

    # ---- CPU and wall time ----

    def test_a_turn_that_computes_for_too_long(self):
        port = self.serve("if (url.pathname === '/go') for (;;);",
                          limits={"request": {"cpu": "100ms"}})
        self.dies_of(port, "cpu-limit", "more than 100 ms of CPU time")

    def test_microtasks_without_end(self):
        port = self.serve(
            "const f = () => Promise.resolve().then(f); if (url.pathname === '/go') f();",
            limits={"request": {"cpu": "100ms"}})
        self.dies_of(port, "cpu-limit", "more than 100 ms of CPU time")

    def test_a_regular_expression_that_backtracks_without_end(self):
        port = self.serve("if (url.pathname === '/go') /^(a+)+$/.test('a'.repeat(50) + 'b');",
                          limits={"request": {"cpu": "100ms"}})
        self.dies_of(port, "cpu-limit", "more than 100 ms of CPU time")

    def test_loading_may_take_longer_than_a_turn_and_is_ended_by_the_worker_itself(self):
        """Not by the supervisor's backstop: that is for a worker that does not."""
        busy = "const end = Date.now() + 2500; while (Date.now() < end);\n"
        path = self.write("slow.js", busy + NEIGHBOUR)
        port = self.deploy("slow", path, limits={"request": {"cpu": "20ms"}})
        self.assertEqual(self.ask(port), "still here")
        done = self.run_script("for (;;);", "--policy",
                               self.policy(limits={"request": {"cpu": "20ms"}}))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("loading the program used more than 5000 ms", done.stderr)
        self.assertNotIn("far more", done.stderr)

    def test_a_start_that_takes_too_long(self):
        program = os.path.join(self.folder, "late")
        self.write("late/main.js", "await new Promise((f) => setTimeout(f, 1e6));" + NEIGHBOUR)
        self.write("late/tenant.json", '{"startup": "300ms"}')
        done = self.daemon.ctl("deploy", "late", program)
        self.addCleanup(self.daemon.ctl, "remove", "late", "-y")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not ready in time", done.stdout + done.stderr)

    def test_a_request_that_takes_too_long(self):
        port = self.serve("if (url.pathname === '/go') await new Promise(() => {});",
                          limits={"request": {"time": "300ms"}})
        self.assertEqual(request(port, "/go")[0], 503)
        self.assertEqual(self.ask(port), "up")

    # ---- requests ----

    def test_a_body_that_is_too_large(self):
        port = self.serve("return new Response((await request.text()).length);",
                          limits={"request": {"body": "1K"}})
        self.assertEqual(request(port, "/", "POST", body=b"x" * 1024)[2], b"1024")
        self.assertEqual(request(port, "/", "POST", body=b"x" * 1025)[0], 413)

    def test_too_many_requests_at_once(self):
        port = self.serve("if (url.pathname === '/go') await new Promise((free) => kept.push(free));",
                          limits={"request": {"concurrent": 3, "time": "2s"}})
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(request(port, "/go")))
                   for _ in range(5)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) == 2, what="the refusal of two")
        for status, headers, _ in answers:
            self.assertEqual(status, 503)
            self.assertIn("retry-after", headers)
        for thread in threads:
            thread.join(30)
        self.assertEqual(self.ask(port), "up")

    # ---- descriptors, threads, processes ----

    def test_descriptors(self):
        """The program gets EMFILE; connections wait until one is free again."""
        port = self.serve("""
            import fs from 'node:fs';
            if (url.pathname === '/go')
                try { for (;;) kept.push(fs.openSync('/tmp/file', 'a')); }
                catch (e) {
                    setTimeout(() => { for (const fd of kept.splice(0)) fs.closeSync(fd); }, 500);
                    return new Response(e.code);
                }
            """, limits={"files": 64, "tmp": "1M"})
        idle = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(idle.close)
        self.assertEqual(self.ask(port, "/go"), "EMFILE")
        used = self.cpu_seconds("limited")
        waiting = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(4)]
        for connection in waiting:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = [self.drain(connection) for connection in waiting]
        self.assertEqual([b"200" in answer[:16] for answer in answers], [True] * 4, answers)
        self.assertLess(self.cpu_seconds("limited") - used, 0.3 * SLOW)
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)

    def drain(self, connection):
        data = b""
        with connection:
            connection.settimeout(10 * SLOW)
            try:
                while chunk := connection.recv(4096):
                    data += chunk
            except OSError as error:
                return repr(error).encode()
        return data

    def cpu_seconds(self, name):
        with open(f"/proc/{self.daemon.status(name)['pid']}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_processes_of_children(self):
        port = self.serve("""
            import { spawn } from 'node:child_process';
            const one = () => new Promise((done) => {
                const child = spawn('/usr/bin/sleep', ['100']);
                kept.push(child);
                child.on('error', (e) => done(e.code)).on('spawn', () => done('ok'));
            });
            if (url.pathname === '/go') {
                let result;
                for (let i = 0; i < 100 && (result = await one()) === 'ok'; i++);
                for (const child of kept.splice(0)) child.kill('SIGKILL');
                return new Response(result);
            }
            """, limits={"pids": 16}, permissions={"child": {"exec": ["/usr/bin/sleep"]}})
        self.assertEqual(self.ask(port, "/go"), "EAGAIN")
        self.assertEqual(self.ask(self.neighbour), "still here")
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)

    # ---- tmp ----

    def test_a_full_tmp(self):
        port = self.serve("""
            import fs from 'node:fs';
            if (url.pathname !== '/go') return new Response('up');
            const codes = [];
            try { fs.writeFileSync('/tmp/large', Buffer.alloc(2 << 20)); }
            catch (e) { codes.push(e.code); }
            fs.rmSync('/tmp/large');
            try { for (let i = 0; ; i++) fs.writeFileSync(`/tmp/${i}`, ''); }
            catch (e) { codes.push(e.code); }
            for (const name of fs.readdirSync('/tmp')) fs.rmSync(`/tmp/${name}`);
            fs.writeFileSync('/tmp/again', 'fits');
            return new Response(codes.join());
            """, limits={"tmp": "1M", "request": {"cpu": "20s"}})
        self.assertEqual(self.ask(port, "/go"), "ENOSPC,ENOSPC")
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)

    # ---- the log ----

    def test_a_flood_of_output_is_counted_and_the_rest_arrives(self):
        port = self.serve("""
            if (url.pathname === '/go')
                for (let i = 0; i < 50000; i++) console.log('flood', i);
            """, limits={"request": {"cpu": "60s"}})
        started = time.monotonic()
        self.assertEqual(self.ask(port, "/go"), "up")
        self.assertEqual(self.ask(self.neighbour), "still here")

        def told():
            lines = self.daemon.ctl("logs", "limited", "-n", "100000").stdout.splitlines()
            counts = [int(line.split("suppressed ")[1].split()[0]) for line in lines
                      if "suppressed " in line]
            return counts if sum(counts) > 50000 - 1100 * (time.monotonic() - started + 1) else 0
        wait_until(told, 20, "the count of what was left out")
        self.assertEqual(self.daemon.status("limited")["restarts"], 0)

    # ---- egress ----

    def test_connections_beyond_the_rate_and_at_once(self):
        silent = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.addCleanup(silent.close)
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        port = self.serve(f"""
            import net from 'node:net';
            const one = () => new Promise((done) => {{
                const socket = net.connect({silent.getsockname()[1]}, '127.0.0.1');
                socket.on('connect', () => {{ kept.push(socket); done('ok'); }});
                socket.on('error', (e) => done(e.code));
            }});
            if (url.pathname === '/go')
                return Response.json(await Promise.all(Array.from({{ length: 30 }}, one)));
            """, limits={"connect": {"rate": 10}}, permissions={"net": {"connect": [target]}})
        codes = json.loads(self.ask(port, "/go"))
        self.assertLessEqual(codes.count("ok"), 15)
        self.assertGreaterEqual(codes.count("ok"), 10)
        self.assertEqual(len(set(codes)), 2, codes)
        self.assertEqual(self.ask(self.neighbour), "still here")
