"""Programs on npm packages that nobody here wrote, as tenants, asked by HTTP: each of them once
bundled, as `tenantctl deploy` does by itself, and once with its node_modules as npm made it."""

import base64
import concurrent.futures
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import ROOT, TenantdTest, wait_until  # noqa: E402

PACKAGES = os.path.join(HERE, "node_modules")

# Of each program, which is the folder of its name: the packages that it asks for, and what its
# policy has beside a listener. `port`: it listens by itself. `beside`: files of packages that
# the program expects beside it.
PROGRAMS = {
    "hono": {"packages": ["hono"], "env": {"set": {"SECRET": "of this tenant"}}},
    "express": {"packages": ["express"], "port": True},
    "koa": {"packages": ["koa"], "port": True, "eval": True},
    "fastify": {"packages": ["fastify"], "port": True, "eval": True},
    "graphql": {"packages": ["graphql", "graphql-yoga"], "port": True},
    "react": {"packages": ["react", "react-dom"]},
    "zod": {"packages": ["zod"]},
    "date-fns": {"packages": ["date-fns"], "env": {"set": {"TZ": "UTC"}}},
    "lodash": {"packages": ["lodash"]},
    "marked": {"packages": ["marked"]},
    "jose": {"packages": ["jose"]},
    "sqljs": {"packages": ["sql.js"], "beside": ["sql.js/dist/sql-wasm.wasm"]},
    "opentelemetry": {"packages": ["@opentelemetry/api", "@opentelemetry/context-async-hooks",
                                   "@opentelemetry/core", "@opentelemetry/sdk-trace-base"]},
    "ws": {"packages": ["ws"], "port": True},
}


def manifest(package, folder=PACKAGES):
    with open(os.path.join(folder, package, "package.json")) as file:
        return json.load(file)


def with_dependencies(packages):
    """Those packages and what they need of the installed ones."""
    found, left = set(), list(packages)
    while left:
        name = left.pop()
        if name in found or not os.path.isdir(os.path.join(PACKAGES, name)):
            continue
        found.add(name)
        folders = [os.path.join(PACKAGES, name)]
        inside = os.path.join(folders[0], "node_modules")
        for folder, names, files in os.walk(inside):
            if "package.json" in files and os.path.basename(folder) != "node_modules":
                folders.append(folder)
        for folder in folders:
            with open(os.path.join(folder, "package.json")) as file:
                said = json.load(file)
            for key in ("dependencies", "optionalDependencies", "peerDependencies"):
                left += said.get(key, {})
    return sorted(found)


def lay_out(folder, source, packages, beside=()):
    """The program SOURCE with its packages in FOLDER; files are links, not copies."""
    shutil.copytree(os.path.join(HERE, source), folder)
    for name in with_dependencies(packages):
        shutil.copytree(os.path.join(PACKAGES, name), os.path.join(folder, "node_modules", name),
                        copy_function=os.link)
    for name in beside:
        os.link(os.path.join(PACKAGES, name), os.path.join(folder, os.path.basename(name)))
    entry = next(name for name in os.listdir(folder) if name.startswith("main."))
    with open(os.path.join(folder, "package.json"), "w") as file:
        json.dump({"type": "module", "dependencies": {name: manifest(name)["version"] for name in packages}},
                  file)
    with open(os.path.join(folder, "tenant.json"), "w") as file:
        json.dump({"entry": entry}, file)


