"""What goes wrong outside of a tenant's program: the error is clear, and nobody else loses
anything. While each mishap lasts, a neighbour is asked without pause, and must answer always.

An egress process that dies between requests, and names that cannot be resolved: fetch_test."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import Daemon, TenantdTest, request, wait_until

NEIGHBOUR = "export default { fetch: () => new Response('still here') };\n"
CALLER = """
const why = (e) => `${e.cause?.code ?? e.code}: ${e.cause?.message ?? e.message}`;
export default { async fetch(request) {
    const target = new URL(request.url).searchParams.get('url');
    try { return new Response(await (await fetch(target)).text()); }
    catch (e) { return new Response(why(e), { status: 502 }); }
} };
"""
READER = """
import fs from 'node:fs';
export default { fetch(request) {
    const path = new URL(request.url).searchParams.get('path');
    try { return new Response(fs.readFileSync(path, 'utf8')); }
    catch (e) { return new Response(e.code, { status: 500 }); }
} };
"""


class Watched:
    """A neighbour that is asked every few milliseconds until close()."""

    def __init__(self, port):
        self.port, self.asked, self.lost, self.over = port, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.wait(0.005):
            self.asked += 1
            try:
                answer = request(self.port)
                if (answer[0], answer[2]) != (200, b"still here"):
                    self.lost.append(answer)
            except OSError as error:
                self.lost.append(error)

    def close(self):
        self.over.set()
        self.thread.join(20)


class Silent:
    """A server that reads a request, says so, and waits for leave to answer."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked, self.leave = threading.Semaphore(0), threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.recv(65536)
            self.asked.release()
            self.leave.wait(30)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate")

    def close(self):
        self.leave.set()
        self.listener.close()


class MishapsTest(TenantdTest):
    def setUp(self):
        super().setUp()
        neighbour = self.deploy("neighbour", self.write("neighbour.js", NEIGHBOUR))
        self.watched = Watched(neighbour)
        self.addCleanup(self.watched.close)

    def nothing_is_lost(self):
        self.watched.close()
        self.assertGreater(self.watched.asked, 0)
        self.assertEqual(self.watched.lost, [])
        self.assertEqual(self.daemon.status("neighbour")["restarts"], 0)

    def deploy_with(self, name, source, permissions):
        """Returns what deploy answered, whatever it was."""
        permissions = {**permissions, "net": {"listen": ["127.0.0.1:0"],
                                              **permissions.get("net", {})}}
        policy = self.write(f"{name}.json", json.dumps({"version": 1, "permissions": permissions}))
        done = self.daemon.ctl("deploy", name, self.write(f"{name}/main.js", source), "--policy",
                               policy)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        return done

    def deploy_good(self, *arguments):
        done = self.deploy_with(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.port_of(arguments[0])

    # ---- the policy ----

    def test_a_typo_in_the_policy(self):
        port = self.deploy_good("typo", READER, {})
        before = self.daemon.status("typo")
        policy = self.write("bad.json", '{\n  "version": 1,\n  "permissions": { "nett": {} }\n}\n')
        done = self.daemon.ctl("deploy", "typo", os.path.join(self.folder, "typo/main.js"),
                               "--policy", policy)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('bad.json:3:20: /permissions/nett: unknown key: did you mean "net"?',
                      done.stderr)
        # The release that runs goes on, under the policy that it has.
        self.assertEqual(request(port, "/?path=/etc")[2], b"ERR_ACCESS_DENIED")
        after = self.daemon.status("typo")
        self.assertEqual((after["pid"], after["release"]), (before["pid"], before["release"]))
        self.nothing_is_lost()

    def test_a_typo_in_the_folder_of_policies_is_told_and_the_old_one_stays(self):
        port = self.deploy_good("edited", READER, {})
        path = os.path.join(self.daemon.policies, "edited.json")
        with open(path, "w") as file:
            file.write('{ "version": 1, }')
        self.daemon.process.send_signal(1)
        wait_until(lambda: "event=policy-kept tenant=edited" in self.daemon.log())
        self.assertRegex(self.daemon.log(), r"event=policy-kept tenant=edited .*edited\.json:1:\d+")
        self.assertEqual(request(port, "/?path=/etc")[2], b"ERR_ACCESS_DENIED")
        self.nothing_is_lost()

    # ---- files ----

    def test_a_granted_folder_that_is_removed(self):
        data = tempfile.mkdtemp(prefix="tenantd-data-")
        self.addCleanup(shutil.rmtree, data, ignore_errors=True)
        os.chmod(data, 0o755)
        with open(os.path.join(data, "file"), "w") as file:
            file.write("content")
        port = self.deploy_good("reader", READER, {"fs": {"read": [data]}})
        self.assertEqual(request(port, f"/?path={data}/file")[2], b"content")
        shutil.rmtree(data)
        # It has what it was granted, an empty folder now.
        self.assertEqual(request(port, f"/?path={data}/file")[2], b"ENOENT")
        # A new start cannot be granted it: the error says what, and the old worker goes on.
        pid = self.daemon.status("reader")["pid"]
        done = self.daemon.ctl("deploy", "reader", os.path.join(self.folder, "reader/main.js"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"/permissions/fs/read/0: {data}: No such file or directory",
                      done.stdout + done.stderr)
        self.assertEqual(self.daemon.status("reader")["pid"], pid)
        self.assertEqual(request(port, f"/?path={data}/file")[2], b"ENOENT")
        # Without the old worker there is none; status says why, until the folder is back.
        self.daemon.ctl("stop", "reader")
        done = self.daemon.ctl("start", "reader")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(data, done.stdout + done.stderr)
        self.assertIn(data, json.dumps(self.daemon.status("reader")))
        os.mkdir(data, 0o755)
        with open(os.path.join(data, "file"), "w") as file:
            file.write("again")
        done = self.daemon.ctl("start", "reader")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(request(self.port_of("reader"), f"/?path={data}/file")[2], b"again")
        self.nothing_is_lost()

    # ---- egress ----

    def egress_pid(self):
        found = subprocess.run(
            ["pgrep", "-P", str(self.daemon.process.pid), "tenantd-egress"],
            capture_output=True, text=True).stdout.split()
        return int(found[0]) if found else None

    def test_egress_dies_while_a_request_is_under_way(self):
        """The connection is the worker's own: the answer arrives all the same."""
        server = Silent()
        self.addCleanup(server.close)
        port = self.deploy_good(
            "caller", CALLER, {"net": {"connect": [f"127.0.0.1:{server.port}"]}})
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            request(port, f"/?url=http://127.0.0.1:{server.port}/", timeout=30)))
        thread.start()
        self.assertTrue(server.asked.acquire(timeout=10))
        pid = self.egress_pid()
        os.kill(pid, 9)
        wait_until(lambda: self.egress_pid() not in (None, pid), what="another egress process")
        server.leave.set()
        thread.join(30)
        self.assertEqual((answers[0][0], answers[0][2]), (200, b"late"))
        self.nothing_is_lost()

    def test_egress_dies_while_a_connection_is_being_made(self):
        """Who waits for it gets an answer from the next, or an error that says what happened."""
        target = socket.socket()
        target.bind(("127.0.0.1", 0))
        target.listen(0)
        self.addCleanup(target.close)
        address = target.getsockname()
        fill = [socket.socket() for _ in range(3)]  # its queue is full: connecting hangs
        for one in fill:
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect_ex(address)
        port = self.deploy_good(
            "caller", CALLER, {"net": {"connect": [f"127.0.0.1:{address[1]}"]}})
        answers = []
        thread = threading.Thread(target=lambda: answers.append(
            request(port, f"/?url=http://127.0.0.1:{address[1]}/", timeout=60)))
        thread.start()
        time.sleep(0.5)
        pid = self.egress_pid()
        os.kill(pid, 9)
        thread.join(45)
        self.assertTrue(answers, "the request hangs")
        self.assertIn(answers[0][0], (502, 503))
        self.assertRegex(answers[0][2].decode(), "egress|EAI|ECONN|ETIMEDOUT|EPIPE")
        wait_until(lambda: self.egress_pid() not in (None, pid), what="another egress process")
        self.nothing_is_lost()

    # ---- a program that is killed ----

    def test_a_zygote_that_dies_costs_no_request(self):
        """KillTest has the rest; here is the neighbour's view."""
        zygotes = subprocess.run(
            ["pgrep", "-P", str(self.daemon.process.pid), "tenant-zygote"],
            capture_output=True, text=True).stdout.split()
        self.assertTrue(zygotes)
        os.kill(int(zygotes[0]), 9)
        wait_until(lambda: self.daemon.log().count("event=zygote-ready") >= 2)
        port = self.deploy_good("after", READER, {})
        self.assertEqual(request(port, "/?path=/etc")[2], b"ERR_ACCESS_DENIED")
        self.nothing_is_lost()


