"""What the tests of the installed package share: there is one service, the machine's own."""

import glob
import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
UNIT = "tenantd.service"
PORT = 8081  # of the tenant that must come through everything
POLICIES = "/etc/tenantd/policy.d"


def run(*command, timeout=240, **more):
    return subprocess.run(command, capture_output=True, text=True, errors="replace",
                          timeout=timeout, stdin=subprocess.DEVNULL, **more)


def show(name, unit=UNIT):
    return run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()


def package():
    return sorted(glob.glob(os.path.join(ROOT, "build", "tenantd_*.deb")))[-1]


def wait_until(condition, seconds=60, what="the condition"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def ask(port=PORT, host="localhost", timeout=120):
    """One request on a connection of its own: the body. A refused one raises."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), data
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    assert len(body) == length, data
    return body.decode()


def ctl(*arguments):
    return run("tenantctl", *arguments)


def status(name):
    return json.loads(ctl("status", name, "--json").stdout)["tenant"]


def journal(*matches):
    """The entries of this boot."""
    run("journalctl", "--sync")
    done = run("journalctl", "-b", "-o", "json", "--all", *matches)
    return [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]


class MachineTest(unittest.TestCase):
    def succeed(self, *command):
        done = run(*command)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}" + run(
            "journalctl", "-b", "-u", UNIT, "-n", "30", "--no-pager").stdout)
        return done.stdout

    def deploy(self, name, source, **policy):
        folder = tempfile.mkdtemp()
        with open(os.path.join(folder, "main.js"), "w") as file:
            file.write(source)
        with open(os.path.join(folder, "policy.json"), "w") as file:
            json.dump({"version": 1, **policy}, file)
        return self.succeed("tenantctl", "deploy", name, os.path.join(folder, "main.js"),
                            "--policy", os.path.join(folder, "policy.json"))
