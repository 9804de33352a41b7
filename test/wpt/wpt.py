"""Runs the web platform tests that come with Debian's nodejs source package:

    wpt.py [--build FOLDER] [--update] [--verbose] [FILTER...]

FILTER: a folder of the suite ("url", "dom/abort"), or a part of a file's name.

test/wpt/status/FOLDER.json lists every file of a folder. A file that is not listed fails the
run, as does one that is listed and not there. An entry is {} when all passes, or has

    "skip": REASON                    the file is not run
    "fail": {REASON: [SUBTEST, …]}    these subtests fail; one that passes fails the run
    "needs": {REASON: [SUBTEST, …]}   likewise, for what is no part of ECMA-429: a document,
                                      another interface, a proposal. Not counted as failed
    "error": REASON                   the file as a whole ends with an error

--update writes what happened into the status files, keeping reasons and skipped files. New
failures get the reason "?", which fails the run until somebody has explained it. Without
FILTER, the table in docs/conformance.md must have this run's numbers; --update writes it.
"""

import argparse
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "test", "wpt")
SUITE = os.path.join(ROOT, "build", "node-source", "test", "fixtures", "wpt")
DOCUMENT = os.path.join(ROOT, "docs", "conformance.md")

# Whether ECMA-429 names what the folder tests: then LEAST of its subtests must pass.
FOLDERS = {
    "FileAPI": True,
    "WebCryptoAPI": True,
    "compression": True,
    "console": True,
    "dom/abort": True,
    "dom/events": True,
    "encoding": True,
    "hr-time": True,
    "html/webappapis/atob": True,
    "html/webappapis/microtask-queuing": True,
    "html/webappapis/structured-clone": True,
    "html/webappapis/timers": True,
    "performance-timeline": False,
    "streams": True,
    "url": True,
    "urlpattern": True,
    "user-timing": False,
    "wasm": True,
    "webidl": True,
    "webmessaging": False,
}
LEAST = 0.99
KINDS = (".any.js", ".window.js", ".worker.js")
# Files that the suite's own server has under another name, or that the package leaves out.
FILES = {
    "/resources/WebIDLParser.js": os.path.join(SUITE, "resources", "webidl2", "lib", "webidl2.js"),
    "/compression/third_party/pako/pako_inflate.min.js":
        os.path.join(HERE, "node_modules", "pako", "dist", "pako_inflate.min.js"),
}
UNEXPLAINED = "?"
# Generous: only a test that hangs waits for it, and the machine may have other things to do.
TIMEOUT_MS = {"normal": 30000, "long": 120000}


# ---- which runs there are ----

class Run:
    """One file with one of its variants."""

    def __init__(self, folder, path, variant, scripts, long):
        self.folder, self.path, self.variant = folder, path, variant
        self.name = path[len(folder) + 1:] + variant
        self.scripts, self.long = scripts, long
        self.subtests, self.error, self.output, self.seconds = {}, None, "", 0

    def line(self):
        config = {"root": SUITE, "path": "/" + self.path, "search": self.variant,
                  "files": FILES}
        scripts = [os.path.join(HERE, "before.js"), os.path.join(SUITE, "resources", "testharness.js"),
                   os.path.join(HERE, "after.js"), *self.scripts, os.path.join(SUITE, self.path)]
        timeout = TIMEOUT_MS["long" if self.long else "normal"]
        return "\t".join([str(timeout), json.dumps(config), *scripts]) + "\n"


def runs_of_file(folder, path):
    with open(os.path.join(SUITE, path), encoding="utf-8", errors="surrogateescape") as file:
        metas = re.findall(r"^// META: (\w+)=(.*?)\s*$", file.read(), re.M)
    scripts = []
    for name, value in metas:
        if name != "script":
            continue
        address = os.path.normpath(os.path.join("/", os.path.dirname(path), value))
        scripts.append(FILES.get(address, SUITE + address))
    long = ("timeout", "long") in metas
    variants = [value for name, value in metas if name == "variant"] or [""]
    return [Run(folder, path, variant, scripts, long) for variant in variants]


def runs_of_folder(folder):
    found = []
    for place, folders, names in os.walk(os.path.join(SUITE, folder)):
        folders[:] = sorted(name for name in folders if name not in ("resources", "support"))
        for name in sorted(names):
            if name.endswith(KINDS):
                found += runs_of_file(folder, os.path.relpath(os.path.join(place, name), SUITE))
    return found


