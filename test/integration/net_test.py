"""node:net and node:dns in workers, against real servers on this machine: the path is the
whole one, from the program through tenantd-egress to a socket and back."""

import contextlib
import json
import os
import socket
import struct
import time
import unittest

from harness import SLOW, free_port, wait_until
from net_servers import PRELUDE, NetTest, echo


def reset(connection):
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class ClientTest(NetTest):
    def test_an_echo_and_every_event_in_nodes_order(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1' }});
const events = [];
for (const name of ['lookup', 'connect', 'ready', 'end', 'finish', 'close'])
	socket.on(name, (...args) => events.push([name, ...args]));
let text = '';
socket.setEncoding('utf8').on('data', (chunk) => {{ text += chunk; if (text === 'hello wörld') socket.end(); }});
const before = [socket.connecting, socket.readyState, socket.pending];
socket.write('hello ');
socket.write(Buffer.from('wörld'));
await once(socket, 'connect');
const during = [socket.remoteAddress, socket.remotePort, socket.remoteFamily, socket.localAddress,
	socket.address().port === socket.localPort, socket.readyState, socket.pending];
await once(socket, 'close');
say({{ text, events, before, during, after: [socket.bytesRead, socket.bytesWritten, socket.destroyed,
	socket.readyState, socket.remoteAddress] }});
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result["text"], "hello wörld")
        self.assertEqual(result["before"], [True, "opening", True])
        self.assertEqual(result["during"], ["127.0.0.1", server.port, "IPv4", "127.0.0.1", True,
                                            "open", False])
        self.assertEqual([name for name, *_ in result["events"]],
                         ["connect", "ready", "finish", "end", "close"])
        self.assertEqual(result["events"][-1], ["close", False])
        self.assertEqual(result["after"], [12, 12, True, "closed", "127.0.0.1"])

    def test_large_transfers_both_ways_keep_memory_bounded(self):
        size = 48 << 20

        def sink_then_source(connection):
            left = size
            while left:
                left -= len(connection.recv(min(left, 1 << 20)))
            block = bytes(range(256)) * 4096
            for _ in range(size // len(block)):
                connection.sendall(block)

        server = self.server(sink_then_source)
        result = self.results(PRELUDE + f"""
const before = process.memoryUsage().rss; // most of it shared with all workers
const socket = net.connect({server.port}, '127.0.0.1');
const block = Buffer.alloc(1 << 20, 'x');
let full = 0;
for (let sent = 0; sent < {size}; sent += block.length)
	if (!socket.write(block)) {{ full++; await once(socket, 'drain'); }}
let read = 0, sum = 0, peak = 0;
for await (const chunk of socket) {{
	read += chunk.length;
	sum = (sum + chunk[0]) % 65521;
	peak = Math.max(peak, process.memoryUsage().rss);
	if (read % (8 << 20) < chunk.length) await new Promise((go) => setTimeout(go, 5));
}}
say({{ read, full, written: socket.bytesWritten, grown: peak - before }});
""", [f"127.0.0.1:{server.port}"], limits={"memory": "128M"})
        self.assertEqual(result["read"], size)
        self.assertEqual(result["written"], size)
        self.assertGreater(result["full"], 0)
        self.assertLess(result["grown"], 96 << 20)

    def test_a_paused_socket_stops_the_sender(self):
        sent = []

        def flood(connection):
            connection.settimeout(1.5 * SLOW)
            total = 0
            with contextlib.suppress(OSError):
                while total < 256 << 20:
                    total += connection.send(b"y" * 65536)
            sent.append(total)

        server = self.server(flood)
        result = self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '127.0.0.1');
