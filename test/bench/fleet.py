"""What many tenants cost the supervisor: memory and CPU time while nothing happens, the start
of all of them with the daemon, what one verb or deployment costs among them."""

import json
import os
import resource
import time

from support import (
    QUICK, SERVERS, Daemon, cpu_ms, get, growth, note, pss_kb, rss_kb, summary)

TENANTS = int(os.environ.get("BENCH_FLEET", 50 if QUICK else 500))
IDLE_SECONDS = 3 if QUICK else 10
LISTS = 10
DEPLOYS = 10 if QUICK else 100


def one(value):
    value = round(value, 3)
    return {"tenantd": {"median": value, "min": value, "max": value, "runs": 1}}


def program(daemon, name, manifest, text=""):
    folder = os.path.join(daemon.folder, name)
    os.makedirs(folder)
    with open(os.path.join(SERVERS, "tenantd.js")) as file:
        source = file.read()
    with open(os.path.join(folder, "index.js"), "w") as file:
        file.write(f"// {text}\n{source}")
    with open(os.path.join(folder, "tenant.json"), "w") as file:
        json.dump(manifest, file)
    return folder


def counts(daemon):
    states = {}
    for tenant in json.loads(daemon.ctl("list", "--json").stdout)["tenants"]:
        states[tenant["state"]] = states.get(tenant["state"], 0) + 1
    return states


def await_state(daemon, state, seconds=60):
    deadline = time.monotonic() + seconds
    while counts(daemon).get(state, 0) < TENANTS + 1:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all are {state}: {counts(daemon)}")
        time.sleep(0.1)


def idle_cpu(daemon):
    """Milliseconds of CPU time a second, while nothing happens."""
    time.sleep(2)
    before = cpu_ms(daemon.process.pid)
    time.sleep(IDLE_SECONDS)
    return (cpu_ms(daemon.process.pid) - before) / IDLE_SECONDS


def deploy_all(daemon, folder, first, last):
    for i in range(first, last):
        daemon.deploy(f"t{i}", 0, folder)


def timed(daemon, call):
    """Wall-clock and the supervisor's CPU time of CALL, in milliseconds."""
    used, start = cpu_ms(daemon.process.pid), time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000, cpu_ms(daemon.process.pid) - used


def measure_verbs(daemon, results):
    lists = [timed(daemon, lambda: daemon.ctl("list")) for _ in range(LISTS)]
    results["list_ms"] = {"tenantd": summary([wall for wall, _ in lists])}
    results["list_cpu_ms"] = {"tenantd": summary([cpu for _, cpu in lists])}
    deploys = []
    for i in range(DEPLOYS):
        folder = program(daemon, f"again-{i}", {}, f"release {i}")
        tenant = f"t{i * 7 % TENANTS}"
        deploys.append(timed(daemon, lambda: daemon.ctl("deploy", tenant, folder)))
    results["deploy_among_ms"] = {"tenantd": summary([wall for wall, _ in deploys])}
    results["deploy_among_cpu_ms"] = {"tenantd": summary([cpu for _, cpu in deploys])}


def measure_start(daemon, results):
    """All of them with the daemon: until it says that it is ready, and until all serve."""
    start = time.perf_counter()
    daemon.end()
    results["fleet_end_ms"] = one((time.perf_counter() - start) * 1000)
    start = time.perf_counter()
    daemon.start()
    results["fleet_ready_ms"] = one((time.perf_counter() - start) * 1000)
    await_state(daemon, "running")
    results["fleet_start_ms"] = one((time.perf_counter() - start) * 1000)
    results["fleet_start_cpu_ms"] = one(cpu_ms(daemon.process.pid))


def bench_running(results):
    daemon = Daemon(0)
    try:
        folder = program(daemon, "program", {})
        deploy_all(daemon, folder, 0, 1)
        time.sleep(1)
        few = pss_kb([daemon.process.pid])
        note(f"{TENANTS} further tenants that run")
        deploy_all(daemon, folder, 1, TENANTS + 1)
        get(daemon.port("t1"))
        results["supervisor_idle_cpu_ms_per_s"] = one(idle_cpu(daemon))
        many = pss_kb([daemon.process.pid])
        results["supervisor_rss_kb"] = one(rss_kb(daemon.process.pid))
        results["supervisor_pss_kb"] = one(many)
        results["supervisor_pss_per_tenant_kb"] = one(growth(few, many, TENANTS))
        note("list, and deployments among them")
        measure_verbs(daemon, results)
        note("the daemon ends, and starts with them")
        measure_start(daemon, results)
        results["supervisor_pss_started_kb"] = one(pss_kb([daemon.process.pid]))
        for i in range(TENANTS + 1):
            daemon.ctl("stop", f"t{i}")
        results["supervisor_stopped_cpu_ms_per_s"] = one(idle_cpu(daemon))
        results["supervisor_stopped_pss_kb"] = one(pss_kb([daemon.process.pid]))
    finally:
        daemon.stop()


def bench_sleeping(results):
    note(f"{TENANTS} further tenants that sleep")
    daemon = Daemon(0)
    try:
        folder = program(daemon, "program", {"idle": "stop after 1s"})
        deploy_all(daemon, folder, 0, TENANTS + 1)
        await_state(daemon, "idle")
        results["supervisor_sleeping_cpu_ms_per_s"] = one(idle_cpu(daemon))
        results["supervisor_sleeping_pss_kb"] = one(pss_kb([daemon.process.pid]))
    finally:
        daemon.stop()


def bench_fleet(peers, results):
    # What the daemon inherits: its service has LimitNOFILE.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bench_running(results)
    bench_sleeping(results)
