"""What the tests of fetch() share: an egress process, servers on 127.0.0.1, certificates, and
the runtime to run a script in. A test is run as

    fetch_…_test.py FETCH_HOST SNAPSHOT
"""

import ctypes
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

HOST, SNAPSHOT = sys.argv[1], sys.argv[2]
SLOW = float(os.environ.get("TENANTD_TEST_SLOW", "1"))
# CVE-2026-111497 is in brotli before 1.2.1: then br is neither offered nor decoded.
BROTLI_IS_SAFE = ctypes.CDLL("libbrotlidec.so.1").BrotliDecoderVersion() >= 0x1002001

# common/egress.h
CONNECT, RESOLVE, CANCEL, DROP, CONNECTED, REFUSED = 5, 6, 7, 8, 10, 12
DENIED, BAD_HOST, NOT_FOUND, DNS_FAILED, TIMED_OUT, CONNECT_FAILED, LIMIT, FAILED = range(1, 9)
MESSAGE_EGRESS = 14  # common/protocol.h


class Refuse(Exception):
    def __init__(self, refusal, code=0, text="refused by the test"):
        super().__init__(text)
        self.refusal, self.code, self.text = refusal, code, text


class Egress(threading.Thread):
    """One channel of an egress process. PLACES: {(host, port): where to connect}."""

    def __init__(self, places):
        super().__init__(daemon=True)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.places = places
        self.asked = []
        self.cancelled = []
        self.dropped = []
        self.hold = None  # an Event to wait for before each answer
        self.dead = False
        self.start()

    def die(self):
        self.dead = True
        self.ours.shutdown(socket.SHUT_RDWR)
        self.ours.close()

    def connect(self, host, port, unix):
        place = self.places.get("unix:" + host if unix else (host, port))
        if place is None:
            place = self.places.get("*")
        if place is None:
            raise Refuse(DENIED, 0, "no rule of net.connect allows it")
        if isinstance(place, Refuse):
            raise place
        family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
        connection = socket.socket(family)
        try:
            connection.connect(place)
        except OSError as error:
            connection.close()
            raise Refuse(CONNECT_FAILED, error.errno, error.strerror) from None
        connection.setblocking(False)
        return connection

    def answer(self, request, host, port, unix):
        try:
            if self.hold:
                self.hold.wait(20)
            connection = self.connect(host, port, unix)
            message = struct.pack("=IIHH16s", CONNECTED, request, port, 2, bytes(16))
            socket.send_fds(self.ours, [message], [connection.fileno()])
            connection.close()
        except Refuse as refuse:
            self.send(struct.pack("=IIIi", REFUSED, request, refuse.refusal, refuse.code)
                      + refuse.text.encode() + b"\0")
        except OSError:
            pass  # the channel is closed

    def send(self, message):
        try:
            self.ours.send(message)
        except OSError:
            pass  # the channel is closed

    def run(self):
        while not self.dead:
            try:
                message = self.ours.recv(65536)
            except OSError:
                return
            if not message:
                return
            kind, request = struct.unpack_from("=II", message)
            if kind == CANCEL:
                self.cancelled.append(request)
            elif kind == DROP:
                self.dropped.append(message[8:-1].decode())
            elif kind == CONNECT:
                port, unix, family, timeout = struct.unpack_from("=HBBI", message, 8)
                host = message[16:].decode()
                self.asked.append("unix:" + host if unix else f"{host}:{port}")
                threading.Thread(target=self.answer, args=(request, host, port, unix),
                                 daemon=True).start()
            else:
                raise AssertionError(f"unexpected message {kind}")


class Request:
    def __init__(self, line, fields, body, raw):
        self.method, self.path, _ = line.split(" ", 2)
        self.fields, self.body, self.raw = fields, body, raw


class Server:
    """A plain HTTP/1.1 server. HANDLER(request, send) answers by send(bytes), and returns
    False to close the connection."""

    def __init__(self, handler, context=None, path=None):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(1024)
        self.place = path or self.listener.getsockname()
        self.handler, self.context = handler, context
        self.connections = self.requests = 0
        self.errors = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            while self.one(connection, stream) is not False:
                pass
        except (OSError, ValueError) as error:
            self.errors.append(error)
        finally:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def one(self, connection, stream):
        line = stream.readline()
        if not line:
            return False
        raw = line
        fields = {}
        while (field := stream.readline()) not in (b"\r\n", b""):
            raw += field
            name, _, value = field.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        request = Request(line.decode("latin-1").strip(), fields, b"", raw)
        self.requests += 1
        request.stream, request.connection = stream, connection
        if not getattr(self.handler, "streams", False):
            request.body = read_body(stream, fields)
        return self.handler(request, connection.sendall)

    def close(self):
        self.listener.close()


