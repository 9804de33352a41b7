"""make bench: tenantd beside its peers, in one run on one machine.

The server is pinned to one core, the client to another. Medians over repeated runs.
Prints a table and writes build/bench/results.json. A peer that cannot be installed or
started is named as missing. See docs/benchmarks.md for what each number is.
"""

import json
import os
import platform
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fleet import bench_fleet  # noqa: E402
from ingress import bench_ingress  # noqa: E402
from lifecycle import bench_lifecycle  # noqa: E402
from peers import (  # noqa: E402
    PATHS, peer_command, peer_program, peer_version, workerd_config)
from runtime import METRICS as RUNTIME_METRICS, bench_runtime  # noqa: E402
from support import (  # noqa: E402
    BUILD, CLIENT_CORE, CORES, LOAD_SECONDS, OUTPUT, QUICK, ROOT, ROUNDS, SERVER_CORE,
    SERVERS, TENANTS, Daemon, available_kb, cpu_seconds, first_response, free_port, free_ports,
    get, growth, load, note, pin, pss_kb, summary, tree)

# ---- the parts ----


def bench_start(peers, results):
    cold, warm = {}, {}
    for name in peers:
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            note(f"cold start: {name}")
            command = peer_command(name, port, folder)
            cold[name] = summary(first_response(port, "--", *command))
    for stock, target in ((0, cold), (4, warm)):
        note(f"{'warm' if stock else 'cold'} start: tenantd")
        daemon = Daemon(stock)
        try:
            port = free_port()
            daemon.deploy("hello", port)
            daemon.ctl("stop", "hello")
            time.sleep(0.5)
            target["tenantd"] = summary(first_response(port, "@" + daemon.socket, "hello"))
        finally:
            daemon.stop()
    results["cold_start_ms"] = cold
    results["warm_start_ms"] = warm


WORKLOADS = (
    ("cpu_us_per_request", "rps_one_core", None),
    ("cpu_us_per_post_json_1k", "rps_post_json_1k", "post.lua"),
    ("cpu_us_per_20_headers", "rps_20_headers", "headers.lua"),
)


def bench_load(peers, results):
    cpu = {w[0]: {} for w in WORKLOADS}
    rps = {w[1]: {} for w in WORKLOADS}
    daemon = Daemon(0)
    running = {}
    folder = tempfile.mkdtemp(prefix="tenantd-bench-")
    try:
        port = free_port()
        daemon.deploy("hello", port)
        running["tenantd"] = (daemon.status("hello")["pid"], port)
        for name in peers:
            port = free_port()
            process = subprocess.Popen(peer_command(name, port, folder), preexec_fn=pin(SERVER_CORE),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running[name] = (process.pid, port)
        for name, (pid, port) in running.items():
            get(port)
        # All servers take turns within a round, so that the machine's moods hit all.
        for cpu_name, rps_name, script in WORKLOADS:
            samples = {name: ([], []) for name in running}
            for round_number in range(ROUNDS):
                note(f"{cpu_name}: round {round_number + 1} of {ROUNDS}")
                for name, (pid, port) in running.items():
                    used, rate = measure_load(pid, port, script)
                    samples[name][0].append(used)
                    samples[name][1].append(rate)
            for name, (used, rates) in samples.items():
                cpu[cpu_name][name] = summary(used)
                rps[rps_name][name] = summary(rates)
    finally:
        for name, (pid, _) in running.items():
            if name != "tenantd":
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)
    results.update(cpu)
    results.update(rps)


def memory_tenantd():
    daemon = Daemon(0)
    try:
        ports = []
        for i in range(TENANTS + 1):
            port = free_port()
            daemon.deploy(f"t{i}", port)
            get(port)
            ports.append(port)
            if i == 0:
                time.sleep(1)
                pss, available = pss_kb(tree(daemon.process.pid)), available_kb()
        time.sleep(1)
        return (growth(pss, pss_kb(tree(daemon.process.pid)), TENANTS),
                growth(available_kb(), available, TENANTS))
    finally:
        daemon.stop()


