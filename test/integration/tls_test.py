"""node:tls in workers, against Python's TLS on this machine with certificates made here."""

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

from harness import free_port
from net_servers import PRELUDE, Certificates, NetTest, echo

TLS = PRELUDE + "import tls from 'node:tls';\n"


class TlsTest(NetTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder_of_keys = tempfile.mkdtemp(prefix="tenantd-keys-")
        cls.certificates = Certificates(cls.folder_of_keys)
        cls.certificates.make("good", "DNS:localhost,DNS:*.test.example,IP:127.0.0.1,IP:::1")
        cls.certificates.make("other", "DNS:other.example")
        cls.certificates.make("expired", "DNS:localhost,IP:127.0.0.1", expired=True)
        cls.certificates.make("self", "IP:127.0.0.1", signed=False)
        cls.certificates.make("named", "", subject="/CN=127.0.0.1")
        cls.certificates.make("client", "DNS:client.example", subject="/CN=the client")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder_of_keys, ignore_errors=True)

    def tls_server(self, name, handle=echo, **options):
        return self.server(handle, context=self.certificates.context(name, **options))

    def connect(self, server, options="", body="say(await outcome(socket));", ca=True):
        trust = f"ca: {json.dumps(self.certificates.ca)}," if ca else ""
        return self.results(TLS + f"""
const socket = tls.connect({{ host: '127.0.0.1', port: {server.port}, {trust} {options} }});
{body}
""", [f"127.0.0.1:{server.port}"])

    TALK = """
let secure;
socket.on('secureConnect', () => {
	secure = { protocol: socket.getProtocol(), cipher: socket.getCipher(),
		peer: socket.getPeerCertificate(), key: socket.getEphemeralKeyInfo() };
	socket.end('hello');
});
let text = '';
for await (const chunk of socket) text += chunk;
say({ text, authorized: socket.authorized, error: socket.authorizationError, ...secure,
	alpn: socket.alpnProtocol, encrypted: socket.encrypted, gone: [socket.getProtocol(),
		socket.getCipher(), socket.getPeerCertificate()], isSocket: socket instanceof net.Socket });
"""

    def test_a_good_certificate_by_address_in_both_versions(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with self.subTest(name):
                server = self.tls_server("good", least=version, most=version)
                result = self.connect(server, body=self.TALK)
                self.assertEqual(result["text"], "hello")
                self.assertIs(result["authorized"], True)
                self.assertIsNone(result["error"])
                self.assertEqual(result["protocol"], name)
                self.assertEqual(result["cipher"]["version"], name)
                self.assertIn(result["key"]["type"], ("ECDH", "TLSGroup"))
                self.assertEqual(result["gone"], [None, None, None])
                self.assertTrue(result["encrypted"] and result["isSocket"])
                self.assertEqual(result["peer"]["subject"], {"O": "Test", "CN": "server"})
                self.assertEqual(result["peer"]["issuer"], {"CN": "Test CA"})
                self.assertEqual(
                    result["peer"]["subjectaltname"],
                    "DNS:localhost, DNS:*.test.example, IP Address:127.0.0.1, "
                    "IP Address:0:0:0:0:0:0:0:1")
                self.assertRegex(result["peer"]["fingerprint256"], "^([0-9A-F]{2}:){31}[0-9A-F]{2}$")

    def test_bad_certificates_are_refused_with_nodes_codes(self):
        for name, code, options in (
                ("expired", "CERT_HAS_EXPIRED", ""),
                ("self", "DEPTH_ZERO_SELF_SIGNED_CERT", ""),
                ("other", "ERR_TLS_CERT_ALTNAME_INVALID", ""),
                ("named", "ERR_TLS_CERT_ALTNAME_INVALID", ""),
                ("good", "ERR_TLS_CERT_ALTNAME_INVALID", "servername: 'wrong.example',")):
            with self.subTest(name):
                got = []

                def hear(connection):
                    got.append(connection.recv(100))

                server = self.tls_server(name, hear)
                result = self.connect(server, options, """
socket.write('a secret');
say(await outcome(socket));
""")
                self.assertEqual(result["error"]["code"], code, result)
                self.assertTrue(result["hadError"])
                self.assertNotIn("secureConnect", result["events"])
                # Never in the clear, and not to whom nobody knows.
                time.sleep(0.1)
                self.assertFalse([data for data in got if data], got)

    def test_an_unknown_authority_is_refused_without_the_ca_option(self):
        result = self.connect(self.tls_server("good"), ca=False)
        self.assertIn(result["error"]["code"], ("UNABLE_TO_VERIFY_LEAF_SIGNATURE",
                                                "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"))

    def test_reject_unauthorized_false_connects_and_says_why_not(self):
        result = self.connect(self.tls_server("expired"), "rejectUnauthorized: false,", self.TALK)
        self.assertEqual(result["text"], "hello")
        self.assertIs(result["authorized"], False)
        self.assertEqual(result["error"], "CERT_HAS_EXPIRED")

    def test_servername_wildcards_and_sni(self):
        asked = []
        context = self.certificates.context("good")
        context.sni_callback = lambda connection, name, _: asked.append(name)
        server = self.server(echo, context=context)
        result = self.connect(server, "servername: 'a.test.example',", self.TALK)
        self.assertIs(result["authorized"], True)
        self.connect(server, "", self.TALK)
        self.assertEqual(asked, ["a.test.example", None])
        result = self.connect(server, "servername: 'a.b.test.example',")
        self.assertEqual(result["error"]["code"], "ERR_TLS_CERT_ALTNAME_INVALID")

    def test_alpn(self):
        server = self.tls_server("good", alpn=("h2", "http/1.1"))
        result = self.connect(server, "ALPNProtocols: ['x', 'http/1.1', 'h2'],", self.TALK)
        self.assertEqual(result["alpn"], "h2")
        self.assertIs(self.connect(server, "", self.TALK)["alpn"], False)

    def test_a_stream_that_is_cut_off_is_an_error(self):
        def cut(connection):
            connection.sendall(b"half of")
            # Without close_notify: what an attacker on the way can do.
            socket.socket(fileno=os.dup(connection.fileno())).shutdown(socket.SHUT_RDWR)

        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server = self.tls_server("good", cut, least=version, most=version)
            result = self.connect(server, body="""
let text = '';
socket.on('data', (chunk) => text += chunk);
say({ ...(await outcome(socket)), text });
""")
            self.assertEqual(result["text"], "half of")
            self.assertEqual(result["error"]["code"], "ERR_SSL_UNEXPECTED_EOF_WHILE_READING")
            self.assertNotIn("end", result["events"])

    def test_close_notify_is_a_clean_end(self):
        def say_bye(connection):
            connection.sendall(b"bye")
            connection.unwrap()

        result = self.connect(self.tls_server("good", say_bye))
        self.assertEqual(result["events"], ["connect", "ready", "secureConnect", "end"])
        self.assertFalse(result["hadError"])

    def test_a_server_without_tls_gets_no_plain_text(self):
        got = []

        def plain(connection):
            got.append(connection.recv(65536))
            connection.sendall(b"220 plain.example ESMTP\r\n")
            got.append(connection.recv(65536))

        result = self.connect(self.server(plain), body="socket.write('secret'); say(await outcome(socket));")
        self.assertEqual(result["error"]["code"], "EPROTO")
        self.assertIn("wrong version number", result["error"]["message"])
        self.assertNotIn(b"secret", b"".join(got))
        self.assertTrue(got[0].startswith(b"\x16\x03"))

    def test_a_connection_that_ends_before_the_handshake_does(self):
        result = self.connect(self.server(lambda connection: connection.recv(65536)))
        self.assertEqual(result["error"]["code"], "ECONNRESET")
        self.assertEqual(result["error"]["message"], "Client network socket disconnected before "
                         "secure TLS connection was established")

    def test_large_transfers_through_tls(self):
        size = 16 << 20
        digest = []

        def count(connection):
            total = 0
            while data := connection.recv(1 << 16):
                total += len(data)
                connection.sendall(data)
            digest.append(total)

        result = self.connect(self.tls_server("good", count), body=f"""
const before = process.memoryUsage().rss; // most of it shared with all workers
const block = Buffer.alloc(1 << 18, 'q');
let read = 0, wrong = 0;
const reading = (async () => {{
	for await (const chunk of socket) {{
		read += chunk.length;
		for (let i = 0; i < chunk.length; i += 997) if (chunk[i] !== 113) wrong++;
	}}
}})();
for (let sent = 0; sent < {size}; sent += block.length)
	if (!socket.write(block)) await once(socket, 'drain');
socket.end();
await reading;
say({{ read, wrong, grown: process.memoryUsage().rss - before }});
""")
        self.assertEqual(result["read"], size)
        self.assertEqual(result["wrong"], 0)
        self.assertLess(result["grown"], 96 << 20)

    def test_starttls_on_a_socket_that_has_talked(self):
        def upgrade(connection):
            connection.sendall(b"220 hello\r\n")
            assert connection.recv(100) == b"STARTTLS\r\n"
            connection.sendall(b"220 go ahead\r\n")
            context = self.certificates.context("good")
            with context.wrap_socket(connection, server_side=True) as secure:
                echo(secure)

        server = self.server(upgrade)
        result = self.results(TLS + f"""
const plain = net.connect({server.port}, '127.0.0.1');
await once(plain, 'data');
plain.write('STARTTLS\\r\\n');
await once(plain, 'data');
const socket = tls.connect({{ socket: plain, host: '127.0.0.1', ca: {json.dumps(self.certificates.ca)} }});
const closed = once(plain, 'close');
{self.TALK}
await closed;
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result["text"], "hello")
        self.assertIs(result["authorized"], True)

    def test_renegotiation_is_not_done(self):
        port = free_port()
        path = self.certificates.path
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_2", "-naccept", "1",
             "-cert", path("good.pem"), "-key", path("good.key")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        # It says ACCEPT when it listens, and the handshake's result later.
        while b"ACCEPT" not in server.stdout.readline():
            pass

        def renegotiate():
            while b"CIPHER is" not in (line := server.stdout.readline()) and line:
                pass
            server.stdin.write(b"R\n")
            server.stdin.flush()
            server.stdout.read()

        threading.Thread(target=renegotiate, daemon=True).start()
        result = self.results(TLS + f"""
const socket = tls.connect({{ host: '127.0.0.1', port: {port}, ca: {json.dumps(self.certificates.ca)} }});
let asked;
socket.on('secureConnect', () => socket.renegotiate({{}}, (error) => {{ asked = error.code; }}));
const result = await outcome(socket);
say({{ asked, secure: result.events.includes('secureConnect'), error: result.error?.code }});
""", [f"127.0.0.1:{port}"])
        self.assertEqual(result["asked"], "ERR_TLS_RENEGOTIATION_DISABLED")
        self.assertTrue(result["secure"])

    def test_tls_over_any_duplex(self):
        server = self.tls_server("good")
        result = self.results(TLS + f"""
import {{ Duplex }} from 'node:stream';
const raw = net.connect({server.port}, '127.0.0.1');
await once(raw, 'connect');
const through = new Duplex({{
	read() {{ raw.resume(); }},
	write(chunk, encoding, done) {{ raw.write(chunk, done); }},
	final(done) {{ raw.end(done); }},
}});
raw.on('data', (chunk) => {{ if (!through.push(chunk)) raw.pause(); }});
raw.on('end', () => through.push(null));
const socket = tls.connect({{ socket: through, host: '127.0.0.1', ca: {json.dumps(self.certificates.ca)} }});
{self.TALK}
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result["text"], "hello")
        self.assertIs(result["authorized"], True)

    def test_sessions_are_resumed(self):
        server = self.tls_server("good")
        result = self.connect(server, body=f"""
const [session] = await once(socket, 'session');
socket.destroy();
const again = tls.connect({{ host: '127.0.0.1', port: {server.port}, session,
	ca: {json.dumps(self.certificates.ca)} }});
await once(again, 'secureConnect');
const reused = [again.isSessionReused(), again.authorized];
again.destroy();
const wrong = tls.connect({{ host: '127.0.0.1', servername: 'wrong.example', port: {server.port}, session,
	ca: {json.dumps(self.certificates.ca)} }});
const [error] = await once(wrong, 'error');
say({{ reused, error: error.code }});
""")
        self.assertEqual(result, {"reused": [True, True], "error": "ERR_TLS_CERT_ALTNAME_INVALID"})

    def test_client_certificates(self):
        context = self.certificates.context("good")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.certificates.path("ca.pem"))
        names = []

        def who(connection):
            names.append(dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"])
            echo(connection)

        server = self.server(who, context=context)
        cert, key = self.certificates.read("client.pem"), self.certificates.read("client.key")
        result = self.connect(server, f"cert: {json.dumps(cert)}, key: {json.dumps(key)},", self.TALK)
        self.assertEqual(result["text"], "hello")
        self.assertEqual(names, ["the client"])
        result = self.connect(server)
        self.assertTrue(result["error"])

    def test_contexts_check_what_they_are_given(self):
        result = self.results(TLS + """
const codes = [];
for (const options of [{ minVersion: 'TLSv9' }, { ca: 5 }, { cert: 'x' }, { key: 'x' }, { ciphers: 'none' }])
	try { tls.createSecureContext(options); codes.push(null); } catch (e) { codes.push(e.code); }
say({ codes, roots: tls.rootCertificates.length > 10, least: tls.DEFAULT_MIN_VERSION,
	ciphers: tls.getCiphers().includes('tls_aes_256_gcm_sha384') });
""")
        self.assertEqual(result["codes"][:2], ["ERR_TLS_INVALID_PROTOCOL_VERSION", "ERR_INVALID_ARG_TYPE"])
        self.assertTrue(all(result["codes"]), result)
        self.assertEqual([result["roots"], result["least"], result["ciphers"]], [True, "TLSv1.2", True])


if __name__ == "__main__":
    unittest.main()
