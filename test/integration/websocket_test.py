"""WebSocket: a service's end against clients that keep no rules, the client against such servers,
what a drain does; EventSource."""

import base64
import hashlib
import os
import socket
import ssl
import struct
import time
import unittest

import harness
from harness import TenantdTest, free_port, request, wait_until
from ingress_tls_test import make_certificate
from net_servers import Server

HTTP = harness.free_port()
HTTPS = harness.free_port()

ECHO = """
export default {
	fetch(request) {
		const url = new URL(request.url);
		if (url.pathname === '/plain') return new Response('plain');
		const { 0: client, 1: server } = new WebSocketPair();
		server.accept();
		server.addEventListener('message', ({ data }) => {
			if (data === 'close') server.close(4000, 'told to');
			else if (data === 'many') for (let i = 0; i < 5; i++) server.send(`${i}`);
			else server.send(data);
		});
		server.addEventListener('error', (event) => console.log('error', event.message));
		server.addEventListener('close', (event) => console.log('close', event.code, event.reason, event.wasClean));
		return new Response(null, { status: 101, webSocket: client, headers: { 'Sec-WebSocket-Protocol': 'chat', 'X-Own': '1' } });
	},
};
"""

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def frame(opcode, payload=b"", final=True, mask=True, reserved=0, length=None):
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    size = len(payload) if length is None else length
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


