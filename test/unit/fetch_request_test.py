"""fetch() in the real runtime: what it sends, and where redirects send it."""

import json
import os
import time

from fetch_harness import answer, BROTLI_IS_SAFE, echo, FetchTest, main, read_chunk, Server


class Requests(FetchTest):
    def test_methods_headers_and_bodies(self):
        self.server(echo)
        got = self.results("""
            const send = async (init) => (await fetch('http://server.test/p?q=1#f', init)).json();
            show(await send());
            show(await send({ method: 'POST', body: 'h\\u00e9', headers: { 'X-One': '1', 'x-empty': '' } }));
            show(await send({ method: 'PUT', body: new Uint8Array([65, 66]) }));
            show(await send({ method: 'PATCH', body: new Blob(['b'], { type: 'text/x' }) }));
            show(await send({ method: 'POST', body: new URLSearchParams({ a: '1 2' }) }));
            const form = new FormData(); form.append('k', 'v');
            show(await send({ method: 'POST', body: form }));
            show(await send({ method: 'DELETE' }));
            show(await send({ method: 'POST' }));
            show(await send({ method: 'PROPFIND', headers: [['__proto__', 'x'], ['constructor', 'y']] }));
            """)
        self.assertEqual(got[0]["path"], "/p?q=1")
        self.assertEqual(got[0]["fields"]["accept-encoding"],
                         "gzip, deflate, br, zstd" if BROTLI_IS_SAFE else "gzip, deflate, zstd")
        self.assertNotIn("content-length", got[0]["fields"])
        self.assertEqual(got[1]["body"].encode("latin-1").decode(), "hé")
        self.assertEqual((got[1]["fields"]["x-one"], got[1]["fields"]["x-empty"]), ("1", ""))
        self.assertEqual(got[1]["fields"]["content-type"], "text/plain;charset=UTF-8")
        self.assertNotIn("expect", got[1]["fields"])
        self.assertEqual((got[2]["method"], got[2]["body"]), ("PUT", "AB"))
        self.assertNotIn("content-type", got[2]["fields"])
        self.assertEqual((got[3]["body"], got[3]["fields"]["content-type"]), ("b", "text/x"))
        self.assertEqual(got[4]["body"], "a=1+2")
        self.assertIn("multipart/form-data; boundary=", got[5]["fields"]["content-type"])
        self.assertEqual(got[6]["method"], "DELETE")
        self.assertEqual(got[7]["fields"]["content-length"], "0")
        # CVE-2026-21710: a name that is a property of every object is a name like others.
        self.assertEqual(got[8]["fields"]["__proto__"], "x")
        self.assertEqual(got[8]["fields"]["constructor"], "y")

    def test_fields_that_the_client_decides_are_not_the_programs(self):
        self.server(echo)
        got = self.result("""
            const r = await fetch('http://server.test/', { method: 'POST', body: 'x', headers: {
                connection: 'close', 'content-length': '500', 'transfer-encoding': 'chunked',
                upgrade: 'h2c', expect: '100-continue', te: 'trailers', host: 'other.test' } });
            show((await r.json()).fields);""")
        for name in ("connection", "transfer-encoding", "upgrade", "expect", "te"):
            self.assertNotIn(name, got)
        self.assertEqual((got["content-length"], got["host"]), ("1", "other.test"))

    def test_streams_up(self):
        self.server(echo)
        got = self.results("""
            const chunks = (n) => new ReadableStream({ async pull(c) {
                if (n-- === 0) return c.close();
                await new Promise((r) => setTimeout(r, 5));
                c.enqueue(new TextEncoder().encode('chunk')); } });
            const send = async (init) => (await fetch('http://server.test/', { method: 'POST', duplex: 'half', ...init })).json();
            show(await send({ body: chunks(3) }));
            show(await send({ body: chunks(2), headers: { 'content-length': '10' } }));
            show(await caught(send({ body: chunks(3), headers: { 'content-length': '10' } })));
            show(await caught(send({ body: chunks(1), headers: { 'content-length': '10' } })));
            show(await caught(send({ body: new ReadableStream({ pull(c) { c.error(new Error('mine')); } }) })));
            show(await caught(send({ body: new ReadableStream({ pull(c) { c.enqueue('text'); } }) })));
            """)
        self.assertEqual((got[0]["body"], got[0]["fields"]["transfer-encoding"]),
                         ("chunk" * 3, "chunked"))
        self.assertEqual((got[1]["body"], got[1]["fields"]["content-length"]), ("chunk" * 2, "10"))
        self.assertIn("longer than its content-length", got[2]["why"])
        self.assertIn("shorter than its content-length", got[3]["why"])
        self.assertEqual((got[4]["name"], got[4]["why"]), ("TypeError", "mine"))
        self.assertIn("not a Uint8Array", got[5]["why"])

    def test_a_slow_server_holds_the_program_back(self):
        read = []
        def slow(request, send):
            time.sleep(0.5)
            read.append(time.monotonic())
            while chunk := read_chunk(request.stream):
                pass
            send(answer(b"done"))
        slow.streams = True
        self.server(slow)
        got = self.result("""
            let made = 0;
            const body = new ReadableStream({ pull(c) {
                if (made >= 400) return c.close();
                made++; c.enqueue(new Uint8Array(65536)); } });
            const promise = fetch('http://server.test/', { method: 'POST', body, duplex: 'half' });
            await new Promise((r) => setTimeout(r, 300));
            const early = made;
            show([early, await (await promise).text(), made]);""")
        self.assertLess(got[0], 200)
        self.assertEqual(got[1:], ["done", 400])

    def test_unix_sockets(self):
        path = os.path.join(self.folder, "s.sock")
        server = Server(echo, path=path)
        self.addCleanup(server.close)
        self.places["unix:/run/db.sock"] = path
        got = self.results("""
            show(await (await fetch('http://localhost/x', { unix: '/run/db.sock' })).json());
            show(await caught(fetch('http://localhost/x', { unix: '/run/other.sock' })));
            show(await caught(fetch('http://localhost/x')));""")
        self.assertEqual((got[0]["path"], got[0]["fields"]["host"]), ("/x", "localhost"))
        self.assertEqual(got[1]["resource"], "unix:/run/other.sock")
        self.assertEqual(got[2]["resource"], "localhost:80")


