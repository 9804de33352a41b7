"""Listeners by name, and node:net and node:tls servers on them."""

import json
import os
import shutil
import socket
import ssl
import tempfile
import unittest

from harness import SLOW, TenantdTest, free_port, request
from net_servers import Certificates

SERVICE = """
import net from 'node:net';
"""


class ListenTest(TenantdTest):
    def deploy_with(self, name, source, listen, **permissions):
        policy = {"version": 1, "permissions": {"net": {"listen": listen, **permissions}}}
        path = self.write("policy.json", json.dumps(policy))
        program = self.write("program.js", source)
        done = self.daemon.ctl("deploy", name, program, "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        return done

    def deployed(self, name, source, listen, **permissions):
        done = self.deploy_with(name, source, listen, **permissions)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-3000:])
        return self.daemon.status(name)["listeners"]

    WHICH = """
export default { fetch(request, env, ctx) {
	return Response.json({ ...ctx.listener, same: ctx.listener === ctx.listener });
} };
"""

    def test_one_program_serves_several_listeners_and_knows_which(self):
        path = os.path.join(self.folder, "web.sock")
        listeners = self.deployed("named", self.WHICH, [
            "web=127.0.0.1:0", "admin=127.0.0.1:0", "127.0.0.1:0", "[::1]:0", f"local=unix:{path}"])
        self.assertEqual([item["name"] for item in listeners], ["web", "admin", "", "", "local"])
        self.assertEqual(len({item["address"] for item in listeners}), 5)
        for item in listeners[:3]:
            port = int(item["address"].rsplit(":", 1)[1])
            status, _, body = request(port)
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(body), {"name": item["name"], "address": item["address"],
                                                "same": True})
        six = socket.create_connection(("::1", int(listeners[3]["address"].rsplit(":", 1)[1])))
        local = socket.socket(socket.AF_UNIX)
        local.connect(path)
        for connection, item in ((six, listeners[3]), (local, listeners[4])):
            with connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                data = b""
                while chunk := connection.recv(65536):
                    data += chunk
            self.assertEqual(json.loads(data.partition(b"\r\n\r\n")[2])["address"], item["address"])
        shown = self.daemon.ctl("status", "named").stdout
        self.assertRegex(shown, r"http://127\.0\.0\.1:\d+/  admin")

    def test_ports_stay_with_their_names_across_deploys(self):
        before = {item["name"]: item["address"] for item in self.deployed(
            "moved", self.WHICH, ["a=127.0.0.1:0", "b=127.0.0.1:0", "127.0.0.1:0"])}
        after = {item["name"]: item["address"] for item in self.deployed(
            "moved", self.WHICH, ["b=127.0.0.1:0", "127.0.0.1:0", "a=127.0.0.1:0"])}
        self.assertEqual(before, after)

    def test_a_fixed_address_may_change_its_name_without_closing(self):
        port = free_port()
        self.deployed("renamed", self.WHICH, [f"old=127.0.0.1:{port}"])
        self.deployed("renamed", self.WHICH, [f"new=127.0.0.1:{port}"])
        self.assertEqual(json.loads(request(port)[2])["name"], "new")

    def test_policies_with_bad_names_are_refused(self):
        for listen, message in (
                (["a=127.0.0.1:1", "a=127.0.0.1:2"], 'another listener is named "a"'),
                (["a=127.0.0.1:1", "b=127.0.0.1:1"], "is there twice"),
                (["A=127.0.0.1:1"], "may have a-z, 0-9 and - only"),
                (["-a=127.0.0.1:1"], "no - at its ends"),
                (["=127.0.0.1:1"], "there is no name before the ="),
                (["a" * 64 + "=127.0.0.1:1"], "longer than 63")):
            done = self.deploy_with("bad", self.WHICH, listen)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(message, done.stderr)

    def test_a_raw_server_by_name_beside_http(self):
        listeners = self.deployed("raw", SERVICE + """
const server = net.createServer((socket) => {
	socket.write(`you are ${socket.remoteAddress}\\n`);
	socket.pipe(socket);
});
await new Promise((go) => server.listen({ name: 'echo' }, go));
const address = server.address();
export default { fetch: (request, env, ctx) => Response.json({ on: ctx.listener.name, address }) };
""", ["web=127.0.0.1:0", "echo=127.0.0.1:0"])
        web, echo_port = (int(item["address"].rsplit(":", 1)[1]) for item in listeners)
        status, _, body = request(web)
        self.assertEqual(json.loads(body), {"on": "web", "address": {
            "address": "127.0.0.1", "family": "IPv4", "port": echo_port}})
        with socket.create_connection(("127.0.0.1", echo_port)) as client:
            client.sendall(b"not http\n")
            client.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := client.recv(65536):
                data += chunk
        self.assertEqual(data, b"you are 127.0.0.1\nnot http\n")

    def test_servers_by_port_path_and_none(self):
        path = os.path.join(self.folder, "raw.sock")
        port = free_port()
        self.deployed("places", SERVICE + f"""
const by = [];
for (const where of [[{port}], [{json.dumps(path)}], [{{ port: 0 }}]]) {{
	const server = net.createServer((socket) => socket.end(String(by.length)));
	await new Promise((go) => server.listen(...where, go));
	by.push(server.address());
}}
setInterval(() => {{}}, 1000);
console.log(JSON.stringify(by));
""", [f"127.0.0.1:{port}", f"unix:{path}", "[::1]:0"])
        with socket.create_connection(("127.0.0.1", port)) as client:
            self.assertEqual(client.recv(10), b"3")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            self.assertEqual(client.recv(10), b"3")

    def test_what_is_not_granted_cannot_be_listened_on(self):
        listeners = self.deployed("denied", SERVICE + """
const tried = [];
async function attempt(...where) {
	const server = net.createServer();
	const error = await new Promise((go) => { server.on('error', go); server.listen(...where, () => go(null)); });
	tried.push(error && [error.code, error.permission, error.resource]);
	return server;
}
await attempt(1);
await attempt(80, '10.0.0.1');
await attempt('/tmp/x.sock');
await attempt({ name: 'nobody' });
const first = await attempt({ name: 'web' });
await attempt({ name: 'web' });
let twice;
try { first.listen({ name: 'web' }); } catch (e) { twice = e.code; }
await new Promise((go) => first.close(go));
await attempt({ name: 'web' });
export default { fetch: () => Response.json({ tried, twice }) };
""", ["web=127.0.0.1:0", "127.0.0.1:0"])
        _, _, body = request(int(listeners[1]["address"].rsplit(":", 1)[1]))
        result = json.loads(body)
        self.assertEqual(result["tried"][:4], [
            ["ERR_ACCESS_DENIED", "Net", "[::]:1"],
            ["ERR_ACCESS_DENIED", "Net", "10.0.0.1:80"],
            ["ERR_ACCESS_DENIED", "Net", "unix:/tmp/x.sock"],
            ["ERR_ACCESS_DENIED", "Net", "nobody"]])
        self.assertEqual(result["tried"][4:], [None, ["EADDRINUSE", None, None], None])
        self.assertEqual(result["twice"], "ERR_SERVER_ALREADY_LISTEN")
        with open(os.path.join(self.daemon.state, "audit", "audit.jsonl")) as file:
            denied = [line["resource"] for line in map(json.loads, file)
                      if line["tenant"] == "denied" and line["permission"] == "net.listen"]
        self.assertEqual(denied, ["[::]:1", "10.0.0.1:80", "unix:/tmp/x.sock", "nobody"])

    def test_a_raw_server_drains(self):
        source = SERVICE + """
net.createServer((socket) => {
	socket.write('VERSION\\n');
	socket.on('data', (data) => socket.end(`last words: ${data}`));
}).listen({ name: 'raw' });
"""
        listeners = self.deployed("drained", source.replace("VERSION", "one"), ["raw=127.0.0.1:0"])
        port = int(listeners[0]["address"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as old:
            self.assertEqual(old.recv(100), b"one\n")
            self.deployed("drained", source.replace("VERSION", "two"), ["raw=127.0.0.1:0"])
            with socket.create_connection(("127.0.0.1", port)) as new:
                self.assertEqual(new.recv(100), b"two\n")
            # The old worker finishes what it has accepted.
            old.sendall(b"bye")
            self.assertEqual(old.recv(100), b"last words: bye")

    def test_max_connections_drops(self):
        listeners = self.deployed("few", SERVICE + """
const server = net.createServer((socket) => socket.write('in'));
server.maxConnections = 1;
server.listen({ name: 'raw' });
""", ["raw=127.0.0.1:0"])
        port = int(listeners[0]["address"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as first:
            self.assertEqual(first.recv(10), b"in")
            with socket.create_connection(("127.0.0.1", port)) as second:
                second.settimeout(5 * SLOW)
                self.assertEqual(second.recv(10), b"")

    def test_tls_ends_in_the_tenant(self):
        folder = tempfile.mkdtemp(prefix="tenantd-keys-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        keys = Certificates(folder).make("good", "DNS:good.example").make("other", "DNS:other.example")
        listeners = self.deployed("secure", f"""
import tls from 'node:tls';
const server = tls.createServer({{
	cert: {json.dumps(keys.read("good.pem"))}, key: {json.dumps(keys.read("good.key"))},
	ALPNProtocols: ['chat'],
}}, (socket) => {{
	socket.write(JSON.stringify([socket.servername, socket.alpnProtocol, socket.getProtocol()]) + '\\n');
	socket.pipe(socket);
}});
server.addContext('*.other.example', {{
	cert: {json.dumps(keys.read("other.pem"))}, key: {json.dumps(keys.read("other.key"))} }});
server.on('tlsClientError', () => {{}});
server.listen({{ name: 'tls' }});
""", ["tls=127.0.0.1:0"])
        port = int(listeners[0]["address"].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertNotIn(b"HTTP", plain.recv(1000))
        context = ssl.create_default_context(cafile=keys.path("ca.pem"))
        context.set_alpn_protocols(["chat"])
        context.check_hostname = False
        for name, subject in (("good.example", "good.example"), ("a.other.example", "other.example")):
            with socket.create_connection(("127.0.0.1", port)) as raw, \
                    context.wrap_socket(raw, server_hostname=name) as client:
                self.assertEqual(json.loads(client.recv(1000)), [name, "chat", "TLSv1.3"])
                self.assertEqual(client.getpeercert()["subjectAltName"], (("DNS", subject),))
                client.sendall(b"x" * 100000)
                total = 0
                while total < 100000:
                    total += len(client.recv(65536))


if __name__ == "__main__":
    unittest.main()