await once(socket, 'connect');
socket.on('data', () => socket.pause());
await once(socket, 'data');
await new Promise((go) => setTimeout(go, {int(3000 * SLOW)}));
say([socket.bytesRead]);
socket.destroy();
""", [f"127.0.0.1:{server.port}"])
        self.assertLess(result[0], 4 << 20)
        wait_until(lambda: sent, 10, "the end of the flood")
        self.assertLess(sent[0], 64 << 20)

    def test_half_close(self):
        def answer_after_end(connection):
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
            connection.sendall(b"got " + data)

        server = self.server(answer_after_end)
        result = self.results(PRELUDE + f"""
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1', allowHalfOpen: true }});
socket.end('everything');
let text = '';
for await (const chunk of socket) text += chunk;
say(text);
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, "got everything")

    def test_refused_connections_are_nodes_error(self):
        port = free_port()
        result = self.results(PRELUDE + f"say(await outcome(net.connect({port}, '127.0.0.1')));",
                              [f"127.0.0.1:{port}"])
        self.assertEqual(result["events"], ["error"])
        self.assertTrue(result["hadError"])
        self.assertEqual(result["error"], {
            "name": "Error", "message": f"connect ECONNREFUSED 127.0.0.1:{port}",
            "code": "ECONNREFUSED", "errno": -111, "syscall": "connect", "address": "127.0.0.1",
            "port": port})

    def test_what_is_not_granted_is_denied_with_permission_and_resource(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
const address = await outcome(net.connect({server.port}, '127.0.0.1'));
const name = await outcome(net.connect(443, 'not-granted.example'));
const path = await outcome(net.connect('/run/not-granted.sock'));
const disguised = [];
for (const host of ['2130706433', '0x7f.1', '::ffff:127.0.0.1', '127.1', '0177.0.0.1'])
	disguised.push((await outcome(net.connect({server.port}, host))).error.code);
say({{ address, name, path, disguised }});
""", ["127.0.0.1:1"])
        for key, resource in (("address", f"127.0.0.1:{server.port}"),
                              ("name", "not-granted.example:443"),
                              ("path", "unix:/run/not-granted.sock")):
            error = result[key]["error"]
            self.assertEqual(error["code"], "ERR_ACCESS_DENIED", error)
            self.assertEqual(error["permission"], "Net")
            self.assertEqual(error["resource"], resource)
            self.assertIn(resource, error["message"])
        self.assertTrue(set(result["disguised"]) <= {"ERR_ACCESS_DENIED", "ENOTFOUND"},
                        result["disguised"])
        self.assertEqual(server.accepted, 0)

    def test_a_program_without_the_permission_is_denied_at_once(self):
        result = self.results(PRELUDE + """
import dns from 'node:dns';
const connect = (await outcome(net.connect(80, '127.0.0.1'))).error;
const lookup = await new Promise((go) => dns.lookup('example.com', (e) => go(failure(e))));
say({ connect, lookup });
""")
        self.assertEqual(result["connect"]["code"], "ERR_ACCESS_DENIED")
        self.assertEqual(result["lookup"]["code"], "ERR_ACCESS_DENIED")

    def test_resets(self):
        server = self.server(reset)
        result = self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '127.0.0.1', () => socket.write('x'));
say(await outcome(socket));
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result["events"], ["connect", "ready", "error"])
        self.assertEqual(result["error"]["message"], "read ECONNRESET")
        self.assertEqual(result["error"]["syscall"], "read")
        self.assertTrue(result["hadError"])

    def test_reset_and_destroy_resets_the_peer(self):
        server = self.server(lambda connection: connection.recv(65536) and connection.recv(65536))
        self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '127.0.0.1', () => {{
	socket.write('x', () => setTimeout(() => socket.resetAndDestroy(), 50));
}});
await once(socket, 'close');
say(null);
""", [f"127.0.0.1:{server.port}"])
        wait_until(lambda: server.errors, 5, "the reset")
        self.assertIn("reset", server.errors[0])

    def test_timeouts(self):
        server = self.server(lambda connection: connection.recv(65536))
        result = self.results(PRELUDE + f"""
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1', timeout: 100 }});
const start = Date.now();
await once(socket, 'timeout');
const waited = Date.now() - start;
socket.destroy();
let error;
try {{ socket.setTimeout('soon'); }} catch (e) {{ error = e.code; }}
const other = new net.Socket();
try {{ other.setTimeout('soon'); }} catch (e) {{ error = e.code; }}
say([waited >= 95, socket.timeout, error]);
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, [True, 100, "ERR_INVALID_ARG_TYPE"])

    def test_unix_sockets(self):
        path = os.path.join(self.folder, "echo.sock")
        os.chmod(self.folder, 0o755)
        self.server(echo, path=path)
        result = self.results(PRELUDE + f"""
const socket = net.connect({json.dumps(path)});
socket.end('through a path');
let text = '';
for await (const chunk of socket) text += chunk;
const missing = (await outcome(net.connect({json.dumps(path + '.gone')}))).error;
say({{ text, remote: socket.remoteAddress ?? null, missing }});
""", [f"unix:{path}", f"unix:{path}.gone"])
        self.assertEqual(result["text"], "through a path")
        self.assertIsNone(result["remote"])
        self.assertEqual(result["missing"]["message"], f"connect ENOENT {path}.gone")
        self.assertEqual(result["missing"]["address"], path + ".gone")

    def test_onread_reads_into_the_programs_buffer(self):
        server = self.server(lambda connection: connection.sendall(b"abcdefghij" * 1000))
        result = self.results(PRELUDE + f"""
const buffer = Buffer.alloc(64);
let text = '', calls = 0, same = true;
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1', onread: {{ buffer,
	callback(length, bytes) {{
		calls++;
		same &&= bytes === buffer;
		text += bytes.toString('latin1', 0, length);
		if (calls === 3) {{ setTimeout(() => socket.resume(), 20); return false; }}
	}} }} }});