def memory_workerd(folder):
    """Each further isolate in the one process."""
    sizes = []
    for count in (1, TENANTS + 1):
        ports = free_ports(count)
        available = available_kb()
        process = subprocess.Popen(
            [peer_program("workerd"), "serve", workerd_config(folder, ports)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for port in ports:
                get(port)
            time.sleep(1)
            sizes.append((pss_kb([process.pid]), available - available_kb()))
        finally:
            process.kill()
            process.wait()
            time.sleep(0.5)
    return (growth(sizes[0][0], sizes[1][0], TENANTS), growth(sizes[0][1], sizes[1][1], TENANTS))


def bench_memory(peers, results):
    note(f"memory: {TENANTS} further tenants")
    pss, memory = {}, {}

    def put(name, values):
        for target, value in ((pss, values[0]), (memory, values[1])):
            target[name] = {"median": value, "min": value, "max": value, "runs": 1}

    put("tenantd", memory_tenantd())
    if "workerd" in peers:
        with tempfile.TemporaryDirectory() as folder:
            try:
                put("workerd", memory_workerd(folder))
            except (RuntimeError, OSError) as error:
                note(f"missing: workerd's memory ({error})")
    results["pss_per_tenant_kb"] = pss
    results["memory_per_tenant_kb"] = memory


# ---- calls out of the program ----

CALLS = """
(async () => {
const { readFile } = process.getBuiltinModule('node:fs/promises');
const timed = async (count, call) => {
	const start = performance.now();
	for (let i = 0; i < count; i++) await call();
	return ((performance.now() - start) * 1000) / count;
};
const file = async () => (await readFile(FILE)).length;
const http = async () => (await (await fetch(SERVER)).text()).length;
if ((await file()) !== 1024 || (await http()) !== 11) throw new Error('wrong answers');
await timed(COUNT, file);
await timed(COUNT, http);
console.log(JSON.stringify({ file_read_us: await timed(COUNT, file), fetch_us: await timed(COUNT, http) }));
})();
"""


def connect_for(channel):
    """What tenantd-egress is for confined workers, for the unconfined one (common/egress.h)."""
    while message := channel.recv(65536):
        kind, number, port = struct.unpack_from("=IIH", message)
        if kind != 5:
            continue
        with socket.create_connection((message[16:].decode(), port)) as connection:
            connection.setblocking(False)
            socket.send_fds(channel, [struct.pack("=IIHH16s", 10, number, port, 2, bytes(16))],
                            [connection.fileno()])


def run_unconfined(script):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=connect_for, args=(ours,))
    thread.start()
    command = [os.path.join(BUILD, "fetch_host"), "--egress", str(theirs.fileno()),
               os.path.join(BUILD, "library.snapshot"), script]
    out = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(SERVER_CORE),
                         pass_fds=[theirs.fileno()])
    theirs.close()
    thread.join()
    return out


def run_calls(name, daemon, script, policy):
    if name == "tenantd":
        out = daemon.ctl("run", script, "--policy", policy, check=False)
    elif name == "unconfined":
        out = run_unconfined(script)
    else:
        how = {"deno": ["run", "--allow-net", "--allow-read", "--no-prompt"]}.get(name, [])
        out = subprocess.run([peer_program(name), *how, script],
                             capture_output=True, text=True, preexec_fn=pin(SERVER_CORE))
    if out.returncode != 0:
        raise RuntimeError(f"{name}: {out.stdout}{out.stderr}")
    return json.loads(out.stdout)


def bench_calls(peers, results):
    names = ["tenantd", "unconfined", *(name for name in peers if name != "workerd")]
    samples = {metric: {name: [] for name in names} for metric in ("file_read_us", "fetch_us")}
    folder = tempfile.mkdtemp(prefix="tenantd-bench-")
    server = subprocess.Popen([os.path.join(BUILD, "http_host"), "--floor"], text=True,
                              stdout=subprocess.PIPE, preexec_fn=pin(CLIENT_CORE))
    port = int(server.stdout.readline().split()[1])
    paths = {name: os.path.join(folder, name) for name in ("data", "calls.js", "policy.json")}
    with open(paths["data"], "w") as file:
        file.write("x" * 1024)
    with open(paths["calls.js"], "w") as file:
        file.write(f"const FILE = '{paths['data']}', SERVER = 'http://127.0.0.1:{port}/', "
                   f"COUNT = {1000 if QUICK else 4000};{CALLS}")
    with open(paths["policy.json"], "w") as file:
        json.dump({"version": 1, "permissions": {"fs": {"read": [paths["data"]]},
                   "net": {"connect": [f"127.0.0.1:{port}"]}},
                   "limits": {"memory": "128M", "cpu": "100%"}}, file)
    daemon = Daemon(1)
    try:
        for round_number in range(ROUNDS if QUICK else 5):
            note(f"calls: round {round_number + 1}")
            for name in names:
                got = run_calls(name, daemon, paths["calls.js"], paths["policy.json"])
                for metric, values in samples.items():
                    values[name].append(got[metric])
    finally:
        daemon.stop()
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)
    for metric, values in samples.items():
        results[metric] = {name: summary(list_) for name, list_ in values.items()}


# ---- the report ----

