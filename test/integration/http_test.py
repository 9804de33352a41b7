"""node:http servers as tenants: by their own listeners and through tenantd-ingress, counted,
refused, probed, drained."""

import json
import os
import socket
import ssl
import subprocess
import threading
import time
import unittest

import harness
from harness import TenantdTest, free_port, request, wait_until
from ingress_tls_test import make_certificate

HTTP = harness.free_port()
HTTPS = harness.free_port()

PROGRAM = """
import http from 'node:http';
let served = 0;
const server = http.createServer(async (request, response) => {
	served++;
	switch (request.url) {
		case '/slow':
			setTimeout(() => response.end('slow'), 700);
			return;
		case '/stream':
			response.write('begin ');
			setTimeout(() => response.end('end'), 700);
			return;
		case '/hang':
			return;
		case '/echo':
			request.pipe(response);
			return;
		case '/ill':
			response.statusCode = 500;
			break;
		case '/throw':
			throw new Error('thrown in a listener');
	}
	response.end(`NAME ${request.method} ${request.url} ${request.headers.host} ${Boolean(request.socket.encrypted)}`);
});
server.on('upgrade', (request, socket, head) => {
	socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n');
	socket.write(head);
	socket.pipe(socket);
});
server.listen(PORT);
"""


class Connection:
    """A client that keeps its connection."""

    def __init__(self, port, context=None, name=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 10 * harness.SLOW)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, path="/", *fields, host="localhost", method="GET", body=b""):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def more(self):
        chunk = self.socket.recv(65536)
        self.data += chunk
        return chunk

    def answer(self):
        """(status, fields, body); 0 when the connection was closed."""
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                return 0, {}, b""
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        body = b""
        if "content-length" in fields:
            length = int(fields["content-length"])
            while len(self.data) < length and self.more():
                pass
            body, self.data = self.data[:length], self.data[length:]
        elif fields.get("transfer-encoding") == "chunked":
            while b"0\r\n\r\n" not in self.data and self.more():
                pass
            end = self.data.index(b"0\r\n\r\n") + 5
            body, self.data = harness.dechunk(self.data[:end]), self.data[end:]
        return int(lines[0].split()[1]), fields, body

    def ask(self, *arguments, **more):
        self.send(*arguments, **more)
        return self.answer()

    def ended(self):
        """Whether the peer has ended it."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class ServerTest(TenantdTest):
    options = ("--http", f"127.0.0.1:{HTTP}", "--https", f"127.0.0.1:{HTTPS}", "--warm", "1")

    def program(self, name, source=PROGRAM, port="0", manifest=None, file="main.mjs"):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, file), "w") as target:
            target.write(source.replace("NAME", name).replace("PORT", port))
        with open(os.path.join(folder, "tenant.json"), "w") as target:
            json.dump({"entry": file, **(manifest or {})}, target)
        return folder

    def serve(self, name, *arguments, policy=None, **more):
        port = free_port()
        return self.deploy(name, self.program(name, *arguments, **more), port=port, **(policy or {}))

    def serve_site(self, name, *sites, source=PROGRAM, port="3000", **net):
        path = os.path.join(self.folder, f"{name}.policy.json")
        with open(path, "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"ingress": list(sites), **net}}}, file)
        done = self.daemon.ctl("deploy", name, self.program(name, source, port), "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-3000:])

    def stats(self, name):
        """What `status` says of its workers."""
        return self.daemon.status(name)["stats"]

    # ---- requests ----

    def test_requests_by_curl_and_kept_connections(self):
        port = self.serve("plain")
        done = subprocess.run(
            ["curl", "-sS", "-i", f"http://127.0.0.1:{port}/a", f"http://127.0.0.1:{port}/b"],
            capture_output=True, text=True, timeout=20)
        self.assertIn(f"plain GET /a 127.0.0.1:{port} false", done.stdout)
        self.assertIn("plain GET /b", done.stdout)
        self.assertIn("Connection: keep-alive", done.stdout)
        with Connection(port) as client:
            for i in range(3):
                self.assertEqual(client.ask(f"/{i}")[2], f"plain GET /{i} localhost false".encode())
            body = os.urandom(300000)
            self.assertEqual(client.ask("/echo", method="POST", body=body)[2], body)
            # Two at a time.
            client.send("/one")
            client.send("/two")
            self.assertIn(b"/one", client.answer()[2])
            self.assertIn(b"/two", client.answer()[2])
        wait_until(lambda: self.stats("plain")["requests"] == 8, what="the count of requests")

    def test_bad_requests_are_answered(self):
        port = self.serve("strict")
        for head, status in (("GET / HTTP/1.1\r\n\r\n", 400), ("NONSENSE\r\n\r\n", 400),
                             (f"GET / HTTP/1.1\r\nHost: a\r\nX: {'x' * 20000}\r\n\r\n", 431)):
            with Connection(port) as client:
                client.socket.sendall(head.encode())
                self.assertEqual(client.answer()[0], status, head[:40])
        self.assertEqual(request(port)[0], 200)

    def test_upgrade_gives_the_socket(self):
        port = self.serve("upgrade")
        with Connection(port) as client:
            client.send("/", "Connection: Upgrade", "Upgrade: echo")
            self.assertEqual(client.answer()[0], 101)
            client.socket.sendall(b"bytes of another protocol")
            while client.data != b"bytes of another protocol":
                self.assertTrue(client.more())

    def test_an_exception_in_a_listener_ends_the_worker(self):
        port = self.serve("throws")
        with Connection(port) as client:
            client.send("/throw")
            self.assertEqual(client.answer()[0], 0)
        wait_until(lambda: "thrown in a listener" in self.daemon.ctl("logs", "throws").stdout,
                   what="its log")

    def test_a_port_that_is_not_granted(self):
        port = free_port()
        folder = self.program("elsewhere", port=str(port + 1 if port < 65535 else port - 1))
        done = self.daemon.ctl("deploy", "elsewhere", folder, "--policy", self.policy(port))
        self.addCleanup(self.daemon.ctl, "remove", "elsewhere", "-y")
        self.assertNotEqual(done.returncode, 0)
        said = done.stdout + done.stderr + self.daemon.ctl("logs", "elsewhere").stdout
        self.assertIn("is not granted (net.listen of the policy has", said)

    def test_https_of_its_own(self):
        pem, key = make_certificate(self.folder, "own", "localhost")
        source = f"""
            import https from 'node:https';
            const options = {{ cert: {json.dumps(open(pem).read())}, key: {json.dumps(open(key).read())} }};
            https.createServer(options, (request, response) => response.end(`secure ${{request.socket.encrypted}}`)).listen();
        """
        port = self.serve("secure", source)
        context = ssl.create_default_context(cafile=pem)
        with Connection(port, context, "localhost") as client:
            self.assertEqual(client.ask("/")[2], b"secure true")
            self.assertEqual(client.ask("/")[2], b"secure true")

    # ---- limits ----

    def test_too_many_at_once_are_refused(self):
        port = self.serve("busy", policy={"limits": {"request": {"concurrent": 2}}})
        with Connection(port) as one, Connection(port) as two, Connection(port) as three:
            one.send("/hang")
            two.send("/hang")
            wait_until(lambda: three.ask("/")[0] == 503, what="a refusal")
            status, fields, _ = three.ask("/")
            self.assertEqual((status, fields["retry-after"]), (503, "1"))
            # Whoever goes away makes room.
            one.socket.close()
            wait_until(lambda: three.ask("/")[0] == 200, what="room")

    # ---- the worker's life ----

    def test_probes_ask_the_server(self):
        port = free_port()
        probes = {"startup": {"httpGet": {"path": "/"}, "periodSeconds": 1, "failureThreshold": 2}}
        self.deploy("probed", self.program("probed", manifest={"probes": probes}), port=port)
        probes["startup"]["httpGet"]["path"] = "/ill"
        done = self.daemon.ctl("deploy", "probed", self.program("probed", manifest={"probes": probes}))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("500", done.stdout + done.stderr)
        self.assertEqual(request(port)[0], 200)

    def test_a_drain_finishes_what_is_under_way(self):
        port = self.serve("drained")
        with Connection(port) as slow, Connection(port) as stream, Connection(port) as idle:
            self.assertEqual(idle.ask("/")[0], 200)
            slow.send("/slow")
            stream.send("/stream")
            while b"begin" not in stream.data:
                stream.more()
            stopping = threading.Thread(target=self.daemon.ctl, args=("stop", "drained"))
            begun = time.monotonic()
            stopping.start()
            status, fields, body = slow.answer()
            self.assertEqual((status, body, fields["connection"]), (200, b"slow", "close"))
            self.assertEqual(stream.answer()[2], b"begin end")
            self.assertTrue(slow.ended() and stream.ended() and idle.ended())
            stopping.join()
            self.assertLess(time.monotonic() - begun, 5 * harness.SLOW)

    def test_a_deploy_under_load_loses_nothing(self):
        port = self.serve("loaded")
        stop, failures, count = threading.Event(), [], [0]

        def client():
            while not stop.is_set():
                try:
                    connection = Connection(port)
                    for _ in range(20):
                        status, fields, _ = connection.ask("/")
                        if status != 200:
                            failures.append(status)
                        count[0] += 1
                        if fields.get("connection") == "close":
                            break
                    connection.socket.close()
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=client) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            done = self.daemon.ctl("deploy", "loaded", self.program("loaded"))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(count[0], 20)

    # ---- the ports that tenants share ----

    def test_what_comes_through_the_ingress(self):
        self.serve_site("shared", "shared.example.com")
        with Connection(HTTP) as client:
            for _ in range(2):
                status, _, body = client.ask("/x", host="shared.example.com")
                self.assertEqual((status, body), (200, b"shared GET /x shared.example.com false"))
            # A later request on the same connection for somebody else's.
            self.assertEqual(client.ask("/x", host="other.example.com")[0], 421)

    def test_tls_ends_in_the_worker(self):
        pem, key = make_certificate(self.folder, "site", "tls.example.com")
        self.serve_site("tls", {"host": "tls.example.com", "certificate": pem, "key": key})
        context = ssl.create_default_context(cafile=pem)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with Connection(HTTPS, context, "tls.example.com") as client:
            self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
            for _ in range(2):
                status, _, body = client.ask("/", host="tls.example.com")
                self.assertEqual((status, body), (200, b"tls GET / tls.example.com true"))
            client.send("/", "Connection: Upgrade", "Upgrade: echo", host="tls.example.com")
            self.assertEqual(client.answer()[0], 101)
            client.socket.sendall(b"secret")
            self.assertEqual(client.socket.recv(100), b"secret")


if __name__ == "__main__":
    unittest.main()
