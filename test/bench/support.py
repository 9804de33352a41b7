"""What the parts of make bench share: a tenantd of their own, clients, and counters of the
kernel."""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("TENANTD_BUILD", os.path.join(ROOT, "build", "release"))
PEERS = os.path.join(ROOT, "build", "bench", "peers", "node_modules")
SERVERS = os.path.join(HERE, "servers")
OUTPUT = os.path.join(ROOT, "build", "bench", "results.json")

QUICK = os.environ.get("BENCH_QUICK") == "1"
COLD_RUNS = 10 if QUICK else 30
ROUNDS = 1 if QUICK else 3
LOAD_SECONDS = 2 if QUICK else 4
TENANTS = 20 if QUICK else 200
CONNECTIONS = 32

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[1 % len(CORES)]
TICKS = os.sysconf("SC_CLK_TCK")


def note(text):
    print(text, file=sys.stderr, flush=True)


def pin(core):
    return lambda: os.sched_setaffinity(0, {core})


# ---- tenantd ----


class Daemon:
    def __init__(self, warm, *options):
        self.folder = tempfile.mkdtemp(prefix="tenantd-bench-")
        self.socket = os.path.join(self.folder, "control.sock")
        self.log = open(os.path.join(self.folder, "log"), "w")
        self.options = ["--warm", str(warm), *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tenantd"), "--state", os.path.join(self.folder, "state"),
             "--policy-dir", os.path.join(self.folder, "policy.d"), "--socket", self.socket,
             *self.options],
            stdout=self.log, stderr=self.log, preexec_fn=pin(SERVER_CORE))
        for _ in range(2000):
            if os.path.exists(self.socket) and self.ctl("list", check=False).returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("tenantd did not start: " + self.log_text())

    def log_text(self):
        with open(self.log.name) as file:
            return file.read()

    def ctl(self, *arguments, check=True):
        return subprocess.run(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.socket, *arguments],
            capture_output=True, text=True, check=check)

    def policy(self, port, sites=()):
        path = os.path.join(self.folder, f"policy-{port}.json")
        net = {"listen": [f"127.0.0.1:{port}"], **({"ingress": list(sites)} if sites else {})}
        with open(path, "w") as file:
            json.dump({"version": 1, "permissions": {"net": net},
                       "limits": {"memory": "128M", "cpu": "100%"}}, file)
        return path

    def deploy(self, name, port, program=os.path.join(SERVERS, "tenantd.js"), sites=()):
        done = self.ctl("deploy", name, program, "--policy", self.policy(port, sites), check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)

    def port(self, name):
        return int(self.status(name)["listeners"][0]["address"].rsplit(":", 1)[1])

    def status(self, name):
        return json.loads(self.ctl("status", name, "--json").stdout)["tenant"]

    def end(self):
        """Ends it, and leaves its state."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.end()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- measuring ----


def free_ports(count):
    """All different: each is held until the last is found."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def free_port():
    return free_ports(1)[0]


def summary(values):
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3),
            "max": round(max(values), 3), "runs": len(values)}


def first_response(port, *how):
    program = os.path.join(BUILD, "first_response")
    out = subprocess.run([program, str(COLD_RUNS), str(port), *how], capture_output=True,
                         text=True, preexec_fn=pin(CLIENT_CORE),
                         env={**os.environ, "SERVER_CORE": str(SERVER_CORE)})
    if out.returncode != 0:
        raise RuntimeError(out.stderr)
    return [float(line) for line in out.stdout.split()]


def get(port, path="/", tries=400):
    for _ in range(tries):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                                   .encode())
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
                return answer
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing answers on port {port}")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_exact(pid):
    """Of all of the process's threads, of those that ended, too (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


def cpu_ms(pid):
    """Of the process's first thread, exactly; the supervisor has no other."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e6


def load(port, script, seconds, *options, path="/"):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options,
               f"http://127.0.0.1:{port}{path}"]
    if script:
        command[1:1] = ["-s", os.path.join(SERVERS, script)]
    out = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(CLIENT_CORE))
    requests = seconds_run = 0
    for line in out.stdout.split("\n"):
        if " requests in " in line:
            parts = line.split()
            requests = int(parts[0])
            text = parts[3].rstrip(",")
            seconds_run = float(text[:-1]) if text.endswith("s") else float(text[:-1]) * 60
        if "Non-2xx" in line or ("Socket errors" in line and not line.strip().endswith(
                "connect 0, read 0, write 0, timeout 0")):
            raise RuntimeError(f"wrk on port {port}: {line.strip()}")
    if requests == 0:
        raise RuntimeError(f"wrk on port {port}: no requests: {out.stdout}{out.stderr}")
    return requests, seconds_run


def measure_load(pid, port, script):
    load(port, script, 1)  # let the compilers do their work
    before = cpu_seconds(pid)
    requests, seconds = load(port, script, LOAD_SECONDS)
    used = cpu_seconds(pid) - before
    return used / requests * 1e6, requests / seconds


def pss_kb(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def rss_kb(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def available_kb():
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1])


def tree(pid):
    """PID and everything below it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry))
            except OSError:
                pass
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        queue.extend(children.get(current, []))
    return found


def growth(few, many, count):
    return round((many - few) / count, 1)
