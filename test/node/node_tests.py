"""Runs Node's own tests, as they come with Debian's nodejs source package:

    node_tests.py [--build FOLDER] [--update] [--verbose] [--quick] [--show] [FILTER...]

Each file of test/parallel that belongs to a module below is a program of its own in a real,
confined worker of a real daemon (`tenantctl run`), with Node's test/common beside it. FILTER: a
module, or a part of a file's name. --quick runs the modules of QUICK only (`make test` does).

test/node/status/MODULE.json lists every file of a module:

    {}                 it passes
    {"fail": REASON}   it fails; a file that passes fails the run
    {"out": REASON}    it is not run, since it does not apply: a rule of this file says so
                       (out_by_rule), or somebody has written it there as {"skip": REASON}

--update writes what happened, keeping reasons. New failures get the reason "?", which fails the
run until somebody has explained it. A run of everything compares the table in
docs/conformance.md; --update writes it.
"""

import argparse
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "test", "node")
SUITE = os.path.join(ROOT, "build", "node-source", "test")
DOCUMENT = os.path.join(ROOT, "docs", "conformance.md")
sys.path.insert(0, os.path.join(ROOT, "test", "integration"))

# A file belongs to the first module whose pattern its name has, without "test-" and the ending.
MODULES = {
    "assert": r"assert",
    "async_hooks": r"async-|als-|asynclocal|asyncresource|emit-after",
    "buffer": r"buffer|blob|icu-transcode|atob|btoa|slowbuffer",
    "child_process": r"child-process",
    "console": r"console",
    "crypto": r"crypto|webcrypto|x509|webauthn",
    "diagnostics_channel": r"diagnostics-channel",
    "dns": r"dns",
    "events": r"event|events",
    "fs": r"fs-|filehandle|file-",
    "http": r"http-|outgoing-message|set-http-max",
    "https": r"https",
    "module": r"module|require-|esm-|cjs|modules|import-",
    "net": r"net-|tcp|socket|blocklist|listen",
    "os": r"os",
    "path": r"path",
    "perf_hooks": r"perf|performance",
    "process": r"process|next-tick|exit|unhandled|promise|signal|uncaught|cwd|warn|emit-warning|microtask|nexttick",
    "querystring": r"querystring",
    "readline": r"readline",
    "sqlite": r"sqlite",
    "stream": r"stream-|stream2|stream3|streams|readable|writable|pipe-|stdin|stdout|stdio|fastutf8stream",
    "stream/web": r"whatwg-(?:readable|writable|transform|webstreams|byte)|webstream|compression",
    "string_decoder": r"string-decoder",
    "test": r"runner|test-runner",
    "timers": r"timers|timer|set-(?:timeout|immediate)|clear",
    "tls": r"tls",
    "url": r"url|whatwg-url|urlpattern",
    "util": r"util|inspect(?!or)|primordials|parse-args|mime|styletext",
    "v8": r"v8",
    "vm": r"vm",
    "web": r"whatwg|fetch|abortcontroller|abortsignal|global|structuredclone|messag|broadcast|websocket|webstorage|eventsource|domexception|queue-microtask|navigator",
    "worker_threads": r"worker",
    "zlib": r"zlib",
}
# What runs within a minute and covers what programs use most.
QUICK = ("assert", "async_hooks", "buffer", "diagnostics_channel", "events", "path", "querystring",
         "string_decoder", "timers", "url", "util")

# Node's options that change nothing for a test here.
HARMLESS = {"--no-warnings", "--no-deprecation", "--experimental-eventsource",
            "--experimental-websocket", "--experimental-sqlite", "--no-use-system-ca"}
# What there is nothing of here (docs/runtime.md), by what a test requires.
ABSENT = ("cluster", "dgram", "domain", "http2", "inspector", "inspector/promises", "quic", "repl", "sea",
          "trace_events", "vm", "wasi")