# ---- running ----

def take_line(run, line):
    if not line.startswith("@WPT "):
        if not line.startswith("@WHY ") and line != "\n":
            run.output += line
        return
    message = json.loads(line[5:])
    if "harness" in message:
        if message["harness"] != 0:
            run.error = message["message"] or "the harness failed"
        elif run.error == "":
            run.error = None
        return
    name, status = message["name"], message["status"]
    # Two subtests of one name: both must pass.
    if run.subtests.get(name, ("Pass",))[0] == "Pass":
        run.subtests[name] = (status, message["message"])


def run_one(worker, run):
    run.error = ""  # until the harness says that it has finished
    started = time.monotonic()
    worker.stdin.write(run.line())
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith("@END "):
            status = int(line[5:])
            if status != 0 and run.error in (None, ""):
                run.error = f"ended with status {status:#x}"
            break
        take_line(run, line)
    else:
        raise RuntimeError(f"the runner ended in {run.path}")
    if run.error == "":
        run.error = "ended without a result"
    run.seconds = time.monotonic() - started


def work(build, waiting, done):
    program = [os.path.join(build, "wpt_worker"), os.path.join(build, "library.snapshot")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          encoding="utf-8", errors="replace") as worker:
        try:
            while True:
                run = waiting.get_nowait()
                run_one(worker, run)
                done(run)
        except queue.Empty:
            worker.stdin.close()


def run_all(build, runs, verbose):
    waiting = queue.Queue()
    # Long ones first, so that no processor waits for the last.
    for run in sorted(runs, key=lambda run: not run.long):
        waiting.put(run)

    def done(run):
        if verbose:
            failed = sum(status[0] != "Pass" for status in run.subtests.values())
            print(f"{run.seconds:.1f} s: {run.folder}/{run.name}: {len(run.subtests) - failed} passed, {failed} failed"
                  + (f", {run.error}" if run.error else ""), flush=True)

    threads = [threading.Thread(target=work, args=(build, waiting, done))
               for _ in range(min(os.cpu_count() or 1, max(1, len(runs))))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- what is expected ----

def status_path(folder):
    return os.path.join(HERE, "status", folder.replace("/", "-") + ".json")


def load_status(folder):
    try:
        with open(status_path(folder), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def expected_failures(entry):
    return {name: (kind, reason) for kind in ("fail", "needs")
            for reason, names in entry.get(kind, {}).items() for name in names
            if reason != UNEXPLAINED}


def judge(run, entry):
    """The complaints about one run."""
    complaints = []
    expected = expected_failures(entry)
    for name, (status, message) in run.subtests.items():
        if status != "Pass" and name not in expected:
            complaints.append(f"{status}: {name}: {message}")
        elif status == "Pass" and name in expected:
            complaints.append(f"passes, but is expected to fail: {name}")
    complaints += [f"is expected to fail, but is not there: {name}"
                   for name in expected if name not in run.subtests]
    if run.error and entry.get("error", UNEXPLAINED) == UNEXPLAINED:
        complaints.append(f"{run.error}\n{run.output[-2000:]}".rstrip())
    elif "error" in entry and not run.error:
        complaints.append("ends well, but an error is expected")
    if UNEXPLAINED in (entry.get("skip"), *entry.get("fail", {}), *entry.get("needs", {})):
        complaints.append("has a failure without a reason")
    return complaints


def updated_entry(run, entry):
    expected = expected_failures(entry)
    result = {}
    for name, (status, _) in run.subtests.items():
        if status != "Pass":
            kind, reason = expected.get(name, ("fail", UNEXPLAINED))
            result.setdefault(kind, {}).setdefault(reason, []).append(name)
    if run.error:
        result["error"] = entry.get("error", UNEXPLAINED)
    return result


def write_status(folder, runs, status, ran):
    result = {}
    for run in runs:
        entry = status.get(run.name, {})
        result[run.name] = updated_entry(run, entry) if run in ran else entry
    text = json.dumps(dict(sorted(result.items())), indent="\t", ensure_ascii=True)
    with open(status_path(folder), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def write_results(path, runs):
    results = {f"{run.folder}/{run.name}": {"subtests": run.subtests, "error": run.error}
               for run in runs}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent="\t", sort_keys=True)


# ---- counting ----

class Counts:
    def __init__(self):
        self.passed = self.failed = self.needs = self.files = self.skipped = 0

    def add(self, run, entry):
        self.files += 1
        needs = {name for name, (kind, _) in expected_failures(entry).items() if kind == "needs"}
        for name, (status, _) in run.subtests.items():
            if status == "Pass":
                self.passed += 1
            elif name in needs:
                self.needs += 1
            else:
                self.failed += 1
        # A file that ended badly has one failure more: what it did not come to.
        self.failed += bool(run.error)

    def share(self):
        total = self.passed + self.failed
        return f"{100 * self.passed / total:.2f} %" if total else "-"

    def enough(self):
        return self.passed >= LEAST * (self.passed + self.failed)

    def row(self, name):
        named = "yes" if FOLDERS.get(name) else ""
        return [name, named, str(self.files), str(self.passed), str(self.failed), self.share(),
                str(self.needs), str(self.skipped)]


def table(counts):
    total = Counts()
    rows = []
    for folder, count in counts.items():
        rows.append(count.row(folder))
        for name in ("passed", "failed", "needs", "files", "skipped"):
            setattr(total, name, getattr(total, name) + getattr(count, name))
    rows.append(total.row("all"))
    return rows, total


HEAD = ["folder", "in ECMA-429", "files run", "passed", "failed", "share", "not applicable", "files not run"]


def print_table(rows):
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD))]
    for row in [HEAD, *rows]:
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


