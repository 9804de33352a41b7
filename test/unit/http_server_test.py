"""The HTTP server over raw sockets: http_server_test.py HTTP_HOST SNAPSHOT [TEST…]

Each test class starts test/bench/http_host.c with the limits that it is about, and
test/unit/http_server_test.js as the program.
"""

import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
HOST, SNAPSHOT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])


class Server:
    def __init__(self, *options, script="http_server_test.js"):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [HOST, *options, SNAPSHOT, os.path.join(HERE, script)],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening"):
            raise AssertionError("no server: " + self.log_text())
        self.address = line.split()[1]

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self, timeout=10, receive_buffer=None):
        family = socket.AF_UNIX if self.address.startswith("/") else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(self.address if family == socket.AF_UNIX
                           else ("127.0.0.1", int(self.address)))
        return connection

    def stats(self):
        self.process.send_signal(signal.SIGUSR1)
        words = self.process.stdout.readline().split()
        return {"requests": int(words[1]), "active": int(words[2]), "connections": int(words[3])}

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


class Response:
    def __init__(self, head, body, complete=True):
        lines = head.decode("latin-1").split("\r\n")
        self.version, status, self.reason = (lines[0].split(" ", 2) + [""])[:3]
        self.status = int(status)
        self.fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        self.body = body
        self.complete = complete

    def get(self, name):
        values = [value for key, value in self.fields if key.lower() == name]
        return ", ".join(values) if values else None


class Reader:
    """Reads responses off a connection, one after the other."""

    def __init__(self, connection):
        self.connection = connection
        self.data = b""

    def more(self):
        chunk = self.connection.recv(65536)
        self.data += chunk
        return bool(chunk)

    def until(self, mark):
        while mark not in self.data:
            if not self.more():
                raise EOFError(self.data)
        before, _, self.data = self.data.partition(mark)
        return before

    def exactly(self, count):
        while len(self.data) < count:
            if not self.more():
                raise EOFError(self.data)
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def response(self, head=False):
        text = self.until(b"\r\n\r\n")
        response = Response(text, b"")
        if head or response.status in (204, 304) or response.status < 200:
            return response
        if response.get("transfer-encoding") == "chunked":
            try:
                while True:
                    size = int(self.until(b"\r\n"), 16)
                    response.body += self.exactly(size)
                    if self.exactly(2) != b"\r\n":
                        raise AssertionError("a chunk has no end")
                    if size == 0:
                        break
            except (EOFError, ConnectionResetError):
                response.complete = False
        elif response.get("content-length") is not None:
            wanted = int(response.get("content-length"))
            try:
                response.body = self.exactly(wanted)
            except (EOFError, ConnectionResetError):
                response.body, response.complete = self.data, False
        else:
            while self.more():
                pass
            response.body, self.data = self.data, b""
        return response

    def closed(self):
        """Whether the peer closes without sending anything more."""
        try:
            return self.data == b"" and self.connection.recv(1) == b""
        except ConnectionResetError:
            return True


