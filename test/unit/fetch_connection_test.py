"""fetch() in the real runtime: its connections, by egress and over TLS."""

import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from fetch_harness import answer, echo, Egress, FetchTest, main, MESSAGE_EGRESS, SLOW


class Connections(FetchTest):
    def test_one_after_the_other_use_one_connection(self):
        server = self.server(lambda request, send: send(answer(b"x" * 100)))
        got = self.result("""let n = 0;
            for (let i = 0; i < 1000; i++) n += (await (await fetch('http://server.test/')).text()).length;
            show(n);""")
        self.assertEqual((got, server.requests, server.connections), (100000, 1000, 1))
        self.assertEqual(len(self.egress.asked), 1)

    def test_a_hundred_at_once(self):
        server = self.server(lambda request, send: (time.sleep(0.02), send(answer(b"x"))) and None)
        got = self.result("""const all = await Promise.all(Array.from({ length: 100 }, () =>
            fetch('http://server.test/').then((r) => r.text())));
            show(all.join('').length);""")
        self.assertEqual((got, server.requests), (100, 100))
        self.assertLessEqual(server.connections, 100)

    def test_more_than_the_descriptors_allow(self):
        server = self.server(lambda request, send: send(answer(b"x")))
        got = self.result("""const all = await Promise.all(Array.from({ length: 300 }, () =>
            fetch('http://server.test/').then((r) => r.text())));
            show(all.join('').length);""", "--files", "64")
        self.assertEqual((got, server.requests), (300, 300))
        self.assertLessEqual(server.connections, 40)

    def test_a_kept_connection_that_died(self):
        def handler(request, send):
            send(answer(b"ok"))
            return False  # although it did not say so
        self.server(handler)
        got = self.results("""for (const method of ['GET', 'GET', 'POST', 'POST']) {
            show(await (await fetch('http://server.test/', { method })).text());
            await new Promise((r) => setTimeout(r, 50)); }""")
        self.assertEqual(got, ["ok"] * 4)

    def test_a_request_is_repeated_only_if_that_is_safe(self):
        served = []
        def handler(request, send):
            served.append(request.method)
            if served.count(request.method) == 1 and len(served) > 1:
                return False  # on a kept connection: no answer at all
            send(answer(b"ok"))
        self.server(handler)
        got = self.results("""const at = (method) => fetch('http://server.test/', { method }).then((r) => r.text());
            show(await at('GET')); show(await at('PUT')); show(await caught(at('POST')));""")
        self.assertEqual(got[:2], ["ok", "ok"])
        self.assertEqual(got[2]["code"], "ECONNRESET")
        self.assertEqual(served, ["GET", "PUT", "PUT", "POST"])

    def test_the_end_of_egress(self):
        server = self.server(lambda request, send: send(answer(b"x")))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.egress.hold = threading.Event()
        process = self.start("""
            const first = fetch('http://server.test/').then(() => 'no', (e) => [e.cause.code, e.cause.message]);
            console.log(JSON.stringify(await first));
            console.log(await (await fetch('http://server.test/')).text());
            """, "--channel", str(theirs.fileno()), fds=[theirs.fileno()])
        theirs.close()
        while not self.egress.asked:
            time.sleep(0.01)
        self.egress.theirs.close()
        self.egress.die()
        first = json.loads(process.stdout.readline())
        self.assertEqual(first[0], "ECONNRESET")
        self.assertIn("egress process ended", first[1])
        time.sleep(0.2)  # the second request waits meanwhile
        second = Egress(self.places)
        socket.send_fds(ours, [struct.pack("=II", MESSAGE_EGRESS, 0)], [second.theirs.fileno()])
        second.theirs.close()
        out, err = process.communicate(timeout=20 * SLOW)
        self.assertEqual((out, second.asked), ("x\n", ["server.test:80"]), err)
        self.assertEqual(server.requests, 1)

    def test_egress_that_does_not_come_back(self):
        self.egress.hold = threading.Event()
        process = self.start("""
            for (let i = 0; i < 2; i++) await fetch('http://server.test/').catch((e) => console.log(e.cause.message));
            """)
        while not self.egress.asked:
            time.sleep(0.01)
        self.egress.theirs.close()
        self.egress.die()
        out, _ = process.communicate(timeout=20 * SLOW)
        self.assertIn("did not come back in time", out.splitlines()[1])