class Client:
    """HTTP by Python's own client."""

    def __init__(self, port):
        self.port = port

    def ask(self, path="/", method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            self.headers = response.headers
            return response.status, response.read().decode()
        finally:
            connection.close()

    def json(self, path="/", body=None, headers=None):
        """Status and value of the answer; BODY is sent as JSON."""
        if body is not None:
            headers = {"content-type": "application/json", **(headers or {})}
        status, text = self.ask(path, "POST" if body is not None else "GET",
                                json.dumps(body) if body is not None else None, headers)
        return status, json.loads(text)


def in_both_ways(cls):
    """Of each method check_NAME two tests: test_NAME_bundled and test_NAME_as_it_is."""
    for key in [key for key in vars(cls) if key.startswith("check_")]:
        name = key.removeprefix("check_")
        for way, options in (("bundled", ()), ("as_it_is", ("--bundle", "never"))):
            def test(self, name=name, options=options, key=key):
                getattr(self, key)(self.service(name.replace("_", "-"), *options))
            setattr(cls, f"test_{name}_{way}", test)
    return cls


class ProgramsTest(TenantdTest):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(PACKAGES, ".ready")):
            raise unittest.SkipTest("the packages are not installed: make programs does it")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        # Beside the packages, since files of another file system cannot be linked.
        os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
        self.links = tempfile.mkdtemp(prefix="programs-", dir=os.path.join(ROOT, "build"))
        self.addCleanup(shutil.rmtree, self.links, ignore_errors=True)

    def service(self, name, *options):
        """Deploys a program of PROGRAMS and gives its client."""
        program = PROGRAMS[name]
        folder = os.path.join(self.links, name)
        lay_out(folder, name, program["packages"], program.get("beside", ()))
        # Who listens by itself takes what its policy has.
        env = program.get("env", {"set": {"PORT": "0"}} if program.get("port") else {})
        policy = self.write("policy.json", json.dumps({"version": 1, "permissions": {
            "net": {"listen": ["127.0.0.1:0"]}, "env": env,
            "eval": program.get("eval", False)}}))
        done = self.daemon.ctl("deploy", name, folder, "--policy", policy, *options)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.addCleanup(self.show_logs, name)
        bundled = not os.path.exists(os.path.join(
            self.daemon.state, "releases", self.daemon.status(name)["release"], "node_modules"))
        self.assertEqual(bundled, not options, "what was deployed is not what was asked for")
        return Client(self.port_of(name))

    def show_logs(self, name):
        outcome = getattr(self, "_outcome", None)
        result = getattr(outcome, "result", None)
        if result and any(test is self for test, _ in result.failures + result.errors):
            print(f"--- {self.id()} ---\n{self.daemon.ctl('logs', name).stdout[-4000:]}")