def bytes_of(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Case(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)

    @classmethod
    def tearDownClass(cls):
        alive = cls.server.process.poll() is None
        log = cls.server.log_text()
        cls.server.stop()
        if not alive and not getattr(cls, "may_end", False):
            raise AssertionError("the server died:\n" + log)

    def open(self, **options):
        connection = self.server.connect(**options)
        self.addCleanup(connection.close)
        return connection

    def exchange(self, data, head=False):
        connection = self.open()
        connection.sendall(bytes_of(data))
        reader = Reader(connection)
        return reader.response(head), reader

    def get(self, path, *fields, method="GET", head=False):
        lines = "".join(field + "\r\n" for field in fields)
        return self.exchange(f"{method} {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n", head)[0]

    def post(self, path, body, *fields):
        lines = "".join(field + "\r\n" for field in fields)
        return self.exchange(f"POST {path} HTTP/1.1\r\nHost: a\r\n{lines}"
                             f"Content-Length: {len(body)}\r\n\r\n".encode() + bytes_of(body))[0]

    def events(self, count=1, seconds=5):
        seen = []
        deadline = time.monotonic() + seconds
        while len(seen) < count and time.monotonic() < deadline:
            seen += json.loads(self.get("/events").body)
            time.sleep(0.02)
        return seen

    def log_has(self, text, seconds=5):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in self.server.log_text():
                return True
            time.sleep(0.02)
        return False


GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Responses(Case):
    def test_hello(self):
        response = self.get("/")
        self.assertEqual((response.status, response.body), (200, b"Hello World"))
        self.assertEqual(response.get("content-type"), "text/plain;charset=UTF-8")
        self.assertEqual(response.get("content-length"), "11")
        self.assertRegex(response.get("date"), r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertIsNone(response.get("connection"))

    def test_text_is_utf8(self):
        self.assertEqual(self.get("/unicode").body.decode(), "h\u00e9llo \U0001f600")
        self.assertEqual(self.get("/latin1").body.decode(), "h\u00e9llo")
        self.assertEqual(self.get("/large").body.decode(), "\u00e9" * 100000)

    def test_bodies_and_types(self):
        response = self.get("/bytes")
        self.assertEqual((response.body, response.get("content-type")), (b"\0\1\xff", None))
        response = self.get("/json")
        self.assertEqual((response.body, response.get("content-type")),
                         (b'{"a":1}', "application/json"))
        response = self.get("/empty")
        self.assertEqual((response.body, response.get("content-length")), (b"", "0"))

    def test_status_lines(self):
        response = self.get("/status?code=404")
        self.assertEqual((response.status, response.reason), (404, "Not Found"))
        response = self.get("/status?code=299&text=Odd")
        self.assertEqual((response.status, response.reason), (299, "Odd"))

    def test_no_body_with_204_and_304(self):
        for code in (204, 304):
            connection = self.open()
            reader = Reader(connection)
            connection.sendall(f"GET /status?code={code} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            response = reader.response()
            self.assertEqual(response.status, code)
            self.assertIsNone(response.get("content-length"))
            self.assertIsNone(response.get("transfer-encoding"))
            connection.sendall(GET.encode())
            self.assertEqual(reader.response().body, b"Hello World")

    def test_head(self):
        connection = self.open()
        reader = Reader(connection)
        for path, length in (("/", "11"), ("/unicode", "11"), ("/stream", None),
                             ("/head-length", "123"), ("/bytes", "3")):
            connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            response = reader.response(head=True)
            self.assertEqual((response.status, response.get("content-length")), (200, length))
        connection.sendall(GET.encode())
        self.assertEqual(reader.response().body, b"Hello World")

    def test_fields_of_the_program(self):
        response = self.get("/cookies")
        cookies = [value for name, value in response.fields if name == "set-cookie"]
        self.assertEqual(cookies, ["a=1", "b=2"])
        self.assertEqual(response.get("date"), "Thu, 01 Jan 1970 00:00:00 GMT")

    def test_hop_by_hop_fields_are_the_servers(self):
        response, reader = self.exchange("GET /hop HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((response.body, response.get("content-length")), (b"hop", "3"))
        for name in ("connection", "transfer-encoding", "keep-alive", "upgrade"):
            self.assertIsNone(response.get(name))
        reader.connection.sendall(GET.encode())
        self.assertEqual(reader.response().body, b"Hello World")

    def test_streams(self):
        response = self.get("/stream")
        self.assertEqual(response.get("transfer-encoding"), "chunked")
        self.assertEqual(response.body, b"chunk2\nchunk1\nchunk0\n")
        self.assertEqual(self.get("/slow-stream").body, b"012")
        response = self.get("/stream?count=20000")
        self.assertTrue(response.complete and response.body.endswith(b"\nchunk0\n"))

    def test_slow_stream_comes_in_time(self):
        connection = self.open()
        connection.sendall(b"GET /slow-stream HTTP/1.1\r\nHost: a\r\n\r\n")
        reader = Reader(connection)
        started = time.monotonic()
        reader.until(b"1\r\n0\r\n")
        self.assertLess(time.monotonic() - started, 0.1)

    def test_promised_length(self):
        response = self.get("/promised?length=5")
        self.assertEqual((response.body, response.get("content-length")), (b"12345", "5"))
        self.assertIsNone(response.get("transfer-encoding"))
        for length in (4, 6):
            connection = self.open()
            connection.sendall(f"GET /promised?length={length} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            reader = Reader(connection)
            response = reader.response()
            self.assertFalse(response.complete and response.body == b"12345")
        self.assertTrue(self.log_has("shorter than its content-length"))
        self.assertTrue(self.log_has("longer than its content-length"))

    def test_environment(self):
        self.assertEqual(json.loads(self.get("/env").body), {"MODE": "test"})


class Errors(Case):
    def check_500(self, path, secret):
        response = self.get(path)
        self.assertEqual(response.status, 500)
        text = response.body.decode()
        match = re.fullmatch(r"Internal Server Error \(id ([0-9a-f]{16})\)\n", text)
        self.assertTrue(match, text)
        self.assertTrue(self.log_has(match.group(1)))
        self.assertTrue(self.log_has(secret))
        self.assertNotIn(secret, text)

    def test_throwing(self):
        self.check_500("/throw", "secret detail")
        self.check_500("/reject", "secret rejection")
        self.check_500("/throw-string", "secret string")
        self.assertTrue(self.log_has("http_server_test.js:"))

    def test_not_a_response(self):
        self.check_500("/undefined", "it returned undefined")
        self.check_500("/number", "it returned a number")
        self.check_500("/error-response", "Response.error()")
        self.check_500("/used", "has been used")

    def test_one_response_for_two_requests(self):
        self.assertEqual(self.get("/same").body, b"x")
        self.check_500("/same", "return a new Response for each request")

    def test_broken_stream_cuts_the_connection(self):
        response = self.get("/stream-error")
        self.assertEqual((response.status, response.body, response.complete), (200, b"part", False))
        self.assertTrue(self.log_has("stream broke"))
        self.assertFalse(self.get("/stream-string").complete)
        self.assertTrue(self.log_has("not a Uint8Array"))

    def test_broken_stream_over_http10(self):
        connection = self.open()
        connection.sendall(b"GET /stream-error HTTP/1.0\r\n\r\n")
        with self.assertRaises(ConnectionResetError):
            while connection.recv(65536):
                pass

    def test_wait_until_rejection_is_logged(self):
        self.assertEqual(self.get("/wait-reject").body, b"ok")
        self.assertTrue(self.log_has("waited in vain"))


class Connections(Case):
    def test_keep_alive(self):
        connection = self.open()
        reader = Reader(connection)
        for path in ("/", "/async", "/stream", "/slow?ms=20", "/"):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            self.assertEqual(reader.response().status, 200)
        self.assertEqual(self.server.stats()["active"], 0)

    def test_close_is_honoured(self):
        response, reader = self.exchange(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(response.get("connection"), "close")
        self.assertTrue(reader.closed())
        response, reader = self.exchange(
            "GET /slow-stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(response.body, b"012")
        self.assertTrue(reader.closed())

    def test_http10(self):
        response, reader = self.exchange("GET / HTTP/1.0\r\n\r\n")
        self.assertEqual((response.body, response.get("connection")), (b"Hello World", "close"))
        self.assertTrue(reader.closed())
        response, reader = self.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        self.assertEqual(response.get("connection"), "keep-alive")
        reader.connection.sendall(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = reader.response()
        self.assertIsNone(response.get("transfer-encoding"))
        self.assertEqual(response.body, b"chunk2\nchunk1\nchunk0\n")

    def test_pipelining_in_order(self):
        paths = ["/", "/slow?ms=60", "/async", "/stream", "/json", "/slow?ms=5", "/"]
        wanted = [b"Hello World", b"slow", b"async", b"chunk2\nchunk1\nchunk0\n", b'{"a":1}',
                  b"slow", b"Hello World"]
        requests = "".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths).encode()
        for step in (len(requests), 7):
            connection = self.open()
            reader = Reader(connection)
            for at in range(0, len(requests), step):
                connection.sendall(requests[at:at + step])
            self.assertEqual([reader.response().body for _ in paths], wanted)

    def test_pipelined_answers_come_in_one_piece(self):
        connection = self.open()
        connection.sendall(GET.encode() * 20)
        time.sleep(0.2)
        self.assertEqual(connection.recv(65536).count(b"Hello World"), 20)

    def test_pipelined_bodies(self):
        connection = self.open()
        reader = Reader(connection)
        one = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
        two = (b"POST /echo-stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\nghi\r\n0\r\n\r\n")
        connection.sendall(one + b"abc" + one + b"def" + two + one + b"jkl" + GET.encode())
        bodies = [reader.response().body for _ in range(5)]
        self.assertEqual(bodies, [b"abc", b"def", b"ghi", b"jkl", b"Hello World"])

    def test_many_pipelined_requests_and_a_slow_reader(self):
        connection = self.open(receive_buffer=4096, timeout=30)
        count = 3000

        def send():
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 50 + GET.encode() * count)
        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.5)
        reader = Reader(connection)
        for _ in range(50):
            self.assertEqual(len(reader.response().body), 200000)
        for _ in range(count):
            self.assertEqual(reader.response().body, b"Hello World")
        sender.join()

    def test_split_everywhere(self):
        data = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        connection = self.open()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = Reader(connection)
        for cut in range(1, len(data), 3):
            connection.sendall(data[:cut])
            time.sleep(0.002)
            connection.sendall(data[cut:])
            self.assertEqual(reader.response().body, b"hello")

    def test_garbage_never_reaches_the_program(self):
        before = self.server.stats()["requests"]
        for data, status in ((b"\x16\x03\x01\x02\0\1\0\1\xfc", 400), (b"nonsense\r\n\r\n", 400),
                             (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
                             (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501)):
            response, reader = self.exchange(data)
            self.assertEqual((response.status, response.get("connection")), (status, "close"))
            self.assertTrue(reader.closed())
        self.assertEqual(self.server.stats()["active"], 0)
        self.assertEqual(self.server.stats()["requests"], before + 4)

    def test_smuggling_is_refused_and_nothing_follows(self):
        hidden = b"GET /throw HTTP/1.1\r\nHost: a\r\n\r\n"
        for fields in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                       b"Content-Length: 0\r\nContent-Length: 5\r\n",
                       b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
                       b"Transfer-Encoding : chunked\r\n", b"X: y\r\n z\r\n", b"Host: b\r\n"):
            response, reader = self.exchange(
                b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n0\r\n\r\n" + hidden)
            self.assertEqual(response.status, 400)
            self.assertTrue(reader.closed())

    def test_bad_request_after_a_good_one(self):
        response, reader = self.exchange(GET + "BAD\r\n\r\n")
        self.assertEqual(response.body, b"Hello World")
        self.assertEqual(reader.response().status, 400)
        self.assertTrue(reader.closed())

    def test_bad_chunk_while_the_program_reads(self):
        connection = self.open()
        connection.sendall(b"POST /body-error HTTP/1.1\r\nHost: a\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.1)
        connection.sendall(b"zz\r\n")
        reader = Reader(connection)
        self.assertEqual(reader.response().status, 400)
        self.assertEqual(self.events(), ["body AbortError"])

    def test_upgrade_is_ignored(self):
        response, reader = self.exchange(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + GET)
        self.assertEqual((response.status, reader.response().status), (200, 200))

    def test_options_for_the_server(self):
        self.assertEqual(self.get("*", method="OPTIONS").status, 204)

    def test_large_heads(self):
        self.assertEqual(self.get("/" + "a" * 8191).status, 404)
        self.assertEqual(self.get("/" + "a" * 8192).status, 414)
        self.assertEqual(self.get("/", "X: " + "x" * 16000).status, 200)
        self.assertEqual(self.get("/", "X: " + "x" * 17000).status, 431)
        self.assertEqual(self.get("/", *(f"X{i}: 1" for i in range(99))).status, 200)
        self.assertEqual(self.get("/", *(f"X{i}: 1" for i in range(100))).status, 431)

    def test_requests_as_programs_see_them(self):
        response = self.get("/request?a=1", "X-Thing: One", "x-thing: two", method="PATCH")
        seen = json.loads(response.body)
        self.assertEqual((seen["method"], seen["url"], seen["hasBody"]),
                         ("PATCH", "http://a/request?a=1", False))
        self.assertEqual(seen["headers"], {"host": "a", "x-thing": "One, two"})
        response = self.get("/twenty", *(f"X-{i}: v{i}" for i in range(20)))
        self.assertEqual(response.body.decode(), "".join(f"v{i}" for i in range(20)))

    def test_disconnect_aborts(self):
        connection = self.server.connect()
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        self.assertEqual(self.server.stats()["active"], 1)
        connection.close()
        self.assertEqual(self.events(), ["abort AbortError"])
        self.assertEqual(self.server.stats()["active"], 0)

    def test_late_answers_are_dropped(self):
        connection = self.server.connect()
        connection.sendall(b"GET /slow?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.03)
        connection.close()
        other, reader = self.exchange("GET /slow?ms=150 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(other.body, b"slow")

    def test_disconnect_cancels_the_stream(self):
        for reset in (False, True):
            connection = self.server.connect()
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(1000)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            self.assertEqual(self.events(), ["cancel AbortError true"])

    def test_slow_reader_holds_the_stream_back(self):
        connection = self.open(receive_buffer=4096)
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)
        # Others are served meanwhile.
        self.assertEqual(self.get("/").status, 200)
        connection.close()
        # It was asked for less than 50 MB: what fits into the sockets' buffers.
        self.assertEqual(self.events(), ["cancel AbortError true"])

    def test_nobody_sees_anothers_answer(self):
        wrong = []

        def run(number):
            connection = self.server.connect()
            reader = Reader(connection)
            for i in range(40):
                body = f"{number}-{i}-".encode() * (i * 37 % 400 + 1)
                path = ("/echo", "/echo-stream", "/echo-sync-start")[i % 3]
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                                   f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                if reader.response().body != body:
                    wrong.append((number, i))
            connection.close()
        threads = [threading.Thread(target=run, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Bodies(Case):
    options = ("--body-bytes", "10000000")

    def test_echo(self):
        for path in ("/echo", "/echo-sync-start", "/echo-stream"):
            for size in (0, 1, 1024, 65535, 65536, 70000, 3000000):
                body = b"x" * size
                response = self.post(path, body)
                self.assertEqual((path, size, response.status, response.body == body),
                                 (path, size, 200, True))

    def test_chunked_echo(self):
        for path in ("/echo", "/echo-sync-start", "/echo-stream"):
            connection = self.open()
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n".encode())
            body = b""
            for i in range(200):
                chunk = b"%d," % i * (i * 13 % 300 + 1)
                body += chunk
                connection.sendall(b"%x;x=y\r\n%s\r\n" % (len(chunk), chunk))
            connection.sendall(b"0\r\nTrailer: 1\r\n\r\n")
            self.assertEqual(Reader(connection).response().body, body)

    def test_json_and_forms(self):
        self.assertEqual(self.post("/echo-json", '{"a": [1, 2]}').body, b'{"a":[1,2]}')
        self.assertEqual(self.post("/echo-json", "\xef\xbb\xbf[1]").body, b"[1]")
        self.assertEqual(self.post("/echo-json", "{").status, 500)
        form = self.post("/form", "a=1&b=%C3%A9+x&a=2",
                         "Content-Type: application/x-www-form-urlencoded")
        self.assertEqual(json.loads(form.body), [["a", "1"], ["b", "\u00e9 x"], ["a", "2"]])
        multipart = ("--XX\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\nv\r\n"
                     "--XX\r\nContent-Disposition: form-data; name=\"u\"; filename=\"a.txt\"\r\n"
                     "Content-Type: text/x\r\n\r\nfile\r\nline\r\n--XX--\r\n")
        form = self.post("/form", multipart, "Content-Type: multipart/form-data; boundary=XX")
        self.assertEqual(json.loads(form.body), [["f", "v"], ["u", ["a.txt", "text/x", 10]]])

    def test_too_large(self):
        response, reader = self.exchange(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000001\r\n\r\n")
        self.assertEqual((response.status, response.get("connection")), (413, "close"))
        self.assertTrue(reader.closed())
        connection = self.open()
        connection.sendall(b"POST /body-error HTTP/1.1\r\nHost: a\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            for _ in range(200):
                connection.sendall(chunk)
        except (ConnectionResetError, BrokenPipeError):
            pass
        self.assertEqual(Reader(connection).response().status, 413)
        self.assertEqual(self.events(), ["body QuotaExceededError"])

    def test_expect_continue(self):
        connection = self.open()
        reader = Reader(connection)
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 5\r\n\r\n")
        self.assertEqual(reader.response().status, 100)
        connection.sendall(b"hello")
        self.assertEqual(reader.response().body, b"hello")
        connection.sendall(GET.encode())
        self.assertEqual(reader.response().status, 200)

    def test_expect_without_reading(self):
        response, reader = self.exchange(
            "POST /ignore-body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\n")
        self.assertEqual((response.status, response.get("connection")), (200, "close"))
        self.assertTrue(reader.closed())
        # The body that comes without waiting is a body.
        response, reader = self.exchange(
            "POST /ignore-body HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
            "Content-Length: 5\r\n\r\nhello" + GET)
        self.assertEqual((response.body, reader.response().body), (b"ignored", b"Hello World"))
        self.assertEqual(self.get("/", "Expect: magic").status, 417)

    def test_unread_body_is_drained(self):
        body = b"x" * 200000
        connection = self.open()
        reader = Reader(connection)
        connection.sendall(b"POST /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
                           + body + GET.encode())
        self.assertEqual(reader.response().body, b"ignored")
        self.assertEqual(reader.response().body, b"Hello World")

    def test_large_unread_body_closes(self):
        connection = self.open()
        connection.sendall(b"POST /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
        reader = Reader(connection)
        self.assertEqual(reader.response().body, b"ignored")
        self.assertTrue(reader.closed())

    def test_reading_after_the_response(self):
        for path, word in (("/read-later", "later"), ("/stream-later", "stream")):
            for size in (10, 300000):
                connection = self.open()
                reader = Reader(connection)
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                                   f"Content-Length: {size}\r\n\r\n".encode())
                self.assertEqual(reader.response().body, b"ok")
                connection.sendall(b"x" * size + GET.encode())
                self.assertEqual(reader.response().body, b"Hello World")
                self.assertEqual(self.events(), [f"{word} {size}"])

    def test_reading_too_late(self):
        connection = self.open()
        reader = Reader(connection)
        connection.sendall(b"POST /too-late HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        self.assertEqual(reader.response().body, b"ok")
        connection.sendall(GET.encode())
        self.assertEqual(reader.response().body, b"Hello World")
        # The body is gone; what else the request said is still there.
        self.assertEqual(self.events(), ["TypeError http://a/too-late true"])

    def test_slow_program_holds_the_client_back(self):
        connection = self.open(timeout=20)
        size = 9000000
        connection.sendall(f"POST /read-slowly?ms=300 HTTP/1.1\r\nHost: a\r\n"
                           f"Content-Length: {size}\r\n\r\n".encode())
        connection.settimeout(0.2)
        sent = 0
        try:
            while sent < size:
                sent += connection.send(b"x" * min(65536, size - sent))
        except TimeoutError:
            pass
        self.assertLess(sent, size)
        connection.close()

    def test_slow_program_gets_all(self):
        self.assertEqual(self.post("/read-slowly?ms=1", b"x" * 2000000).body, b"2000000")

    def test_cancelled_body(self):
        connection = self.open()
        reader = Reader(connection)
        connection.sendall(b"POST /cancel-body HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
                           + b"x" * 100000 + GET.encode())
        self.assertEqual(reader.response().body, b"cancelled")
        self.assertEqual(reader.response().body, b"Hello World")

    def test_cloned_and_moved_bodies(self):
        self.assertEqual(self.post("/clone", b"x" * 100000).body, b"true 100000")
        self.assertEqual(self.post("/new-request", b"abc").body, b"true abc y")

    def test_disconnect_in_the_body(self):
        connection = self.server.connect()
        connection.sendall(b"POST /body-error HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.05)
        connection.close()
        self.assertEqual(self.events(), ["body AbortError"])


class RequestLimits(Case):
    options = ("--request-ms", "1000", "--concurrent", "3", "--idle-ms", "1000")

    def test_request_time(self):
        started = time.monotonic()
        response, reader = self.exchange("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((response.status, response.get("connection")), (503, "close"))
        self.assertLess(time.monotonic() - started, 3.5)
        self.assertTrue(reader.closed())
        self.assertEqual(self.events(), ["abort TimeoutError"])
        connection = self.open()
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.events(), ["cancel TimeoutError true"])

    def test_concurrency(self):
        waiting = [self.open() for _ in range(3)]
        for connection in waiting:
            connection.sendall(b"GET /slow?ms=500 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        response, reader = self.exchange(GET)
        self.assertEqual((response.status, response.get("retry-after")), (503, "1"))
        self.assertEqual([Reader(connection).response().body for connection in waiting],
                         [b"slow"] * 3)
        # The refused connection stays usable.
        reader.connection.sendall(GET.encode())
        self.assertEqual(reader.response().status, 200)

    def test_idle_connections_close_silently(self):
        started = time.monotonic()
        response, reader = self.exchange(GET)
        self.assertTrue(reader.closed())
        self.assertGreater(time.monotonic() - started, 0.9)
        self.assertLess(time.monotonic() - started, 4)

    def test_a_new_connection_without_a_request_closes(self):
        self.assertTrue(Reader(self.open()).closed())


class ConnectionLimit(Case):
    options = ("--files", "20")  # half of it: 10 connections

    def test_idle_ones_make_room(self):
        connections = []
        for _ in range(30):
            connection = self.open()
            connection.sendall(GET.encode())
            self.assertEqual(Reader(connection).response().status, 200)
            connections.append(connection)
        self.assertLessEqual(self.server.stats()["connections"], 10)
        self.assertTrue(Reader(connections[0]).closed())

    def test_busy_ones_make_others_wait(self):
        busy = [self.open() for _ in range(10)]
        for connection in busy:
            connection.sendall(b"GET /slow?ms=400 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        late = [self.open() for _ in range(5)]
        for connection in late:
            connection.sendall(GET.encode())
        for connection in busy:
            self.assertEqual(Reader(connection).response().body, b"slow")
            connection.close()
        for connection in late:
            self.assertEqual(Reader(connection).response().body, b"Hello World")


class MoreClientsThanRoom(Case):
    options = ("--files", "20")  # half of it: 10 connections

    def client(self, errors):
        """Thirty requests on kept-alive connections, as a client with a pool makes them."""
        connection = reader = None
        try:
            for _ in range(30):
                if connection is None:
                    connection = self.server.connect()
                    reader = Reader(connection)
                connection.sendall(GET.encode())
                response = reader.response()
                if response.body != b"Hello World":
                    errors.append(response.status)
                if response.get("connection") == "close":
                    connection.close()
                    connection = None
        except (OSError, EOFError) as error:
            errors.append(error)
        finally:
            if connection:
                connection.close()

    def test_no_request_is_lost(self):
        errors = []
        clients = [threading.Thread(target=self.client, args=(errors,)) for _ in range(25)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self.assertEqual(errors, [])


class DrainUnderLoad(unittest.TestCase):
    def test_no_request_of_a_kept_alive_connection_is_lost(self):
        """Each client's last answer says that it is the last, or nothing was on the way."""
        server = Server()
        self.addCleanup(server.stop)
        lost, answered = [], []

        def run(pause):
            connection = server.connect()
            reader = Reader(connection)
            while True:
                try:
                    connection.sendall(GET.encode())
                    response = reader.response()
                except (OSError, EOFError) as error:
                    lost.append((pause, error))
                    break
                answered.append(response.status)
                if response.get("connection") == "close":
                    break
                time.sleep(pause)
            connection.close()

        clients = [threading.Thread(target=run, args=(pause,))
                   for pause in (0, 0, 0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        for client in clients:
            client.join()
        self.assertEqual(lost, [])
        self.assertEqual(set(answered), {200})
        self.assertEqual(server.process.wait(5), 0)


class Deadlines(Case):
    """The fixed ones are long: all at the same time."""

    def test_slow_clients_are_cut_off(self):
        started = time.monotonic()
        head = self.open(timeout=60)
        head.sendall(b"GET / HTTP/1.1\r\nHost")
        body = self.open(timeout=60)
        body.sendall(b"POST /body-error HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        answered = self.open(timeout=60)
        answered.sendall(b"POST /ignore-body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        stuck = self.open(timeout=60, receive_buffer=4096)
        stuck.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        trickle = threading.Event()

        def send_slowly():
            while not trickle.wait(1):
                try:
                    head.sendall(b"x")
                except OSError:
                    return
        sender = threading.Thread(target=send_slowly)
        sender.start()
        reader = Reader(head)
        self.assertEqual(reader.response().status, 408)
        trickle.set()
        sender.join()
        self.assertTrue(9.5 < time.monotonic() - started < 13)
        reader = Reader(body)
        self.assertEqual(reader.response().status, 408)
        self.assertTrue(29.5 < time.monotonic() - started < 34)
        reader = Reader(answered)
        self.assertEqual(reader.response().body, b"ignored")
        self.assertTrue(reader.closed())
        self.assertEqual(sorted(self.events(2)), ["body TimeoutError", "cancel AbortError true"])
        self.assertLess(time.monotonic() - started, 40)


class Draining(unittest.TestCase):
    def start(self, *options):
        server = Server(*options)
        self.addCleanup(server.stop)
        return server

    def open(self, server):
        connection = server.connect()
        self.addCleanup(connection.close)
        return connection

    def drain(self, server):
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)

    def test_under_way_finishes_idle_closes(self):
        server = self.start()
        busy, idle, streaming, between = (self.open(server) for _ in range(4))
        for connection in (idle, between):
            connection.sendall(GET.encode())
            self.assertEqual(Reader(connection).response().status, 200)
        busy.sendall(b"GET /slow?ms=500 HTTP/1.1\r\nHost: a\r\n\r\n")
        streaming.sendall(b"GET /slow-stream HTTP/1.1\r\nHost: a\r\n\r\n")
        between.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        time.sleep(0.05)
        self.drain(server)
        self.assertTrue(Reader(idle).closed())
        with self.assertRaises(ConnectionRefusedError):
            server.connect()
        between.sendall(b"\r\n")
        reader = Reader(between)
        self.assertEqual(reader.response().get("connection"), "close")
        self.assertTrue(reader.closed())
        reader = Reader(busy)
        response = reader.response()
        self.assertEqual((response.body, response.get("connection")), (b"slow", "close"))
        self.assertTrue(reader.closed())
        self.assertEqual(Reader(streaming).response().body, b"012")
        self.assertEqual(server.process.stdout.readline(), "drained\n")
        self.assertEqual(server.process.wait(5), 0)

    def test_nothing_to_wait_for(self):
        server = self.start()
        self.drain(server)
        self.assertEqual(server.process.wait(2), 0)

    def test_wait_until_is_waited_for(self):
        server = self.start()
        connection = self.open(server)
        connection.sendall(b"GET /wait?ms=600 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(Reader(connection).response().body, b"ok")
        self.drain(server)
        self.assertEqual([server.process.stdout.readline() for _ in range(2)],
                         ["waited\n", "drained\n"])

    def test_grace_is_bounded(self):
        server = self.start("--grace-ms", "700")
        connection = self.open(server)
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        other = self.open(server)
        other.sendall(b"GET /wait?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(Reader(other).response().body, b"ok")
        started = time.monotonic()
        self.drain(server)
        self.assertEqual(server.process.wait(3), 0)
        self.assertLess(time.monotonic() - started, 2)
        self.assertTrue(Reader(connection).closed())


class UnixSocket(Case):
    options = ("--unix", os.path.join(tempfile.gettempdir(), f"http_host.{os.getpid()}"))

    def test_hello_and_disconnect(self):
        self.assertEqual(self.get("/").body, b"Hello World")
        connection = self.server.connect()
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
        connection.close()
        self.assertEqual(self.events(), ["abort AbortError"])
        self.assertFalse(self.get("/stream-error").complete)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        os.unlink(cls.options[1])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
