"""How long it takes until something new answers: a deployment, a restart, a crash, a tenant
that sleeps."""

import json
import os
import signal
import socket
import subprocess
import time

from support import BUILD, CLIENT_CORE, QUICK, Daemon, free_port, note, pin, summary

RUNS = 5 if QUICK else 20
POLL_SECONDS = 0.0005
DEADLINE_SECONDS = 20

# Tells which release and which process answers.
PROGRAM = """const born = performance.timeOrigin;
export default {{ fetch: () => new Response(`{release} ${{born}}`) }};
"""


def program(daemon, release, manifest):
    folder = os.path.join(daemon.folder, f"program-{release}")
    os.makedirs(folder)
    with open(os.path.join(folder, "index.js"), "w") as file:
        file.write(PROGRAM.format(release=release))
    with open(os.path.join(folder, "tenant.json"), "w") as file:
        json.dump(manifest, file)
    return folder


def ask(port):
    """Release and birth of whoever answers on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer.rpartition(b"\r\n\r\n")[2].decode().split()


def until(port, wanted):
    """Asks until WANTED is true of the answer; the time of that, in seconds."""
    deadline = time.perf_counter() + DEADLINE_SECONDS
    while time.perf_counter() < deadline:
        answer = ask(port)
        if wanted(answer):
            return time.perf_counter()
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"nothing new answers on port {port}")


def command(daemon, *arguments):
    return subprocess.Popen([os.path.join(BUILD, "tenantctl"), "--socket", daemon.socket,
                             *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process):
    error = process.stderr.read()
    if process.wait() != 0:
        raise RuntimeError(error.decode())


def measure_deploy(daemon, port):
    times = []
    for run in range(RUNS):
        release = f"r{run}"
        folder = program(daemon, release, {})
        time.sleep(0.2)
        start = time.perf_counter()
        process = command(daemon, "deploy", "hello", folder)
        times.append((until(port, lambda answer: answer[0] == release) - start) * 1000)
        finish(process)
    return summary(times)


def measure_restart(daemon, port):
    times = []
    for _ in range(RUNS):
        before = ask(port)[1]
        time.sleep(0.2)
        start = time.perf_counter()
        process = command(daemon, "restart", "hello")
        times.append((until(port, lambda answer: answer[1] != before) - start) * 1000)
        finish(process)
    return summary(times)


def measure_crash(daemon, port):
    """kill -9; the delay, which is random, is not counted."""
    times = []
    for _ in range(RUNS):
        before = ask(port)[1]
        daemon.ctl("reset", "hello")
        pid = daemon.status("hello")["pid"]
        time.sleep(0.2)
        start = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        # The first connection may still be in the queue of the one that is killed.
        end = None
        while end is None:
            try:
                end = until(port, lambda answer: bool(answer) and answer[1] != before)
            except OSError:
                pass
        spent = (end - start) * 1000
        lines = [line for line in daemon.log_text().split("\n") if "event=backoff" in line]
        delay = next(int(part[3:]) for part in lines[-1].split() if part.startswith("ms="))
        times.append(spent - delay)
    return summary(times)


def measure_wake(warm):
    daemon = Daemon(warm)
    times = []
    try:
        port = free_port()
        daemon.deploy("hello", port, program(daemon, "sleeps", {"idle": "stop after 1s"}))
        for _ in range(RUNS):
            deadline = time.monotonic() + DEADLINE_SECONDS
            while daemon.status("hello")["state"] != "idle":
                if time.monotonic() > deadline:
                    raise RuntimeError("it does not fall asleep: " + daemon.log_text())
                time.sleep(0.1)
            time.sleep(0.2)  # for the stock to be filled again
            start = time.perf_counter()
            ask(port)
            times.append((time.perf_counter() - start) * 1000)
    finally:
        daemon.stop()
    return summary(times)


def bench_lifecycle(peers, results):
    os.sched_setaffinity(0, {CLIENT_CORE})
    for warm in (0, 2):
        suffix = "_warm_ms" if warm else "_ms"
        daemon = Daemon(warm)
        try:
            port = free_port()
            daemon.deploy("hello", port, program(daemon, "first", {}))
            note(f"deploy to live, restart, crash: --warm {warm}")
            results["deploy" + suffix] = {"tenantd": measure_deploy(daemon, port)}
            results["restart" + suffix] = {"tenantd": measure_restart(daemon, port)}
            results["crash" + suffix] = {"tenantd": measure_crash(daemon, port)}
        finally:
            daemon.stop()
    for warm in (0, 2):
        note(f"wake from zero: --warm {warm}")
        results["wake_warm_ms" if warm else "wake_ms"] = {"tenantd": measure_wake(warm)}