class NameServerTest(unittest.TestCase):
    def test_a_name_server_that_is_not_there(self):
        """Nobody listens where resolv.conf says; one is silent. What needs no name goes on."""
        folder = tempfile.mkdtemp(prefix="tenantd-dns-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o755)
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nobody = gone.getsockname()[1]
        server = Silent()
        server.leave.set()
        self.addCleanup(server.close)
        for name, dns in (("silent", silent.getsockname()[1]), ("gone", nobody)):
            with self.subTest(name):
                path = os.path.join(folder, f"{name}.conf")
                with open(path, "w") as file:
                    file.write(f"nameserver 127.0.0.1:{dns}\n")
                self.ask(folder, path, server)

    def ask(self, folder, resolv_conf, server):
        script, policy = os.path.join(folder, "s.mjs"), os.path.join(folder, "p.json")
        with open(script, "w") as file:
            file.write(CALLER + f"""
                const url = 'http://127.0.0.1:{server.port}/';
                const both = await Promise.allSettled([
                    fetch('http://granted.example/'), fetch(url).then((r) => r.text())]);
                console.log(why(both[0].reason));
                console.log(both[1].value ?? why(both[1].reason));""")
        with open(policy, "w") as file:
            json.dump({"version": 1, "limits": {"connect": {"time": "3s"}}, "permissions": {
                "net": {"connect": ["granted.example", f"127.0.0.1:{server.port}"]}}}, file)
        daemon = Daemon("--resolv-conf", resolv_conf)
        try:
            started = time.monotonic()
            done = daemon.ctl("run", script, "--policy", policy)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            error, value = done.stdout.splitlines()
            self.assertRegex(error, "granted.example")
            self.assertRegex(error, "EAI_AGAIN|ETIMEDOUT|ETIMEOUT|ECONNREFUSED")
            self.assertEqual(value, "late")
            self.assertLess(time.monotonic() - started, 20)
        finally:
            daemon.close()
