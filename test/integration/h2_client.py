"""A client that speaks HTTP/2 frame by frame, also those that no good client sends."""

import socket
import ssl
import struct

import harness

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11


def literal(name, value):
    """One field as HPACK literal without indexing; no Huffman."""
    out = b"\0"
    for text in (name, value):
        text = text if isinstance(text, bytes) else text.encode()
        length = len(text)
        if length < 127:
            out += bytes([length])
        else:
            length -= 127
            out += b"\x7f"
            while length >= 128:
                out += bytes([length & 127 | 128])
                length >>= 7
            out += bytes([length])
        out += text
    return out


def request_head(host, path="/", method="GET", *fields, scheme="https"):
    head = [(":method", method), (":scheme", scheme), (":path", path), (":authority", host)]
    return b"".join(literal(*field) for field in [*head, *fields])


class Client:
    # No dynamic table, so that each head can be read by itself.
    def __init__(self, port, host, ca, settings=b"\0\x01\0\0\0\0"):
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), 10 * harness.SLOW)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.host, self.buffer, self.next = host, b"", 1
        self.socket.sendall(PREFACE + self.frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    def send(self, *frame):
        self.socket.sendall(self.frame(*frame))

    def request(self, path="/", method="GET", *fields, end=True, host=None):
        """Sends a head; returns the stream's number."""
        stream, self.next = self.next, self.next + 2
        head = request_head(host or self.host, path, method, *fields)
        self.send(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, head)
        return stream

    def read_frame(self):
        """(type, flags, stream, payload), or None at the end."""
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
                    payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
                    return kind, flags, stream, payload
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self.buffer += data

    def frames(self, wanted, stream=None):
        """Reads until a frame of one of the types WANTED (of STREAM) came; acknowledges what has
        to be. Returns it, or None at the end."""
        while True:
            frame = self.read_frame()
            if frame is None:
                return None
            kind, flags, number, _ = frame
            if kind == SETTINGS and not flags & ACK:
                self.send(SETTINGS, ACK, 0)
            if kind in wanted and (stream is None or number == stream):
                return frame

    def response(self, stream):
        """(the head's undecoded bytes, the body) of a whole response; an int: the error code that
        the stream was reset with; None: the connection ended."""
        head, body = b"", b""
        while True:
            frame = self.frames((HEADERS, DATA, RST_STREAM, GOAWAY))
            if frame is None:
                return None
            kind, flags, number, payload = frame
            if number != stream:
                continue
            if kind == RST_STREAM:
                return int.from_bytes(payload, "big")
            if kind == HEADERS:
                head += payload
            if kind == DATA:
                body += payload
                if payload:
                    self.send(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big"))
                    if not flags & END_STREAM:
                        self.send(WINDOW_UPDATE, 0, stream, len(payload).to_bytes(4, "big"))
            if flags & END_STREAM:
                return head, body

    def goaway(self):
        """The error code of the GOAWAY that ends it; None when it ended without."""
        code = None
        try:
            while frame := self.read_frame():
                if frame[0] == GOAWAY:
                    code = int.from_bytes(frame[3][4:8], "big")
        except TimeoutError:
            return "still open"
        return code

    def status(self, head):
        """Of the head's first field: HPACK's static table has the commonest."""
        while head[0] & 0xE0 == 0x20:  # size of the table
            head = head[1:]
        static = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
        if head[0] & 0x80:
            return static[head[0] & 0x7F]
        # Literal with the name :status (index 8 to 14), Huffman or not: three characters.
        length = head[1] & 0x7F
        text = head[2 : 2 + length]
        if head[1] & 0x80:
            digits = {0x0: "0", 0x1: "1", 0x2: "2", 0x19: "3", 0x1A: "4", 0x1B: "5", 0x1C: "6",
                      0x1D: "7", 0x1E: "8", 0x1F: "9"}
            bits = "".join(f"{byte:08b}" for byte in text)
            out, at = "", 0
            while len(out) < 3:
                size = 5 if int(bits[at : at + 5], 2) <= 2 else 6
                out += digits[int(bits[at : at + size], 2)]
                at += size
            return int(out)
        return int(text)