def read_chunk(stream):
    size = int(stream.readline(), 16)
    data = stream.read(size)
    stream.readline()
    return data


def read_body(stream, fields):
    if "content-length" in fields:
        return stream.read(int(fields["content-length"]))
    body = b""
    if fields.get("transfer-encoding") == "chunked":
        while chunk := read_chunk(stream):
            body += chunk
    return body


def answer(body=b"", status="200 OK", *fields):
    head = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def echo(request, send):
    body = json.dumps({"method": request.method, "path": request.path, "fields": request.fields,
                       "body": request.body.decode("latin-1")}).encode()
    send(answer(body, "200 OK", "Content-Type: application/json"))


def make_authority(folder):
    """A CA and certificates by it, with the openssl program."""
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA",
        "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE")
    def certificate(name, san, *days):
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        with open(os.path.join(folder, f"{name}.ext"), "w") as file:
            file.write(f"subjectAltName={san}\n" if san else "basicConstraints=CA:FALSE\n")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-extfile", f"{name}.ext",
            *(days or ("-days", "30")))
    certificate("good.test", "DNS:good.test,DNS:*.wild.test,IP:127.0.0.1")
    certificate("127.0.0.1", "DNS:127.0.0.1")  # an address, but as a name
    certificate("onlycn.test", "")
    certificate("expired.test", "DNS:expired.test", "-not_before", "20200101000000Z",
                "-not_after", "20200201000000Z")
    run("req", "-x509", *key, "-keyout", "self.key", "-out", "self.pem", "-subj",
        "/CN=good.test", "-days", "30", "-addext", "subjectAltName=DNS:good.test")


class FetchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="fetch-client-")
        make_authority(cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def setUp(self):
        self.places = {}
        self.egress = Egress(self.places)

    def server(self, handler, name="server.test", port=80, **options):
        server = Server(handler, **options)
        self.addCleanup(server.close)
        self.places[(name, port)] = server.place
        return server

    def context(self, name, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = os.path.join(self.folder, name)
        context.load_cert_chain(path + ".pem", path + ".key")
        for key, value in options.items():
            setattr(context, key, value)
        return context

    def start(self, source, *options, egress=True, fds=()):
        script = os.path.join(self.folder, "script.js")
        with open(script, "w") as file:
            file.write("(async () => {\n" + source + "\n})();\n")
        command = [HOST, "--ca-file", os.path.join(self.folder, "ca.pem"), *options]
        pass_fds = list(fds)
        if egress:
            command += ["--egress", str(self.egress.theirs.fileno())]
            pass_fds.append(self.egress.theirs.fileno())
        return subprocess.Popen([*command, SNAPSHOT, script], pass_fds=pass_fds,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_script(self, source, *options, timeout=60, **more):
        process = self.start(source, *options, **more)
        try:
            out, err = process.communicate(timeout=timeout * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"the script hangs; it said:\n{out}\n{err}") from None
        self.assertEqual(process.returncode, 0, out + err)
        return out

    def results(self, source, *options, **more):
        """The script's own function show(value) prints JSON; the list of what it printed."""
        out = self.run_script("const show = (v) => console.log('%s', JSON.stringify(v));\n"
                              "const caught = async (p) => { try { await p; return 'no error'; }"
                              " catch (e) { return { name: e.name, message: e.message, code:"
                              " e.cause?.code, why: e.cause?.message, permission:"
                              " e.cause?.permission, resource: e.cause?.resource }; } };\n"
                              + source, *options, **more)
        return [json.loads(line) for line in out.splitlines()]

    def result(self, source, *options, **more):
        return self.results(source, *options, **more)[0]


def main():
    # Sockets end with the process, and old versions of TLS are what one test is about.
    unittest.main(argv=sys.argv[:1], verbosity=1, warnings="ignore")
