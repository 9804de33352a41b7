"""The life of a service as the daemon leads it: start, SIGTERM, shutdown, and no lost request."""

import json
import socket
import threading
import time
import unittest

from harness import TenantdTest, request, wait_until


class KeptAlive(threading.Thread):
    """A client with one connection, which it makes anew when an answer says that it must."""

    def __init__(self, port, pause):
        super().__init__()
        self.port, self.pause = port, pause
        self.answers, self.lost, self.over = [], [], threading.Event()
        self.start()

    def ask(self, connection):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionError(f"closed after {data!r}")
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length:
            chunk = connection.recv(4096)
            if not chunk:
                raise ConnectionError("an answer broke off")
            body += chunk
        return int(head.split()[1]), body, b"connection: close" in head.lower()

    def run(self):
        connection = None
        while not self.over.is_set():
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), 20)
                status, body, last = self.ask(connection)
            except OSError as error:
                self.lost.append(error)
                connection = None
                continue
            self.answers.append((status, body))
            if last:
                connection.close()
                connection = None
            time.sleep(self.pause)
        if connection:
            connection.close()

    def stop(self):
        self.over.set()
        self.join()


class ServiceTest(TenantdTest):
    def test_a_start_that_fails_never_takes_over(self):
        good = self.write("good.js", "export default { fetch: () => new Response('good') };")
        bad = self.write("bad.js", """
            export default {
                async start() { throw new Error('no database'); },
                fetch: () => new Response('bad'),
            };""")
        port = self.deploy("careful", good)
        done = self.daemon.ctl("deploy", "careful", bad)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no database", done.stdout + done.stderr)
        self.assertEqual(request(port)[2], b"good")

    def test_requests_wait_until_start_has_ended(self):
        path = self.write("main.js", """
            let table;
            export default {
                async start(env) { await new Promise((done) => setTimeout(done, 300)); table = env.WORD; },
                fetch: () => new Response(table),
            };""")
        port = self.deploy("patient", path, permissions={"env": {"set": {"WORD": "filled"}}})
        self.assertEqual(request(port)[2], b"filled")

    def test_a_service_that_signals_takes_no_connection_before(self):
        old = self.write("old.js", "export default { fetch: () => new Response('old') };")
        port = self.deploy("signal", old)
        self.write("new/tenant.json", json.dumps({"entry": "main.js", "ready": "signal"}))
        self.write("new/main.js", """
            let warm = false;
            export default {
                start(env, ctx) { setTimeout(() => { warm = true; ctx.ready(); }, 800); },
                fetch: () => new Response(`new ${warm}`),
            };""")
        done = []
        deploy = threading.Thread(target=lambda: done.append(
            self.daemon.ctl("deploy", "signal", self.folder + "/new")))
        deploy.start()
        seen = set()
        while deploy.is_alive():
            seen.add(request(port)[2])
            time.sleep(0.005)
        deploy.join()
        self.assertEqual(done[0].returncode, 0, done[0].stderr)
        self.assertLessEqual(seen, {b"old", b"new true"})
        self.assertIn(b"old", seen)
        self.assertEqual(request(port)[2], b"new true")

    def test_a_service_that_never_signals_is_refused_with_the_reason(self):
        old = self.write("old.js", "export default { fetch: () => new Response('old') };")
        port = self.deploy("mute", old)
        self.write("new/tenant.json", json.dumps({"entry": "main.js", "ready": "signal"}))
        self.write("new/main.js", "export default { fetch: () => new Response('new') };")
        done = self.daemon.ctl("deploy", "mute", self.folder + "/new")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("has not called ctx.ready()", done.stdout + done.stderr)
        self.assertEqual(request(port)[2], b"old")

    def test_stop_leads_through_the_programs_own_end(self):
        path = self.write("main.js", """
            process.on('SIGTERM', (name) => console.log(`heard ${name}`));
            process.on('exit', () => console.log('exit'));
            export default {
                fetch: () => new Response('up'),
                async shutdown() { await 1; console.log('saved'); },
            };""")
        port = self.deploy("polite", path)
        self.assertEqual(request(port)[2], b"up")
        self.assertEqual(self.daemon.ctl("stop", "polite").returncode, 0)
        log = self.daemon.ctl("logs", "polite").stdout
        self.assertRegex(log, r"(?s)heard SIGTERM.*saved.*exit")
        self.assertEqual(self.daemon.status("polite")["last_exit"]["exit_code"], 0)

    def test_deploys_lose_no_request_of_kept_alive_connections(self):
        paths = [self.write(f"{word}.js", f"export default {{ fetch: () => new Response('{word}') }};")
                 for word in ("one", "two")]
        port = self.deploy("busy", paths[0])
        clients = [KeptAlive(port, pause) for pause in (0, 0.001, 0.005, 0.02, 0.1, 0.3)]
        try:
            for i in range(10):
                done = self.daemon.ctl("deploy", "busy", paths[(i + 1) % 2])
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                time.sleep(0.1)
        finally:
            for client in clients:
                client.stop()
        for client in clients:
            self.assertEqual(client.lost, [])
            self.assertLessEqual({answer for answer in client.answers},
                                 {(200, b"one"), (200, b"two")})
        self.assertGreater(sum(len(client.answers) for client in clients), 200)

    def test_at_the_limit_of_requests_others_get_503_at_once(self):
        path = self.write("main.js", """
            export default { async fetch(request) {
                if (request.url.endsWith('/hold')) await new Promise((done) => setTimeout(done, 1500));
                return new Response('done');
            } };""")
        port = self.deploy("full", path, limits={"request": {"concurrent": 2}})
        answers = []
        holders = [threading.Thread(target=lambda: answers.append(request(port, "/hold")[0]))
                   for _ in range(2)]
        for holder in holders:
            holder.start()
        wait_until(lambda: self.daemon.status("full")["stats"]["requests_active"] == 2)
        started = time.monotonic()
        status, headers, _ = request(port, "/", "POST", body=b"x" * 500000)
        self.assertEqual((status, headers["retry-after"]), (503, "1"))
        self.assertLess(time.monotonic() - started, 1)
        for holder in holders:
            holder.join()
        self.assertEqual(answers, [200, 200])
        self.assertEqual(request(port)[0], 200)


if __name__ == "__main__":
    unittest.main()
