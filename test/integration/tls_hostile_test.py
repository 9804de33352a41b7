"""What clients of the shared ports may not cost a worker: floods that make the server reset
streams, fields that nobody gets, bytes behind the last request, keys changed without end."""

import ctypes
import os
import socket
import ssl
import threading
import time
import unittest

import h2_client
import harness
import ingress_tls_test
from h2_client import DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE
from harness import TenantdTest, wait_until

HUGE = ingress_tls_test.PROGRAM.replace("'/large'", "'/huge': return new Response('x'.repeat(12000000));\n\t\t\tcase '/large'")

# Answers before it has begun to read.
LATER = """
export default {
	fetch(request, env, ctx) {
		ctx.waitUntil(Promise.resolve().then(() => request.text()).then((text) => console.log('later', text.length)));
		return new Response('later\\n');
	},
};
"""


class TlsHostileTest(TenantdTest):
    # Its helpers, without its tests.
    _good = ingress_tls_test.TlsIngressTest
    options = _good.options
    certificate, serve, write_policy, site, serve_one = (
        _good.certificate, _good.serve, _good.write_policy, _good.site, _good.serve_one)
    curl, client, worker, flood, assert_stopped, tls = (
        _good.curl, _good.client, _good.worker, _good.flood, _good.assert_stopped, _good.tls)

    def resident(self, pid):
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # ---- HTTP/2 ----

    def test_streams_that_the_server_is_made_to_reset(self):
        self.serve_one()

        def begin(client, i, *fields, method="POST"):
            head = h2_client.request_head(self.host, "/hang", method, *fields)
            return client.frame(HEADERS, END_HEADERS, 2 * i + 1, head)

        kinds = {
            "window of nothing": lambda client, i: begin(client, i) +
            client.frame(WINDOW_UPDATE, 0, 2 * i + 1, b"\0\0\0\0"),
            "window too large": lambda client, i: begin(client, i) +
            client.frame(WINDOW_UPDATE, 0, 2 * i + 1, b"\x7f\xff\xff\xff"),
            "body too long": lambda client, i: begin(client, i, ("content-length", "1")) +
            client.frame(DATA, 0, 2 * i + 1, b"22"),
            "body too short": lambda client, i: begin(client, i, ("content-length", "5")) +
            client.frame(DATA, END_STREAM, 2 * i + 1, b"22"),
            "trailers in the middle": lambda client, i: begin(client, i) +
            client.frame(HEADERS, END_HEADERS, 2 * i + 1, h2_client.literal("x", "y")),
            "trailers with a path": lambda client, i: begin(client, i) +
            client.frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, h2_client.literal(":path", "/")),
            "trailers of bad characters": lambda client, i: begin(client, i) +
            client.frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, h2_client.literal("x", "a\nb")),
            "data behind the end": lambda client, i: begin(client, i) +
            client.frame(DATA, END_STREAM, 2 * i + 1, b"1") + client.frame(DATA, 0, 2 * i + 1, b"2"),
            "priority of a wrong size": lambda client, i: begin(client, i) +
            client.frame(h2_client.PRIORITY, 0, 2 * i + 1, b"\0\0\0\0"),
        }
        before = 0
        for name, frames in kinds.items():
            with self.subTest(name):
                self.assertNotEqual(self.flood(frames, 2500), "still open")
                aborted = int(self.curl("--http2", path="/aborted"))
                self.assertLess(aborted - before, 500)
                before = aborted

    def test_trailers_that_unpack_to_much(self):
        self.serve_one()
        field = b"\x40\x01a\x7f\x81\x1e" + b"v" * 4000
        head = h2_client.request_head(self.host, "/hang", "POST")
        bomb = field + b"\xbe" * 12000
        self.assert_stopped(self.flood(
            lambda client, i: client.frame(HEADERS, END_HEADERS, 2 * i + 1, head) +
            client.frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, bomb), 30))

    def test_a_body_goes_on_when_much_follows_it(self):
        self.serve_one(source=LATER)
        body = b"b" * 777
        with self.client() as client:
            head = h2_client.request_head(self.host, "/later", "POST")
            # As one read of the server's, longer than what it looks at at once.
            client.socket.sendall(client.frame(HEADERS, END_HEADERS, 1, head) + client.frame(DATA, END_STREAM, 1, body) +
                                  client.frame(0xBB, 0, 0, b"?" * 12000))
            self.assertEqual(client.response(1)[1], b"later\n")
        wait_until(lambda: "later 777" in self.daemon.ctl("logs", "shop").stdout, what="the body")

    # ---- a drain ----

    def test_a_handshake_that_a_drain_overtakes(self):
        """Who comes to HTTP/2 in a worker that ends already is told so at once."""
        self.serve_one()
        self.curl(path="/early")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2"])
        tls = context.wrap_bio(incoming, outgoing, server_hostname=self.host)
        with socket.create_connection(("127.0.0.1", ingress_tls_test.HTTPS), 20 * harness.SLOW) as plain:
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            plain.sendall(outgoing.read())
            incoming.write(plain.recv(65536))
            pid = self.worker("shop")
            done = threading.Thread(target=self.daemon.ctl, args=("restart", "shop"))
            done.start()
            self.addCleanup(done.join)
            wait_until(lambda: self.worker("shop") != pid, what="another worker")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(plain.recv(65536))
            tls.write(h2_client.PREFACE + h2_client.Client.frame(h2_client.SETTINGS, 0, 0))
            plain.sendall(outgoing.read())
            start, data = time.monotonic(), b""
            while chunk := plain.recv(65536):
                incoming.write(chunk)
                try:
                    data += tls.read(65536)
                except ssl.SSLWantReadError:
                    pass
            self.assertLess(time.monotonic() - start, 5 * harness.SLOW)
            self.assertIn(b"\x07\0\0\0\0\0", data)  # GOAWAY

    # ---- TLS ----

    def stuck(self):
        """A connection whose response nobody reads, and which ends with it."""
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(5 * harness.SLOW)
        plain.connect(("127.0.0.1", ingress_tls_test.HTTPS))
        return plain

    def test_what_follows_the_last_request_is_not_kept(self):
        self.serve_one(source=HUGE, limits={"memory": "1G"})
        self.curl(path="/early")
        pid = self.worker("shop")
        context = ssl.create_default_context(cafile=self.ca)
        with context.wrap_socket(self.stuck(), server_hostname=self.host) as connection:
            connection.sendall(b"GET /huge HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % self.host.encode())
            time.sleep(1)  # until the response has come as far as it can
            before, sent = self.resident(pid), 0
            try:
                while sent < 96 << 20:
                    connection.sendall(b"y" * 65536)
                    sent += 65536
            except (TimeoutError, ssl.SSLError, ConnectionError):
                pass
            self.assertEqual(self.worker("shop"), pid, f"killed after {sent} bytes")
            self.assertLess(self.resident(pid) - before, 24 << 20, f"{sent} bytes were sent")
        self.assertEqual(self.curl("--http2", path="/early"), "early\n")

    def test_keys_that_are_changed_without_end(self):
        self.serve_one(source=HUGE, limits={"memory": "1G"})
        lib = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(lib, name).restype = ctypes.c_void_p
        context = ctypes.c_void_p(lib.SSL_CTX_new(ctypes.c_void_p(lib.TLS_client_method())))
        session = ctypes.c_void_p(lib.SSL_new(context))
        self.addCleanup(lib.SSL_CTX_free, context)
        self.addCleanup(lib.SSL_free, session)
        with self.stuck() as plain:
            plain.settimeout(None)
            lib.SSL_set_fd(session, plain.fileno())
            lib.SSL_ctrl(session, 55, ctypes.c_long(0), self.host.encode())  # the server's name
            self.assertEqual(lib.SSL_connect(session), 1)
            request = b"GET /huge HTTP/1.1\r\nHost: %b\r\n\r\n" % self.host.encode()
            self.assertEqual(lib.SSL_write(session, request, len(request)), len(request))
            time.sleep(1)
            end, stopped = time.monotonic() + 10 * harness.SLOW, False
            while not stopped and time.monotonic() < end:
                stopped = lib.SSL_key_update(session, 1) != 1 or lib.SSL_do_handshake(session) != 1
            self.assertTrue(stopped)
        self.assertEqual(self.curl("--http2", path="/early"), "early\n")


if __name__ == "__main__":
    unittest.main()
