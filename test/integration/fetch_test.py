"""fetch() of a confined tenant, end to end: policy, supervisor, tenantd-egress, seccomp,
TLS, for real. What fetch() does in every corner is in test/unit/fetch_*_test.py; here is
what only the whole system shows."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from egress_test import Dns
from harness import Daemon, TenantdTest, request, wait_until


class Server:
    """HTTP/1.1 with keep-alive: every answer is 200 with PATH's text, or HANDLER's bytes."""

    def __init__(self, handler=None, context=None, path=None):
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(512)
        self.port = 0 if path else self.listener.getsockname()[1]
        self.handler, self.context = handler, context
        self.connections = self.requests = 0
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
            while line := stream.readline():
                length = 0
                while (field := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = field.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                body = stream.read(length)
                self.requests += 1
                path = line.split()[1].decode()
                answer = self.handler(path, body) if self.handler else None
                if answer is None:
                    text = path.encode() + body
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
                connection.sendall(answer)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def close(self):
        self.listener.close()


def make_certificates(folder):
    def run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA",
        "-days", "30")
    run("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    with open(os.path.join(folder, "ext"), "w") as file:
        file.write("subjectAltName=IP:127.0.0.1\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-out", "server.pem", "-extfile", "ext", "-days", "30")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    return context


PRELUDE = """
const show = (value) => console.log('%s', JSON.stringify(value));
const caught = async (promise) => {
    try { await promise; return 'no error'; }
    catch (e) { return { name: e.name, message: e.message, code: e.cause?.code,
        why: e.cause?.message, permission: e.cause?.permission, resource: e.cause?.resource }; }
};
"""


class FetchTest(TenantdTest):
    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.mkdtemp(prefix="tenantd-ca-")
        cls.context = make_certificates(cls.certificates)
        cls.options = ("--ca-file", os.path.join(cls.certificates, "ca.pem"))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.certificates)

    def server(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def fetch(self, source, *connect, limits=None, **net):
        """Runs SOURCE with net.connect of CONNECT; what it showed, parsed."""
        permissions = {"net": {"connect": list(connect), **net}} if connect or net else {}
        policy = self.write("policy.json", json.dumps(
            {"version": 1, "permissions": permissions, "limits": limits or {}, "audit": "all"}))
        done = self.run_script(PRELUDE + source, "--policy", policy, name="script.mjs")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_http_and_https_by_address(self):
        plain, secure = self.server(), self.server(context=self.context)
        got = self.fetch(f"""
            show(await (await fetch('http://127.0.0.1:{plain.port}/plain')).text());
            show(await (await fetch('https://127.0.0.1:{secure.port}/secure', {{ method: 'POST', body: '!' }})).text());
            """, f"127.0.0.1:{plain.port}", f"127.0.0.1:{secure.port}")
        self.assertEqual(got, ["/plain", "/secure!"])

    def test_without_a_grant(self):
        server = self.server()
        got = self.fetch(f"show(await caught(fetch('http://127.0.0.1:{server.port}/')));")[0]
        self.assertEqual((got["name"], got["code"], got["permission"], got["resource"]),
                         ("TypeError", "ERR_ACCESS_DENIED", "Net", f"127.0.0.1:{server.port}"))
        self.assertIn('"connect"', got["why"])
        self.assertEqual(server.connections, 0)

    def test_another_port_and_other_spellings(self):
        server, other = self.server(), self.server()
        got = self.fetch(f"""
            for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', 'localhost', '127.0.0.1.'])
                show((await caught(fetch(`http://${{host}}:{other.port}/`))).code);
            show(await (await fetch('http://0x7f000001:{server.port}/same')).text());
            """, f"127.0.0.1:{server.port}")
        for code in got[:-1]:
            self.assertIn(code, ("ERR_ACCESS_DENIED", "ENOTFOUND"))
        self.assertEqual(got[-1], "/same")
        self.assertEqual(other.connections, 0)

    def test_deny_beats_connect_and_redirects_are_checked(self):
        denied = self.server()
        first = self.server(lambda path, body: (
            f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{denied.port}/\r\n"
            "Content-Length: 0\r\n\r\n").encode())
        got = self.fetch(f"""
            show(await caught(fetch('http://127.0.0.1:{first.port}/')));
            show(await caught(fetch('http://127.0.0.1:{denied.port}/')));
            """, "127.0.0.1", deny=[f"127.0.0.1:{denied.port}"])
        for error in got:
            self.assertEqual((error["code"], error["resource"]),
                             ("ERR_ACCESS_DENIED", f"127.0.0.1:{denied.port}"))
        self.assertEqual((first.requests, denied.connections), (1, 0))

    def test_errors_of_connections(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        got = self.fetch(f"""
            show((await caught(fetch('http://127.0.0.1:{port}/?secret'))));
            show((await caught(fetch('http://no-such-host.invalid/'))).code);
            """, "127.0.0.1", "no-such-host.invalid")
        self.assertEqual(got[0]["code"], "ECONNREFUSED")
        self.assertNotIn("secret", got[0]["why"])
        self.assertIn(got[1], ("ENOTFOUND", "EAI_AGAIN"))

    def test_a_thousand_after_each_other_and_a_hundred_at_once(self):
        server = self.server()
        got = self.fetch(f"""
            const url = 'http://127.0.0.1:{server.port}/x';
            let n = 0;
            for (let i = 0; i < 1000; i++) n += (await (await fetch(url)).text()).length;
            show(n);
            const all = await Promise.all(Array.from({{ length: 100 }}, async () => (await fetch(url)).text()));
            show(all.join('').length);
            """, f"127.0.0.1:{server.port}")
        self.assertEqual((got, server.requests), ([2000, 200], 1100))
        self.assertLessEqual(server.connections, 101)

    def test_streams_and_abort(self):
        gone = threading.Event()
        server = self.server(lambda path, body: b"HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n"
                             + bytes(33554432))
        got = self.fetch(f"""
            const r = await fetch('http://127.0.0.1:{server.port}/');
            let n = 0; for await (const chunk of r.body) n += chunk.length; show(n);
            const signal = AbortSignal.timeout(100);
            const second = await fetch('http://127.0.0.1:{server.port}/', {{ signal }});
            await new Promise((resolve) => setTimeout(resolve, 300));
            show(await caught(second.bytes()));
            """, f"127.0.0.1:{server.port}")
        self.assertEqual(got[0], 33554432)
        self.assertEqual(got[1]["name"], "TimeoutError")
        self.assertFalse(gone.is_set())

    def test_a_bomb_ends_in_an_error_and_not_in_the_worker(self):
        import gzip
        bomb = gzip.compress(bytes(400 << 20), 6)
        server = self.server(lambda path, body: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                             b"Content-Length: %d\r\n\r\n%b" % (len(bomb), bomb))
        got = self.fetch(f"""
            show((await caught(fetch('http://127.0.0.1:{server.port}/').then((r) => r.text()))).code);
            const r = await fetch('http://127.0.0.1:{server.port}/');
            let n = 0; for await (const chunk of r.body) n += chunk.length; show(n);
            """, f"127.0.0.1:{server.port}", limits={"memory": "64M"})
        self.assertEqual(got, ["ERR_OUT_OF_RANGE", 400 << 20])

    def test_unix_sockets(self):
        path = os.path.join(self.folder, "db.sock")
        server = self.server(path=path)
        os.chmod(path, 0o666)
        os.chmod(self.folder, 0o755)
        got = self.fetch(f"""
            show(await (await fetch('http://db/query', {{ unix: '{path}' }})).text());
            show((await caught(fetch('http://db/', {{ unix: '/run/other.sock' }}))).code);
            """, f"unix:{path}")
        self.assertEqual(got, ["/query", "ERR_ACCESS_DENIED"])
        self.assertEqual(server.requests, 1)

    def test_two_workers_have_different_randomness(self):
        hellos = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        def accept():
            while len(hellos) < 4:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                hellos.append(connection.recv(65536)[11:43])
                connection.close()
        threading.Thread(target=accept, daemon=True).start()
        port = listener.getsockname()[1]
        for _ in range(4):
            self.fetch(f"await caught(fetch('https://127.0.0.1:{port}/'));", f"127.0.0.1:{port}")
        wait_until(lambda: len(hellos) == 4, what="four handshakes")
        self.assertEqual(len(set(hellos)), 4)

    def test_nothing_that_it_does_is_refused_by_the_kernel(self):
        server, secure = self.server(), self.server(context=self.context)
        self.fetch(f"""
            await (await fetch('http://127.0.0.1:{server.port}/')).text();
            await (await fetch('https://127.0.0.1:{secure.port}/')).text();
            """, "127.0.0.1")
        with open(os.path.join(self.daemon.state, "audit", "audit.jsonl")) as file:
            records = [json.loads(line) for line in file]
        self.assertIn("net.connect", [record["permission"] for record in records])
        self.assertEqual([r for r in records if r["layer"] == "seccomp"], [])

    def egress_pid(self):
        children = subprocess.run(
            ["pgrep", "-P", str(self.daemon.process.pid), "tenantd-egress"],
            capture_output=True, text=True)
        return int(children.stdout.split()[0]) if children.stdout.split() else None

    def test_egress_killed_in_mid_request(self):
        server = self.server()
        backlog = socket.create_server(("127.0.0.1", 0), backlog=0)  # connects, never answers
        self.addCleanup(backlog.close)
        path = self.write("server.mjs", """export default { async fetch(request) {
            const url = new URL(request.url).searchParams.get('url');
            try { return new Response(await (await fetch(url)).text()); }
            catch (e) { return new Response(`${e.cause?.code}: ${e.cause?.message}`, { status: 502 }); }
        } };""")
        policy = self.write("p.json", json.dumps({"version": 1, "permissions": {"net": {
            "connect": ["127.0.0.1"], "listen": ["127.0.0.1:0"]}}}))
        done = self.daemon.ctl("deploy", "caller", path, "--policy", policy)
        self.addCleanup(self.daemon.ctl, "remove", "caller", "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        port = self.port_of("caller")
        target = f"/?url=http://127.0.0.1:{server.port}/a"
        self.assertEqual(request(port, target)[2], b"/a")
        for _ in range(3):
            pid = self.egress_pid()
            self.assertIsNotNone(pid)
            os.kill(pid, 9)
            # The kept connection goes on. A new one waits for the next egress, unless it was
            # asked of the one that died: then it says so, and that it may be tried again.
            self.assertEqual(request(port, target)[2], b"/a")
            second = self.server()
            answer = request(port, f"/?url=http://127.0.0.1:{second.port}/b")[2]
            if answer != b"/b":
                self.assertRegex(answer, rb"^ECONNRESET: .*again")
                answer = request(port, f"/?url=http://127.0.0.1:{second.port}/b")[2]
            self.assertEqual(answer, b"/b")
            wait_until(lambda before=pid: self.egress_pid() not in (None, before),
                       what="a new egress process")


class Names(unittest.TestCase):
    """A name's owner decides where it leads; the policy decides whether that counts."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tenantd-dns-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.dns = Dns()
        resolv_conf = os.path.join(self.folder, "resolv.conf")
        with open(resolv_conf, "w") as file:
            file.write(f"nameserver 127.0.0.1:{self.dns.port}\n")
        self.daemon = Daemon("--resolv-conf", resolv_conf)
        self.addCleanup(self.daemon.close)
        self.server = Server()
        self.addCleanup(self.server.close)

    def fetch(self, source, *connect):
        script, policy = os.path.join(self.folder, "s.mjs"), os.path.join(self.folder, "p.json")
        with open(script, "w") as file:
            file.write(PRELUDE + source)
        with open(policy, "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"connect": list(connect)}}}, file)
        done = self.daemon.ctl("run", script, "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_granted_name_that_leads_to_this_machine(self):
        # CVE-2026-49859: the name is allowed, its address is not.
        self.dns.names["inside.example"] = ["127.0.0.1"]
        url = f"http://inside.example:{self.server.port}/x"
        script = f"show(await caught(fetch('{url}')));"
        got = self.fetch(script, "inside.example")[0]
        self.assertEqual((got["code"], got["resource"]),
                         ("ERR_ACCESS_DENIED", f"inside.example:{self.server.port}"))
        self.assertIn("127.0.0.1", got["why"])
        self.assertEqual(self.server.connections, 0)
        got = self.fetch(script, "inside.example", f"127.0.0.1:{self.server.port}")
        self.assertEqual(got, ["no error"])

    def test_a_name_that_changes_between_two_requests(self):
        self.dns.names["rebind.example"] = ["127.0.0.1"]
        ready = threading.Event()
        def handler(path, body):
            self.dns.names["rebind.example"] = ["127.0.0.2"]
            ready.set()
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
        self.server.handler = handler
        other = socket.create_server(("127.0.0.2", self.server.port))
        self.addCleanup(other.close)
        other.settimeout(0.2)
        url = f"http://rebind.example:{self.server.port}/"
        got = self.fetch(f"""
            show(await (await fetch('{url}')).text());
            const until = Date.now() + 8000; // the answer's time to live
            let error;
            do {{ error = await caught(fetch('{url}')); await new Promise((r) => setTimeout(r, 250)); }}
            while (error === 'no error' && Date.now() < until);
            show(error);
            """, "rebind.example", "127.0.0.1")
        self.assertEqual(got[0], "x")
        self.assertEqual(got[1]["code"], "ERR_ACCESS_DENIED")
        with self.assertRaises(TimeoutError):
            other.accept()

    def test_an_unreachable_name_server(self):
        self.dns.names["broken.example"] = "servfail"
        got = self.fetch("show(await caught(fetch('http://broken.example/')));"
                         "show(await caught(fetch('http://missing.example/')));",
                         "broken.example", "missing.example")
        self.assertEqual([error["code"] for error in got], ["EAI_AGAIN", "ENOTFOUND"])


class Authorities(unittest.TestCase):
    def test_without_the_option_an_unknown_authority_is_refused(self):
        folder = tempfile.mkdtemp(prefix="tenantd-ca-")
        self.addCleanup(shutil.rmtree, folder)
        server = Server(context=make_certificates(folder))
        self.addCleanup(server.close)
        daemon = Daemon()
        self.addCleanup(daemon.close)
        script, policy = os.path.join(folder, "s.mjs"), os.path.join(folder, "p.json")
        with open(script, "w") as file:
            file.write(PRELUDE + f"show(await caught(fetch('https://127.0.0.1:{server.port}/')));")
        with open(policy, "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"connect": ["127.0.0.1"]}}}, file)
        done = daemon.ctl("run", script, "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout)["code"], "UNABLE_TO_GET_ISSUER_CERT_LOCALLY")
        self.assertEqual(server.requests, 0)


if __name__ == "__main__":
    unittest.main()