RULES = (
    (r"process\.execPath|\bfork\(|spawnPromisified|childShouldThrowAndAbort|process\.argv\[0\]|"
     r"assertProcessExits|spawnSyncAndExit|spawnSyncAndAssert|common/child_process|assertSnapshot",
     "starts node itself as a child process"),
    (r"internalBinding|process\.binding\(|internal/test|require\('internal/", "looks into Node's insides"),
    (r"require\((?:'|\")(?:node:)?(?:%s)(?:'|\")\)|from '(?:node:)?(?:%s)'" % (("|".join(ABSENT),) * 2),
     "needs a module that is not here (docs/runtime.md)"),
    (r"global\.gc|globalThis\.gc|common/gc|\bgc\(\)", "needs the garbage collector of --expose-gc"),
    (r"common/internet|common/udp|common/repl|common/debugger|common/inspector|common/heap|common/report|"
     r"common/snapshot|common/wasi|common/cpu-prof|common/prof|common/watch|common/sea",
     "needs a helper for what is not here"),
    (r"common\.PIPE|listen\((?:\{ )?path|\.sock\b|unix-socket|abstract-socket",
     "listens on a unix socket of a name of its own: listeners are the policy's"),
    (r"createHook|executionAsyncId|triggerAsyncId|executionAsyncResource",
     "needs async_hooks for promises, timers or handles (docs/runtime.md)"),
    (r"opensslCli|openssl-cli", "runs OpenSSL's program"),
    (r"setFlagsFromString|allow-natives-syntax", "changes V8's flags, which all tenants share"),
    (r"addons|process\.dlopen|/build/|common\.buildType", "needs a native addon"),
)
UNEXPLAINED = "?"
SECONDS = 20
LANES = 3


# ---- which files there are ----

class File:
    def __init__(self, module, name):
        self.module, self.name = module, name
        with open(os.path.join(SUITE, "parallel", name), encoding="utf-8", errors="replace") as file:
            self.text = file.read()
        self.code, self.output, self.seconds = None, "", 0

    def passed(self):
        return self.code == 0

    def skipped_itself(self):
        return self.passed() and re.search(r"^1\.\.0 # Skipped: ", self.output, re.M)


def module_of(name):
    stem = re.sub(r"\.(?:m?js|cjs)$", "", name)[len("test-"):]
    for module, pattern in MODULES.items():
        if module == "web" or not re.match(f"(?:{pattern})", stem):
            continue
        if module == "url" or not re.match("whatwg-url", stem):
            return module
    return "web" if re.match(f"(?:{MODULES['web']})", stem) else None


def files_by_module():
    found = {module: [] for module in MODULES}
    for name in sorted(os.listdir(os.path.join(SUITE, "parallel"))):
        module = module_of(name) if re.match(r"test-.*\.m?js$", name) else None
        if module:
            found[module].append(File(module, name))
    return found


def out_by_rule(file):
    """Why a file is not run, or None."""
    flags = re.search(r"^// Flags:(.*)$", file.text, re.M)
    for flag in flags[1].split() if flags else ():
        if flag not in HARMLESS:
            return f"needs node's option {flag}"
    for pattern, reason in RULES:
        if re.search(pattern, file.text):
            return reason
    return None


# ---- running ----

FIXTURES_OF_PROGRAM = re.compile(
    r"(?:require|import|Worker|createRequire)\(\s*(?:fixtures|path\.|`|'\.\./fixtures|new URL)|from '\.\./fixtures|"
    r"fixtures/(?:es-mod|mod|node_mod)|pathToFileURL\(fix")
# Of a test that loads them as modules: they lie in the release. The others read them where they are.
LEFT_OF_FIXTURES = ("wpt", "source-map", "test-runner", "wasi", "snapshot", "v8", "postject-copy",
                    "tz-version.txt", "icu", "permission", "typescript")


def left_of_fixtures(place, names):
    if place == os.path.join(SUITE, "fixtures"):
        return LEFT_OF_FIXTURES
    # They would be turned into JavaScript first.
    return [name for name in names if name.endswith((".ts", ".tsx", ".mts", ".cts", ".jsx"))]


