"""tenantd-egress as a process: its messages, its resolver, its races, its proxy, its
confinement. In a network namespace of its own, whose loopback has public addresses, with a
real DNS server, real servers and curl."""

import fcntl
import json
import os
import re
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import netns
from harness import BUILD, SLOW

READY, AUDIT, ADD, FORGET, CONNECT, RESOLVE, CANCEL, DROP, PROXY, CONNECTED, RESOLVED, REFUSED = \
    range(1, 13)
DENIED, BAD_HOST, NOT_FOUND, DNS_FAILED, TIMED_OUT, CONNECT_FAILED, LIMIT, FAILED = range(1, 9)
UID = 65533
PUBLIC, OTHER, DEAD = "93.184.216.34", "93.184.216.35", "93.184.216.99"
SIX, SIX_DEAD = "2606:2800::1", "2606:2800::dead"
# Of the host itself; the second one of the same network has the first one as its source.
OWN, OWN_SECOND, OWN_SIX = "203.0.113.7", "203.0.113.8", "2606:2801:1::7"


def set_up_network():
    """This namespace has loopback, a public address of its own, and a cable to another one,
    which is returned: the Internet."""
    os.unshare(os.CLONE_NEWNET)
    netns.without_address_detection()
    internet = netns.current()

    def set_up_internet():
        netns.set_addresses("lo", [("127.0.0.1", 8)])
        netns.set_addresses("wan", [(a, 24) for a in (PUBLIC, OTHER, DEAD)],
                            [(a, 64) for a in (SIX, SIX_DEAD)])
    os.unshare(os.CLONE_NEWNET)
    netns.without_address_detection()
    netns.make_veth("wan", "wan", internet)
    netns.set_addresses("lo", [("127.0.0.1", 8)])
    netns.set_addresses("wan", [("93.184.216.1", 24), (OWN, 24), (OWN_SECOND, 24)],
                        [("2606:2800::a", 64), (OWN_SIX, 128)])
    netns.inside(internet, set_up_internet)
    return internet


class Hole:
    """A port that answers to nothing: its queue is full."""

    def __init__(self, address, port, family=socket.AF_INET):
        self.listener = socket.socket(family)
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.fillers = []
        for _ in range(4):
            filler = socket.socket(family)
            filler.setblocking(False)
            filler.connect_ex((address, port))
            self.fillers.append(filler)


