"""tools/bench runtime: what programs do all day, CPU time of the server's process, all of its
threads, on one core. Loops count themselves (servers/runtime.js); what is HTTP comes from
wrk."""

import os
import signal
import subprocess
import tempfile
import time

from peers import peer_command, peer_program, run_command, workerd_config
from support import (COLD_RUNS, QUICK, SERVERS, SERVER_CORE, Daemon, cpu_exact, first_response,
                     free_port, get, load, note, pin, summary)

# metric, how often in one request
LOOPS = (
    ("parse_url", 20000),
    ("sha256_1k", 5000),
    ("decode_ascii_64k", 2000),
    ("decode_utf8_64k", 1000),
    ("timers_10k", 5),
    ("structured_clone", 500),
)
# metric, path, script of wrk
REQUESTS = (
    ("json_echo", "/json", "post.lua"),
    ("template_10k", "/page", None),
    ("upload_1m", "/upload", "upload.lua"),
    ("download_1m", "/download", None),
)
METRICS = [f"{name}_us" for name, *_ in (*LOOPS, *REQUESTS)] + ["bundle_3m_start_ms"]
ROUNDS = 3 if QUICK else 7
SECONDS = 1 if QUICK else 3


def measure_loop(pid, port, name, count):
    before = cpu_exact(pid)
    answer = get(port, f"/{name}?n={count}")
    used = cpu_exact(pid) - before
    if b"200 OK" not in answer:
        raise RuntimeError(f"{name}: {answer[:300]}")
    return used / count * 1e6


def measure_requests(pid, port, path, script):
    before = cpu_exact(pid)
    requests, _ = load(port, script, SECONDS, "--connections", "8", path=path)
    return (cpu_exact(pid) - before) / requests * 1e6


def measure_all(running, results):
    """All take turns within a round, so that the machine's moods hit all; a round before them
    lets the compilers do their work."""
    jobs = [(f"{name}_us", measure_loop, (name, count)) for name, count in LOOPS]
    jobs += [(f"{name}_us", measure_requests, (path, script)) for name, path, script in REQUESTS]
    for metric, measure, arguments in jobs:
        samples = {name: [] for name in running}
        note(metric)
        for turn in range(ROUNDS + 1):
            for name, (pid, port) in running.items():
                used = measure(pid, port, *arguments)
                if turn > 0:
                    samples[name].append(used)
        results[metric] = {name: summary(used) for name, used in samples.items()}


def bench_servers(peers, results):
    daemon = Daemon(0)
    running = {}
    with tempfile.TemporaryDirectory(prefix="tenantd-bench-") as folder:
        try:
            port = free_port()
            daemon.deploy("runtime", port, os.path.join(SERVERS, "runtime.js"))
            running["tenantd"] = (daemon.status("runtime")["pid"], port)
            for name in peers:
                port = free_port()
                process = subprocess.Popen(
                    peer_command(name, port, folder, "runtime.js"), preexec_fn=pin(SERVER_CORE),
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                running[name] = (process.pid, port)
            for pid, port in running.values():
                get(port)
            measure_all(running, results)
        finally:
            for name, (pid, _) in running.items():
                if name != "tenantd":
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
            daemon.stop()


# ---- a large bundle ----

BUNDLE_BYTES = 3 << 20
PART = """const part%(i)d = (() => {
	class Model%(i)d {
		constructor(options) {
			this.name = options.name ?? 'model %(i)d';
			this.values = new Map();
		}
		get(key, fallback) {
			const found = this.values.get(key);
			return found === undefined ? fallback : found;
		}
		set(key, value) {
			if (typeof key !== 'string') throw new TypeError('key %(i)d is no string');
			this.values.set(key, value);
			return this;
		}
		validate(input) {
			const errors = [];
			for (const [key, rule] of Object.entries(input.rules ?? {}))
				if (rule.required && !(key in input.data)) errors.push({ key, reason: 'missing %(i)d' });
			return errors.length === 0 ? { ok: true } : { ok: false, errors };
		}
	}
	function render%(i)d(model, options = {}) {
		let text = options.prefix ?? '';
		for (const [key, value] of model.values) text += `${key}=${value};`;
		return text + '%(text)s';
	}
	return { Model%(i)d, render%(i)d, version: '1.%(i)d.0', defaults: { depth: %(i)d, strict: true } };
})();
"""
TAILS = {
    "tenantd": "export default { fetch: handle };\n",
    "workerd": "export default { fetch: handle };\n",
    "bun": "Bun.serve({ port: Number(process.argv[2]), hostname: '127.0.0.1', fetch: handle });\n",
    "deno": "Deno.serve({ port: Number(Deno.args[0]), hostname: '127.0.0.1', onListen() {} }, "
            "handle);\n",
    "node": "import { createServer } from 'node:http';\ncreateServer((request, response) => "
            "response.end(text())).listen(Number(process.argv[2]), '127.0.0.1');\n",
}


def write_bundle(folder, name):
    parts, size = [], 0
    while size < BUNDLE_BYTES:
        i = len(parts)
        parts.append(PART % {"i": i, "text": f"text of part {i}, which is some words long"})
        size += len(parts[-1])
    used = ", ".join(f"part{i}" for i in range(len(parts)))
    path = os.path.join(folder, f"bundle-{name}.mjs")
    with open(path, "w") as file:
        file.write("".join(parts))
        file.write(f"const parts = [{used}];\nconst text = () => `Hello World ${{parts.length}}`;\n"
                   "const handle = () => new Response(text());\n" + TAILS[name])
    return path


def bench_bundle(peers, results):
    row = {}
    with tempfile.TemporaryDirectory(prefix="tenantd-bench-") as folder:
        for name in peers:
            note(f"bundle: {name}")
            port = free_port()
            program = write_bundle(folder, name)
            command = run_command(name, program, port)
            if name == "workerd":
                command = [peer_program(name), "serve", workerd_config(folder, [port], program)]
            first_response(port, "--", *command)  # who keeps compiled code may
            row[name] = summary(first_response(port, "--", *command))
        note("bundle: tenantd")
        daemon = Daemon(0)
        try:
            port = free_port()
            daemon.deploy("bundle", port, write_bundle(folder, "tenantd"))
            daemon.ctl("stop", "bundle")
            time.sleep(0.5)
            row["tenantd"] = summary(first_response(port, "@" + daemon.socket, "bundle"))
        finally:
            daemon.stop()
    results["bundle_3m_start_ms"] = row


def bench_runtime(peers, results):
    bench_servers(peers, results)
    bench_bundle(peers, results)