BEGIN, END = "<!-- wpt: written by make wpt-update -->\n", "<!-- wpt: end -->\n"


def document_table(rows):
    lines = [HEAD, ["---"] + ["--:"] * (len(HEAD) - 1), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def check_document(rows, update):
    """Whether docs/conformance.md has these numbers."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    wanted = head + BEGIN + document_table(rows) + END + tail
    if update and wanted != text:
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(wanted)
    return update or wanted == text


# ---- all of it ----

def chosen(filters, runs):
    if not filters:
        return runs
    return [run for run in runs
            if any(run.folder == word if word in FOLDERS else word in f"{run.folder}/{run.name}"
                   for word in filters)]


def complain(place, text):
    print(f"FAILED {place}: {text}")
    return 1


def report_folder(folder, all_runs, here, ran, status):
    """The counts of the runs HERE, and how many complaints were printed."""
    count, complaints = Counts(), 0
    known = {run.name for run in all_runs}
    for name in status:
        if name not in known:
            complaints += complain(f"{folder}/{name}", "is listed, but is not there")
    for run in here:
        if run not in ran:
            count.skipped += 1
            continue
        entry = status.get(run.name, {})
        count.add(run, entry)
        found = judge(run, entry)
        if run.name not in status:
            found.append(f"is not listed in {os.path.relpath(status_path(folder), ROOT)}")
        for text in found:
            complaints += complain(f"{folder}/{run.name}", text)
    return count, complaints


def check_all(counts, rows, update):
    """What only a run of everything can tell."""
    complaints = 0
    for folder, count in counts.items():
        if FOLDERS[folder] and not count.enough():
            complaints += complain(
                folder, f"ECMA-429 names it, and only {count.share()} of it passes")
    if not check_document(rows, update):
        complaints += complain("docs/conformance.md", "has other numbers: make wpt-update")
    return complaints


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--results", metavar="FILE",
                        help="writes what each subtest gave, as JSON")
    parser.add_argument("filters", nargs="*")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    started = time.monotonic()
    runs = {folder: runs_of_folder(folder) for folder in FOLDERS}
    status = {folder: load_status(folder) for folder in FOLDERS}
    wanted = set(chosen(options.filters, [run for folder in runs.values() for run in folder]))
    to_run = {run for run in wanted if "skip" not in status[run.folder].get(run.name, {})}
    run_all(options.build, to_run, options.verbose)
    if options.results:
        write_results(options.results, to_run)

    complaints, counts = 0, {}
    for folder in FOLDERS:
        here = [run for run in runs[folder] if run in wanted]
        if not here:
            continue
        if options.update:
            write_status(folder, runs[folder], status[folder], to_run)
            status[folder] = load_status(folder)
        counts[folder], found = report_folder(folder, runs[folder], here, to_run, status[folder])
        complaints += found
    rows, total = table(counts)
    print_table(rows)
    if not options.filters:
        complaints += check_all(counts, rows, options.update)
    print(f"wpt: {total.passed} subtests passed, {total.failed} failed, "
          f"{complaints} not as expected, {time.monotonic() - started:.0f} s")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
