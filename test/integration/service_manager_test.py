"""What a service manager is told and keeps: listening sockets over restarts, socket units,
the journal. A small service manager of the test's own stands in for systemd, which not every
machine has; test/vm asks the same of the real one."""

import array
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import BUILD, SLOW, TenantdTest, free_port, request, wait_until

PAGE = "export default { fetch: () => new Response('%s') };"


class Manager:
    """The receiving end of sd_notify(3), with a store of descriptors."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        self.store = {}  # name: descriptor
        self.thread = threading.Thread(target=self.receive, daemon=True)
        self.thread.start()

    def receive(self):
        while True:
            try:
                data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(256 * 4))
            except OSError:
                return
            if not data:
                return
            fds = array.array("i")
            for level, kind, content in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(content)
            self.take(dict(line.split("=", 1) for line in data.decode().split("\n") if line), fds)

    def take(self, message, fds):
        name = message.get("FDNAME")
        if message.get("FDSTORE") == "1":
            assert name not in self.store and len(fds) == 1, message
            assert ":" not in name and len(name) < 256, message
            self.store[name] = fds[0]
        elif message.get("FDSTOREREMOVE") == "1" and name in self.store:
            os.close(self.store.pop(name))
        self.messages.append(message)

    def told(self, key):
        return [message[key] for message in list(self.messages) if key in message]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()
        for fd in self.store.values():
            os.close(fd)


class Managed(harness.Daemon):
    """A tenantd under a Manager. What is in the store, and LENT ({name: socket}), is passed to
    each start."""

    keeps = True

    def __init__(self, *options, lent=()):
        self.lent = list(lent)
        folder = tempfile.mkdtemp(prefix="tenantd-test-")
        self.manager = Manager(folder)
        super().__init__(*options, folder=folder)

    def start(self):
        passed = [*self.manager.store.items(), *((name, s.fileno()) for name, s in self.lent)]
        # Out of the way of 3 and those after it, where they go.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for _, fd in passed]
        environment = {**os.environ, "NOTIFY_SOCKET": self.manager.path}
        if self.keeps:
            environment["FDSTORE"] = "512"
        moves = "; ".join(f"exec {3 + i}<&{fd} {fd}<&-" for i, fd in enumerate(fds))
        variables = (f"LISTEN_PID=$$ LISTEN_FDS={len(fds)} "
                     f"LISTEN_FDNAMES={':'.join(name for name, _ in passed)}") if fds else ""
        command = f"{moves or ':'}; export {variables} X=; exec \"$@\""
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", command, "start", os.path.join(BUILD, "tenantd"), "--state",
                 self.state, "--policy-dir", self.policies, "--socket", self.socket,
                 *self.options],
                stdout=log, stderr=log, start_new_session=True, env=environment, pass_fds=fds)
        for fd in fds:
            os.close(fd)
        ready = len(self.manager.told("READY"))
        wait_until(lambda: len(self.manager.told("READY")) > ready or
                   self.process.poll() is not None, 20, "a start")
        if self.process.poll() is not None:
            raise AssertionError("tenantd did not start:\n" + self.log())

    def close(self):
        super().close()
        self.manager.close()


class Case(TenantdTest):
    def managed(self, *options, **more):
        self.daemon = Managed(*options, **more)
        self.addCleanup(self.daemon.close)
        return self.daemon

    def put(self, name, listen, text="old"):
        policy = {"version": 1, "permissions": {"net": {"listen": listen}}}
        done = self.daemon.ctl("deploy", name, self.write(f"{name}/main.js", PAGE % text),
                               "--policy", self.write(f"{name}.json", json.dumps(policy)))
        self.assertEqual(done.returncode, 0, done.stderr + self.daemon.log()[-3000:])

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass


class StoreTest(Case):
    def test_a_restart_refuses_no_connection(self):
        daemon, port = self.managed(), free_port()
        self.put("shop", [f"127.0.0.1:{port}"])
        self.assertEqual(list(daemon.manager.store), [f"tcp-127.0.0.1-{port}"])
        for sig in (signal.SIGTERM, signal.SIGKILL):
            daemon.stop(sig)
            # Nobody serves; the kernel takes the connection all the same.
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                daemon.start()
                client.settimeout(10 * SLOW)
                self.assertIn(b"200 OK", client.recv(4096))
            self.assertEqual(list(daemon.manager.store), [f"tcp-127.0.0.1-{port}"])

    def test_a_free_port_stays_the_same_one(self):
        daemon = self.managed()
        self.put("shop", ["127.0.0.1:0", "127.0.0.1:0"])
        port = self.port_of("shop")
        self.assertEqual(len(daemon.manager.store), 2)
        daemon.stop()
        daemon.start()
        wait_until(lambda: daemon.status("shop")["state"] == "running")
        self.assertEqual(self.port_of("shop"), port)
        self.assertEqual(request(port)[2], b"old")
        wait_until(lambda: len(daemon.manager.store) == 2, what="what nobody wants to go")

    def test_a_unix_socket_and_its_path_stay(self):
        daemon = self.managed()
        path = os.path.join(self.folder, "shop.sock")
        self.put("shop", ["unix:" + path])
        inode = os.stat(path).st_ino
        daemon.stop()
        self.assertEqual(os.stat(path).st_ino, inode)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            daemon.start()
            client.settimeout(10 * SLOW)
            self.assertIn(b"200 OK", client.recv(4096))
        self.assertEqual(daemon.ctl("remove", "shop", "-y").returncode, 0)
        self.assertFalse(os.path.exists(path))
        wait_until(lambda: not daemon.manager.store, what="an empty store")

    def test_a_unix_socket_whose_file_is_gone_is_bound_anew(self):
        daemon = self.managed()
        path = os.path.join(self.folder, "shop.sock")
        self.put("shop", ["unix:" + path])
        daemon.stop()
        os.unlink(path)
        daemon.start()
        wait_until(lambda: daemon.status("shop")["state"] == "running")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        wait_until(lambda: len(daemon.manager.store) == 1, what="the old one to go")

    def test_what_is_closed_leaves_the_store(self):
        daemon, port = self.managed(), free_port()
        self.put("shop", [f"127.0.0.1:{port}"])
        self.assertEqual(daemon.ctl("stop", "shop").returncode, 0)
        wait_until(lambda: not daemon.manager.store, what="an empty store")
        with self.assertRaises(ConnectionRefusedError):
            request(port)
        self.assertEqual(daemon.ctl("start", "shop").returncode, 0)
        self.assertEqual(list(daemon.manager.store), [f"tcp-127.0.0.1-{port}"])
        # A new release with another port: the old one goes, once it has taken over.
        other = free_port()
        self.put("shop", [f"127.0.0.1:{other}"], "new")
        wait_until(lambda: list(daemon.manager.store) == [f"tcp-127.0.0.1-{other}"],
                   what="the old port to go")

    def test_what_no_tenant_wants_any_more_is_let_go(self):
        daemon, port = self.managed(), free_port()
        self.put("shop", [f"127.0.0.1:{port}"])
        daemon.stop()
        other = free_port()
        with open(daemon.policies + "/shop.json", "w") as file:
            json.dump({"version": 1,
                       "permissions": {"net": {"listen": [f"127.0.0.1:{other}"]}}}, file)
        daemon.start()
        wait_until(lambda: list(daemon.manager.store) == [f"tcp-127.0.0.1-{other}"],
                   what="the old port to go")
        self.assertIn(f"event=descriptor-dropped name=tcp-127.0.0.1-{port}", daemon.log())
        with self.assertRaises(ConnectionRefusedError):
            request(port)

    def test_without_a_store_nothing_stays(self):
        Managed.keeps = False
        self.addCleanup(setattr, Managed, "keeps", True)
        daemon = self.managed()
        path = os.path.join(self.folder, "shop.sock")
        self.put("shop", ["unix:" + path])
        self.assertEqual(daemon.manager.told("FDSTORE"), [])
        daemon.stop()
        self.assertFalse(os.path.exists(path))


class SocketUnitTest(Case):
    def listening(self, backlog=8):
        server = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.addCleanup(server.close)
        return server, server.getsockname()[1]

    def test_a_tenant_gets_the_listener_of_a_socket_unit(self):
        server, port = self.listening()
        daemon = self.managed(lent=[("shop.socket", server)])
        for _ in range(2):  # also after it was stopped: it is only lent
            self.put("shop", [f"127.0.0.1:{port}"])
            self.assertEqual(request(port)[2], b"old")
            self.assertEqual(daemon.ctl("remove", "shop", "-y").returncode, 0)
        self.assertEqual(daemon.manager.told("FDSTORE"), [])

    def test_one_that_nobody_wants_is_reported(self):
        server, _ = self.listening()
        daemon = self.managed(lent=[("shop.socket", server)])
        self.assertIn('event=descriptor-unused name="shop.socket"', daemon.log())

    def test_shared_ports_of_socket_units(self):
        server, port = self.listening()
        # Named by an option, too: the same port.
        daemon = self.managed("--http", f"127.0.0.1:{port}", lent=[("http", server)])
        policy = {"version": 1, "permissions": {"net": {"ingress": ["shop.example"]}}}
        done = daemon.ctl("deploy", "shop", self.write("main.js", PAGE % "shared"), "--policy",
                          self.write("shop.json", json.dumps(policy)))
        self.assertEqual(done.returncode, 0, done.stderr)

        def ask():
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\n"
                               b"Connection: close\r\n\r\n")
                data = b""
                while chunk := client.recv(4096):
                    data += chunk
            return data
        self.assertIn(b"shared", ask())
        daemon.stop()
        daemon.start()
        self.assertIn(b"shared", ask())

    def test_what_is_no_listening_socket_is_refused(self):
        idle = socket.socket()
        self.addCleanup(idle.close)
        daemon = self.managed(lent=[("odd", idle)])
        self.assertIn('event=descriptor-refused name="odd"', daemon.log())

    def test_a_shared_port_must_be_tcp(self):
        path = os.path.join(self.folder, "http.sock")
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(path)
        server.listen()
        with self.assertRaisesRegex(AssertionError, "must listen on a TCP address"):
            self.managed(lent=[("http", server)])


class ToldTest(Case):
    def test_status_and_the_end(self):
        daemon = self.managed()
        self.put("shop", ["127.0.0.1:0"])
        wait_until(lambda: daemon.manager.told("STATUS")[-1] == "1 tenant up")
        crash = "process.exit(1)"
        daemon.ctl("deploy", "bad", self.write("bad/main.js", crash), "--no-wait")
        self.assertEqual(daemon.ctl("stop", "shop").returncode, 0)
        wait_until(lambda: "1 stopped" in daemon.manager.told("STATUS")[-1])
        self.assertIn("0 tenants up", daemon.manager.told("STATUS")[-1])
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(daemon.manager.told("READY")) == 2)
        self.assertGreater(int(daemon.manager.told("MONOTONIC_USEC")[-1]), 0)
        # A reload is over when the tenant runs under its new policy, not before.
        program = self.write("slow/main.js", "await new Promise((done) => setTimeout(done, "
                             f"{int(1000 * SLOW)}));" + PAGE % "slow")
        done = daemon.ctl("deploy", "slow", program)
        self.assertEqual(done.returncode, 0, done.stderr)
        before = daemon.status("slow")["pid"]
        with open(os.path.join(daemon.policies, "slow.json"), "w") as file:
            json.dump({"version": 1, "limits": {"memory": "100M"},
                       "permissions": {"net": {"listen": ["127.0.0.1:0"]}}}, file)
        begin, ready = time.monotonic(), len(daemon.manager.told("READY"))
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(daemon.manager.told("READY")) > ready)
        self.assertGreater(time.monotonic() - begin, 0.9 * SLOW)
        self.assertNotEqual(daemon.status("slow")["pid"], before)
        self.assertEqual(daemon.ctl("remove", "slow", "-y").returncode, 0)
        daemon.stop()
        last = daemon.manager.messages[-1]
        stopping = [m for m in daemon.manager.messages if m.get("STOPPING") == "1"]
        self.assertEqual(len(stopping), 1, last)
        # The grace of 5 s at least, and what comes after it.
        self.assertGreater(int(stopping[0]["EXTEND_TIMEOUT_USEC"]), 5_000_000)


if __name__ == "__main__":
    unittest.main()