class Dns(threading.Thread):
    """A DNS server: A and AAAA of NAMES, CNAME chains, truncation, silence."""

    def __init__(self):
        super().__init__(daemon=True)
        self.names = {}
        self.silent = False
        self.asked = []
        self.tcp_asked = 0
        while not self.bind():
            pass
        threading.Thread(target=self.serve_tcp, daemon=True).start()
        self.start()

    def bind(self):
        """Both on one port, unless somebody has the other one."""
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.tcp.bind(("127.0.0.1", self.port))
        except OSError:
            self.tcp.close()
            self.udp.close()
            return False
        self.tcp.listen()
        return True

    def run(self):
        while True:
            data, address = self.udp.recvfrom(4096)
            if not self.silent:
                self.udp.sendto(self.answer(data, False), address)

    def serve_tcp(self):
        while True:
            connection, _ = self.tcp.accept()
            with connection:
                length = struct.unpack("!H", connection.recv(2))[0]
                self.tcp_asked += 1
                reply = self.answer(connection.recv(length), True)
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    @staticmethod
    def encode(name):
        return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"

    def answer(self, data, tcp):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        name = ".".join(labels).lower()
        kind = struct.unpack("!H", data[at + 1:at + 3])[0]
        question = data[12:at + 5]
        self.asked.append(name)
        records, code, flags = b"", 0, 0
        count = 0
        known = self.names.get(name)
        if known == "servfail":
            code = 2
        elif known is None:
            code = 3
        else:
            owner = name
            while isinstance(known, str) and known.startswith("->"):
                target = known[2:]
                rdata = self.encode(target)
                records += self.encode(owner) + struct.pack("!HHIH", 5, 1, 5, len(rdata)) + rdata
                count += 1
                owner, known = target, self.names[target]
            for address in known:
                six = ":" in address
                if (kind == 28) != six:
                    continue
                rdata = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
                records += self.encode(owner) + struct.pack("!HHIH", kind, 1, 5, len(rdata)) + rdata
                count += 1
        if len(records) > 1100 and not tcp:
            flags, records, count = 0x0200, b"", 0
        return data[:2] + struct.pack("!HHHHH", 0x8180 | flags | code, 1, count, 0, 0) + question + \
            records


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Http(socketserver.BaseRequestHandler):
    """Answers with the head that it saw, then the body's length."""

    def handle(self):
        data = b""
        while b"\r\n\r\n" not in data:
            got = self.request.recv(65536)
            if not got:
                return
            data += got
        head, _, rest = data.partition(b"\r\n\r\n")
        match = re.search(rb"content-length: (\d+)", head, re.I)
        want = int(match[1]) if match else 0
        while len(rest) < want:
            rest += self.request.recv(65536)
        if b"/big" in head.split(b"\r\n")[0]:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 5000000)
            return
        if b"/garbage" in head.split(b"\r\n")[0]:
            self.request.sendall(b"no http at all\r\n\r\n")
            return
        body = json.dumps({"head": head.decode("latin-1"), "body": len(rest)}).encode()
        self.request.sendall(b"HTTP/1.1 200 Fine\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n"
                             b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address, handler, family=socket.AF_INET):
        self.address_family = family
        super().__init__(address, handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


def wire(text):
    data = text.encode()
    return struct.pack("=I", len(data)) + data + b"\0"


class Egress:
    def __init__(self, resolv_conf, hosts, stderr=None):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = mine
        self.members = []
        fd = its.fileno()
        self.errors = tempfile.TemporaryFile(mode="w+")

        def place():
            os.dup2(fd, 3)
            os.set_inheritable(3, True)
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tenantd-egress"), "--uid", str(UID), "--resolv-conf", resolv_conf,
             "--hosts", hosts], close_fds=False, preexec_fn=place, stderr=self.errors,
            # It cannot fork, which the leak checker wants.
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        its.close()
        mine.settimeout(10 * SLOW)
        try:
            message = mine.recv(1024)
        except OSError:
            message = b""
        if struct.unpack("=II", message or b"\0" * 8)[0] != READY:
            raise AssertionError("egress is not ready: " + self.log())

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def add(self, instance, connect, deny=(), audit=2, proxy=0, concurrent=64, rate=1000,
            timeout=10000):
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        data = struct.pack("=II", ADD, instance) + wire("shop") + \
            struct.pack("=IIIII", audit, proxy, concurrent, rate, timeout)
        for rules in (connect, deny):
            data += struct.pack("=I", len(rules)) + b"".join(wire(rule) for rule in rules)
        socket.send_fds(self.channel, [data], [its.fileno()])
        its.close()
        mine.settimeout(20 * SLOW)
        self.members.append(mine)
        return Member(mine)

    def forget(self, instance):
        self.channel.send(struct.pack("=II", FORGET, instance))

    def audit(self):
        data = self.channel.recv(4096)
        kind, instance, allowed = struct.unpack("=III", data[:12])
        assert kind == AUDIT, kind
        resource, reason, _ = data[12:].split(b"\0")
        return allowed, resource.decode(), reason.decode()

    def audits(self):
        self.channel.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.audit())
        except BlockingIOError:
            return found
        finally:
            self.channel.settimeout(10 * SLOW)

    def close(self):
        for channel in (self.channel, *self.members):
            channel.close()
        try:
            return self.process.wait(5 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Member:
    def __init__(self, channel):
        self.channel = channel
        self.last = 0

    def send(self, kind, host, port=0, unix=0, family=0, timeout=0):
        self.last += 1
        host = host if isinstance(host, bytes) else host.encode()
        self.channel.send(struct.pack("=IIHBBI", kind, self.last, port, unix, family, timeout) + host)
        return self.last

    def receive(self):
        """(id, what): a socket, a list of addresses, or (refusal, code, text)."""
        data, fds, _, _ = socket.recv_fds(self.channel, 65536, 4)
        if not data:
            raise EOFError
        kind, number = struct.unpack("=II", data[:8])
        if kind == CONNECTED:
            port, family = struct.unpack("=HH", data[8:12])
            assert fcntl.fcntl(fds[0], fcntl.F_GETFL) & os.O_NONBLOCK
            connection = socket.socket(fileno=fds[0])
            connection.settimeout(10 * SLOW)
            return number, connection
        if kind == RESOLVED:
            count = struct.unpack("=I", data[8:12])[0]
            found = []
            for i in range(count):
                family, = struct.unpack("=I", data[12 + 20 * i:16 + 20 * i])
                raw = data[16 + 20 * i:32 + 20 * i]
                found.append(socket.inet_ntop(family, raw[:4] if family == 2 else raw))
            return number, found
        assert kind == REFUSED
        refusal, code = struct.unpack("=Ii", data[8:16])
        return number, (refusal, code, data[16:-1].decode())

    def connect(self, host, port=0, **more):
        number = self.send(CONNECT, host, port, **more)
        answered, what = self.receive()
        assert answered == number
        return what

    def resolve(self, host, **more):
        self.send(RESOLVE, host, **more)
        return self.receive()[1]


class EgressTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        cls.internet = set_up_network()
        cls.dns = Dns()
        cls.folder = tempfile.mkdtemp(prefix="tenantd-egress-test-")
        os.chmod(cls.folder, 0o755)
        cls.resolv_conf = os.path.join(cls.folder, "resolv.conf")
        cls.hosts = os.path.join(cls.folder, "hosts")
        cls.write_resolv_conf()
        with open(cls.hosts, "w") as file:
            file.write(f"{PUBLIC} filed.example\n")
        cls.local = Server(("127.0.0.1", 0), Echo)
        cls.own = Server(("0.0.0.0", 0), Echo)
        cls.own_six = Server((OWN_SIX, 0), Echo, socket.AF_INET6)
        netns.inside(cls.internet, cls.set_up_servers)
        cls.dns.names = {
            "api.example": [PUBLIC],
            "chain.example": "->middle.example",
            "middle.example": "->api.example",
            "inner.example": "->local.example",
            "local.example": ["127.0.0.1"],
            "mapped.example": ["::ffff:127.0.0.1"],
            "metadata.example": ["169.254.169.254"],
            "mixed.example": ["10.0.0.5", PUBLIC],
            "own.example": [OWN],
            "own-mapped.example": [f"::ffff:{OWN}"],
            "own-mixed.example": [OWN_SECOND, PUBLIC],
            "many.example": [f"23.1.{i // 250}.{i % 250 + 1}" for i in range(400)],
            "evil-example.com": [PUBLIC],
            "www.example.com": [PUBLIC],
            "broken.example": "servfail",
            "empty.example": [],
            "deadfirst.example": [SIX_DEAD, DEAD, "2606:2801::5", PUBLIC],
            "dead.example": [DEAD],
            "127.0.0.1.nip.io": ["127.0.0.1"],
        }

    @classmethod
    def set_up_servers(cls):
        cls.echo = Server((PUBLIC, 0), Echo)
        cls.http = Server((PUBLIC, 0), Http)
        cls.port = cls.echo.port
        cls.holes = [Hole(DEAD, 80), Hole(DEAD, cls.port),
                     Hole(SIX_DEAD, cls.port, socket.AF_INET6)]

    @classmethod
    def write_resolv_conf(cls, port=None):
        temporary = cls.resolv_conf + ".new"
        with open(temporary, "w") as file:
            file.write(f"nameserver 127.0.0.1:{port or cls.dns.port}\n")
        os.rename(temporary, cls.resolv_conf)

    @classmethod
    def tearDownClass(cls):
        os.setns(cls.namespace, os.CLONE_NEWNET)
        os.close(cls.namespace)
        os.close(cls.internet)

    def setUp(self):
        self.dns.silent = False
        self.egress = Egress(self.resolv_conf, self.hosts)

    def tearDown(self):
        code = self.egress.close()
        log = self.egress.log()
        self.egress.errors.close()
        self.assertEqual(code, 0, log)

    def works(self, what):
        self.assertIsInstance(what, socket.socket, what)
        with what:
            what.sendall(b"hello")
            self.assertEqual(what.recv(16), b"hello")

    # ---- what is allowed, and what is not ----

    def test_connects_to_a_name_that_is_granted(self):
        member = self.egress.add(1, [f"api.example:{self.port}"])
        self.works(member.connect("API.Example.", self.port))
        self.assertEqual(self.egress.audit()[:2], (1, f"api.example:{self.port} ({PUBLIC})"))

    def test_connects_through_a_chain_of_cnames(self):
        member = self.egress.add(1, [f"chain.example:{self.port}"])
        self.works(member.connect("chain.example", self.port))

    def test_connects_to_a_name_of_the_hosts_file(self):
        member = self.egress.add(1, ["filed.example"])
        self.works(member.connect("filed.example", self.port))

    def test_refuses_a_name_that_is_not_granted_without_asking_for_it(self):
        member = self.egress.add(1, ["api.example:443"])
        asked = len(self.dns.asked)
        refusal, code, text = member.connect("other.example", 443)
        self.assertEqual(refusal, DENIED)
        self.assertEqual(text, "connect to other.example:443 refused: no rule allows it: add "
                         "\"other.example:443\" to net.connect")
        self.assertEqual(member.connect("api.example", 80)[0], DENIED)
        self.assertEqual(len(self.dns.asked), asked)
        self.assertEqual(self.egress.audit()[:2], (0, "other.example:443"))

    def test_a_suffix_ends_at_a_dot(self):
        member = self.egress.add(1, ["*.example.com"])
        self.works(member.connect("www.example.com", self.port))
        self.assertEqual(member.connect("evil-example.com", self.port)[0], DENIED)
        self.assertEqual(member.connect("example.com", self.port)[0], DENIED)

    def test_refuses_a_name_that_resolves_to_this_host(self):
        member = self.egress.add(1, ["*.example", "127.0.0.1.nip.io", "0.0.0.0/0", "[::/0]"])
        for name in ("local.example", "inner.example", "mapped.example", "127.0.0.1.nip.io"):
            refusal, _, text = member.connect(name, self.local.port)
            self.assertEqual(refusal, DENIED, name)
            self.assertIn(f"{name} resolved to ", text)
            self.assertIn("loopback address 127.0.0.1 needs a grant by address of its own", text)
        self.assertIn("metadata", member.connect("metadata.example", 80)[2])

    def test_the_hosts_own_public_addresses_need_a_grant_that_names_them(self):
        """What listens on all addresses of the host is not the Internet."""
        port = self.own.port
        member = self.egress.add(1, ["*.example", "0.0.0.0/0", "[::/0]", "203.0.113.0/24"])
        for host in (OWN, OWN_SECOND, "3405803783", f"::ffff:{OWN}", "own.example",
                     "own-mapped.example", "93.184.216.1", "2606:2800::a"):
            refusal, code, text = member.connect(host, port)
            self.assertEqual(refusal, DENIED, host)
            self.assertIn("of this host itself", text)
            self.assertIn("needs a grant by address of its own", text)
        self.assertEqual(member.connect(OWN_SIX, self.own_six.port)[0], DENIED)
        self.assertEqual(member.resolve("own.example")[0], DENIED)
        self.assertEqual(member.resolve("own-mixed.example"), [PUBLIC])
        denied = [resource for allowed, resource, _ in self.egress.audits() if not allowed]
        self.assertIn(f"{OWN}:{port}", denied)
        self.assertIn(f"own.example:{port} ({OWN})", denied)
        exact = self.egress.add(2, [f"{OWN}:{port}", f"{OWN_SECOND}:{port}",
                                    f"[{OWN_SIX}]:{self.own_six.port}", "own.example"])
        self.works(exact.connect(OWN, port))
        self.works(exact.connect(OWN_SECOND, port))
        self.works(exact.connect(OWN_SIX, self.own_six.port))
        self.works(exact.connect("own.example", port))

    def test_an_address_that_the_host_gets_later_is_its_own(self):
        late = "198.51.100.9"
        member = self.egress.add(1, ["0.0.0.0/0"])
        self.assertNotEqual(member.connect(late, self.own.port)[0], DENIED)
        netns.set_addresses("wan", [("93.184.216.1", 24), (OWN, 24), (OWN_SECOND, 24), (late, 24)])
        self.assertEqual(member.connect(late, self.own.port)[0], DENIED)

    def test_a_grant_by_address_is_none_to_look_names_up(self):
        member = self.egress.add(1, [f"127.0.0.1:{self.local.port}"])
        asked = len(self.dns.asked)
        for name in ("local.example", "secret.local.example"):
            self.assertEqual(member.connect(name, self.local.port)[0], DENIED)
            self.assertEqual(member.resolve(name)[0], DENIED)
        self.assertEqual(len(self.dns.asked), asked)
        self.works(member.connect("localhost", self.local.port))
        self.works(member.connect("127.0.0.1", self.local.port))
        self.assertEqual(member.connect("127.0.0.2", self.local.port)[0], DENIED)

    def test_other_spellings_are_the_same_address(self):
        member = self.egress.add(1, ["*.example"])
        granted = self.egress.add(2, [f"127.0.0.1:{self.local.port}"])
        for spelling in ("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "::ffff:127.0.0.1",
                         "[::ffff:7f00:1]", "0.0.0.0", "127.0.0.1."):
            self.assertEqual(member.connect(spelling, self.local.port)[0], DENIED, spelling)
            self.works(granted.connect(spelling, self.local.port))

    def test_refuses_what_is_no_host(self):
        member = self.egress.add(1, ["api.example", "0.0.0.0/0"])
        for bad in (b"api.example\0.evil.example", b"", b"api example", b"api%2eexample", b"\xc3\xa9.example",
                    b"fe80::1%lo", b"a..b", b"256.1.1.1", b"api.example/", b"api.example:443", b"[::1"):
            refusal, code, text = member.connect(bad, 443)
            self.assertEqual(refusal, BAD_HOST, (bad, text))

    def test_deny_beats_allow_by_name_and_by_address(self):
        member = self.egress.add(1, ["*.example"], deny=["middle.example", f"{OTHER}/32"])
        self.assertEqual(member.connect("middle.example", self.port)[0], DENIED)
        self.dns.names["other.example"] = [OTHER]
        text = member.connect("other.example", self.port)[2]
        self.assertIn(f"\"{OTHER}\" in net.deny denies it", text)

    def test_only_the_allowed_addresses_of_a_name_are_tried(self):
        member = self.egress.add(1, ["mixed.example"])
        self.works(member.connect("mixed.example", self.port))

    def test_a_unix_socket_by_its_path_only(self):
        path = os.path.join(self.folder, "db.sock")
        link = os.path.join(self.folder, "link.sock")
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.listen()
        os.chmod(path, 0o777)
        os.symlink(path, link)
        member = self.egress.add(1, [f"unix:{path}", f"unix:{link}"])
        what = member.connect(path, unix=1)
        self.assertIsInstance(what, socket.socket, what)
        what.close()
        self.assertIn("symbolic link", member.connect(link, unix=1)[2])
        self.assertEqual(member.connect(self.folder + "/../db.sock", unix=1)[0], BAD_HOST)
        self.assertEqual(member.connect("/run/other.sock", unix=1)[0], DENIED)
        os.chmod(path, 0o600)
        self.assertIn("its permissions", member.connect(path, unix=1)[2])
        server.close()
        os.unlink(path)
        os.unlink(link)

    def test_resolves_names_that_some_rule_allows(self):
        member = self.egress.add(1, ["api.example:443", "local.example"])
        self.assertEqual(member.resolve("api.example"), [PUBLIC])
        self.assertEqual(member.resolve("other.example")[0], DENIED)
        self.assertEqual(member.resolve("local.example")[0], DENIED)
        self.assertEqual(member.resolve("api.example", family=6)[0], NOT_FOUND)

    # ---- DNS ----

    def test_many_addresses_are_bounded_and_come_by_tcp(self):
        member = self.egress.add(1, ["many.example"])
        before = self.dns.tcp_asked
        self.assertEqual(len(member.resolve("many.example")), 32)
        self.assertGreater(self.dns.tcp_asked, before)

    def test_dns_errors_are_told_apart(self):
        member = self.egress.add(1, ["*.example"])
        self.assertEqual(member.connect("nowhere.example", 80)[0], NOT_FOUND)
        self.assertEqual(member.connect("empty.example", 80)[0], NOT_FOUND)
        refusal, _, text = member.connect("broken.example", 80)
        self.assertEqual(refusal, DNS_FAILED)
        self.assertIn("SERVFAIL", text)

    def test_a_dns_server_that_is_silent_is_an_error_within_the_deadline(self):
        self.dns.silent = True
        member = self.egress.add(1, ["api.example"], timeout=800)
        began = time.monotonic()
        refusal, _, text = member.connect("api.example", 80)
        self.assertEqual(refusal, TIMED_OUT)
        self.assertIn("no DNS server answered within 800 ms", text)
        self.assertLess(time.monotonic() - began, 3 * SLOW)

    def test_a_dns_server_that_is_gone_is_an_error(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.write_resolv_conf(port)
        self.addCleanup(self.write_resolv_conf)
        member = self.egress.add(1, ["api.example"])
        refusal, _, text = member.connect("api.example", 80)
        self.assertEqual(refusal, DNS_FAILED)
        self.assertIn("no DNS server", text)
        # And it comes back with the file.
        self.write_resolv_conf()
        self.works(member.connect("api.example", self.port))

    # ---- connecting ----

    def test_a_dead_address_does_not_hold_up_the_next(self):
        member = self.egress.add(1, ["*.example"])
        began = time.monotonic()
        self.works(member.connect("deadfirst.example", self.port))
        self.assertLess(time.monotonic() - began, 3 * SLOW)

    def test_the_deadline_of_a_connection(self):
        member = self.egress.add(1, ["dead.example"])
        refusal, code, text = member.connect("dead.example", 80, timeout=300)
        self.assertEqual(refusal, TIMED_OUT)
        self.assertIn("not connected within 300 ms", text)

    def test_a_refused_connection_says_so(self):
        member = self.egress.add(1, ["api.example"])
        refusal, code, text = member.connect("api.example", 1)
        self.assertEqual((refusal, code), (CONNECT_FAILED, 111))
        self.assertEqual(text, f"connect to api.example:1 failed: {PUBLIC}: Connection refused")

    def test_cancelled_requests_are_not_answered(self):
        member = self.egress.add(1, ["*.example"])
        number = member.send(CONNECT, "dead.example", 80)
        time.sleep(0.1)
        member.channel.send(struct.pack("=II", CANCEL, number))
        self.works(member.connect("api.example", self.port))

    def test_concurrent_and_rate_limits(self):
        member = self.egress.add(1, ["*.example"], concurrent=2)
        for _ in range(3):
            member.send(CONNECT, "dead.example", 80, timeout=500)
        refusal, _, text = member.receive()[1]
        self.assertEqual(refusal, LIMIT)
        self.assertIn("limits.connect.concurrent", text)
        self.assertEqual([member.receive()[1][0] for _ in range(2)], [TIMED_OUT] * 2)
        member = self.egress.add(2, ["*.example"], rate=5)
        answers = [member.connect("api.example", self.port) for _ in range(8)]
        self.assertTrue(all(isinstance(a, socket.socket) for a in answers[:5]))
        self.assertIn("limits.connect.rate", answers[7][2])
        time.sleep(1)
        self.works(member.connect("api.example", self.port))
        for answer in answers[:5]:
            answer.close()

    def test_what_is_dropped_stays_dropped(self):
        member = self.egress.add(1, ["*.example", f"127.0.0.1:{self.local.port}"])
        member.channel.send(struct.pack("=II", DROP, 0) + b"api.example\0")
        self.assertEqual(member.connect("api.example", self.port)[0], DENIED)
        self.works(member.connect("filed.example", self.port))
        # The supervisor is told, for the day that this process dies.
        kinds = [self.egress.channel.recv(4096) for _ in range(2)]
        self.assertIn(struct.pack("=II", DROP, 1) + b"api.example\0", kinds)
        member.channel.send(struct.pack("=II", DROP, 0) + b"\0")
        self.assertEqual(member.connect("127.0.0.1", self.local.port)[0], DENIED)

    # ---- hostile members ----

    def test_garbage_closes_that_channel_and_nothing_else(self):
        good = self.egress.add(100, ["api.example"])
        garbage = [b"x", b"\xff" * 64, struct.pack("=II", 99, 1), b"\0" * 20000,
                   struct.pack("=II", CONNECT, 1), struct.pack("=II", ADD, 1) + b"\0" * 100,
                   struct.pack("=II", PROXY, 1), struct.pack("=IIHBBI", CONNECT, 1, 1, 7, 9, 0) + b"a",
                   struct.pack("=II", DROP, 1) + b"no end", struct.pack("=IIHBBI", CONNECT, 1, 1, 0, 0, 0) + b"a" * 1025]
        for number, data in enumerate(garbage):
            member = self.egress.add(number + 1, ["api.example"])
            member.channel.send(data)
            with self.assertRaises((EOFError, ConnectionResetError), msg=data[:20]):
                while True:
                    member.receive()
        self.works(good.connect("api.example", self.port))

    def test_descriptors_that_nobody_wants_are_closed(self):
        good = self.egress.add(100, ["api.example"])
        count = lambda: len(os.listdir(f"/proc/{self.egress.process.pid}/fd"))
        before = count()
        for i in range(20):
            member = self.egress.add(i + 1, ["api.example"])
            data = struct.pack("=IIHBBI", CONNECT, 1, 80, 0, 0, 0) + b"api.example"
            socket.send_fds(member.channel, [data], [0] * 200)
            with self.assertRaises((EOFError, ConnectionResetError)):
                member.receive()
            self.egress.forget(i + 1)
        self.works(good.connect("api.example", self.port))
        self.assertLessEqual(count(), before + 1)

    def test_who_does_not_read_loses_its_channel(self):
        good = self.egress.add(100, ["api.example"])
        member = self.egress.add(1, ["api.example"], rate=1000000, concurrent=100000)
        member.channel.settimeout(2)
        try:
            for _ in range(20000):
                member.send(CONNECT, "other.example", 80)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        self.works(good.connect("api.example", self.port))
        self.assertIn("does not read its answers", self.egress.log())
        self.egress.audits()

    # ---- its confinement ----

    def test_it_is_confined(self):
        pid = self.egress.process.pid
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        self.assertEqual(status["Uid"].split(), [str(UID)] * 4)
        self.assertEqual(status["Gid"].split(), [str(UID)] * 4)
        self.assertEqual(status["Groups"].strip(), "")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["Threads"], "1")

    # ---- the proxy ----

    def proxy(self, connect, **more):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        member = self.egress.add(50, connect, proxy=1, **more)
        socket.send_fds(member.channel, [struct.pack("=II", PROXY, 1)], [listener.fileno()])
        self.addCleanup(listener.close)
        self.member = member
        return listener.getsockname()[1]

    def curl(self, *arguments):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True,
                              text=True)

    def test_proxy_forwards_http_in_origin_form(self):
        port = self.proxy([f"api.example:{self.http.port}"])
        done = self.curl("-i", "-x", f"http://127.0.0.1:{port}", "-H", "TE: trailers", "-H",
                         "X-Secret: hop", "-H", "Connection: X-Secret",
                         f"http://api.example:{self.http.port}/path?q=1")
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, body = done.stdout.partition("\n\n")
        seen = json.loads(body or done.stdout.split("\r\n\r\n")[1])["head"]
        self.assertTrue(seen.startswith(f"GET /path?q=1 HTTP/1.1\r\nHost: api.example:{self.http.port}\r\n"), seen)
        self.assertTrue(seen.endswith("\r\nConnection: close"), seen)
        for gone in ("X-Secret", "TE:", "Proxy-Connection"):
            self.assertNotIn(gone, seen)
        self.assertIn("Connection: close", done.stdout)
        self.assertNotIn("Keep-Alive", done.stdout.split("\r\n\r\n")[0])

    def test_proxy_carries_bodies_both_ways(self):
        port = self.proxy([f"api.example:{self.http.port}"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"y" * 3000000)
            file.flush()
            done = self.curl("-x", f"http://127.0.0.1:{port}", "--data-binary", "@" + file.name,
                             f"http://api.example:{self.http.port}/")
            self.assertEqual(json.loads(done.stdout)["body"], 3000000, done.stderr)
            for proxy in (f"http://127.0.0.1:{port}", f"socks5h://127.0.0.1:{port}"):
                done = self.curl("-p", "-x", proxy, f"http://api.example:{self.http.port}/big")
                self.assertEqual(len(done.stdout), 5000000, done.stderr)
        self.assertNotIn("event=", self.egress.log())

    def test_proxy_tunnels(self):
        port = self.proxy([f"api.example:{self.http.port}", f"{OTHER}", "[2606:2800::1]"])
        for arguments in (["-p", "-x", f"http://127.0.0.1:{port}"], ["-x", f"socks5h://127.0.0.1:{port}"]):
            done = self.curl(*arguments, f"http://api.example:{self.http.port}/x")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("GET /x HTTP/1.1", done.stdout)
        with netns.inside(self.internet, lambda: Server((SIX, 0), Http, socket.AF_INET6)) as six:
            done = self.curl("-x", f"socks5://127.0.0.1:{port}", f"http://[2606:2800::1]:{six.port}/six")
            self.assertIn("/six", done.stdout, done.stderr)
            six.shutdown()

    def test_proxy_says_what_was_denied_and_what_to_add(self):
        port = self.proxy(["api.example:443"])
        done = self.curl("-x", f"http://127.0.0.1:{port}", "-w", "%{http_code}", "http://other.example/")
        self.assertIn("add \"other.example:80\" to net.connect", done.stdout)
        self.assertTrue(done.stdout.endswith("403"))
        done = self.curl("-v", "-x", f"http://127.0.0.1:{port}", "https://other.example/")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Proxy-Status: tenantd; error=http_request_denied", done.stderr)
        self.assertIn("403", done.stderr)
        done = self.curl("-x", f"socks5h://127.0.0.1:{port}", "http://other.example/")
        self.assertIn("(2)", done.stderr)
        done = self.curl("-x", f"http://127.0.0.1:{port}", "-w", "%{http_code}", "http://127.0.0.1/")
        self.assertTrue(done.stdout.endswith("403"))

    def test_proxy_refuses_what_is_no_request(self):
        port = self.proxy(["api.example"])
        for data, status in ((b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", b"400"),
                             (b"GET http://a@api.example/ HTTP/1.1\r\n\r\n", b"400"),
                             (b"GET ftp://api.example/ HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
                             (b"CONNECT api.example HTTP/1.1\r\n\r\n", b"400"),
                             (b"CONNECT api.example:99999 HTTP/1.1\r\n\r\n", b"400"),
                             (b"\0\0\0\0\r\n\r\n", b"400"),
                             (b"POST http://api.example/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n", b"400"),
                             (b"GET http://api.example/ HTTP/1.1\r\nA: " + b"b" * 20000, b"431")):
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                client.sendall(data)
                self.assertEqual(client.recv(4096)[9:12], status, data[:40])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"\x05\x01\x02")
            self.assertEqual(client.recv(10), b"\x05\xff")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"\x05\x01\x00" + b"\x05\x02\x00\x01\x7f\0\0\1\0\x50")
            self.assertEqual(client.recv(2), b"\x05\x00")
            self.assertEqual(client.recv(10)[1], 7)

    def test_proxy_bad_gateway(self):
        port = self.proxy(["api.example"])
        done = self.curl("-x", f"http://127.0.0.1:{port}", "-w", "%{http_code}",
                         f"http://api.example:{self.http.port}/garbage")
        self.assertTrue(done.stdout.endswith("502"), done.stdout)
        done = self.curl("-x", f"http://127.0.0.1:{port}", "-w", "%{http_code}", "http://api.example:1/")
        self.assertTrue(done.stdout.endswith("502"), done.stdout)
        self.assertIn("Connection refused", done.stdout)

    def test_proxy_half_closes(self):
        port = self.proxy(["api.example"])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(f"CONNECT api.example:{self.port} HTTP/1.1\r\n\r\nearly".encode())
            client.shutdown(socket.SHUT_WR)
            data = b""
            while got := client.recv(4096):
                data += got
            self.assertEqual(data, b"HTTP/1.1 200 Connection established\r\n\r\nearly")

    def test_proxy_serves_at_most_so_many_at_once(self):
        port = self.proxy(["api.example"], concurrent=2)
        clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(3)]
        ask = f"CONNECT api.example:{self.port} HTTP/1.1\r\n\r\n".encode()
        for client in clients:
            client.sendall(ask)
        for client in clients[:2]:
            self.assertIn(b"200", client.recv(100))
        clients[2].settimeout(0.3)
        with self.assertRaises(TimeoutError):
            clients[2].recv(100)
        clients[0].close()
        clients[2].settimeout(5 * SLOW)
        self.assertIn(b"200", clients[2].recv(100))
        for client in clients[1:]:
            client.close()

    def test_a_worker_may_not_have_a_proxy(self):
        member = self.egress.add(1, ["api.example"])
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            socket.send_fds(member.channel, [struct.pack("=II", PROXY, 1)], [listener.fileno()])
            with self.assertRaises((EOFError, ConnectionResetError)):
                member.receive()

    def test_forget_ends_the_proxy_and_the_channel(self):
        port = self.proxy(["api.example"])
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(f"CONNECT api.example:{self.port} HTTP/1.1\r\n\r\n".encode())
        self.assertIn(b"200", client.recv(100))
        self.egress.forget(50)
        self.assertEqual(client.recv(100), b"")
        with self.assertRaises(EOFError):
            self.member.receive()
        client.close()


if __name__ == "__main__":
    unittest.main()