@in_both_ways
class FrameworksTest(ProgramsTest):
    def check_hono(self, client):
        self.assertEqual(client.ask(), (200, "Hello Hono"))
        self.assertEqual(client.json("/hello/J%C3%BCrgen?q=1+2"), (200, {"hello": "Jürgen", "query": "1 2"}))
        self.assertEqual(client.json("/notes", {"text": "kept"}), (201, {"text": "kept"}))
        self.assertEqual(client.json("/notes", {"text": 5}), (400, {"error": "no text"}))
        form = ('--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nada\r\n--x\r\n'
                'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
                'Content-Type: text/plain\r\n\r\n12345\r\n--x--\r\n')
        status, text = client.ask("/upload", "POST", form, {"content-type": "multipart/form-data; boundary=x"})
        self.assertEqual(json.loads(text), {"name": "ada", "size": 5, "type": "text/plain"})
        self.assertEqual(client.ask("/cookie", headers={"cookie": "visits=41"}), (200, "42"))
        self.assertEqual(client.headers["set-cookie"], "visits=42; Path=/; HttpOnly")
        self.assertEqual(client.json("/token"), (200, {"sub": "ada"}))
        client.ask("/etag")
        self.assertEqual(client.ask("/etag", headers={"if-none-match": client.headers["etag"]}), (304, ""))
        self.assertEqual(client.ask("/private/page")[0], 401)
        ada = base64.b64encode(b"ada:lovelace").decode()
        self.assertEqual(client.ask("/private/page", headers={"authorization": f"Basic {ada}"}), (200, "for ada"))
        self.assertEqual(client.ask("/stream"), (200, "line 1\nline 2\nline 3\n"))
        self.assertEqual(client.ask("/events")[1],
                         "event: tick\ndata: 1\nid: 1\n\nevent: tick\ndata: 2\nid: 2\n\n")
        self.assertEqual(client.json("/fail"), (500, {"error": "told to"}))
        self.assertEqual(client.ask("/nothing")[0], 404)

    def check_express(self, client):
        self.assertEqual(client.ask(), (200, "Hello Express"))
        self.assertEqual(client.headers["x-seen"], "GET")
        self.assertEqual(client.headers["x-powered-by"], "Express")
        self.assertEqual(client.json("/hello/ada?q=1"),
                         (200, {"hello": "ada", "query": "1", "host": "127.0.0.1"}))
        self.assertEqual(client.json("/notes", {"text": "grüße"}), (201, {"text": "grüße"}))
        self.assertEqual(client.ask("/notes", "POST", "{ bad", {"content-type": "application/json"})[0], 400)
        status, text = client.ask("/form", "POST", "a[b]=1&c=2+3",
                                  {"content-type": "application/x-www-form-urlencoded"})
        self.assertEqual(json.loads(text), {"a": {"b": "1"}, "c": "2 3"})
        self.assertEqual(client.ask("/redirect")[0], 302)
        self.assertEqual(client.headers["location"], "/")
        for path in ("/static/page.html", "/file"):
            self.assertEqual(client.ask(path), (200, "<h1>A file of the release</h1>\n"))
            self.assertEqual(client.headers["content-type"], "text/html; charset=utf-8")
            tag = client.headers["etag"]
            self.assertEqual(client.ask(path, headers={"if-none-match": tag}), (304, ""))
        self.assertEqual(client.ask("/file", headers={"range": "bytes=4-5"}), (206, "A "))
        self.assertEqual(client.ask("/static/..%2fmain.cjs")[0], 404)
        self.assertEqual(client.ask("/stream"), (200, "line 1\nline 2\nline 3\n"))
        self.assertEqual(client.json("/later"), (418, {"error": "told to"}))
        self.assertEqual(client.ask("/nothing")[0], 404)
        self.assertEqual(client.ask("/", "HEAD"), (200, ""))

    def check_koa(self, client):
        self.assertEqual(client.ask(), (200, "Hello Koa"))
        self.assertEqual(client.headers["x-order"], "first inner last")
        self.assertEqual(client.json("/json?a=1", headers={"accept": "application/json"}),
                         (200, {"query": {"a": "1"}, "type": "json"}))
        big = "0123456789abcdef" * 20000
        self.assertEqual(client.ask("/echo", "POST", big), (200, big))
        self.assertEqual(client.ask("/stream"), (200, "one\ntwo\nthree\n"))
        self.assertEqual(client.ask("/response"), (200, "a web response\n"))
        self.assertEqual(client.headers["x-web"], "yes")
        self.assertEqual(client.ask("/cookie"), (200, "nobody"))
        cookies = "; ".join(cookie.split(";")[0] for cookie in client.headers.get_all("set-cookie"))
        self.assertEqual(client.ask("/cookie", headers={"cookie": cookies}), (200, "ada"))
        self.assertEqual(client.json("/fail"), (402, {"error": "told to"}))
        self.assertEqual(client.ask("/nothing")[0], 404)

    def check_fastify(self, client):
        self.assertEqual(client.json(), (200, {"hello": "Fastify"}))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: Client(client.port).json("/id")[1]["id"], range(8)))
        self.assertEqual(len(set(answers)), 8, answers)
        self.assertEqual(client.json("/notes", {"text": "kept"}), (201, {"text": "kept", "stars": 3}))
        status, error = client.json("/notes", {"stars": 1})
        self.assertEqual((status, error["code"], error["message"]),
                         (400, "FST_ERR_VALIDATION", "body must have required property 'text'"))
        self.assertEqual(client.ask("/part/answer"), (200, "42"))
        self.assertEqual(client.ask("/inject"), (200, "42"))
        self.assertEqual(client.ask("/stream"), (200, "a web stream\n"))
        self.assertEqual(client.json("/fail")[1]["message"], "told to")
        self.assertEqual(client.json("/nothing")[0], 404)
        logged = wait_until(lambda: (text := self.daemon.ctl("logs", "fastify").stdout).count("told to") and text)
        self.assertIn('"msg":"request completed"', logged)
        self.assertEqual(self.daemon.ctl("stop", "fastify").returncode, 0)
        self.assertIsNone(self.daemon.status("fastify").get("signal"))

    def check_graphql(self, client):
        def query(text, **variables):
            return client.json(body={"query": text, "variables": variables})[1]
        self.assertEqual(query("{ hello }"), {"data": {"hello": "Hello GraphQL"}})
        self.assertEqual(query("query($n: String) { hello(name: $n) }", n="Ada"),
                         {"data": {"hello": "Hello Ada"}})
        self.assertEqual(query('mutation { add(text: "second") { id text } }'),
                         {"data": {"add": {"id": "2", "text": "second"}}})
        self.assertEqual(query("{ notes { id } }"), {"data": {"notes": [{"id": "1"}, {"id": "2"}]}})
        answer = query("{ fail }")
        self.assertEqual(answer["errors"][0]["message"], "Unexpected error.")
        self.assertNotIn("told to", json.dumps(answer))
        self.assertIn("Cannot query field", query("{ nothing }")["errors"][0]["message"])
        self.assertIn("__schema", query("{ __schema { types { name } } }")["data"])
        status, text = client.ask("/", "POST", json.dumps({"query": "subscription { count(to: 3) }"}),
                                  {"content-type": "application/json", "accept": "text/event-stream"})
        self.assertEqual(re.findall(r'"count":(\d)', text), ["1", "2", "3"])
        self.assertIn("event: complete", text)

    def check_react(self, client):
        greeting = ('<h1 id="{id}" class="greeting" data-language="{language}">Hello '
                    '<!-- -->&lt;React&gt;<!-- -->!!!</h1>')
        status, page = client.ask("/string")
        self.assertRegex(page, greeting.format(id="[^\"]+", language="en"))
        self.assertRegex(client.ask("/static")[1], "^<h1 id=[^>]+>Hello static!!!</h1>$")
        status, page = client.ask("/stream")
        self.assertEqual(status, 200)
        self.assertRegex(page, greeting.format(id="[^\"]+", language="de"))
        self.assertTrue(page.startswith("<!DOCTYPE html><html>"), page)
        self.assertLess(page.index("<p>wait</p>"), page.index("<li>one</li><li>two</li>"), "it did not stream")
        self.assertIn('<script type="module" src="/app.js"', page)
        page = client.ask("/all")[1]
        self.assertIn("<li>three</li>", page)
        self.assertEqual(client.ask("/broken"), (500, "told to"))

    def check_ws(self, client):
        self.assertEqual(client.ask(), (200, "Hello ws"))
        script = """
            const [,, port] = process.argv;
            const open = () => new Promise((done, fail) => {
                const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
                socket.binaryType = 'arraybuffer';
                socket.onopen = () => done(socket);
                socket.onerror = (event) => fail(event.error);
            });
            const next = (socket) => new Promise((done) => { socket.onmessage = (event) => done(event.data); });
            const [one, two] = [await open(), await open()];
            const both = Promise.all([next(one), next(two)]);
            one.send('hello');
            console.log(...await both, one.extensions);
            const long = 'x'.repeat(100000);
            const longs = Promise.all([next(one), next(two)]);
            two.send(long);
            console.log((await longs)[1].length);
            const bytes = next(one);
            one.send(new Uint8Array([1, 2, 3]));
            console.log(new Uint8Array(await bytes).join());
            const closed = new Promise((done) => { two.onclose = done; });
            two.send('close');
            const { code, reason, wasClean } = await closed;
            console.log(code, reason, wasClean);
            one.close();
            const refused = new WebSocket(`ws://127.0.0.1:${port}/nothing`);
            refused.onclose = ({ code }) => console.log(code);
        """
        done = subprocess.run(["node", "--input-type=module", "-", str(client.port)], input=script,
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.stdout.splitlines(), [
            "hello to 2 hello to 2 permessage-deflate", "100005", "3,2,1", "4000 as you wish true", "1006"],
            done.stderr)