class TLS(FetchTest):
    def names(self):
        for name, certificate in (
                ("good.test", "good.test"), ("a.wild.test", "good.test"),
                ("a.b.wild.test", "good.test"), ("other.test", "good.test"),
                ("127.0.0.1", "good.test"), ("127.0.0.2", "127.0.0.1"),
                ("expired.test", "expired.test"), ("onlycn.test", "onlycn.test"),
                ("self.test", "self")):
            self.server(echo, name, 443, context=self.context(certificate))

    def test_identities(self):
        self.names()
        # An address as a name in a certificate is none (CVE-2026-106069).
        named = self.server(echo, "127.0.0.1", 444, context=self.context("127.0.0.1"))
        got = self.result("""const all = {};
            for (const h of ['good.test', 'GOOD.test', 'a.wild.test', '127.0.0.1', '0x7f.1', '2130706433',
                'a.b.wild.test', 'other.test', 'expired.test', 'onlycn.test', 'self.test', '127.0.0.1:444', '0177.0.0.1:444'])
                all[h] = await caught(fetch(`https://${h}/`));
            show(all);""")
        for name in ("good.test", "GOOD.test", "a.wild.test", "127.0.0.1", "0x7f.1", "2130706433"):
            self.assertEqual(got[name], "no error", name)
        mismatch = "ERR_TLS_CERT_ALTNAME_INVALID"
        self.assertEqual({name: error["code"] for name, error in got.items()
                          if error != "no error"}, {
            "a.b.wild.test": mismatch, "other.test": mismatch, "expired.test": "CERT_HAS_EXPIRED",
            "onlycn.test": mismatch, "self.test": "DEPTH_ZERO_SELF_SIGNED_CERT",
            "127.0.0.1:444": mismatch, "0177.0.0.1:444": mismatch})
        self.assertEqual(named.requests, 0)

    def test_old_versions_and_plaintext_are_refused(self):
        old = self.context("good.test", minimum_version=ssl.TLSVersion.TLSv1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        self.server(echo, "good.test", 443, context=old)
        # CVE-2026-44726: after a failed handshake nothing is tried without TLS.
        plain = []
        def refuse(listener):
            connection, _ = listener.accept()
            plain.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()
        self.places[("good.test", 444)] = listener.getsockname()
        got = self.results("""for (const p of [443, 444])
            show(await caught(fetch(`https://good.test:${p}/`)));""")
        self.assertEqual([error["code"] for error in got], ["EPROTO", "EPROTO"], got)
        self.assertEqual([hello[:1] for hello in plain], [b"\x16"])
        self.assertEqual(len(self.egress.asked), 2)

    def test_every_worker_has_randomness_of_its_own(self):
        hellos = []
        def handler(listener):
            for _ in range(2):
                connection, _ = listener.accept()
                hellos.append(connection.recv(65536))
                connection.close()
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        thread = threading.Thread(target=handler, args=(listener,), daemon=True)
        thread.start()
        self.places[("good.test", 443)] = listener.getsockname()
        for _ in range(2):
            self.egress = Egress(self.places)
            self.result("show(await caught(fetch('https://good.test/')));")
        thread.join(10)
        self.assertNotEqual(hellos[0][11:43], hellos[1][11:43])  # ClientHello.random

    def test_http2_shares_one_connection(self):
        script = os.path.join(self.folder, "h2.mjs")
        with open(script, "w") as file:
            file.write("""
                import { createSecureServer } from 'node:http2'; import { readFileSync } from 'node:fs';
                let sessions = 0;
                const server = createSecureServer({ key: readFileSync('good.test.key'), cert: readFileSync('good.test.pem') });
                server.on('session', () => sessions++);
                server.on('stream', (stream, headers) => {
                    const parts = []; stream.on('data', (d) => parts.push(d));
                    stream.on('error', () => {});
                    stream.on('end', () => {
                        stream.respond({ ':status': 200, 'x-method': headers[':method'], 'x-sessions': String(sessions), 'x-host': headers[':authority'] });
                        stream.end(Buffer.concat(parts).toString() || 'h2'); }); });
                server.listen(0, '127.0.0.1', () => console.log(server.address().port));""")
        server = subprocess.Popen(["node", script], cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.addCleanup(server.stdout.close)
        self.places[("good.test", 443)] = ("127.0.0.1", int(server.stdout.readline()))
        got = self.results("""
            const all = await Promise.all(Array.from({ length: 100 }, () => fetch('https://good.test/').then((r) => r.text())));
            show(all.join(''));
            const body = new Blob(['a'.repeat(1e6)]).stream();
            const r = await fetch('https://good.test/', { method: 'POST', body, duplex: 'half' });
            show([r.headers.get('x-method'), r.headers.get('x-sessions'), r.headers.get('x-host'), (await r.text()).length]);
            const c = new AbortController(); setTimeout(() => c.abort(), 50);
            show(await caught(fetch('https://good.test/', { method: 'POST', duplex: 'half', signal: c.signal,
                body: new ReadableStream({}) })));
            show((await (await fetch('https://good.test/')).text()));""")
        self.assertEqual(got[0], "h2" * 100)
        self.assertEqual(got[1], ["POST", "1", "good.test", 1000000])
        self.assertEqual((got[2]["name"], got[3]), ("AbortError", "h2"))
        self.assertEqual(len(self.egress.asked), 1)


if __name__ == "__main__":
    main()
