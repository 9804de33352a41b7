"""fetch() in the real runtime: what it takes from servers, and how it decodes that."""

import gzip
import hashlib
import json
import os
import subprocess
import time
import unittest
import zlib

from fetch_harness import answer, BROTLI_IS_SAFE, FetchTest, main


class Responses(FetchTest):
    def test_status_headers_and_properties(self):
        def handler(request, send):
            send(answer(b"body", "418 I'm a teapot", "X-A: 1", "x-a: 2", "Set-Cookie: a=1",
                        "Set-Cookie: b=2", "__proto__: p", "X-Latin: \xe9"))
        self.server(handler)
        got = self.result("""
            const r = await fetch('http://server.test/'); const h = r.headers;
            let immutable = false; try { h.set('a', 'b'); } catch { immutable = true; }
            show([r.status, r.statusText, r.ok, r.type, r.redirected, r.url, h.get('x-a'),
                  h.getSetCookie(), h.get('__proto__'), h.get('x-latin'), immutable,
                  await r.clone().text(), await r.text(), r.bodyUsed]);""")
        self.assertEqual(got, [418, "I'm a teapot", False, "basic", False, "http://server.test/",
                               "1, 2", ["a=1", "b=2"], "p", "\xe9", True, "body", "body", True])

    def test_responses_without_a_body(self):
        def handler(request, send):
            if request.method == "HEAD":
                send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Encoding: gzip\r\n\r\n")
            else:
                send(f"HTTP/1.1 {request.path[1:]} X\r\n\r\n".encode())
        server = self.server(handler)
        got = self.results("""
            for (const [path, method] of [['200', 'HEAD'], ['204', 'GET'], ['304', 'GET']]) {
                const r = await fetch('http://server.test/' + path, { method });
                show([r.status, r.body, await r.text()]);
            }""")
        self.assertEqual(got, [[200, None, ""], [204, None, ""], [304, None, ""]])
        self.assertEqual(server.connections, 1)

    def test_informational_responses_and_trailers(self):
        def handler(request, send):
            send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
        self.server(handler)
        got = self.result("""const r = await fetch('http://server.test/');
            show([r.status, r.headers.get('link'), await r.text(), r.headers.get('x-trailer')]);""")
        self.assertEqual(got, [200, None, "abc", None])

    def test_streams_down_with_backpressure(self):
        sent = []
        def handler(request, send):
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
            for _ in range(1024):
                send(bytes(65536))
                sent.append(65536)
        self.server(handler)
        got = self.result("""
            const r = await fetch('http://server.test/');
            await new Promise((res) => setTimeout(res, 500));
            const before = process.memoryUsage?.().rss ?? 0;
            let n = 0; for await (const chunk of r.body) n += chunk.length;
            show(n);""")
        self.assertEqual(got, 67108864)

    def test_a_body_that_nobody_reads_stops_the_server(self):
        sent = []
        def handler(request, send):
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            for _ in range(15000):
                send(bytes(65536))
                sent.append(65536)
        self.server(handler)
        self.results("""globalThis.kept = await fetch('http://server.test/');
            await new Promise((res) => setTimeout(res, 500)); process.exit(0);""")
        self.assertLess(sum(sent), 32 << 20)

    def test_a_body_that_nobody_reads_keeps_no_program_alive(self):
        def handler(request, send):
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + bytes(8 << 20))
            time.sleep(20)
        self.server(handler)
        started = time.monotonic()
        got = self.result("globalThis.kept = await fetch('http://server.test/'); show(kept.status);")
        self.assertEqual(got, 200)
        self.assertLess(time.monotonic() - started, 10)

    def test_malformed_answers(self):
        answers = {
            "/garbage": b"SSH-2.0-OpenSSH\r\n\r\n",
            "/name": b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n",
            "/split": b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
            "/nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
            "/large": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
            "/many": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000 + b"\r\n",
            "/empty": b"",
            "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        }
        def handler(request, send):
            send(answers[request.path])
            return False
        self.server(handler)
        got = self.result("""const all = {};
            for (const p of %s) all[p] = await caught(fetch('http://server.test' + p).then((r) => r.text()));
            show(all);""" % json.dumps(list(answers)))
        codes = {path: error["code"] for path, error in got.items()}
        self.assertEqual(codes, {
            "/garbage": "EPROTO", "/name": "EPROTO", "/split": "EPROTO", "/nul": "EPROTO",
            "/large": "HPE_HEADER_OVERFLOW", "/many": "HPE_HEADER_OVERFLOW",
            "/empty": "ECONNRESET", "/short": "ECONNRESET", "/chunk": "ECONNRESET"}, got)
        self.assertEqual(got["/short"]["message"], "terminated")


def brotli(data):
    """With node's encoder: Python has none."""
    return subprocess.run(["node", "-e", "process.stdout.write(require('zlib').brotliCompressSync("
                           "require('fs').readFileSync(0)))"], input=data, capture_output=True,
                          check=True).stdout


def zstd(data):
    return subprocess.run(["node", "-e", "process.stdout.write(require('zlib').zstdCompressSync("
                           "require('fs').readFileSync(0)))"], input=data, capture_output=True,
                          check=True).stdout


class Codings(FetchTest):
    def serve(self, bodies):
        def handler(request, send):
            coding, body = bodies[request.path]
            send(answer(body, "200 OK", f"Content-Encoding: {coding}"))
        self.server(handler)

    def test_all_codings(self):
        data = os.urandom(100000) + b"text" * 100000
        raw = zlib.compressobj(wbits=-15)
        raw = raw.compress(data) + raw.flush()
        digest = hashlib.sha256(data).hexdigest()
        bodies = {
            "/gzip": ("gzip", gzip.compress(data)),
            "/members": ("x-gzip", gzip.compress(data[:1000]) + gzip.compress(data[1000:])),
            "/zlib": ("deflate", zlib.compress(data)),
            "/raw": ("Deflate", raw),
            "/br": ("br", brotli(data)),
            "/zstd": ("zstd", zstd(data)),
            "/chain": ("gzip, zstd", zstd(gzip.compress(data))),
            "/two": ("gzip, br", brotli(gzip.compress(data))),
            "/three": ("identity, gzip,zstd , br", brotli(zstd(gzip.compress(data)))),
            "/none": ("identity", data),
        }
        if not BROTLI_IS_SAFE:
            for path in ("/br", "/two", "/three"):
                del bodies[path]
        self.serve(bodies)
        got = self.result("""const all = {};
            const { createHash } = { createHash: null };
            const hash = async (bytes) => { let h = 0; for (const b of bytes) h = (h * 31 + b) | 0; return [bytes.length, h]; };
            for (const p of %s) {
                const whole = await hash(await (await fetch('http://server.test' + p)).bytes());
                const parts = []; for await (const c of (await fetch('http://server.test' + p)).body) parts.push(...[c]);
                const joined = new Uint8Array(parts.reduce((n, c) => n + c.length, 0)); let at = 0;
                for (const c of parts) { joined.set(c, at); at += c.length; }
                all[p] = [whole, await hash(joined)];
            }
            show(all);""" % json.dumps(list(bodies)))
        expected = 0
        for byte in data:
            expected = (expected * 31 + byte) & 0xffffffff
        expected = [len(data), expected - (1 << 32) if expected >> 31 else expected]
        for path, value in got.items():
            self.assertEqual(value, [expected, expected], path)
        self.assertEqual(len(got), len(bodies), digest)

    def test_unknown_and_too_many_codings_stay_as_they_are(self):
        self.serve({"/unknown": ("lzma", b"abc"), "/many": ("gzip, " * 8 + "gzip", b"def")})
        got = self.results("""for (const p of ['unknown', 'many'])
            show(await (await fetch('http://server.test/' + p)).text());""")
        self.assertEqual(got, ["abc", "def"])

    def test_damaged_and_cut_off(self):
        good = gzip.compress(b"hello" * 1000)
        bodies = {"/cut": ("gzip", good[:-20]), "/bad": ("gzip", b"not gzip at all"),
                  "/br": ("br", b"\xff" * 100), "/zstd": ("zstd", b"x" * 100),
                  "/empty": ("gzip", b"")}
        self.serve(bodies)
        got = self.result("""const all = {};
            for (const p of %s) all[p] = await caught(fetch('http://server.test' + p).then((r) => r.text()));
            show(all);""" % json.dumps(list(bodies)))
        for path in ("/cut", "/bad", "/zstd", *(["/br"] if BROTLI_IS_SAFE else [])):
            self.assertEqual(got[path]["code"], "ERR_CONTENT_DECODING_FAILED", path)
        self.assertEqual(got["/empty"], "no error")

    @unittest.skipIf(BROTLI_IS_SAFE, "this brotli is decoded")
    def test_a_brotli_with_a_known_hole_is_not_used(self):
        body = brotli(b"text" * 100)
        self.serve({"/br": ("br", body)})
        got = self.result("show([...await (await fetch('http://server.test/br')).bytes()]);")
        self.assertEqual(bytes(got), body)

    @unittest.skipUnless(BROTLI_IS_SAFE, "this brotli has CVE-2026-111497 and is not used")
    def test_malformed_brotli_never_breaks_the_worker(self):
        # CVE-2026-111497: the decoder takes what strangers send.
        seed = brotli(os.urandom(200) + b"pattern" * 2000)
        bodies = {}
        for i in range(300):
            damaged = bytearray(seed)
            for k in range(1 + i % 4):
                damaged[(i * 7919 + k * 104729) % len(damaged)] ^= 1 << (i + k) % 8
            bodies[f"/{i}"] = ("br", bytes(damaged))
        self.serve(bodies)
        got = self.result("""let failed = 0, fine = 0;
            for (let i = 0; i < 300; i++)
                await fetch('http://server.test/' + i).then((r) => r.bytes()).then(() => fine++, () => failed++);
            show([failed + fine, failed > 0]);""")
        self.assertEqual(got, [300, True])

    def test_decompression_bombs_are_bounded(self):
        size = 1 << 28
        zeros = zlib.compressobj(9, wbits=31)
        bomb = b"".join(zeros.compress(bytes(1 << 20)) for _ in range(size >> 20)) + zeros.flush()
        node = ("const z=require('zlib');const s=z.%s();s.pipe(process.stdout);let n=0;"
                "const b=Buffer.alloc(1<<20);const w=()=>{while(n<256){n++;if(!s.write(b))"
                "return s.once('drain',w)}s.end()};w()")
        small = {name: subprocess.run(["node", "-e", node % make], capture_output=True,
                                      check=True).stdout
                 for name, make in (("br", "createBrotliCompress"), ("zstd", "createZstdCompress"))}
        codings = ["gzip", "br", "zstd"] if BROTLI_IS_SAFE else ["gzip", "zstd"]
        self.serve({"/gzip": ("gzip", bomb), "/br": ("br", small["br"]),
                    "/zstd": ("zstd", small["zstd"])})
        got = self.results("""for (const p of [CODINGS]) {
            show(await caught(fetch('http://server.test/' + p).then((r) => r.bytes())));
            // As a stream it is only as large as what is taken of it.
            const reader = (await fetch('http://server.test/' + p)).body.getReader();
            let n = 0; while (n < 50e6) n += (await reader.read()).value.length;
            await reader.cancel(); show(n); }""".replace("CODINGS", ", ".join(map(repr, codings))),
            "--memory", str(128 << 20))
        for i in range(0, 2 * len(codings), 2):
            self.assertEqual(got[i]["code"], "ERR_OUT_OF_RANGE")
            self.assertIn("64 MiB", got[i]["why"])
            self.assertGreaterEqual(got[i + 1], 50e6)


if __name__ == "__main__":
    main()
