"""fetch() in the real runtime: its errors, and its end before the end."""

import base64
import hashlib
import json
import socket
import threading

from fetch_harness import answer, DNS_FAILED, FetchTest, LIMIT, main, NOT_FOUND, Refuse, TIMED_OUT


class Errors(FetchTest):
    def test_denied(self):
        got = self.results("""show(await caught(fetch('http://denied.test/')));
            show(await caught(fetch('https://denied.test:8443/')));""")
        self.assertEqual((got[0]["name"], got[0]["message"], got[0]["code"]),
                         ("TypeError", "fetch failed", "ERR_ACCESS_DENIED"))
        self.assertIn('"net": { "connect": ["denied.test:80"] }', got[0]["why"])
        self.assertEqual((got[1]["permission"], got[1]["resource"]), ("Net", "denied.test:8443"))

    def test_without_the_permission_nothing_is_asked(self):
        got = self.result("show(await caught(fetch('http://x.test/')));", egress=False)
        self.assertEqual((got["code"], got["resource"]), ("ERR_ACCESS_DENIED", "x.test:80"))

    def test_why_a_connection_failed(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.places[("refused.test", 80)] = probe.getsockname()
        self.places[("missing.test", 80)] = Refuse(NOT_FOUND)
        self.places[("dns.test", 80)] = Refuse(DNS_FAILED)
        self.places[("slow.test", 80)] = Refuse(TIMED_OUT)
        self.places[("many.test", 80)] = Refuse(LIMIT)
        got = self.results("""for (const h of ['refused', 'missing', 'dns', 'slow', 'many'])
            show((await caught(fetch(`http://${h}.test/secret?token=1`))));""")
        self.assertEqual([error["code"] for error in got],
                         ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "EAGAIN"])
        self.assertNotIn("token", json.dumps(got))

    def test_schemes(self):
        got = self.results("""
            for (const u of ['file:///etc/passwd', 'about:blank', 'ftp://x.test/', 'blob:x', 'gopher://x/'])
                show(await caught(fetch(u)));
            const d = await fetch('data:text/html;charset=utf-8;base64,aGk%3D');
            show([d.status, d.headers.get('content-type'), await d.text(), d.url]);
            show(await (await fetch('data:,a%20b%zz#f')).text());
            show(await caught(fetch('data:nocomma')));
            show(await caught(fetch('http://user:pass@server.test/')));""")
        for error in got[:5]:
            self.assertEqual((error["name"], error["message"]), ("TypeError", "fetch failed"))
        self.assertEqual(got[5], [200, "text/html;charset=utf-8", "hi",
                                  "data:text/html;charset=utf-8;base64,aGk%3D"])
        self.assertEqual(got[6], "a b%zz")
        self.assertEqual(got[7]["code"], "ERR_INVALID_URL")
        self.assertIn("includes credentials", got[8]["message"])
        self.assertEqual(self.egress.asked, [])

    def test_integrity(self):
        self.server(lambda request, send: send(answer(b"alert(1)")))
        good = base64.b64encode(hashlib.sha384(b"alert(1)").digest()).decode()
        weak = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        got = self.results(f"""
            const at = (integrity) => fetch('http://server.test/', {{ integrity }}).then((r) => r.text());
            show(await at('sha384-{good}'));
            show(await at('sha256-{weak} sha384-{good}'));
            show(await caught(at('sha384-{weak}')));""")
        self.assertEqual(got[:2], ["alert(1)"] * 2)
        self.assertEqual(got[2]["code"], "ERR_INTEGRITY")


class Aborting(FetchTest):
    def setUp(self):
        super().setUp()
        self.closed = threading.Event()
        def handler(request, send):
            if request.path == "/body":
                send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            try:
                if request.connection.recv(1) == b"":
                    self.closed.set()
            except OSError:
                self.closed.set()
            return False
        self.server(handler)

    def test_before(self):
        got = self.result("show(await caught(fetch('http://server.test/', { signal: AbortSignal.abort() })));")
        self.assertEqual(got["name"], "AbortError")
        self.assertEqual(self.egress.asked, [])

    def test_while_egress_connects(self):
        self.egress.hold = threading.Event()
        got = self.result("""show(await caught(fetch('http://server.test/', { signal: AbortSignal.timeout(200) })));""")
        self.assertEqual(got["name"], "TimeoutError")
        self.assertEqual(len(self.egress.cancelled), 1)
        self.egress.hold.set()

    def test_while_waiting_for_the_head(self):
        got = self.result("""const c = new AbortController(); setTimeout(() => c.abort(new RangeError('mine')), 200);
            show(await caught(fetch('http://server.test/', { signal: c.signal })));""")
        self.assertEqual((got["name"], got["message"]), ("RangeError", "mine"))
        self.assertTrue(self.closed.wait(5))

    def test_in_the_body(self):
        got = self.results("""for (const how of ['text', 'stream', 'later']) {
            const c = new AbortController();
            const r = await fetch('http://server.test/body', { signal: c.signal });
            setTimeout(() => c.abort(), 100);
            if (how === 'text') show(await caught(r.text()));
            else if (how === 'stream') show(await caught((async () => { for await (const x of r.body); })()));
            else { await new Promise((res) => setTimeout(res, 200)); show(await caught(r.text())); } }""")
        self.assertEqual([error["name"] for error in got], ["AbortError"] * 3)

    def test_the_request_body_is_cancelled(self):
        got = self.results("""const c = new AbortController(); let reason;
            const body = new ReadableStream({ pull: () => new Promise(() => {}), cancel(r) { reason = r.name; } });
            setTimeout(() => c.abort(), 100);
            show(await caught(fetch('http://server.test/', { method: 'POST', body, duplex: 'half', signal: c.signal })));
            show(reason);""")
        self.assertEqual((got[0]["name"], got[1]), ("AbortError", "AbortError"))

    def test_cancelling_and_forgetting_a_body_closes_the_connection(self):
        self.result("""const r = await fetch('http://server.test/body'); await r.body.cancel();
            await new Promise((res) => setTimeout(res, 100)); show(1);""")
        self.assertTrue(self.closed.wait(5))


if __name__ == "__main__":
    main()