class Peer:
    """One end, whose frames are read whole."""

    def __init__(self, connection):
        self.socket = connection
        self.data = b""

    def take(self, count):
        while len(self.data) < count:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self.data += chunk
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def head(self):
        while b"\r\n\r\n" not in self.data:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise EOFError
            self.data += chunk
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def read(self):
        """(opcode, payload); unmasked."""
        first, second = self.take(2)
        size = second & 127
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        key = self.take(4) if second & 0x80 else b"\0\0\0\0"
        self.masked = bool(second & 0x80)
        payload = self.take(size)
        return first & 15, bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))

    def ended(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Client(Peer):
    def __init__(self, port, path="/", context=None, name="localhost", upgrade=True):
        connection = socket.create_connection(("127.0.0.1", port), 10 * harness.SLOW)
        super().__init__(context.wrap_socket(connection, server_hostname=name) if context else connection)
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall("\r\n".join([
            f"GET {path} HTTP/1.1", f"Host: {name}", "Upgrade: WebSocket",
            "Connection: keep-alive, Upgrade", f"Sec-WebSocket-Key: {self.key}",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: permessage-deflate", "", ""]).encode())
        if upgrade:
            self.answer = self.head()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *arguments, **more):
        self.socket.sendall(frame(*arguments, **more))


class WebSocketTest(TenantdTest):
    options = ("--http", f"127.0.0.1:{HTTP}", "--https", f"127.0.0.1:{HTTPS}", "--warm", "1")

    def serve(self, name="echo", source=ECHO, **policy):
        return self.deploy(name, self.write(f"{name}/main.js", source), port=free_port(), **policy)

    def logged(self, name, text):
        wait_until(lambda: text in self.daemon.ctl("logs", name).stdout, what=f"'{text}' in the log")

    # ---- a service's end ----

    def test_messages_of_all_lengths(self):
        port = self.serve()
        with Client(port) as client:
            self.assertIn("101 Switching Protocols", client.answer)
            self.assertIn(f"Sec-WebSocket-Accept: {accept_of(client.key)}", client.answer)
            self.assertIn("sec-websocket-protocol: chat", client.answer)
            self.assertIn("x-own: 1", client.answer)
            self.assertNotIn("xtensions", client.answer)
            for size in (0, 1, 125, 126, 127, 65535, 65536, 1 << 20):
                payload = os.urandom(size)
                client.send(BINARY, payload)
                self.assertEqual(client.read(), (BINARY, payload))
                self.assertFalse(client.masked)
            client.send(TEXT, "ü☃😀".encode())
            self.assertEqual(client.read(), (TEXT, "ü☃😀".encode()))

    def test_fragments_and_frames_between_them(self):
        port = self.serve()
        with Client(port) as client:
            data = (frame(TEXT, "aß"[:1].encode(), final=False) + frame(0, "ß".encode()[:1], final=False)
                    + frame(PING, b"now") + frame(0, "ß".encode()[1:]))
            for byte in data:  # each by itself
                client.socket.sendall(bytes([byte]))
            self.assertEqual(client.read(), (PONG, b"now"))
            self.assertEqual(client.read(), (TEXT, "aß".encode()))
            client.send(TEXT, b"many")
            self.assertEqual([client.read()[1] for _ in range(5)], [b"0", b"1", b"2", b"3", b"4"])

    def test_close_by_either(self):
        port = self.serve()
        with Client(port) as client:
            client.send(TEXT, b"close")
            self.assertEqual(client.read(), (CLOSE, close_payload(4000, b"told to")))
            client.send(CLOSE, close_payload(4000))
            self.assertTrue(client.ended())
        self.logged("echo", "close 4000  true")
        with Client(port) as client:
            client.send(CLOSE, close_payload(3456, b"why"))
            self.assertEqual(client.read(), (CLOSE, close_payload(3456)))
            self.assertTrue(client.ended())
        self.logged("echo", "close 3456 why true")
        with Client(port) as client:
            client.send(CLOSE)
            self.assertEqual(client.read()[0], CLOSE)
        self.logged("echo", "close 1005  true")
        with Client(port):
            pass
        self.logged("echo", "close 1006  false")

    def test_who_breaks_the_rules_is_closed(self):
        port = self.serve()
        wrong = [
            (1002, frame(TEXT, b"x", mask=False)),
            (1002, frame(TEXT, b"x", reserved=4)),
            (1002, frame(3, b"x")),
            (1002, frame(11, b"x")),
            (1002, frame(PING, b"x", final=False)),
            (1002, frame(PING, b"x" * 126)),
            (1002, frame(0, b"x")),
            (1002, frame(TEXT, b"x", final=False) + frame(TEXT, b"y")),
            (1002, frame(CLOSE, b"x")),
            (1002, frame(CLOSE, close_payload(999))),
            (1002, frame(CLOSE, close_payload(1005))),
            (1002, frame(CLOSE, close_payload(2999))),
            (1007, frame(CLOSE, close_payload(1000, b"\xff"))),
            (1007, frame(TEXT, b"\xc3\x28")),
            (1007, frame(TEXT, b"\xed\xa0\x80")),
            (1007, frame(TEXT, b"\xc3", final=False) + frame(0, b"")),
            (1009, frame(BINARY, b"", length=1 << 40)),
            (1009, frame(BINARY, b"", length=(32 << 20) + 1)),
            (1002, frame(BINARY, b"", length=1 << 63)),
        ]
        for code, data in wrong:
            with Client(port) as client:
                client.socket.sendall(data)
                opcode, payload = client.read()
                self.assertEqual((opcode, struct.unpack(">H", payload[:2])[0]), (CLOSE, code), data[:20])
                self.assertTrue(client.ended())
        self.assertEqual(request(port, "/plain")[2], b"plain")

    def test_a_length_alone_takes_no_memory(self):
        port = self.serve()
        clients = [Client(port) for _ in range(40)]
        for client in clients:
            client.socket.sendall(frame(BINARY, b"", length=32 << 20) + b"some")
        self.assertEqual(request(port, "/plain")[2], b"plain")
        for client in clients:
            client.socket.close()

    def test_pings_of_one_that_does_not_read(self):
        port = self.serve()
        with Client(port) as client:
            client.socket.setblocking(False)
            data, sent = frame(PING, b"x" * 125) * 1000, 0
            for _ in range(200):
                try:
                    sent += client.socket.send(data)
                except BlockingIOError:
                    time.sleep(0.005)
            self.assertGreater(sent, len(data))
            self.assertEqual(request(port, "/plain")[2], b"plain")

    def test_a_request_that_asks_for_none(self):
        port = self.serve()
        status, fields, _ = request(port, "/")
        self.assertEqual((status, fields.get("upgrade")), (426, "websocket"))
        for headers in (["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
                        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8",
                         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
                        ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                         "Sec-WebSocket-Key: short=="]):
            self.assertEqual(request(port, "/", headers=headers)[0], 426)

    def test_a_drain_says_going_away(self):
        port = self.serve()
        with Client(port) as client:
            client.send(TEXT, b"here")
            self.assertEqual(client.read(), (TEXT, b"here"))
            self.daemon.ctl("restart", "echo", "--no-wait")
            self.assertEqual(client.read(), (CLOSE, close_payload(1001)))
            client.send(CLOSE, close_payload(1001))
            self.assertTrue(client.ended())

    def test_over_tls_that_ends_in_the_worker(self):
        pem, key = make_certificate(self.folder, "site", "ws.example.com")
        site = {"host": "ws.example.com", "certificate": pem, "key": key}
        path = self.write("policy.json", __import__("json").dumps(
            {"version": 1, "permissions": {"net": {"ingress": [site]}}}))
        done = self.daemon.ctl("deploy", "wss", self.write("wss/main.js", ECHO), "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", "wss", "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        context = ssl.create_default_context(cafile=pem)
        with Client(HTTPS, context=context, name="ws.example.com") as client:
            for size in (5, 70000, 500000):
                payload = os.urandom(size)
                client.send(BINARY, payload)
                self.assertEqual(client.read(), (BINARY, payload))
            client.send(TEXT, b"close")
            self.assertEqual(client.read()[0], CLOSE)

    # ---- the client ----

    def against(self, handle, source=None):
        """What a script sees of a server that does HANDLE with a connection whose handshake it
        has answered."""
        def serve(connection):
            peer = Peer(connection)
            head = peer.head()
            key = next(line.split(": ")[1] for line in head.split("\r\n")
                       if line.lower().startswith("sec-websocket-key"))
            handle(peer, key)

        server = Server(serve)
        self.addCleanup(server.close)
        script = self.write("client.mjs", source or f"""
            const socket = new WebSocket('ws://127.0.0.1:{server.port}/');
            socket.binaryType = 'arraybuffer';
            socket.onopen = () => {{ console.log('open'); socket.send('from here'); }};
            socket.onmessage = (event) => console.log('message', typeof event.data === 'string' ? event.data : event.data.byteLength);
            socket.onerror = (event) => console.log('error', event.message);
            socket.onclose = (event) => console.log('close', event.code, event.reason, event.wasClean);
        """)
        policy = self.write("client.policy.json", __import__("json").dumps(
            {"version": 1, "permissions": {"net": {"connect": [f"127.0.0.1:{server.port}"]}}}))
        done = self.daemon.ctl("run", script, "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    @staticmethod
    def agree(peer, key, *fields):
        peer.socket.sendall("\r\n".join([
            "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_of(key)}", *fields, "", ""]).encode())

    def test_a_good_server(self):
        def handle(peer, key):
            self.agree(peer, key)
            self.assertEqual(peer.read(), (TEXT, b"from here"))
            self.assertTrue(peer.masked)
            peer.socket.sendall(frame(TEXT, b"hello", mask=False) + frame(BINARY, b"x" * 70000, mask=False)
                                + frame(CLOSE, close_payload(4321, b"enough"), mask=False))
            self.assertEqual(peer.read(), (CLOSE, close_payload(4321)))

        self.assertEqual(self.against(handle), "open\nmessage hello\nmessage 70000\nclose 4321 enough true\n")

    def test_bad_handshakes(self):
        answers = {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": "answered 200",
            "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/\r\nContent-Length: 0\r\n\r\n": "answered 302",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: bm8=\r\n\r\n": "does not fit the key",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n": "Upgrade is not",
            "nonsense\r\n\r\n": "Parse Error",
        }
        for answer, why in answers.items():
            said = self.against(lambda peer, key, answer=answer: peer.socket.sendall(answer.encode()))
            self.assertIn(why, said)
            self.assertIn("close 1006  false", said)
            self.assertNotIn("open", said)
        said = self.against(lambda peer, key: self.agree(peer, key, "Sec-WebSocket-Extensions: permessage-deflate"))
        self.assertIn("an extension that was not offered", said)
        said = self.against(lambda peer, key: self.agree(peer, key, "Sec-WebSocket-Protocol: chat"))
        self.assertIn("a subprotocol that was not offered", said)

    def test_servers_that_break_the_rules(self):
        for data, code in ((frame(TEXT, b"x"), 1002), (frame(TEXT, b"\xff", mask=False), 1007),
                           (frame(TEXT, b"", mask=False, length=1 << 40), 1009)):
            heard = []

            def handle(peer, key, data=data, heard=heard):
                self.agree(peer, key)
                peer.read()
                peer.socket.sendall(data)
                heard.append(peer.read())

            said = self.against(handle)
            self.assertIn("close 1006  false", said)
            self.assertIn("error", said)
            wait_until(lambda heard=heard: heard, what="its close")
            self.assertEqual(struct.unpack(">H", heard[0][1][:2])[0], code)

    def test_what_is_not_granted(self):
        done = self.run_script("""
            const socket = new WebSocket('ws://127.0.0.1:9/');
            socket.onerror = (event) => console.log(event.error.cause.code, event.error.cause.resource);
        """)
        self.assertEqual(done.stdout, "ERR_ACCESS_DENIED 127.0.0.1:9\n", done.stderr)

    # ---- EventSource ----

    def test_event_source(self):
        seen = []

        def serve(connection):
            peer = Peer(connection)
            head = peer.head().lower()
            seen.append("last-event-id: 7" in head)
            if len(seen) > 2:
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                return
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                b"retry: 10\n: nothing\nid: 7\ndata: one\ndata: two\n\nevent: own\r\ndata: x\r\n\r\ndata: half")

        server = Server(serve)
        self.addCleanup(server.close)
        policy = self.write("events.policy.json", __import__("json").dumps(
            {"version": 1, "permissions": {"net": {"connect": [f"127.0.0.1:{server.port}"]}}}))
        script = self.write("events.mjs", f"""
            const source = new EventSource('http://127.0.0.1:{server.port}/');
            source.onopen = () => console.log('open');
            source.onmessage = (event) => console.log(JSON.stringify(event.data), event.lastEventId);
            source.addEventListener('own', (event) => console.log('own', event.data));
            source.onerror = () => console.log('error', source.readyState);
        """)
        done = self.daemon.ctl("run", script, "--policy", policy)
        once = 'open\n"one\\ntwo" 7\nown x\nerror 0\n'
        self.assertEqual(done.stdout, once + once + "error 2\n", done.stderr)
        self.assertEqual(seen, [False, True, True])


if __name__ == "__main__":
    unittest.main()
