"""What the integration tests share: a daemon of their own, tenantctl, a plain HTTP client.

Everything runs for real: the built daemon, zygote and workers, as root, on this machine's
kernel. TENANTD_BUILD names the folder of the build.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TENANTD_BUILD", os.path.join(ROOT, "build", "release"))
EXAMPLES = os.path.join(ROOT, "docs", "examples")
# How many times longer than here everything may take: in an emulated machine (run.py vm).
SLOW = float(os.environ.get("TENANTD_TEST_SLOW", "1"))


def wait_until(condition, seconds=10, what="the condition"):
    seconds *= SLOW
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02 * SLOW)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(port, path="/", method="GET", headers=(), body=b"", timeout=10):
    """One request on a connection of its own. Returns (status, headers, body)."""
    with socket.create_connection(("127.0.0.1", port), timeout * SLOW) as connection:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionError("closed without a response")
    status = int(head.split()[1])
    fields = {}
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        fields[name.lower()] = value.strip()
    if fields.get("transfer-encoding") == "chunked":
        rest = dechunk(rest)
    return status, fields, rest


def dechunk(data):
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        if size == 0:
            return out
        out += data[:size]
        data = data[size + 2:]
    raise AssertionError("a chunked body without its end")


class Daemon:
    """A tenantd with state of its own in a temporary folder."""

    def __init__(self, *options, folder=None, wrapper=()):
        self.folder = folder or tempfile.mkdtemp(prefix="tenantd-test-")
        # In tier container, releases are read where they lie: others must get there.
        os.chmod(self.folder, 0o711)
        self.wrapper = wrapper  # what runs the daemon: test/variants/without
        self.socket = os.path.join(self.folder, "control.sock")
        self.state = os.path.join(self.folder, "state")
        self.policies = os.path.join(self.folder, "policy.d")
        self.log_path = os.path.join(self.folder, "log")
        self.options = options
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, os.path.join(BUILD, "tenantd"), "--state", self.state, "--policy-dir",
                 self.policies, "--socket", self.socket, *self.options],
                stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20 * SLOW
        while self.ctl("list").returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("tenantd did not start:\n" + self.log())
            time.sleep(0.02)

    def log(self):
        with open(self.log_path) as file:
            return file.read()

    def ctl(self, *arguments, stdin=subprocess.DEVNULL, timeout=60):
        return subprocess.run(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.socket, *arguments],
            capture_output=True, text=True, timeout=timeout * SLOW, stdin=stdin, errors="replace")

    def ctl_in(self, folder, *arguments, timeout=60):
        """As ctl, with FOLDER as the current one."""
        return subprocess.run(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.socket, *arguments],
            capture_output=True, text=True, timeout=timeout * SLOW, stdin=subprocess.DEVNULL,
            errors="replace", cwd=folder)

    def json(self, *arguments):
        done = self.ctl(*arguments, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def status(self, name):
        done = self.ctl("status", name, "--json")
        return json.loads(done.stdout).get("tenant")

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(40 * SLOW)

    def close(self):
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class TenantdTest(unittest.TestCase):
    """One daemon for all tests of a class; each test has a folder for its programs."""

    options = ()
    wrapper = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.options, wrapper=cls.wrapper)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tenantd-program-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.show_log_of_failure)

    def show_log_of_failure(self):
        outcome = getattr(self, "_outcome", None)
        result = getattr(outcome, "result", None)
        if result and any(test is self for test, _ in result.failures + result.errors):
            print(f"--- the daemon's log, for {self.id()} ---\n{self.daemon.log()[-4000:]}")

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def policy(self, port=None, name="policy.json", **parts):
        policy = {"version": 1, **parts}
        if port is not None:
            listen = {"listen": [f"127.0.0.1:{port}"]}
            policy["permissions"] = {**policy.get("permissions", {}), "net": listen}
        return self.write(f"../{os.path.basename(self.folder)}-{name}", json.dumps(policy))

    def deploy(self, name, program, *options, port=None, **policy):
        """Deploys PROGRAM (a path) and returns the port. The test's end removes it."""
        if policy and port is None:
            port = 0
        arguments = ["deploy", name, program, *options]
        if port is not None or policy:
            arguments += ["--policy", self.policy(port, **policy)]
        done = self.daemon.ctl(*arguments)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.daemon.log()[-3000:])
        return self.port_of(name)

    def port_of(self, name):
        address = self.daemon.status(name)["listeners"][0]["address"]
        return int(address.rsplit(":", 1)[1])

    def run_script(self, source, *options, arguments=(), name="script.js"):
        path = self.write(name, source)
        return self.daemon.ctl("run", path, *options, *(["--", *arguments] if arguments else []))