# (metric, the most that tenantd may be of the best peer, or an absolute most)
TARGETS = (
    ("cold_start_ms", "cold_start_ms", 0.4),
    ("warm_start_ms", "cold_start_ms", 0.15),
    ("wake_ms", "cold_start_ms", 0.5),
    ("wake_warm_ms", "cold_start_ms", 0.25),
    ("cpu_us_per_request", "cpu_us_per_request", 1.0),
    ("cpu_us_per_post_json_1k", "cpu_us_per_post_json_1k", 1.0),
    ("cpu_us_per_20_headers", "cpu_us_per_20_headers", 1.0),
)
# (metric, the one way, the other, the most that the first may be of the second)
RATIOS = (
    ("file_read_us", "tenantd", "unconfined", 1.2),
    ("fetch_us", "tenantd", "unconfined", 1.2),
    ("cpu_us_keep_alive", "ingress", "direct", 1.05),
    ("cpu_us_new_connection", "ingress", "direct", 2.0),
)
ABSOLUTE = (
    ("pss_per_tenant_kb", 800),
    ("memory_per_tenant_kb", 1400),
    ("supervisor_pss_per_tenant_kb", 16),
    ("supervisor_idle_cpu_ms_per_s", 2),
    ("supervisor_stopped_cpu_ms_per_s", 0.1),
    ("supervisor_sleeping_cpu_ms_per_s", 0.1),
)
NOT_METRICS = ("versions", "machine", "missing")


def print_table(results, names):
    print(f"{'':32}" + "".join(f"{n:>12}" for n in names) + f"{'of best':>10}{'target':>8}")
    targets = {t[0]: t for t in TARGETS}
    for metric, row in results.items():
        if metric in NOT_METRICS or metric in RUNTIME_METRICS or "tenantd" not in row:
            continue
        line = f"{metric:32}"
        for name in names:
            line += f"{row[name]['median']:>12.2f}" if name in row else f"{'-':>12}"
        if metric in targets:
            _, against, most = targets[metric]
            best = min((v["median"] for n, v in results.get(against, {}).items()
                        if n != "tenantd"), default=None)
            if best:
                line += f"{row['tenantd']['median'] / best:>10.2f}{most:>8.2f}"
        print(line)
    print_ways(results)
    print_runtime(results, names)
    for metric, most in ABSOLUTE:
        if metric in results:
            print(f"{metric}: {results[metric]['tenantd']['median']} (at most {most})")


def print_ways(results):
    """What is compared with another way through tenantd itself."""
    for metric, row in results.items():
        if metric not in NOT_METRICS and "direct" in row:
            print(f"{metric}: {row['ingress']['median']} through ingress, "
                  f"{row['direct']['median']} direct")
    for metric, way, other, most in RATIOS:
        if metric in results:
            row = results[metric]
            ratio = row[way]["median"] / row[other]["median"]
            print(f"{metric}: {way} {ratio:.2f} of {other}'s {row[other]['median']} "
                  f"(at most {most})")


def print_runtime(results, names):
    """The least of the rounds: what else the machine does only adds. The aim: at most the
    peers' median everywhere, and the best in half of the metrics."""
    rows = [(metric, results[metric]) for metric in RUNTIME_METRICS if metric in results]
    behind, best = [], 0
    for metric, row in rows:
        least = {name: value["min"] for name, value in row.items()}
        line = f"{metric:32}" + "".join(
            f"{least[n]:>12.2f}" if n in least else f"{'-':>12}" for n in names)
        peers = [value for name, value in least.items() if name != "tenantd"]
        if peers:
            of_median = least["tenantd"] / statistics.median(peers)
            of_best = least["tenantd"] / min(peers)
            line += f"  {of_median:.2f} of the median, {of_best:.2f} of the best"
            best += of_best <= 1
            if of_median > 1:
                behind.append(metric)
        print(line)
    if rows:
        print(f"runtime: the best in {best} of {len(rows)} (at least {(len(rows) + 1) // 2}); "
              f"behind the median in {len(behind)} (none) {' '.join(behind)}")


def machine():
    model = ""
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"kernel": platform.release(), "cpu": model, "cores": len(CORES),
            "memory_kb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024}


def main():
    versions = {name: peer_version(name) for name in PATHS}
    missing = [name for name, version in versions.items() if version is None]
    peers = [name for name in PATHS if name not in missing]
    for name in missing:
        note(f"missing: {name} (not installed)")
    results = {}
    parts = {"start": bench_start, "load": bench_load, "calls": bench_calls,
             "memory": bench_memory, "lifecycle": bench_lifecycle, "ingress": bench_ingress,
             "fleet": bench_fleet, "runtime": bench_runtime}
    for part in sys.argv[1:] or parts:
        parts[part](peers, results)
    tenantd = subprocess.run([os.path.join(BUILD, "tenantd"), "--version"], capture_output=True,
                             text=True).stdout.strip()
    results["versions"] = {"tenantd": tenantd, **versions}
    results["machine"] = machine()
    results["missing"] = missing
    os.makedirs(os.path.dirname(OUTPUT), exist_ok=True)
    with open(OUTPUT, "w") as file:
        json.dump(results, file, indent=2)
    print_table(results, ["tenantd", *peers])
    print(f"written to {os.path.relpath(OUTPUT, ROOT)}")


if __name__ == "__main__":
    main()
