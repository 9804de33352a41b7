"""The image in podman: a store of its own below build/container, runc, no network of podman's.

podman and runc are the host's packages: the userland has no cgroups and no mounts of its own.
"""

import json
import os
import resource
import shutil
import subprocess
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "build", "container")
IMAGE_FILE = os.environ.get("TENANTD_IMAGE", os.path.join(ROOT, "build", "image", "tenantd.tar"))
STORE = ["--root", os.path.join(FOLDER, "root"), "--runroot", os.path.join(FOLDER, "run"),
         "--storage-driver", "vfs", "--runtime", "runc", "--cgroup-manager", "cgroupfs",
         "--events-backend", "file"]


def podman(*arguments, check=False, timeout=120, input=None):
    done = subprocess.run(["podman", *STORE, *arguments], capture_output=True, text=True,
                          timeout=timeout, errors="replace", input=input)
    if check and done.returncode != 0:
        raise AssertionError(f"podman {arguments[0]}: {done.stderr}")
    return done


def limits():
    """podman asks for more than a host may have to give."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = min(8192, resource.getrlimit(resource.RLIMIT_NPROC)[1])
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def read(path):
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return file.read()


def remove_all():
    podman("rm", "--all", "--force", "--time", "0")


class ContainerTest(unittest.TestCase):
    """Each test class has a folder, /src in its containers."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("podman") or not shutil.which("runc"):
            raise unittest.SkipTest("podman and runc are not here and cannot be installed")
        if not os.path.exists(IMAGE_FILE):
            raise unittest.SkipTest(f"no image: tools/image makes {IMAGE_FILE}")
        os.makedirs(FOLDER, exist_ok=True)
        remove_all()
        # Loaded once for a whole run, and again when it was made anew.
        stamp = os.path.join(FOLDER, "loaded")
        made = f"{os.stat(IMAGE_FILE).st_mtime_ns}"
        if read(stamp) != made:
            podman("load", "--input", IMAGE_FILE, check=True)
            with open(stamp, "w") as file:
                file.write(made)
        cls.image = podman("images", "--format", "{{.Repository}}:{{.Tag}}", "localhost/tenantd",
                           check=True).stdout.split()[0]
        cls.src = os.path.join(FOLDER, "src", cls.__name__)
        shutil.rmtree(cls.src, ignore_errors=True)
        os.makedirs(cls.src)

    @classmethod
    def tearDownClass(cls):
        remove_all()
        shutil.rmtree(cls.src, ignore_errors=True)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.src, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def options(self, *more):
        return ["--pull=never", *limits(), "--network", "none", "--volume",
                f"{self.src}:/src:ro", *more]

    def run_image(self, *arguments, options=()):
        """podman run: the whole life of a container."""
        return podman("run", "--rm", *self.options(*options), self.image, *arguments)

    def start(self, *arguments, options=(), until="up"):
        """A container that goes on; returns its id, when its log says UNTIL."""
        made = podman("run", "--detach", *self.options(*options), self.image, *arguments,
                      check=True).stdout.strip()
        self.addCleanup(podman, "rm", "--force", "--time", "0", made)
        self.wait_log(made, until)
        return made

    def wait_log(self, container, text, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done = podman("logs", container)
            if text in done.stdout + done.stderr:
                return done.stdout
            if self.inspect(container)["State"]["Status"] == "exited":
                break
            time.sleep(0.1)
        raise AssertionError(f"no {text!r} in the log:\n{done.stdout}{done.stderr}")

    def inspect(self, container):
        return json.loads(podman("inspect", container, check=True).stdout)[0]

    def wait(self, container, seconds=30):
        return int(podman("wait", container, timeout=seconds, check=True).stdout)