@in_both_ways
class LibrariesTest(ProgramsTest):
    def check_zod(self, client):
        order = {"id": "2f1b5a0e-8d5c-4d5f-9a3b-0c9b1a2d3e4f", "email": "Ada@Example.com",
                 "lines": [{"sku": "ABC-1", "count": 2}], "due": "2026-11-21T22:00:00Z",
                 "kind": {"type": "gift", "from": "Grace"}, "note": "  soon "}
        self.assertEqual(client.json(body=order), (200, {
            **order, "email": "ada@example.com", "note": "soon", "due": "2026-11-21T22:00:00.000Z", "year": 2026}))
        bad = {**order, "id": "x", "lines": [{"sku": "abc", "count": -1}], "kind": {"type": "other"}}
        self.assertEqual(client.json(body=bad), (400, [
            "id: invalid_format", "lines.0.sku: invalid_format", "lines.0.count: too_small",
            "kind.type: invalid_union"]))
        self.assertEqual(client.json()[1]["type"], "array")

    def check_date_fns(self, client):
        self.assertEqual(client.json(), (200, {
            "format": "Saturday, 21st November 2026, 22:05 o'clock, Q4",
            "de": "Samstag, 21. November 2026", "fr": "samedi 21 novembre 2026",
            "ja": "2026年11月21日土曜日", "distance": "11 months ago", "business": "2026-12-04", "days": 41,
            "weekends": 9, "duration": {"years": 6, "months": 8, "days": 24, "hours": 22, "minutes": 5},
            "parsed": "2024-02-03", "invalid": False, "monday": "2026-11-16"}))

    def check_lodash(self, client):
        self.assertEqual(client.json(), (200, {
            "groups": {"early": 1, "late": 2}, "sorted": ["Ada", "Grace", "Alan"],
            "chain": ["code", "maths", "navy"], "fp": ["2", "4", "6"],
            "cases": ["someWordsHere", "Foo Bar", "deja vu"], "merged": {"a": {"b": 1, "c": [2]}},
            "equal": True, "cloned": "gi", "types": [True, True, True], "path": "code",
            "debounced": ["second"]}))

    def check_marked(self, client):
        text = "# Title\n\nSome *text* & a [link](https://example.com).\n\n| a | b |\n|--|--:|\n| 1 | 2 |\n\n" \
               "- [x] done\n\n```js\nlet x;\n```\n"
        self.assertEqual(client.ask("/", "POST", text), (200, (
            '<h2>Title</h2>\n<p>Some <em>text</em> &amp; a <a href="https://example.com">link</a>.</p>\n'
            '<table>\n<thead>\n<tr>\n<th>a</th>\n<th align="right">b</th>\n</tr>\n</thead>\n<tbody><tr>\n'
            '<td>1</td>\n<td align="right">2</td>\n</tr>\n</tbody></table>\n'
            '<ul>\n<li><input checked="" disabled="" type="checkbox"> done</li>\n</ul>\n'
            '<pre data-language="js">6</pre>\n')))

    def check_jose(self, client):
        status, answer = client.json()
        for name in ("ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"):
            self.assertEqual(answer.pop(name), "ada admin ERR_JWS_SIGNATURE_VERIFICATION_FAILED ada 43", name)
        self.assertEqual(answer, {"RSA-OAEP-256": 42, "ECDH-ES+A256KW": 42, "set": "one",
                                  "expired": "ERR_JWT_EXPIRED"})

    def check_sqljs(self, client):
        self.assertEqual(client.json(body={"text": "first", "stars": 1.5}), (201, 1))
        self.assertEqual(client.json(body={"text": "zweite ü", "stars": 2}), (201, 1))
        self.assertEqual(client.json(), (200, {
            "rows": [{"id": 2, "text": "zweite ü", "double": 4}, {"id": 1, "text": "first", "double": 3}],
            "values": [[2, "first+zweite ü"]], "error": "no such table: missing"}))

    def check_opentelemetry(self, client):
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

        def ask(number):
            one = Client(client.port)
            return one.json(f"/{number}", headers={"traceparent": parent}), one.headers["traceparent"]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(12)))
        spans = client.json("/spans")[1]
        requests = {span["id"]: span for span in spans if span["name"] == "request"}
        self.assertEqual(len(requests), 12)
        for number, ((status, lost), header) in enumerate(answers):
            self.assertEqual((status, lost), (200, []), "the span was lost there")
            version, trace, own, flags = header.split("-")
            self.assertEqual(trace, "0af7651916cd43dd8448eb211c80319c")
            self.assertEqual(requests[own]["parent"], "b7ad6b7169203331")
            self.assertEqual(requests[own]["attributes"], {"path": f"/{number}"})
        work = [span for span in spans if span["name"] == "work"]
        self.assertEqual(sorted(span["parent"] for span in work), sorted(requests))
        self.assertEqual({span["status"] for span in work}, {2})


