"""Debuggers: `tenantctl inspect` and `tenantctl run --inspect`, by a client of the Chrome DevTools
protocol."""

import base64
import http.client
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
import unittest

import harness
from harness import SLOW, TenantdTest, request, wait_until

SERVICE = """
let count = 0;
function add(number) {
  const sum = count + number;
  count = sum;
  return sum;
}
export default {
  fetch(request) {
    console.log('asked', count);
    if (new URL(request.url).pathname === '/busy')
      for (const end = Date.now() + 3000; Date.now() < end;) count++;
    return new Response(String(add(1)));
  },
  health() { return true; },
};
"""


class Socket:
    """A WebSocket, as far as a debugger needs one."""

    def __init__(self, port, path, origin=None, host="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), 20 * SLOW)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET /{path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        if origin:
            lines.append(f"Origin: {origin}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = self.socket.recv(1)
            if not chunk:
                break
            head += chunk
        self.status = int(head.split()[1])

    def send(self, opcode, data, final=True):
        mask = os.urandom(4)
        size = len(data)
        head = bytes([(0x80 if final else 0) | opcode])
        head += bytes([0x80 | size]) if size < 126 else \
            bytes([0x80 | 126]) + struct.pack(">H", size) if size < 65536 else \
            bytes([0x80 | 127]) + struct.pack(">Q", size)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise ConnectionResetError("the end")
            data += chunk
        return data

    def receive(self):
        first, second = self.exactly(2)
        size = second & 127
        if size > 125:
            size = struct.unpack(">H" if size == 126 else ">Q",
                                 self.exactly(2 if size == 126 else 8))[0]
        return first & 15, self.exactly(size)


class Debugger(Socket):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.last, self.events = 0, []

    def next(self):
        opcode, data = self.receive()
        assert opcode == 1, (opcode, data)
        return json.loads(data)

    def begin(self, method, **params):
        self.last += 1
        self.send(1, json.dumps({"id": self.last, "method": method, "params": params}).encode())
        return self.last

    def end(self, number):
        while True:
            message = self.next()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def call(self, method, **params):
        return self.end(self.begin(method, **params))

    def event(self, method):
        """The first of these that came, or comes."""
        while True:
            for i, message in enumerate(self.events):
                if message["method"] == method:
                    return self.events.pop(i)["params"]
            self.events.append(self.next())

    def close(self):
        self.socket.close()


class InspectTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.processes = []

    def open(self, *arguments):
        """A tenantctl that serves debuggers. Returns it, its port and the path."""
        process = subprocess.Popen(
            [os.path.join(harness.BUILD, "tenantctl"), "--socket", self.daemon.socket, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.close, process)
        line = process.stderr.readline()
        found = re.match(r"Debugger listening on ws://127\.0\.0\.1:(\d+)/([0-9a-f-]{36})$", line)
        self.assertTrue(found, line + (process.stderr.read() if not found else ""))
        process.stderr.readline()
        return process, int(found[1]), found[2]

    def close(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def serve(self, **manifest):
        program = os.path.join(self.folder, "shop")
        self.write("shop/main.js", SERVICE)
        self.write("shop/tenant.json", json.dumps(manifest))
        return self.deploy("shop", program, port=0)

    def get(self, port, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    # ---- what debuggers do ----

    def test_a_breakpoint_stops_one_request(self):
        port = self.serve()
        process, inspector, path = self.open("inspect", "shop", "--port", "0")
        debugger = Debugger(inspector, path)
        debugger.call("Runtime.enable")
        debugger.call("Debugger.enable")
        debugger.call("Debugger.setBreakpointByUrl", urlRegex=".*main\\.js", lineNumber=4)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            frame = debugger.event("Debugger.paused")["callFrames"][0]
            self.assertEqual(frame["functionName"], "add")
            value = debugger.call("Debugger.evaluateOnCallFrame", callFrameId=frame["callFrameId"],
                                  expression="sum + 41")["result"]["value"]
            self.assertEqual(value, 42)
            debugger.call("Debugger.stepOver")
            frame = debugger.event("Debugger.paused")["callFrames"][0]
            self.assertEqual(frame["location"]["lineNumber"], 5)
            self.assertEqual(select.select([client], [], [], 0.2)[0], [])
            debugger.call("Debugger.resume")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))
        said = debugger.event("Runtime.consoleAPICalled")
        self.assertEqual([a.get("value") for a in said["args"]], ["asked", 0])
        self.assertIn("asked 0", self.daemon.ctl("logs", "shop").stdout)
        debugger.close()
        process.terminate()
        process.wait(10 * SLOW)
        self.assertEqual(request(port)[2], b"2")

    def test_who_leaves_lets_the_program_go_on(self):
        port = self.serve()
        process, inspector, path = self.open("inspect", "shop", "--port", "0")
        for leave in ("debugger", "tenantctl"):
            debugger = Debugger(inspector, path)
            debugger.call("Debugger.enable")
            debugger.call("Debugger.setBreakpointByUrl", urlRegex=".*main\\.js", lineNumber=4)
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.settimeout(20 * SLOW)
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                debugger.event("Debugger.paused")
                if leave == "debugger":
                    debugger.close()
                else:
                    process.kill()
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))
            wait_until(lambda: request(port)[0] == 200, what="an answer")
        self.assertEqual(self.daemon.status("shop")["restarts"], 0)
        # Another may come.
        process, inspector, path = self.open("inspect", "shop", "--port", "0")
        self.assertEqual(Debugger(inspector, path).call(
            "Runtime.evaluate", expression="6 * 7")["result"]["value"], 42)

    def test_a_paused_one_is_not_killed_by_its_probes(self):
        port = self.serve(probes={"liveness": {
            "health": True, "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}})
        process, inspector, path = self.open("inspect", "shop", "--port", "0")
        pid = self.daemon.status("shop")["pid"]
        debugger = Debugger(inspector, path)
        debugger.call("Debugger.enable")
        debugger.call("Debugger.setBreakpointByUrl", urlRegex=".*main\\.js", lineNumber=4)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(20 * SLOW)
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            debugger.event("Debugger.paused")
            time.sleep(4 * SLOW)
            debugger.call("Debugger.resume")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))
        time.sleep(2 * SLOW)
        self.assertEqual(self.daemon.status("shop")["pid"], pid)
        # And is again, when nobody looks any more.
        process.kill()
        process.wait()
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: self.daemon.status("shop")["pid"] != pid, 20, "another worker")

    def test_a_busy_program_can_be_paused(self):
        port = self.serve()
        _, inspector, path = self.open("inspect", "shop", "--port", "0")
        debugger = Debugger(inspector, path)
        debugger.call("Debugger.enable")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(20 * SLOW)
            client.sendall(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.3)
            debugger.call("Debugger.pause")
            frame = debugger.event("Debugger.paused")["callFrames"][0]
            self.assertEqual(frame["functionName"], "fetch")
            debugger.call("Debugger.resume")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200"))

    def test_profile_and_heap_snapshot(self):
        port = self.serve()
        _, inspector, path = self.open("inspect", "shop", "--port", "0")
        debugger = Debugger(inspector, path)
        debugger.call("Profiler.enable")
        debugger.call("Profiler.start")
        request(port, "/busy", timeout=30)
        profile = debugger.call("Profiler.stop")["profile"]
        self.assertIn("fetch", {node["callFrame"]["functionName"] for node in profile["nodes"]})
        debugger.call("HeapProfiler.enable")
        debugger.call("HeapProfiler.takeHeapSnapshot", reportProgress=False)
        chunks = [message["params"]["chunk"] for message in debugger.events
                  if message["method"] == "HeapProfiler.addHeapSnapshotChunk"]
        snapshot = json.loads("".join(chunks))
        self.assertGreater(snapshot["snapshot"]["node_count"], 1000)
        self.assertEqual(request(port)[0], 200)

    # ---- a script from its beginning ----

    def test_run_waits_for_the_debugger(self):
        script = self.write("script.js", "let a = 20;\na += 22;\nconsole.log('a is', a);\n")
        process, inspector, path = self.open("run", script, "--inspect-brk", "--port", "0")
        time.sleep(0.5)
        self.assertEqual(select.select([process.stdout], [], [], 0)[0], [])
        debugger = Debugger(inspector, path)
        debugger.call("Debugger.enable")
        debugger.call("Runtime.runIfWaitingForDebugger")
        place = debugger.event("Debugger.paused")["callFrames"][0]["location"]
        scripts = {message["params"]["scriptId"]: message["params"]["url"]
                   for message in debugger.events if message["method"] == "Debugger.scriptParsed"}
        self.assertTrue(scripts[place["scriptId"]].endswith("/app/script.js"), scripts)
        self.assertEqual(place["lineNumber"], 0)
        debugger.call("Debugger.setBreakpointByUrl", urlRegex=".*script\\.js", lineNumber=2)
        debugger.call("Debugger.resume")
        frame = debugger.event("Debugger.paused")["callFrames"][0]
        self.assertEqual(frame["location"]["lineNumber"], 2)
        debugger.call("Debugger.evaluateOnCallFrame", callFrameId=frame["callFrameId"],
                      expression="a = 7")
        debugger.call("Debugger.resume")
        self.assertEqual(process.stdout.read(), "a is 7\n")
        self.assertEqual(process.wait(20 * SLOW), 0)

    def test_run_with_a_debugger_that_never_comes(self):
        script = self.write("script.js", "console.log('ran');\n")
        process, _, _ = self.open("run", script, "--inspect", "--port", "0")
        self.assertEqual(process.stdout.read(), "ran\n")
        self.assertEqual(process.wait(20 * SLOW), 0)

    def test_sources_of_typescript_are_shown(self):
        script = self.write("script.ts", "const a: number = 42;\nconsole.log(a);\n")
        _, inspector, path = self.open("run", script, "--inspect-brk", "--port", "0")
        debugger = Debugger(inspector, path)
        debugger.call("Debugger.enable")
        debugger.call("Runtime.runIfWaitingForDebugger")
        debugger.event("Debugger.paused")
        maps = [message["params"]["sourceMapURL"] for message in debugger.events
                if message["method"] == "Debugger.scriptParsed" and
                message["params"]["url"].startswith("file:///app/")]
        self.assertTrue(maps and maps[-1].startswith("data:application/json;base64,"), maps)
        content = json.loads(base64.b64decode(maps[-1].split(",", 1)[1]))
        self.assertIn("const a: number = 42;", content["sourcesContent"][0])
        debugger.call("Debugger.resume")

    def test_the_commands_of_the_documentation(self):
        self.serve()
        script = self.write("main.ts", "const a: number = 1;\nconsole.log(a);\n")
        with open(os.path.join(harness.ROOT, "docs", "debugging.md")) as file:
            commands = re.findall(r"```sh\n(.*?)\n```", file.read(), re.S)
        self.assertEqual(len(commands), 2)
        for command in commands:
            words = [script if word == "main.ts" else word for word in command.split()]
            self.assertEqual(words[0], "tenantctl")
            _, inspector, path = self.open(*words[1:], "--port", "0")
            self.assertEqual(Debugger(inspector, path).call(
                "Runtime.evaluate", expression="6 * 7")["result"]["value"], 42)

    # ---- who may ----

    def test_no_web_page_gets_in(self):
        self.serve()
        _, inspector, path = self.open("inspect", "shop", "--port", "0")
        self.assertEqual(self.get(inspector, "/json", Host="evil.example")[0], 400)
        self.assertEqual(Socket(inspector, path, host="evil.example").status, 400)
        self.assertEqual(Socket(inspector, path, origin="https://evil.example").status, 403)
        self.assertEqual(Socket(inspector, "0" * 36).status, 404)
        status, body = self.get(inspector, "/json/list")
        self.assertEqual(status, 200)
        target = json.loads(body)[0]
        self.assertEqual(target["webSocketDebuggerUrl"], f"ws://127.0.0.1:{inspector}/{path}")
        self.assertEqual(target["title"], "shop")
        self.assertEqual(json.loads(self.get(inspector, "/json/version")[1])["Protocol-Version"],
                         "1.3")
        first = Debugger(inspector, path, origin="devtools://devtools")
        self.assertEqual(first.status, 101)
        self.assertEqual(Socket(inspector, path).status, 409)
        done = self.daemon.ctl("inspect", "shop", "--port", "0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("another tenantctl inspects shop", done.stderr)
        self.assertIn('"inspect"', self.daemon.ctl("history", "shop", "--json").stdout)

    def test_other_users_are_not_answered(self):
        self.serve()
        _, inspector, path = self.open("inspect", "shop", "--port", "0")
        done = subprocess.run(
            ["curl", "-s", "-m", "10", f"http://127.0.0.1:{inspector}/json"], user=65534,
            group=65534, extra_groups=[], capture_output=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(self.get(inspector, "/json")[0], 200)

    def test_nonsense_ends_the_connection_only(self):
        port = self.serve()
        _, inspector, path = self.open("inspect", "shop", "--port", "0")
        for nonsense in (b"\x81\x05hello",          # not masked
                         b"\xf1\x80\0\0\0\0",       # reserved bits
                         b"\x89\xfe\0\x80\0\0\0\0", # a long ping
                         b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"\0\0\0\0"):
            bad = Socket(inspector, path)
            wait_until(lambda: bad.status == 101 or Socket(inspector, path).status == 101)
            bad.socket.sendall(nonsense)
            self.assertEqual(bad.socket.recv(100), b"")
        debugger = Debugger(inspector, path)
        debugger.send(1, b"no JSON at all")
        self.assertIn("error", debugger.next())
        debugger.send(1, b'{"id":1,"method":"Runtime.eval', final=False)
        debugger.send(9, b"ping")
        self.assertEqual(debugger.receive(), (10, b"ping"))
        debugger.send(0, b'uate","params":{"expression":"1+1"}}')
        self.assertEqual(debugger.next()["result"]["result"]["value"], 2)
        self.assertEqual(request(port)[0], 200)

    def test_the_end_of_the_worker_ends_it(self):
        self.serve()
        process, _, _ = self.open("inspect", "shop", "--port", "0")
        self.assertEqual(self.daemon.ctl("stop", "shop").returncode, 0)
        self.assertEqual(process.wait(20 * SLOW), 0)

    def test_mistakes(self):
        done = self.daemon.ctl("inspect", "nobody", "--port", "0")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.serve()
        for port in ("x", "70000", "-1", ""):
            done = self.daemon.ctl("inspect", "shop", f"--port={port}x")
            self.assertEqual(done.returncode, 2, done.stderr)
        self.daemon.ctl("stop", "shop")
        done = self.daemon.ctl("inspect", "shop", "--port", "0")
        self.assertEqual(done.returncode, 3, done.stderr)
        done = self.daemon.ctl("run", "--inspect", "--port", "0", "--", "/bin/true")
        self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