await once(socket, 'close');
say({{ length: text.length, right: text === 'abcdefghij'.repeat(1000), many: calls > 100, same }});
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, {"length": 10000, "right": True, "many": True, "same": True})

    def test_an_aborted_signal_ends_the_socket(self):
        server = self.server(lambda connection: connection.recv(65536))
        result = self.results(PRELUDE + f"""
const controller = new AbortController();
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1', signal: controller.signal }});
await once(socket, 'connect');
controller.abort();
const [error] = await once(socket, 'error');
await once(socket, 'close');
say([error.name, error.code]);
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, ["AbortError", "ABORT_ERR"])

    def test_family_and_ipv6(self):
        server = self.server(echo, family=socket.AF_INET6)
        result = self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '::1');
await once(socket, 'connect');
const peer = [socket.remoteAddress, socket.remoteFamily];
socket.destroy();
const wrong = (await outcome(net.connect({{ port: {server.port}, host: '::1', family: 4 }}))).error.code;
say({{ peer, wrong }});
""", [f"[::1]:{server.port}"])
        self.assertEqual(result["peer"], ["::1", "IPv6"])
        self.assertIn(result["wrong"], ("ENOTFOUND", "EAFNOSUPPORT", "EINVAL"))

    def test_writes_after_the_end_and_after_destruction(self):
        server = self.server(lambda connection: connection.sendall(b"bye"))
        result = self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '127.0.0.1');
socket.resume();
await once(socket, 'end');
await new Promise((go) => setImmediate(go));
const error = await new Promise((go) => socket.write('more', go)).catch((e) => e);
const closed = new net.Socket();
const never = await new Promise((go) => {{ closed.on('error', go); closed.write('x'); }});
say([error?.code ?? null, never.code, never.message]);
""", [f"127.0.0.1:{server.port}"])
        self.assertIn(result[0], ("EPIPE", "ERR_STREAM_DESTROYED"))
        self.assertEqual(result[1:], ["ERR_SOCKET_CLOSED", "Socket is closed"])

    def test_arguments_are_checked_as_node_does(self):
        result = self.results(PRELUDE + """
const codes = [];
for (const options of [{}, { port: 65536 }, { port: 'x' }, { port: {} }, { port: 1, host: 5 },
	{ port: 1, family: 5 }, { port: 1, localAddress: 'x' }, { port: 1, lookup: 1 }])
	try { net.connect(options).on('error', () => {}); codes.push(null); } catch (e) { codes.push(e.code); }
try { new net.Socket({ objectMode: true }); } catch (e) { codes.push(e.code); }
say(codes);
""", ["127.0.0.1:1"])
        self.assertEqual(result, ["ERR_MISSING_ARGS", "ERR_SOCKET_BAD_PORT", "ERR_SOCKET_BAD_PORT",
                                  "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_TYPE",
                                  "ERR_INVALID_ARG_VALUE", "ERR_INVALID_IP_ADDRESS",
                                  "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"])

    def test_addresses_and_block_lists(self):
        result = self.results(PRELUDE + """
const list = new net.BlockList();
list.addAddress('1.2.3.4');
list.addRange('10.0.0.1', '10.0.0.10');
list.addSubnet('8592:757c:efae:4e45::', 64, 'ipv6');
say({
	is: ['127.0.0.1', '::1', '1.2.3', '::ffff:1.2.3.4', 'fe80::1%eth0', '1::2::3', ''].map(net.isIP),
	check: [list.check('1.2.3.4'), list.check('::ffff:1.2.3.4', 'ipv6'), list.check('10.0.0.11'),
		list.check('10.0.0.5'), list.check('8592:757c:efae:4e45:fb5d::1', 'ipv6')],
	rules: list.rules,
	address: new net.SocketAddress({ address: '1:2:0:0:0:0:0:8', family: 'ipv6', port: 80 }),
});
""")
        self.assertEqual(result["is"], [4, 6, 0, 6, 6, 0, 0])
        self.assertEqual(result["check"], [True, True, False, True, True])
        self.assertEqual(result["rules"], ["Address: IPv4 1.2.3.4",
                                           "Subnet: IPv6 8592:757c:efae:4e45::/64",
                                           "Range: IPv4 10.0.0.1-10.0.0.10"])
        self.assertEqual(result["address"], {"address": "1:2::8", "port": 80, "family": "ipv6",
                                             "flowlabel": 0})

    def test_dns_lookup_of_addresses_and_what_it_cannot(self):
        result = self.results("""
