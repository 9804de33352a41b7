"""Runs one part of the tests (see tools/test):

    run.py unit PRESET            the unit tests of a build
    run.py integration [PATTERN]  test/integration
    run.py file NAME              one file of it, NAME.py
    run.py neighbours             test/neighbours: nothing else should run meanwhile
    run.py chaos                  test/chaos
    run.py container [PATTERN]    test/container, on the host (tools/test-container)
    run.py programs [PATTERN]     test/programs: on npm packages, installed by `make programs`
    run.py wpt [FILTER...]        web platform tests (test/wpt/wpt.py); a subtest is a test
    run.py node-tests [OPTION...] Node's own tests (test/node/node_tests.py); a file is a test
    run.py vm                     what depends on the kernel, inside tools/vm
    run.py package BOOT [PATTERN] test/vm/BOOT: the installed package, inside tools/vm

Prints what failed with its output, what was skipped with its reason, and at the end a line
"failed: NAME" for each that failed and one line of counts.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INTEGRATION = os.path.join(ROOT, "test", "integration")
NEIGHBOURS = os.path.join(ROOT, "test", "neighbours")
CHAOS = os.path.join(ROOT, "test", "chaos")
CONTAINER = os.path.join(ROOT, "test", "container")
REAL_PROGRAMS = os.path.join(ROOT, "test", "programs")

# In the machine emulation makes everything some twenty times slower: what is asked of the
# kernel there, not the whole suite.
VM_PROGRAMS = ("sandbox_test", "seccomp_test", "sandbox_grant_test", "sandbox_grant_owners_test",
               "sandbox_grant_paths_test", "sandbox_grant_tmp_test", "sandbox_pool_test",
               "sandbox_attack_test", "job_test", "cgroup_test")
VM_PATTERNS = (
    "SystemdTest", "kill_test.", "escape_test.EscapeTest", "test_output_and_exit_code",
    "test_the_heap_limit", "test_wasm_memory", "test_a_busy_loop_ends",
    "ServeTest.test_memory_over_the_limit", "ServeTest.test_deploy_with_the_default",
    "test_random_values", "grants_test.", "job_test.Sandbox", "fetch_test.FetchTest.test_egress",
    "unix",
)


class Counts:
    passed = failed = skipped = 0

    def __init__(self):
        self.names = []  # of what failed


def unit(preset, counts):
    done = subprocess.run(
        ["ctest", "-j", str(os.cpu_count()), "--test-dir", os.path.join(ROOT, "build", preset), "--output-on-failure",
         "--timeout", "300", "--no-tests=error"], capture_output=True, text=True, errors="replace")
    for line in done.stdout.split("\n"):
        if re.search(r"Test +#\d+:", line):
            print(line)
            if "Passed" in line:
                counts.passed += 1
            elif "Skipped" in line:
                counts.skipped += 1
            else:
                counts.failed += 1
                counts.names.append(line.split(":", 1)[1].split()[0])
    if done.returncode != 0:
        print(done.stdout, done.stderr)
        counts.failed = max(counts.failed, 1)
    log = os.path.join(ROOT, "build", preset, "Testing", "Temporary", "LastTest.log")
    if os.path.exists(log):
        with open(log, errors="replace") as file:
            for line in re.findall(r"^(?:MATRIX|\d+ rows of) .*", file.read(), re.M):
                print(line)


def programs(counts):
    for name in VM_PROGRAMS:
        started = time.monotonic()
        done = subprocess.run([os.path.join(ROOT, "build", "release", name)],
                              capture_output=True, text=True, errors="replace")
        print(f"{name}: exit {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode == 0:
            counts.passed += 1
        else:
            counts.failed += 1
            counts.names.append(name)
            bad = re.findall(r".*(?:FAILED|ERROR|does not even|SUCCEEDED|not stopped by).*",
                             done.stdout + done.stderr)
            print("\n".join(bad[-60:]), done.stderr[-3000:])


def integration(patterns, counts, folder=INTEGRATION, files="*_test.py"):
    sys.path.insert(0, folder)
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns]
    suite = loader.discover(folder, pattern=files)
    # The slowest are named where Python can (3.12).
    slowest = {"durations": 8} if sys.version_info >= (3, 12) else {}
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout, **slowest).run(suite)
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}")
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    counts.failed += bad
    counts.names += [test.id() for test, _ in result.failures + result.errors]
    counts.names += [test.id() for test in result.unexpectedSuccesses]
    counts.skipped += len(result.skipped)
    counts.passed += result.testsRun - bad - len(result.skipped)


# So many test files at a time: they wait more than they work.
LANES = 3
# The longest first, so that none of them is the last one alone.
LONG = ("lifecycle_test", "reexec_test", "variants_test", "ingress_test", "releases_test",
        "egress_test", "limits_test", "node_test", "health_test", "fetch_test", "kill_test")


def in_lanes(counts):
    """All of the integration tests, each file in a process of its own."""
    def run(name):
        done = subprocess.run([sys.executable, os.path.abspath(__file__), "file", name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        return name, done.stdout

    names = [name[:-3] for name in sorted(os.listdir(INTEGRATION)) if name.endswith("_test.py")]
    names.sort(key=lambda name: LONG.index(name) if name in LONG else len(LONG))
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        for name, output in lanes.map(run, names):
            print(output, flush=True)
            counts.names += re.findall(r"^failed: (.*)$", output, re.M)
            found = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped\s*\Z", output, re.M)
            if found:
                counts.passed += int(found[1])
                counts.failed += int(found[2])
                counts.skipped += int(found[3])
            else:
                counts.failed += 1
                counts.names.append(f"{name} did not come to its end")


def wpt(arguments, counts):
    done = subprocess.run([sys.executable, os.path.join(ROOT, "test", "wpt", "wpt.py"), *arguments],
                          stdout=subprocess.PIPE, text=True, errors="replace")
    print(done.stdout)
    found = re.search(r"^wpt: (\d+) subtests passed.* (\d+) not as expected", done.stdout, re.M)
    counts.passed += int(found[1]) if found else 0
    counts.failed += int(found[2]) if found else 1
    counts.names += re.findall(r"^FAILED (.*)$", done.stdout, re.M)


def node_tests(arguments, counts):
    done = subprocess.run([sys.executable, os.path.join(ROOT, "test", "node", "node_tests.py"), *arguments],
                          stdout=subprocess.PIPE, text=True, errors="replace")
    print(done.stdout)
    found = re.search(r"^node-tests: (\d+) of \d+ files passed, (\d+) not as expected", done.stdout, re.M)
    counts.passed += int(found[1]) if found else 0
    counts.failed += int(found[2]) if found else 1
    counts.names += re.findall(r"^FAILED (.*)$", done.stdout, re.M)


def main():
    counts = Counts()
    part, arguments = sys.argv[1], sys.argv[2:]
    if part == "unit":
        unit(arguments[0], counts)
    elif part == "integration" and not arguments:
        in_lanes(counts)
    elif part == "integration":
        integration(arguments, counts)
    elif part == "file":
        integration([], counts, files=f"{arguments[0]}.py")
    elif part == "package":
        os.environ["TENANTD_TEST_SLOW"] = "5"
        sys.path.insert(0, os.path.join(ROOT, "test", "vm"))
        integration(arguments[1:], counts, os.path.join(ROOT, "test", "vm", arguments[0]))
    elif part == "neighbours":
        integration(arguments, counts, NEIGHBOURS)
    elif part == "container":
        integration(arguments, counts, CONTAINER)
    elif part == "wpt":
        wpt(arguments, counts)
    elif part == "node-tests":
        node_tests(arguments, counts)
    elif part == "programs":
        integration(arguments, counts, REAL_PROGRAMS)
    elif part == "chaos":
        integration(arguments, counts, CHAOS)
    else:
        os.environ["TENANTD_TEST_SLOW"] = "5"
        programs(counts)
        integration(VM_PATTERNS, counts)
    for name in counts.names:
        print(f"failed: {name}")
    print(f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
