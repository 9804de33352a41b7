"""Ports that tenants share: tenantd-ingress with a real daemon, workers and clients. Who gets
a connection; what becomes of it when somebody dies, is replaced, sleeps, or is slow; the
confinement of the process."""

import json
import os
import resource
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

import harness
from harness import BUILD, TenantdTest, wait_until

HTTP = harness.free_port()
HTTPS = harness.free_port()

SAYS = """
let served = 0;
export default {{
	async fetch(request) {{
		const url = new URL(request.url);
		if (url.pathname === '/slow')
			await new Promise((done) => setTimeout(done, 300));
		return new Response(`{name} ${{url.host}} ${{url.pathname}} ${{++served}}\\n`);
	}},
}};
"""


def connect(port=HTTP):
    return socket.create_connection(("127.0.0.1", port), 10 * harness.SLOW)


def head(host, path="/", *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


def read_response(connection):
    """Status and body of one response; b"" as status when the connection was closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return 0, data
        data += chunk
    fields, _, body = data.partition(b"\r\n\r\n")
    length = None
    for line in fields.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while length is None or len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return int(fields.split()[1]), body.decode()


def get(host, path="/", port=HTTP):
    with connect(port) as connection:
        connection.sendall(head(host, path, "Connection: close"))
        return read_response(connection)


class Load:
    """Clients that ask again and again, each request on a connection of its own, or on one
    for as long as it is kept alive. Whatever is not a whole, right answer is a failure."""

    def __init__(self, host, threads=4, keep_alive=False):
        self.host, self.keep_alive = host, keep_alive
        self.done, self.failures, self.stop = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = None
        while not self.stop:
            fresh = connection is None
            try:
                connection = connection or connect()
                fields = [] if self.keep_alive else ["Connection: close"]
                connection.sendall(head(self.host, "/load", *fields))
                status, body = read_response(connection)
                # A kept-alive connection may be closed between two requests: RFC 9112, 9.5.
                closed_idle = status == 0 and not fresh and not body
                good = status == 200 and f"{self.host} /load" in body
                failure = None if good or closed_idle else (status, body)
            except OSError as error:
                good, closed_idle = False, isinstance(error, ConnectionError) and not fresh
                failure = None if closed_idle else repr(error)
            with self.lock:
                self.done += good
                if failure:
                    self.failures.append(failure)
            if not self.keep_alive or not good:
                if connection:
                    connection.close()
                connection = None
        if connection:
            connection.close()

    def __enter__(self):
        wait_until(lambda: self.done > 50, what="some load")
        return self

    def __exit__(self, *_):
        self.stop = True
        for thread in self.threads:
            thread.join()


class IngressTest(TenantdTest):
    options = ("--http", f"127.0.0.1:{HTTP}", "--https", f"127.0.0.1:{HTTPS}", "--warm", "2")

    def setUp(self):
        super().setUp()
        wait_until(self.pid, what="tenantd-ingress")

    def pid(self):
        """Of tenantd-ingress; 0: it does not run."""
        with open(f"/proc/{self.daemon.process.pid}/task/{self.daemon.process.pid}/children") as file:
            for child in file.read().split():
                try:
                    with open(f"/proc/{child}/comm") as name:
                        if name.read() == "tenantd-ingress\n":
                            return int(child)
                except FileNotFoundError:
                    pass
        return 0

    def program(self, name, source=None, manifest=None):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "index.js"), "w") as file:
            file.write(source or SAYS.format(name=name))
        with open(os.path.join(folder, "tenant.json"), "w") as file:
            json.dump({"entry": "index.js", **(manifest or {})}, file)
        return folder

    def sites(self, name, *sites, **parts):
        return self.write(f"../{os.path.basename(self.folder)}-{name}.json", json.dumps(
            {"version": 1, "permissions": {"net": {"ingress": list(sites)}}, **parts}))

    def serve(self, name, *sites, source=None, manifest=None, **parts):
        done = self.daemon.ctl("deploy", name, self.program(name, source, manifest), "--policy",
                               self.sites(name, *sites, **parts))
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0,
                         done.stdout + done.stderr + self.daemon.log()[-3000:])

    # ---- whose it is ----

    def test_routing(self):
        self.serve("shop", "shop.test", "*.shop.test")
        self.serve("api", "shop.test/api", "deep.shop.test")
        self.assertEqual(get("shop.test")[1].split()[0], "shop")
        self.assertEqual(get("SHOP.test:80", "/apix")[1].split()[0], "shop")
        self.assertEqual(get("shop.test", "/api")[1].split()[0], "api")
        self.assertEqual(get("shop.test", "/x/%2e%2e/api/1")[1].split()[0], "api")
        self.assertEqual(get("x.y.shop.test", "/api")[1].split()[0], "shop")
        self.assertEqual(get("deep.shop.test")[1].split()[0], "api")
        for host, status in (("other.test", 404), ("[::1]", 404), ("a b", 400), ("", 400)):
            self.assertEqual(get(host)[0], status, host)
        with connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 400)
        with connect() as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            self.assertEqual(read_response(connection)[0], 505)
        with connect() as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            self.assertEqual(read_response(connection)[0], 400)

    def test_kept_alive_connections_stay_with_their_tenant(self):
        self.serve("shop", "shop.test")
        self.serve("api", "shop.test/api", "api.test")
        for host, path in (("api.test", "/"), ("shop.test", "/api/1"), ("other.test", "/")):
            with connect() as connection:
                connection.sendall(head("shop.test"))
                self.assertEqual(read_response(connection)[0], 200)
                connection.sendall(head("shop.test", "/more"))
                self.assertEqual(read_response(connection)[0], 200)
                connection.sendall(head(host, path))
                self.assertEqual(read_response(connection)[0], 421, (host, path))
                self.assertEqual(connection.recv(1), b"")
        # What another tenant gets later is taken away at once, also from who runs already.
        with connect() as connection:
            connection.sendall(head("shop.test", "/new"))
            self.assertEqual(read_response(connection)[0], 200)
            self.serve("new", "shop.test/new")
            connection.sendall(head("shop.test", "/new"))
            self.assertEqual(read_response(connection)[0], 421)
        self.assertEqual(get("shop.test", "/new")[1].split()[0], "new")

    def test_pipelined_requests_are_looked_at_each(self):
        self.serve("shop", "shop.test")
        self.serve("api", "api.test")
        with connect() as connection:
            connection.sendall(head("shop.test") + head("api.test", "/secret"))
            data = b""
            while chunk := connection.recv(65536):
                data += chunk
        self.assertEqual(data.count(b"HTTP/1.1 200 "), 1, data)
        self.assertEqual(data.count(b"HTTP/1.1 421 "), 1, data)
        self.assertNotIn(b"secret", data)

    def test_listeners_of_its_own_take_any_host(self):
        folder = self.program("both")
        port = harness.free_port()
        policy = self.write("../" + os.path.basename(self.folder) + "-both.json", json.dumps(
            {"version": 1, "permissions": {"net": {"listen": [f"127.0.0.1:{port}"],
                                                   "ingress": ["both.test"]}}}))
        self.addCleanup(self.daemon.ctl, "remove", "both", "-y")
        self.assertEqual(self.daemon.ctl("deploy", "both", folder, "--policy", policy).returncode, 0)
        self.assertEqual(get("anything.test", port=port)[0], 200)
        self.assertEqual(get("both.test")[0], 200)

    def test_conflicts_name_both(self):
        self.serve("first", "same.test")
        done = self.daemon.ctl("deploy", "second", self.program("second"), "--policy",
                               self.sites("second", "SAME.test"))
        self.addCleanup(self.daemon.ctl, "remove", "second", "-y")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("same.test", done.stderr)
        self.assertIn("first", done.stderr)
        self.assertIn("second", done.stderr)
        self.assertEqual(get("same.test")[1].split()[0], "first")
        self.daemon.ctl("remove", "first", "-y")
        self.assertEqual(get("same.test")[0], 404)
        self.serve("second", "same.test")
        self.assertEqual(get("same.test")[1].split()[0], "second")

    # ---- what is done is in effect ----

    def begin(self, *arguments):
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        return process

    def pause(self):
        """tenantd-ingress does nothing; ends with what this returns."""
        pid = self.pid()

        def wake():
            if self.pid() == pid:
                os.kill(pid, signal.SIGCONT)

        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(wake)
        return wake

    def test_whoever_was_answered_can_rely_on_it(self):
        for _ in range(25):
            self.serve("shop", "shop.test")
            self.assertEqual(get("shop.test")[1].split()[0], "shop")
            self.assertEqual(self.daemon.ctl("remove", "shop", "-y").returncode, 0)
            self.assertEqual(get("shop.test")[0], 404)

    def test_verbs_wait_for_the_routes(self):
        policy = self.sites("shop", "shop.test")
        self.addCleanup(self.daemon.ctl, "remove", "shop", "-y")
        for verb, status in ((("deploy", "shop", self.program("shop"), "--policy", policy), 200),
                             (("stop", "shop"), 503), (("start", "shop"), 200),
                             (("restart", "shop"), 200), (("remove", "shop", "-y"), 404)):
            wake = self.pause()
            process = self.begin(*verb)
            with self.assertRaises(subprocess.TimeoutExpired, msg=verb):
                process.wait(1)
            wake()
            out, error = process.communicate(timeout=10 * harness.SLOW)
            self.assertEqual((process.returncode, error), (0, ""), verb)
            self.assertEqual(get("shop.test")[0], status, (verb, out))

    def test_verbs_do_not_hang_with_a_slow_ingress(self):
        self.serve("shop", "shop.test")
        wake = self.pause()
        begin = time.monotonic()
        done = self.daemon.ctl("remove", "shop", "-y")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("tenantctl: note: tenantd-ingress has not answered", done.stderr)
        self.assertTrue(1.5 < time.monotonic() - begin < 8 * harness.SLOW)
        wake()
        wait_until(lambda: get("shop.test")[0] == 404, what="the removal")

    def test_verbs_do_not_wait_for_a_dead_ingress(self):
        self.serve("shop", "shop.test")
        self.addCleanup(self.daemon.ctl, "remove", "shop", "-y")
        self.pause()
        process = self.begin("restart", "shop")
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(1)
        os.kill(self.pid(), signal.SIGKILL)
        out, error = process.communicate(timeout=10 * harness.SLOW)
        self.assertEqual((process.returncode, error), (0, ""), out)
        wait_until(self.pid, what="the next tenantd-ingress")
        self.assertEqual(get("shop.test")[0], 200)

    def test_status_shows_sites_and_counts(self):
        self.serve("shop", "shop.test", "shop.test/x")
        for _ in range(3):
            self.assertEqual(get("shop.test")[0], 200)
        ingress = self.daemon.status("shop")["ingress"]
        self.assertEqual(ingress["sites"], ["shop.test", "shop.test/x"])
        self.assertEqual((ingress["handed"], ingress["refused"], ingress["waiting"]), (3, 0, 0))
        self.assertIn("shop.test/x", self.daemon.ctl("status", "shop").stdout)

    # ---- TLS: who it is for ----

    def handshake(self, name):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with connect(HTTPS) as connection:
            with context.wrap_socket(connection, server_hostname=name):
                pass

    def test_tls_of_nobody(self):
        self.serve("shop", "shop.test")
        for name in ("other.test", "shop.test", None):  # shop.test has no certificate
            with self.assertRaises(ssl.SSLError) as caught:
                self.handshake(name)
            self.assertIn("UNRECOGNIZED_NAME", str(caught.exception).upper())
        with connect(HTTPS) as connection:
            connection.sendall(head("shop.test"))
            self.assertEqual(read_response(connection)[0], 400)

    # ---- slow clients ----

    def test_a_head_byte_by_byte(self):
        self.serve("shop", "shop.test")
        with connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in head("shop.test", "/slowly", "Accept: */*"):
                connection.sendall(bytes([byte]))
                time.sleep(0.002)
            status, body = read_response(connection)
        self.assertEqual((status, body.split()[:3]), (200, ["shop", "shop.test", "/slowly"]))

    def test_slow_loris(self):
        """More half heads than there are places: whoever sends a whole one is served."""
        self.serve("shop", "shop.test")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
        slow = []
        try:
            for i in range(4500):
                connection = connect()
                connection.sendall(b"GET / HTTP/1.1\r\nX: ")
                slow.append(connection)
                if i % 1500 == 0:
                    self.assertEqual(get("shop.test")[0], 200)
            began = time.monotonic()
            self.assertEqual(get("shop.test")[0], 200)
            self.assertLess(time.monotonic() - began, 5 * harness.SLOW)
            with open(f"/proc/{self.pid()}/status") as status:
                resident = next(int(line.split()[1]) for line in status if "VmRSS" in line)
            self.assertLess(resident, 16 * 1024)
        finally:
            for connection in slow:
                connection.close()

    def test_who_never_ends_its_head_is_answered(self):
        with connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n")
            began = time.monotonic()
            connection.settimeout(20 * harness.SLOW)
            self.assertEqual(read_response(connection)[0], 408)
            self.assertGreater(time.monotonic() - began, 5)

    def test_a_head_that_is_too_large(self):
        with connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 17000)
            self.assertEqual(read_response(connection)[0], 431)

    # ---- what befalls it ----

    def test_killed_under_load(self):
        """The listeners stay. What is lost had not been handed over."""
        self.serve("shop", "shop.test")
        lost = 0
        with Load("shop.test") as load:
            for _ in range(5):
                before, done = self.pid(), load.done
                os.kill(before, signal.SIGKILL)
                wait_until(lambda: self.pid() not in (0, before), what="the next one")
                wait_until(lambda: load.done > done + 100, what="service")
        lost = load.failures
        print(f"ingress killed 5 times: {load.done} requests, {len(lost)} lost")
        self.assertLess(len(lost), 5 * 4 + 1)  # at most what each client had on its way
        self.assertFalse([failure for failure in lost if "Refused" in str(failure)], lost)
        with connect() as connection:
            connection.sendall(head("shop.test"))
            read_response(connection)
            os.kill(self.pid(), signal.SIGKILL)
            connection.sendall(head("shop.test"))  # it is the worker's alone
            self.assertEqual(read_response(connection)[0], 200)

    def test_deploys_and_restarts_lose_nothing(self):
        self.serve("shop", "shop.test", manifest={"instances": 2})
        folder = self.program("shop", manifest={"instances": 2})
        with Load("shop.test", 3) as load, Load("shop.test", 2, keep_alive=True) as kept:
            for i in range(6):
                with open(os.path.join(folder, "index.js"), "a") as file:
                    file.write(f"// {i}\n")
                done = self.daemon.ctl("deploy", "shop", folder)
                self.assertEqual(done.returncode, 0, done.stderr)
                done = self.daemon.ctl("restart", "shop")
                self.assertEqual(done.returncode, 0, done.stderr)
        print(f"6 deploys and restarts: {load.done} + {kept.done} requests")
        self.assertEqual((load.failures, kept.failures), ([], []))

    def test_killed_instances_lose_only_what_they_had(self):
        """What a worker had not taken from its channel goes to another."""
        self.serve("shop", "shop.test", manifest={"instances": 2, "restart": {"backoff": "10ms"}})
        with Load("shop.test") as load:
            for _ in range(4):
                serving = [i["pid"] for i in self.daemon.status("shop")["instances"] if i["pid"]]
                os.kill(serving[0], signal.SIGKILL)
                done = load.done
                wait_until(lambda: load.done > done + 100, what="service")
        print(f"4 instances killed: {load.done} requests, {len(load.failures)} lost")
        self.assertLess(len(load.failures), 4 * 4 + 1)

    def test_clients_of_a_dead_worker_may_give_up(self):
        """What a worker left in its channel waits in ingress, and may end there."""
        self.serve("gone", "gone.test", manifest={"restart": {"backoff": "1h", "cap": "1h"}})
        self.serve("well", "well.test")
        before, worker = self.pid(), self.daemon.status("gone")["pid"]
        waiting = lambda: self.daemon.status("gone")["ingress"]["waiting"]
        os.kill(worker, signal.SIGSTOP)
        clients = [connect() for _ in range(4)]
        for client in clients:
            client.sendall(head("gone.test"))
        wait_until(lambda: self.daemon.status("gone")["ingress"]["handed"] == 4, what="handing")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: waiting() == 4, what="their return")
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        wait_until(lambda: waiting() == 0, what="their end")
        self.assertEqual(get("well.test")[0], 200)
        self.assertEqual(self.pid(), before, self.daemon.log()[-2000:])

    def test_a_sleeping_tenant_is_woken(self):
        self.serve("sleepy", "sleepy.test", manifest={"idle": "stop after 1s"})
        for _ in range(2):
            self.assertEqual(get("sleepy.test")[0], 200)
            wait_until(lambda: self.daemon.status("sleepy")["state"] == "idle", 15, "sleep")
        clients = [connect() for _ in range(8)]
        for client in clients:
            self.addCleanup(client.close)
            client.sendall(head("sleepy.test", "/", "Connection: close"))
        self.assertEqual([read_response(client)[0] for client in clients], [200] * 8)

    def test_a_stopped_tenant_answers_at_once(self):
        self.serve("shop", "shop.test")
        self.assertEqual(self.daemon.ctl("stop", "shop").returncode, 0)
        began = time.monotonic()
        self.assertEqual(get("shop.test")[0], 503)
        self.assertLess(time.monotonic() - began, 2 * harness.SLOW)
        self.assertEqual(self.daemon.ctl("start", "shop").returncode, 0)
        self.assertEqual(get("shop.test")[0], 200)

    def test_instances_share(self):
        self.serve("shop", "shop.test", manifest={"instances": 3})
        served = [int(get("shop.test")[1].split()[-1]) for _ in range(30)]
        self.assertEqual(sorted(served), sorted(list(range(1, 11)) * 3))

    def test_a_canary_gets_its_share(self):
        self.serve("shop", "shop.test", manifest={"instances": 2})
        folder = self.program("shop", SAYS.format(name="canary"), {"instances": 2})
        done = self.daemon.ctl("deploy", "shop", folder, "--weight", "20%")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        names = [get("shop.test")[1].split()[0] for _ in range(100)]
        self.assertEqual(names.count("canary"), 20)
        self.assertEqual(self.daemon.ctl("promote", "shop").returncode, 0)
        self.assertEqual({get("shop.test")[1].split()[0] for _ in range(10)}, {"canary"})

    def test_policies_read_again(self):
        self.serve("shop", "shop.test")
        with open(os.path.join(self.daemon.policies, "shop.json"), "w") as file:
            json.dump({"version": 1,
                       "permissions": {"net": {"ingress": ["moved.test"]}}}, file)
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: get("moved.test")[0] == 200, what="the new site")
        self.assertEqual(get("shop.test")[0], 404)

    # ---- its confinement ----

    def test_it_is_confined(self):
        pid = self.pid()
        with open(f"/proc/{pid}/status") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Groups"].strip(), "")
        self.assertEqual(len(set(status["Uid"].split())), 1)
        self.assertGreater(int(status["Uid"].split()[0]), 100000)
        # What it has open: no file but /dev/null and stderr.
        for entry in os.listdir(f"/proc/{pid}/fd"):
            link = os.readlink(f"/proc/{pid}/fd/{entry}")
            self.assertTrue(entry in ("0", "1", "2") or link.startswith(("socket:", "anon_inode:")),
                            (entry, link))


class FewPlacesTest(TenantdTest):
    """With 1024 descriptors' worth of places, that two tenants could fill."""
    options = ("--http", f"127.0.0.1:{HTTP}")
    wrapper = ("prlimit", "--nofile=2048:2048")
    program, sites, serve = IngressTest.program, IngressTest.sites, IngressTest.serve

    def wait_for_ever(self, name):
        """A tenant whose next instance comes in an hour, or much later than this test."""
        self.serve(name, f"{name}.test", source="""
export default { fetch() { setTimeout(() => process.exit(1)); return new Response('bye\\n'); } };
""", manifest={"restart": {"backoff": "1h", "cap": "1h"}})
        while self.daemon.status(name)["backoff_ms"] < 120_000:
            get(f"{name}.test")
            wait_until(lambda: self.daemon.status(name)["state"] == "backoff", what="its end")
            if self.daemon.status(name)["backoff_ms"] < 120_000:
                self.daemon.ctl("restart", name)

    def test_tenants_that_never_come_leave_room_for_others(self):
        self.serve("well", "well.test")
        self.serve("sleepy", "sleepy.test", manifest={"idle": "stop after 1s"})
        waiting = lambda name: self.daemon.status(name)["ingress"]["waiting"]
        for name in ("one", "other"):
            self.wait_for_ever(name)
            for _ in range(600):
                client = connect()
                self.addCleanup(client.close)
                client.sendall(head(f"{name}.test"))
        wait_until(lambda: waiting("one") + waiting("other") == 512, what="waiting clients")
        self.assertIn(waiting("other"), range(250, 260), "who had more did not give way")
        began = time.monotonic()
        self.assertEqual(get("well.test")[0], 200)
        wait_until(lambda: self.daemon.status("sleepy")["state"] == "idle", 15, "sleep")
        self.assertEqual(get("sleepy.test")[0], 200)
        self.assertLess(time.monotonic() - began, 15 * harness.SLOW)


class OptionsTest(unittest.TestCase):
    def test_wrong_addresses_are_usage_errors(self):
        for option in ("--http", "--https"):
            done = subprocess.run([os.path.join(BUILD, "tenantd"), option, "localhost:80"],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(option, done.stderr)


if __name__ == "__main__":
    unittest.main()