import dns from 'node:dns';
import { lookup, resolveMx } from 'node:dns/promises';
const one = await lookup('127.0.0.1');
const all = await dns.promises.lookup('::1', { all: true });
const mx = await resolveMx('example.com').catch((e) => [e.code, e.syscall, e.hostname]);
let bad;
try { dns.lookup('x', { family: 5 }, () => {}); } catch (e) { bad = e.code; }
console.log(JSON.stringify({ one, all, mx, bad }));
""", ["127.0.0.1:1"])
        self.assertEqual(result, {"one": {"address": "127.0.0.1", "family": 4},
                                  "all": [{"address": "::1", "family": 6}],
                                  "mx": ["ENOTIMP", "queryMx", "example.com"],
                                  "bad": "ERR_INVALID_ARG_VALUE"})

    def test_names_are_resolved_and_looked_up(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
import dns from 'node:dns';
const socket = net.connect({{ port: {server.port}, host: 'localhost', family: 4 }});
const lookups = [];
socket.on('lookup', (...args) => lookups.push(args));
await once(socket, 'connect');
const peer = socket.remoteAddress;
socket.destroy();
const own = net.connect({{ port: {server.port}, host: 'my.name', lookup: (name, options, go) => go(null, '127.0.0.1', 4) }});
await once(own, 'connect');
own.destroy();
const found = await dns.promises.lookup('localhost', {{ family: 4 }});
const four = await dns.promises.resolve4('localhost');
say({{ lookups, peer, found, four }});
""", ["localhost", "127.0.0.1", "[::1]"])
        self.assertEqual(result, {"lookups": [[None, "127.0.0.1", 4, "localhost"]], "peer": "127.0.0.1",
                                  "found": {"address": "127.0.0.1", "family": 4},
                                  "four": ["127.0.0.1"]})

    def test_options_of_the_connection_reach_the_kernel(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
const socket = net.connect({{ port: {server.port}, host: '127.0.0.1', noDelay: true, keepAlive: true }});
await once(socket, 'connect');
const handle = socket._handle;
say([handle.setKeepAlive(true, 5), handle.setKeepAlive(false, 0), handle.setNoDelay(true),
	socket.setKeepAlive(true, 1000) === socket, socket.setNoDelay() === socket]);
socket.destroy();
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, [0, 0, 0, True, True])

    def test_a_hundred_connections_at_once(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
const talk = async (number) => {{
	const socket = net.connect({server.port}, '127.0.0.1');
	socket.end(`number ${{number}}`);
	let text = '';
	for await (const chunk of socket) text += chunk;
	return text === `number ${{number}}`;
}};
const answers = await Promise.all(Array.from({{ length: 100 }}, (_, i) => talk(i)));
say(answers.filter(Boolean).length);
""", [f"127.0.0.1:{server.port}"], limits={"connect": {"concurrent": 200, "rate": 1000}})
        self.assertEqual(result, 100)

    def test_async_local_storage_follows_a_socket(self):
        server = self.server(echo)
        result = self.results(PRELUDE + f"""
import {{ AsyncLocalStorage }} from 'node:async_hooks';
const storage = new AsyncLocalStorage();
const seen = [];
storage.run('inside', () => {{
	const socket = net.connect({server.port}, '127.0.0.1', () => {{ seen.push(storage.getStore()); socket.end('x'); }});
	socket.on('data', () => seen.push(storage.getStore()));
	socket.on('close', () => {{ seen.push(storage.getStore()); say(seen); }});
}});
""", [f"127.0.0.1:{server.port}"])
        self.assertEqual(result, ["inside"] * 3)

    def test_sockets_keep_a_program_alive_unless_unreferenced(self):
        server = self.server(lambda connection: connection.recv(1))
        start = time.monotonic()
        self.results(PRELUDE + f"""
const socket = net.connect({server.port}, '127.0.0.1', () => {{ socket.unref(); say(null); }});
""", [f"127.0.0.1:{server.port}"])
        self.assertLess(time.monotonic() - start, 10 * SLOW)


if __name__ == "__main__":
    unittest.main()