class Redirects(FetchTest):
    def handler(self, request, send):
        status, _, location = request.path[1:].partition("/")
        if status == "echo":
            return echo(request, send)
        if status == "loop":
            location = "http://server.test/loop/"
            status = "302"
        send(answer(b"moved", f"{status} Moved",
                    *([f"Location: {location}"] if location else [])))

    def setUp(self):
        super().setUp()
        self.first = self.server(self.handler)
        self.second = self.server(self.handler, "second.test", 8080)

    def test_follow(self):
        got = self.results("""
            for (const [path, init] of [['301//echo', { method: 'POST', body: 'x' }],
                ['303//echo', { method: 'PUT', body: 'x' }], ['307//echo', { method: 'POST', body: 'x' }],
                ['308//echo', { method: 'PUT', body: 'x' }], ['302//echo', { method: 'DELETE' }]]) {
                const r = await fetch('http://server.test/' + path, init); const j = await r.json();
                show([r.redirected, r.url, j.method, j.body, j.fields['content-type'] ?? null]);
            }""")
        url, plain = "http://server.test/echo", "text/plain;charset=UTF-8"
        self.assertEqual(got, [[True, url, "GET", "", None], [True, url, "GET", "", None],
                               [True, url, "POST", "x", plain], [True, url, "PUT", "x", plain],
                               [True, url, "DELETE", "", None]])
        self.assertEqual(self.first.connections, 1)

    def test_manual_error_and_limits(self):
        got = self.results("""
            const at = (path, init) => fetch('http://server.test/' + path, init);
            const manual = await at('302//echo', { redirect: 'manual' });
            show([manual.status, manual.headers.get('location'), manual.type]);
            show(await caught(at('302//echo', { redirect: 'error' })));
            show(await caught(at('loop/')));
            show((await at('302/')).status);
            show(await caught(at('302/ftp://server.test/')));
            show(await caught(at('302/file:///etc/passwd')));
            show(await caught(at('302/http://user:secret@second.test:8080/echo')));
            show(await caught(at('302/http://[bad')));
            show(await caught(at('307//echo', { method: 'POST', duplex: 'half', body: new Blob(['x']).stream() })));
            """)
        self.assertEqual(got[0], [302, "/echo", "basic"])
        self.assertEqual(got[1]["code"], "ERR_REDIRECT")
        self.assertIn("20 redirects", got[2]["why"])
        self.assertEqual(got[3], 302)
        for error in got[4:]:
            self.assertIn(error["code"], ("ERR_REDIRECT", "ERR_INVALID_URL"), error)
        # CVE-2026-48615: what a message says may be logged.
        self.assertNotIn("secret", json.dumps(got))

    def test_secrets_do_not_cross_origins(self):
        got = self.results("""
            const headers = { authorization: 'Bearer s', cookie: 'c=1', host: 'fake.test', 'x-own': '1' };
            for (const to of ['http://second.test:8080/echo', '/echo'])
                show((await (await fetch('http://server.test/302/' + to, { headers })).json()).fields);""")
        for name in ("authorization", "cookie"):
            self.assertNotIn(name, got[0])
            self.assertIn(name, got[1])
        self.assertEqual((got[0]["host"], got[0]["x-own"]), ("second.test:8080", "1"))
        self.assertEqual(got[1]["host"], "fake.test")

    def test_each_hop_asks_egress(self):
        # CVE-2026-49859: a host that is allowed redirects to one that is not.
        got = self.result("show(await caught(fetch('http://server.test/302/http://169.254.169.254/x')));")
        self.assertEqual((got["code"], got["permission"], got["resource"]),
                         ("ERR_ACCESS_DENIED", "Net", "169.254.169.254:80"))
        self.assertEqual(self.egress.asked, ["server.test:80", "169.254.169.254:80"])


if __name__ == "__main__":
    main()