class Lane:
    """Releases for one test at a time."""

    def __init__(self, daemon, folder):
        self.daemon, self.folder = daemon, folder
        for kind in ("plain", "modules"):
            test = os.path.join(folder, kind, "test")
            shutil.copytree(os.path.join(SUITE, "common"), os.path.join(test, "common"))
            os.makedirs(os.path.join(test, "parallel"))
        shutil.copy(os.path.join(HERE, "fixtures.js"), os.path.join(folder, "plain", "test", "common"))
        fixtures = os.path.join(folder, "modules", "test", "fixtures")
        shutil.copytree(os.path.join(SUITE, "fixtures"), fixtures, symlinks=False,
                        ignore_dangling_symlinks=True, copy_function=os.link,
                        ignore=left_of_fixtures)

    def run(self, file, policy):
        kind = "modules" if file.module == "module" or FIXTURES_OF_PROGRAM.search(file.text) else "plain"
        place = os.path.join(self.folder, kind)
        parallel = os.path.join(place, "test", "parallel")
        for name in os.listdir(parallel):
            os.unlink(os.path.join(parallel, name))
        # Some look at files beside themselves.
        shutil.copy(os.path.join(SUITE, "parallel", file.name), parallel)
        with open(os.path.join(place, "tenant.json"), "w", encoding="utf-8") as manifest:
            json.dump({"entry": f"test/parallel/{file.name}"}, manifest)
        started = time.monotonic()
        try:
            done = self.daemon.ctl("run", "--bundle", "never", "--policy", policy, place, timeout=SECONDS)
            file.code, file.output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as late:
            file.code = -1
            file.output = f"{(late.stdout or b'').decode(errors='replace')}" \
                          f"{(late.stderr or b'').decode(errors='replace')}\nnot at its end after {SECONDS} s"
        file.seconds = time.monotonic() - started