class SuitesTest(ProgramsTest):
    """The node:test suites that packages are published with: as many of their tests pass as in
    Node itself."""

    def counts(self, text):
        return {key: int(value) for key, value in re.findall(r"^(?:#|ℹ) (tests|suites|pass|fail|skipped) (\d+)$",
                                                              text, re.M)}

    def suite(self, package, packages, *left):
        folder = os.path.join(self.links, "suite")
        lay_out(folder, "suite", [package, *packages])
        arguments = (package, *left)
        policy = self.write("suite.json", json.dumps({"version": 1, "permissions": {
            "eval": True, "net": {"listen": ["127.0.0.1:0"], "connect": ["127.0.0.1"]}}, "limits": {"memory": "512M"}}))  # all of its files in one program
        ours = self.daemon.ctl("run", "--bundle", "never", "--policy", policy, folder, "--", *arguments)
        node = subprocess.run(["node", os.path.join(folder, "main.cjs"), *arguments], cwd=folder,
                              capture_output=True, text=True, timeout=60)
        expected, counted = self.counts(node.stdout), self.counts(ours.stdout)
        self.assertEqual((node.returncode, expected.get("fail")), (0, 0), node.stdout[-4000:] + node.stderr)
        self.assertEqual(counted, expected, ours.stdout[-4000:] + ours.stderr[-2000:])
        self.assertEqual(ours.returncode, 0)
        return counted["pass"]

    def test_of_find_my_way(self):
        # The first replaces modules by proxyquire, which is not installed, and leaves the list of
        # methods broken that the next two look at; the last listens on a new port for each test.
        self.assertGreater(self.suite("find-my-way", ["rfdc"], "issue-330.test.js", "methods.test.js",
                                      "shorthands.test.js", "server.test.js"), 300)

    def test_of_busboy(self):
        # The first wants what no other file has loaded before, the second starts a node.
        self.assertGreater(self.suite("@fastify/busboy", [], "decode-text-coverage.test.js",
                                      "multipart-constructor.test.js"), 200)


if __name__ == "__main__":
    unittest.main()
