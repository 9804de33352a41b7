"""TLS and HTTP/2 of the shared ports, with a real daemon, tenantd-ingress and workers: who ends
TLS, with which certificate, and what a client may not do."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import harness
import h2_client
from h2_client import Client, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS
from harness import TenantdTest, wait_until

HTTP = harness.free_port()
HTTPS = harness.free_port()

PROGRAM = """
let aborted = 0;
export default {
	async fetch(request, env, ctx) {
		const url = new URL(request.url);
		switch (url.pathname) {
			case '/echo':
				return new Response(request.body);
			case '/text':
				return new Response(String((await request.arrayBuffer()).byteLength));
			case '/large':
				return new Response('x'.repeat(3000000));
			case '/head':
				return Response.json({ url: request.url, method: request.method,
					headers: Object.fromEntries(request.headers) });
			case '/fields':
				return new Response('f', { headers: { 'X-Own': 'one', 'set-cookie': 'a=b' }, status: 418 });
			case '/stream':
				return new Response(new ReadableStream({
					async pull(controller) {
						this.count = (this.count ?? 0) + 1;
						controller.enqueue(new TextEncoder().encode(`${this.count}\\n`.padEnd(50000, '.')));
						if (this.count === 20) controller.close();
					},
				}));
			case '/slow':
				await new Promise((done) => setTimeout(done, 400));
				return new Response('slow\\n');
			case '/hang':
				request.signal.addEventListener('abort', () => aborted++);
				return new Promise(() => {});
			case '/aborted':
				return new Response(String(aborted));
			case '/early':
				return new Response('early\\n');
			case '/later':
				ctx.waitUntil(request.text().then((text) => console.log('later', text.length)));
				return new Response('later\\n');
			case '/throw':
				throw new Error('no');
			case '/empty':
				return new Response(null, { status: 204 });
			case '/broken':
				return new Response(new ReadableStream({
					start(controller) { controller.enqueue(new Uint8Array(10)); },
					pull(controller) { controller.error(new Error('broke')); },
				}));
		}
		return new Response(`NAME ${url.protocol} ${url.host} ${url.pathname}\\n`);
	},
};
"""


def make_certificate(folder, name, *hosts, kind="ec"):
    """A certificate that is its own authority, and its key: two paths."""
    paths = [os.path.join(folder, f"{name}.{part}") for part in ("pem", "key")]
    new = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind == "ec" else ["rsa:2048"]
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *new, "-nodes", "-days", "30", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={names}", "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True)
    os.chmod(paths[1], 0o600)
    return paths


class TlsIngressTest(TenantdTest):
    options = ("--http", f"127.0.0.1:{HTTP}", "--https", f"127.0.0.1:{HTTPS}", "--warm", "1")

    def certificate(self, name, *hosts, kind="ec"):
        return make_certificate(self.folder, name, *hosts, kind=kind)

    def serve(self, name, *sites, source=PROGRAM, **parts):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "main.js"), "w") as file:
            file.write(source.replace("NAME", name))
        with open(os.path.join(folder, "tenant.json"), "w") as file:
            json.dump({"entry": "main.js"}, file)
        policy = self.write_policy(name, *sites, **parts)
        done = self.daemon.ctl("deploy", name, folder, "--policy", policy)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-2000:])

    def write_policy(self, name, *sites, **parts):
        path = os.path.join(self.folder, f"{name}.policy.json")
        with open(path, "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"ingress": list(sites)}}, **parts}, file)
        return path

    def site(self, name, host, **options):
        certificate, key = self.certificate(name, host, **options)
        return {"host": host, "certificate": certificate, "key": key}

    def serve_one(self, name="shop", host=None, **parts):
        self.host = host or f"{name}.test"
        site = self.site(name, self.host)
        self.ca = site["certificate"]
        self.serve(name, site, **parts)
        return site

    def curl(self, *arguments, path="/", host=None, ca=None, check=True):
        host = host or self.host
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(20 * harness.SLOW), "--cacert", ca or self.ca, "--resolve",
             f"{host}:{HTTPS}:127.0.0.1", *arguments, f"https://{host}:{HTTPS}{path}"],
            capture_output=True)
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode("latin-1") if check else done

    def client(self, **options):
        return Client(HTTPS, self.host, self.ca, **options)

    def s_client(self, *arguments, name=None):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{HTTPS}", "-servername", name or self.host,
             *arguments], input=b"", capture_output=True, timeout=20 * harness.SLOW)
        return (done.stdout + done.stderr).decode()

    def worker(self, name):
        return self.daemon.status(name)["pid"]

    # ---- HTTP over TLS ----

    def test_both_versions_of_http(self):
        self.serve_one()
        for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
            with self.subTest(option):
                out = self.curl(option, "-w", "%{http_version}", path="/a?b=c")
                self.assertEqual(out, f"shop https: {self.host}:{HTTPS} /a\n{version}")
                head = json.loads(self.curl(option, "-H", "X-Thing: ü", "-b", "a=1; b=2", path="/head"))
                self.assertEqual(head["url"], f"https://{self.host}:{HTTPS}/head")
                self.assertEqual(head["headers"]["host"], f"{self.host}:{HTTPS}")
                self.assertEqual(head["headers"]["cookie"], "a=1; b=2")
                self.assertIn("x-thing", head["headers"])
                self.assertNotIn(":path", head["headers"])

    def test_bodies_in_both_directions(self):
        # Sanitizers keep what was freed.
        self.serve_one(limits={"memory": "1G"})
        body = os.path.join(self.folder, "body")
        with open(body, "wb") as file:
            file.write(os.urandom(2_500_000))
        with open(body, "rb") as file:
            content = file.read().decode("latin-1")
        for option in ("--http1.1", "--http2"):
            with self.subTest(option):
                upload = (option, "--data-binary", f"@{body}")
                self.assertEqual(self.curl(*upload, path="/echo"), content)
                self.assertEqual(self.curl(*upload, path="/text"), "2500000")
                self.assertEqual(len(self.curl(option, path="/large")), 3000000)
                stream = self.curl(option, path="/stream")
                self.assertEqual(re.findall(r"\d+", stream), [str(i) for i in range(1, 21)])
                self.assertEqual(len(stream), 20 * 50000)
                self.assertEqual(self.curl(*upload, path="/early"), "early\n")

    def test_heads_of_responses(self):
        self.serve_one()
        out = self.curl("--http2", "-i", path="/fields").lower()
        for part in ("http/2 418", "x-own: one", "set-cookie: a=b", "content-length: 1", "date: "):
            self.assertIn(part, out)
        self.assertNotIn("connection:", out)
        head = self.curl("--http2", "-I", path="/large")
        self.assertIn("content-length: 3000000", head)
        self.assertIn("HTTP/2 204", self.curl("--http2", "-i", path="/empty"))
        self.assertIn("HTTP/2 500", self.curl("--http2", "-i", path="/throw"))
        self.assertNotIn("content-length", self.curl("--http2", "-i", path="/stream").split("\r\n\r\n")[0])

    def test_a_response_that_breaks_is_not_whole(self):
        self.serve_one()
        for option in ("--http1.1", "--http2"):
            with self.subTest(option):
                self.assertIn(self.curl(option, path="/broken", check=False).returncode, (18, 56, 92))

    def test_many_streams_at_a_time(self):
        self.serve_one()
        with self.client() as client:
            start = time.monotonic()
            streams = [client.request("/slow") for _ in range(50)]
            left = set(streams)
            while left:
                frame = client.frames((DATA, RST_STREAM, GOAWAY))
                self.assertEqual(frame[0], DATA)
                if frame[1] & END_STREAM:
                    left.discard(frame[2])
            self.assertLess(time.monotonic() - start, 5 * harness.SLOW)

    def test_streams_beyond_the_bound_may_be_asked_again(self):
        self.serve_one(limits={"request": {"concurrent": 3}})
        with self.client() as client:
            streams = [client.request("/slow") for _ in range(4)]
            outcome = [client.response(streams[3]), *(client.response(stream) for stream in streams[:3])]
            self.assertEqual(outcome[0], h2_client.REFUSED_STREAM)
            self.assertEqual([body for _, body in outcome[1:]], [b"slow\n"] * 3)

    def test_the_limit_of_requests_is_of_all_connections(self):
        self.serve_one(limits={"request": {"concurrent": 2}})
        with self.client() as one, self.client() as two:
            held = [one.request("/slow"), one.request("/slow")]
            one.frames((SETTINGS,))
            time.sleep(0.1)
            head, body = two.response(two.request("/"))
            self.assertEqual(two.status(head), 503)
            self.assertIn(b"Service Unavailable", body)
            for stream in held:
                self.assertEqual(one.response(stream)[1], b"slow\n")

    def test_a_reset_stream_aborts_its_request(self):
        self.serve_one()
        with self.client() as client:
            stream = client.request("/hang")
            self.assertEqual(client.response(client.request("/early"))[1], b"early\n")
            client.send(RST_STREAM, 0, stream, h2_client.CANCEL.to_bytes(4, "big"))
            self.assertEqual(client.response(client.request("/aborted"))[1], b"1")
            self.assertEqual(self.daemon.status("shop")["pid"], self.worker("shop"))

    def test_a_body_goes_on_after_its_response(self):
        self.serve_one()
        with self.client() as client:
            stream = client.request("/later", "POST", end=False)
            client.send(DATA, 0, stream, b"x" * 1000)
            client.send(DATA, END_STREAM, stream, b"y" * 500)
            self.assertEqual(client.response(stream)[1], b"later\n")
        wait_until(lambda: "later 1500" in self.daemon.ctl("logs", "shop").stdout, what="the rest of the body")

    def test_a_body_that_nobody_reads_is_not_taken(self):
        self.serve_one()
        with self.client() as client:
            client.frames((SETTINGS,))
            stream = client.request("/hang", "POST", end=False)
            sent = 0
            client.socket.settimeout(0.5 * harness.SLOW)
            # The window that the settings gave, and not more.
            while sent < 256 * 1024:
                client.send(DATA, 0, stream, b"z" * 16384)
                sent += 16384
            with self.assertRaises(TimeoutError):
                while frame := client.read_frame():
                    self.assertNotIn(frame[0], (h2_client.GOAWAY, h2_client.RST_STREAM))
                    self.assertFalse(frame[0] == h2_client.WINDOW_UPDATE and frame[2] == stream)
            client.socket.settimeout(10 * harness.SLOW)
            client.send(DATA, 0, stream, b"too much")
            self.assertEqual(client.frames((RST_STREAM, GOAWAY))[0] in (RST_STREAM, GOAWAY), True)

    def test_bodies_that_are_too_large(self):
        self.serve_one(limits={"request": {"body": "10K"}})
        with self.client() as client:
            head, _ = client.response(
                client.request("/text", "POST", ("content-length", "20000"), end=False))
            self.assertEqual(client.status(head), 413)
            stream = client.request("/text", "POST", end=False)
            client.send(DATA, 0, stream, b"x" * 16000)
            head, _ = client.response(stream)
            self.assertEqual(client.status(head), 413)
            # What the client sends on is thrown away; the connection goes on.
            self.assertEqual(client.response(client.request("/early"))[1], b"early\n")

    def test_a_request_that_takes_too_long(self):
        self.serve_one(limits={"request": {"time": "1s"}})
        with self.client() as client:
            head, _ = client.response(client.request("/hang"))
            self.assertEqual(client.status(head), 503)
            self.assertEqual(client.response(client.request("/early"))[1], b"early\n")

    # ---- heads that are refused ----

    def refused(self, *fields, status=400, pseudo=None):
        with self.client() as client:
            head = (h2_client.request_head(self.host) if pseudo is None
                    else b"".join(h2_client.literal(*field) for field in pseudo))
            head += b"".join(h2_client.literal(*field) for field in fields)
            first, rest = head[:16000], head[16000:]
            client.send(HEADERS, END_STREAM | (0 if rest else END_HEADERS), 1, first)
            if rest:
                client.send(CONTINUATION, END_HEADERS, 1, rest)
            outcome = client.response(1)
            if status is None:
                self.assertIsInstance(outcome, int)
                self.assertEqual(outcome, h2_client.PROTOCOL_ERROR)
            else:
                self.assertEqual(client.status(outcome[0]), status)

    def test_heads_that_are_refused(self):
        self.serve_one()
        good = [(":method", "GET"), (":scheme", "https"), (":authority", self.host), (":path", "/")]
        cases = [
            (dict(pseudo=[*good[:3], (":path", "x")]), None),
            (dict(pseudo=good[:2] + good[3:]), None),
            (dict(pseudo=[good[0], (":scheme", "http"), *good[2:]]), 400),
            (dict(pseudo=[(":method", "BREW"), *good[1:]]), 501),
            (dict(pseudo=[(":method", "TRACE"), *good[1:]]), 501),
            (dict(pseudo=[*good[:2], (":authority", "a b"), good[3]]), None),
            (dict(pseudo=[*good[:2], (":authority", "other.test"), good[3]]), 421),
            (dict(pseudo=[*good, (":path", "/")]), None),
            (dict(pseudo=[*good, (":strange", "/")]), None),
            (dict(pseudo=[*good[:3], (":path", "/" + "p" * 9000)]), 414),
        ]
        for case, status in cases:
            with self.subTest(str(case["pseudo"])[:150]):
                self.refused(status=status, **case)
        for fields, status in [
            ([("host", "other.test")], 400),
            ([("connection", "close")], None),
            ([("transfer-encoding", "chunked")], None),
            ([("te", "gzip")], None),
            ([("Upper", "case")], None),
            ([("new", "a\nb")], None),
            ([("content-length", "5")], None),
            ([("expect", "miracles")], 417),
            ([(f"x-{i}", "y" * 300) for i in range(60)], 431),
            ([(f"x-{i}", "y") for i in range(101)], 431),
        ]:
            with self.subTest(fields[0]):
                self.refused(*fields, status=status)

    def test_fields_that_are_good(self):
        self.serve_one()
        with self.client() as client:
            head, body = client.response(client.request(
                "/head", "GET", ("host", self.host), ("cookie", "a=1"), ("x", "1"), ("cookie", "b=2"),
                ("x", "2"), ("te", "trailers")))
            fields = json.loads(body)["headers"]
            self.assertEqual((fields["cookie"], fields["x"], fields["host"]), ("a=1; b=2", "1, 2", self.host))
            head, body = client.response(client.request("/a/../%7e'/?q", host=self.host.upper()))
            self.assertEqual(body.decode(), f"shop https: {self.host} /%7e'/\n")

    def test_a_head_in_pieces(self):
        self.serve_one()
        with self.client() as client:
            head = h2_client.request_head(self.host, "/head", "GET", ("x-long", "v" * 400))
            client.send(HEADERS, END_STREAM, 1, head[:10])
            for at in range(10, len(head), 80):
                time.sleep(0.02)
                last = at + 80 >= len(head)
                client.send(CONTINUATION, END_HEADERS if last else 0, 1, head[at : at + 80])
            self.assertEqual(json.loads(client.response(1)[1])["headers"]["x-long"], "v" * 400)

    # ---- hosts ----

    def test_each_host_has_its_own_certificate(self):
        one, two = self.site("one", "one.test"), self.site("two", "two.test", kind="rsa")
        wild = self.site("wild", "*.two.test")
        self.serve("both", one, two, wild)
        other = self.site("other", "other.test")
        self.serve("other", other)
        for host, site, name in [("one.test", one, "both"), ("two.test", two, "both"),
                                 ("a.two.test", wild, "both"), ("other.test", other, "other")]:
            for option in ("--http2", "--http1.1"):
                with self.subTest(host):
                    self.assertEqual(self.curl(option, host=host, ca=site["certificate"]),
                                     f"{name} https: {host}:{HTTPS} /\n")
        self.host = "one.test"
        self.assertIn("unrecognized name", self.s_client(name="nobody.test"))
        # Of a connection for one of its hosts a tenant may answer for all of its own, no other's.
        self.ca = one["certificate"]
        with self.client() as client:
            head, body = client.response(client.request("/", host="two.test"))
            self.assertIn(b"both https: two.test /", body)
            head, body = client.response(client.request("/", host="other.test"))
            self.assertEqual(client.status(head), 421)
        with self.tls() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
            self.assertIn(b"421", connection.recv(1000))

    def tls(self, host=None, **options):
        context = ssl.create_default_context(cafile=self.ca)
        for name, value in options.items():
            setattr(context, name, value)
        plain = socket.create_connection(("127.0.0.1", HTTPS), 10 * harness.SLOW)
        return context.wrap_socket(plain, server_hostname=host or self.host)

    def test_versions_protocols_and_ciphers(self):
        self.serve_one()
        for version in ("-tls1_2", "-tls1_3"):
            out = self.s_client(version, "-alpn", "h2,http/1.1")
            self.assertIn("ALPN protocol: h2", out)
            self.assertIn("Verify return code: 18", out)
        self.assertIn("ALPN protocol: http/1.1", self.s_client("-alpn", "http/1.1"))
        self.assertIn("No ALPN negotiated", self.s_client())
        self.assertIn("no application protocol", self.s_client("-alpn", "h3"))
        self.assertIn("Cipher is (NONE)", self.s_client("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"))
        self.assertIn("Cipher is (NONE)", self.s_client("-tls1_2", "-cipher", "AES128-SHA"))
        self.assertIn("Secure Renegotiation IS", self.s_client("-tls1_2"))

    def test_sessions_are_resumed(self):
        self.serve_one()
        path = os.path.join(self.folder, "session")
        with self.tls() as connection:
            connection.sendall(b"GET /early HTTP/1.1\r\nHost: %b\r\n\r\n" % self.host.encode())
            connection.recv(1000)
            session = connection.session
        self.assertIsNotNone(session)
        self.s_client("-tls1_2", "-sess_out", path)
        self.assertIn("Reused, TLSv1.2", self.s_client("-tls1_2", "-sess_in", path))

    def test_renegotiation_is_refused(self):
        self.serve_one()
        client = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{HTTPS}", "-servername", self.host, "-tls1_2"],
            input=b"R\n", capture_output=True, timeout=20 * harness.SLOW)
        self.assertRegex((client.stdout + client.stderr).decode(), "no renegotiation|RENEGOTIATING")
        self.assertNotIn(b"verify return:1\nverify return:1\nverify return:1", client.stderr)
        self.assertEqual(self.curl("--http2", path="/early"), "early\n")

    def test_an_end_is_told(self):
        self.serve_one()
        with self.tls() as connection:
            connection.sendall(b"GET /early HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % self.host.encode())
            data = b""
            # Without close_notify this would be SSLEOFError.
            while chunk := connection.recv(1000):
                data += chunk
            self.assertTrue(data.endswith(b"early\n"))

    # ---- what a client may not do ----

    def flood(self, frames, count=3000):
        """Sends FRAMES(i) until it is stopped. Returns the code of GOAWAY."""
        with self.client() as client:
            try:
                for i in range(count):
                    client.socket.sendall(frames(client, i))
            except (ConnectionError, ssl.SSLError):
                pass
            client.socket.settimeout(5 * harness.SLOW)
            code = client.goaway()
        self.assertEqual(self.curl("--http2", path="/early"), "early\n")
        return code

    def assert_stopped(self, code):
        # A client that does not read while it sends may lose GOAWAY to the reset behind it.
        self.assertIn(code, (h2_client.ENHANCE_YOUR_CALM, h2_client.INTERNAL_ERROR, h2_client.PROTOCOL_ERROR, None))

    def test_rapid_reset(self):
        self.serve_one()

        def frames(client, i):
            head = h2_client.request_head(self.host, "/hang")
            return (client.frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, head) +
                    client.frame(RST_STREAM, 0, 2 * i + 1, h2_client.CANCEL.to_bytes(4, "big")))

        self.assert_stopped(self.flood(frames))
        wait_until(lambda: self.curl("--http2", path="/aborted") != "0", what="aborts")
        # Far fewer than were sent were ever begun.
        self.assertLess(int(self.curl("--http2", path="/aborted")), 500)

    def test_endless_continuations(self):
        self.serve_one()
        self.assert_stopped(self.flood(lambda client, i: client.frame(HEADERS, END_STREAM, 1, h2_client.request_head(self.host))
                                       if i == 0 else client.frame(CONTINUATION, 0, 1, h2_client.literal(f"x{i}", "y"))))

    def test_a_head_that_unpacks_to_much(self):
        self.serve_one()
        # One large field goes into the table, then it is named again and again: a byte each.
        field = b"\x40\x01a\x7f\x81\x1e" + b"v" * 4000
        head = h2_client.request_head(self.host) + field + b"\xbe" * 8000
        self.assert_stopped(self.flood(lambda client, i: client.frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, head), 20))

    def test_floods_of_frames_that_bring_nothing(self):
        self.serve_one()
        kinds = {
            "ping": lambda client, i: client.frame(PING, 0, 0, b"12345678"),
            "settings": lambda client, i: client.frame(SETTINGS, 0, 0),
            "priority": lambda client, i: client.frame(h2_client.PRIORITY, 0, 3, b"\0\0\0\0\x10"),
            "data": lambda client, i: client.frame(HEADERS, END_HEADERS, 1, h2_client.request_head(self.host, "/text", "POST"))
            if i == 0 else client.frame(DATA, 0, 1),
            "unknown": lambda client, i: client.frame(0xBB, 0, 0, b"?"),
        }
        for name, frames in kinds.items():
            with self.subTest(name):
                self.assert_stopped(self.flood(frames, 2500))

    def test_what_is_no_http2(self):
        self.serve_one()
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", HTTPS), 10)
        with context.wrap_socket(plain, server_hostname=self.host) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            data = b""
            while chunk := connection.recv(1000):
                data += chunk
            self.assertNotIn(b"HTTP/1.1 200", data)
        # And prior knowledge on a plain port is none.
        with socket.create_connection(("127.0.0.1", HTTP), 10) as connection:
            connection.sendall(h2_client.PREFACE + Client.frame(SETTINGS, 0, 0))
            self.assertNotIn(b"\0\0", connection.recv(9))

    def test_a_handshake_that_never_ends(self):
        self.serve_one()
        with socket.create_connection(("127.0.0.1", HTTPS), 30 * harness.SLOW) as connection:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = ssl.create_default_context(cafile=self.ca)
            tls = context.wrap_bio(incoming, outgoing, server_hostname=self.host)
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            connection.sendall(outgoing.read())
            start = time.monotonic()
            while connection.recv(65536):
                pass
            self.assertGreater(time.monotonic() - start, 5)
            self.assertLess(time.monotonic() - start, 20 * harness.SLOW)

    def test_bytes_that_are_no_tls_after_a_hello(self):
        self.serve_one()
        with socket.create_connection(("127.0.0.1", HTTPS), 10) as connection:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = ssl.create_default_context(cafile=self.ca).wrap_bio(incoming, outgoing, server_hostname=self.host)
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            connection.sendall(outgoing.read() + b"garbage" * 100)
            while connection.recv(65536):
                pass
        self.assertEqual(self.curl("--http2", path="/early"), "early\n")

    # ---- the end of a worker ----

    def test_a_drain_says_goaway_and_finishes(self):
        self.serve_one()
        with self.client() as client:
            slow = client.request("/slow")
            done = threading.Thread(target=self.daemon.ctl, args=("restart", "shop"))
            done.start()
            kinds, body = [], b""
            while frame := client.read_frame():
                kinds.append(frame[0])
                if frame[0] == DATA and frame[2] == slow:
                    body += frame[3]
            done.join()
            self.assertEqual(body, b"slow\n")
            self.assertIn(GOAWAY, kinds)

    def load(self, stop, failures, counts, option):
        while not stop.is_set():
            done = self.curl(option, path="/early", check=False)
            counts.append(1)
            if done.returncode or done.stdout != b"early\n":
                failures.append((done.returncode, done.stderr))

    def under_load(self, what):
        stop, failures, counts = threading.Event(), [], []
        threads = [threading.Thread(target=self.load, args=(stop, failures, counts, option))
                   for option in ("--http2", "--http1.1")]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(counts) > 5, what="some load")
            what()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        return len(counts)

    def test_restarts_lose_nothing(self):
        self.serve_one()
        count = self.under_load(lambda: [self.daemon.ctl("restart", "shop") for _ in range(3)])
        self.assertGreater(count, 10)

    # ---- certificates ----

    def shown(self, name=None):
        """The fingerprint of the certificate that a client is shown."""
        out = subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint", "-sha256"], capture_output=True,
            input=re.search("-----BEGIN.*END CERTIFICATE-----", self.s_client("-showcerts", name=name), re.S)[0].encode())
        return out.stdout.decode()

    def hangup(self):
        self.daemon.process.send_signal(signal.SIGHUP)

    def test_certificates_are_replaced_without_a_restart(self):
        site = self.serve_one()
        before, worker = self.shown(), self.worker("shop")
        certificate, key = make_certificate(self.folder, "new", self.host)
        # Clients trust both: each request finds the one or the other.
        self.ca = os.path.join(self.folder, "both.pem")
        with open(self.ca, "w") as both:
            for path in (site["certificate"], certificate):
                with open(path) as file:
                    both.write(file.read())
        with self.client() as held:
            self.assertEqual(held.response(held.request("/early"))[1], b"early\n")

            def replace():
                os.rename(key, site["key"])
                os.rename(certificate, site["certificate"])
                self.hangup()
                wait_until(lambda: self.shown() != before, what="the new certificate")

            self.under_load(replace)
            self.assertEqual(held.response(held.request("/early"))[1], b"early\n")
        self.assertEqual(self.worker("shop"), worker)
        self.assertIn("event=certificates-renewed tenant=shop", self.daemon.log())

    def test_a_pair_that_does_not_fit_changes_nothing(self):
        site = self.serve_one()
        before = self.shown()
        other = make_certificate(self.folder, "other", self.host)
        os.rename(other[1], site["key"])
        self.hangup()
        wait_until(lambda: "event=certificate-kept tenant=shop" in self.daemon.log(), what="the refusal")
        self.assertIn("does not belong to the certificate", self.daemon.log())
        self.assertEqual(self.shown(), before)
        # Nor does a new worker lose it.
        self.daemon.ctl("restart", "shop")
        self.assertEqual(self.shown(), before)

    def deploy_error(self, site):
        with self.assertRaises(AssertionError) as caught:
            self.serve("bad", site)
        text = str(caught.exception).split("event=")[0]
        self.assertIn("/permissions/net/ingress/0", text)
        return text

    def test_certificates_that_cannot_be_used_are_errors(self):
        site = self.site("bad", "bad.test")
        other = self.site("other", "bad.test")
        self.assertIn("cannot open", self.deploy_error({**site, "key": "/nowhere/x.key"}))
        self.assertIn("does not belong to the certificate", self.deploy_error({**site, "key": other["key"]}))
        self.assertIn("has no certificate", self.deploy_error({**site, "certificate": site["key"]}))
        os.chmod(site["key"], 0o644)
        self.assertIn("chmod 0600", self.deploy_error(site))
        os.chmod(site["key"], 0o600)
        self.serve("bad", site)

    def test_the_key_is_nowhere_to_be_read(self):
        site = self.serve_one(source="""
            import * as fs from 'node:fs';
            export default { fetch() {
                let found = '';
                for (const file of ['environ', 'cmdline', 'maps'])
                    try { found += fs.readFileSync('/proc/self/' + file, 'latin1'); } catch {}
                return new Response(JSON.stringify(process.env) + process.argv + found);
            } };""")
        with open(site["key"]) as file:
            lines = [line for line in file.read().splitlines() if "-----" not in line]
        text = self.curl("--http2") + self.daemon.log() + self.daemon.ctl("logs", "shop").stdout
        text += json.dumps(self.daemon.status("shop"))
        worker = self.worker("shop")
        for name in ("environ", "cmdline"):
            with open(f"/proc/{worker}/{name}", errors="replace") as file:
                text += file.read()
        for line in lines:
            self.assertNotIn(line, text)
        # No descriptor leads to it, and its text is not in the memory of the worker: only the
        # numbers that it stands for.
        targets = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
        self.assertFalse([target for target in targets if "certificates" in target])
        self.assertNotIn(lines[0].encode(), memory(worker))
        with open(f"/proc/{worker}/limits") as file:
            self.assertRegex(file.read(), r"Max core file size +[01] ")

    def test_other_processes_never_have_it(self):
        site = self.serve_one()
        self.serve("other", "other.test")
        self.curl("--http2")
        with open(site["key"]) as file:
            line = [line for line in file.read().splitlines() if "-----" not in line][0].encode()
        der = subprocess.run(["openssl", "pkey", "-in", site["key"], "-outform", "DER"], check=True, capture_output=True).stdout
        secret = der[der.index(b"\x04\x20") + 2 :][:32]
        children = f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children"
        with open(children) as file:
            pids = [int(pid) for pid in file.read().split()]
        own = self.worker("shop")
        for pid in pids:
            if pid != own:
                content = memory(pid)
                self.assertNotIn(line, content)
                self.assertNotIn(secret, content)

    def test_without_certificate_there_is_no_tls(self):
        self.serve("plain", "plain.test")
        self.host = "plain.test"
        self.assertIn("unrecognized name", self.s_client())


def memory(pid):
    """What a process can write to."""
    content = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as file:
        for line in maps:
            place, rights = line.split()[:2]
            start, end = (int(number, 16) for number in place.split("-"))
            if "w" not in rights or end - start > 1 << 30:
                continue
            try:
                file.seek(start)
                content.append(file.read(end - start))
            except (OSError, ValueError, OverflowError):
                pass
    return b"".join(content)


if __name__ == "__main__":
    unittest.main()