def write_policy(folder):
    programs = [f"/usr/bin/{name}" for name in ("cat", "echo", "env", "false", "ls", "pwd", "sh", "sleep", "true")]
    programs += ["/bin/sh"]
    policy = {
        "version": 1,
        "permissions": {
            "fs": {"read": [os.path.join(SUITE, "fixtures")]},
            "net": {"connect": ["127.0.0.1:1-65535", "[::1]:1-65535", "localhost:1-65535"],
                    "listen": ["127.0.0.1:0"] * 8},
            "child": {"exec": programs},
            "env": {"set": {"NODE_TEST_DIR": "/tmp", "NODE_TEST_KNOWN_GLOBALS": "0",
                            "NODE_SKIP_FLAG_CHECK": "1",
                            "NODE_TEST_FIXTURES": os.path.join(SUITE, "fixtures")}},
            "eval": True, "wasm": True,
        },
        "limits": {"memory": "768M", "tmp": "256M", "files": 1024, "pids": 64,
                   "request": {"cpu": "60s"}},
    }
    path = os.path.join(folder, "policy.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(policy, file)
    return path


def run_all(files, verbose):
    from harness import Daemon
    waiting = queue.Queue()
    for file in files:
        waiting.put(file)
    daemon = Daemon()
    folder = tempfile.mkdtemp(prefix="tenantd-node-tests-", dir=os.path.join(ROOT, "build"))
    policy = write_policy(folder)

    def work(number):
        lane = Lane(daemon, os.path.join(folder, str(number)))
        while True:
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            lane.run(file, policy)
            if verbose:
                print(f"{file.seconds:.1f} s: {file.module}: {file.name}: "
                      f"{'ok' if file.passed() else file.code}", flush=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(min(LANES, len(files)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)


# ---- what is expected ----

def status_path(module):
    return os.path.join(HERE, "status", module.replace("/", "-") + ".json")


def load_status(module):
    try:
        with open(status_path(module), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def write_status(module, files, status):
    result = {}
    for file in files:
        entry = status.get(file.name, {})
        reason = out_by_rule(file)
        if "skip" in entry:
            result[file.name] = entry
        elif reason:
            result[file.name] = {"out": reason}
        elif file.code is None:
            result[file.name] = entry
        elif file.passed():
            result[file.name] = {}
        else:
            result[file.name] = {"fail": entry.get("fail", UNEXPLAINED)}
    with open(status_path(module), "w", encoding="utf-8") as file:
        file.write(json.dumps(result, indent="\t") + "\n")


def judge(file, entry):
    """The complaint about one file, or None."""
    if file.code is None:
        return None
    if entry is None:
        return f"is not listed in {os.path.relpath(status_path(file.module), ROOT)}"
    expected = entry.get("fail")
    if file.passed():
        return "passes, but is expected to fail" if expected else None
    if expected is None:
        return f"exit {file.code}\n{file.output[-2500:]}"
    return "fails without a reason" if expected == UNEXPLAINED else None


# ---- counting ----

class Counts:
    def __init__(self, files=()):
        self.files = len(files)
        self.ran = sum(file.code is not None and not file.skipped_itself() for file in files)
        self.passed = sum(file.passed() and not file.skipped_itself() for file in files)

    def add(self, other):
        for name in ("files", "ran", "passed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def row(self, name):
        share = f"{100 * self.passed / self.ran:.1f} %" if self.ran else "-"
        return [name, str(self.files), str(self.files - self.ran), str(self.ran), str(self.passed), share]


HEAD = ["module", "files", "do not apply", "run", "passed", "share"]
BEGIN, END = "<!-- node-tests: written by make node-tests-update -->\n", "<!-- node-tests: end -->\n"


def print_table(rows):
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD))]
    for row in [HEAD, *rows]:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def check_document(rows, update):
    """Whether docs/conformance.md has these numbers."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    head, found, rest = text.partition(BEGIN)
    if not found:
        return False
    tail = rest.partition(END)[2]
    lines = [HEAD, ["---"] + ["--:"] * (len(HEAD) - 1), *rows]
    table = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    wanted = head + BEGIN + table + END + tail
    if update and wanted != text:
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(wanted)
    return update or wanted == text


# ---- all of it ----

def chosen(files, options):
    if options.quick:
        return [file for file in files if file.module in QUICK]
    if not options.filters:
        return files
    return [file for file in files
            if any(file.module == word if word in MODULES else word in file.name
                   for word in options.filters)]


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--show", action="store_true", help="what each failing file wrote")
    parser.add_argument("--results", metavar="FILE", help="writes what each file wrote, as JSON")
    parser.add_argument("filters", nargs="*")
    return parser.parse_args(arguments)


def report(module, files, wanted, update):
    """The counts of a module, and how many complaints were printed."""
    if update:
        os.makedirs(os.path.join(HERE, "status"), exist_ok=True)
        write_status(module, files, load_status(module))
    status = load_status(module)
    complaints = 0
    known = {file.name for file in files}
    problems = [(name, "is listed, but is not there") for name in status if name not in known]
    problems += [(file.name, judge(file, status.get(file.name))) for file in files if file in wanted]
    for name, problem in problems:
        if problem:
            print(f"FAILED {module}/{name}: {problem}")
            complaints += 1
    return Counts([file for file in files if file in wanted]), complaints


def main(arguments):
    options = parse(arguments)
    os.environ["TENANTD_BUILD"] = options.build
    started = time.monotonic()
    modules = files_by_module()
    wanted = set(chosen([file for files in modules.values() for file in files], options))
    status = {module: load_status(module) for module in modules}
    to_run = [file for file in sorted(wanted, key=lambda file: file.name)
              if not out_by_rule(file) and "skip" not in status[file.module].get(file.name, {})]
    run_all(to_run, options.verbose)
    if options.show:
        for file in to_run:
            if not file.passed():
                print(f"---- {file.module}/{file.name}: {file.code}\n{file.output[-2500:]}")
    if options.results:
        with open(options.results, "w", encoding="utf-8") as out:
            json.dump({f"{file.module}/{file.name}": [file.code, file.output] for file in to_run}, out, indent="\t")
    complaints, rows, total = 0, [], Counts()
    for module, files in modules.items():
        if not any(file in wanted for file in files):
            continue
        counts, found = report(module, files, wanted, options.update)
        complaints += found
        rows.append(counts.row(module))
        total.add(counts)
    rows.append(total.row("all"))
    print_table(rows)
    if not options.filters and not options.quick and not check_document(rows, options.update):
        print("FAILED docs/conformance.md: has other numbers: make node-tests-update")
        complaints += 1
    print(f"node-tests: {total.passed} of {total.ran} files passed, {complaints} not as expected, "
          f"{time.monotonic() - started:.0f} s")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
