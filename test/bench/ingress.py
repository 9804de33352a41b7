"""Through the ports that tenants share, beside straight to a listener: requests a second, and
the CPU time of tenantd-ingress and the worker together for each request."""

from support import (
    LOAD_SECONDS, ROUNDS, Daemon, cpu_ms, free_ports, get, load, note, summary, tree)

SITE = "bench.test"
# wrk's options: on connections that are kept, and with one for each request.
KINDS = (("keep_alive", ()), ("new_connection", ("-H", "Connection: close")))


def name_of(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def measure(pids, port, options):
    options = ("-H", f"Host: {SITE}", *options)
    load(port, None, 1, *options)
    before = sum(cpu_ms(pid) for pid in pids)
    requests, seconds = load(port, None, LOAD_SECONDS, *options)
    used = sum(cpu_ms(pid) for pid in pids) - before
    return used / requests * 1000, requests / seconds


def bench_ingress(peers, results):
    direct, shared = free_ports(2)
    daemon = Daemon(0, "--http", f"127.0.0.1:{shared}")
    try:
        daemon.deploy("hello", direct, sites=[SITE])
        get(direct)
        worker = daemon.status("hello")["pid"]
        # The supervisor passes nothing, and is counted so that it shows if it does.
        pids = [daemon.process.pid, worker, *(
            pid for pid in tree(daemon.process.pid) if name_of(pid) == "tenantd-ingress")]
        if len(pids) != 3:
            raise RuntimeError("no tenantd-ingress: " + daemon.log_text())
        for kind, options in KINDS:
            samples = {"direct": ([], []), "ingress": ([], [])}
            for round_number in range(ROUNDS):
                note(f"ingress, {kind}: round {round_number + 1} of {ROUNDS}")
                for way, port in (("direct", direct), ("ingress", shared)):
                    used, rate = measure(pids, port, options)
                    samples[way][0].append(used)
                    samples[way][1].append(rate)
            for index, metric in ((0, f"cpu_us_{kind}"), (1, f"rps_{kind}")):
                results[metric] = {way: summary(both[index]) for way, both in samples.items()}
    finally:
        daemon.stop()
