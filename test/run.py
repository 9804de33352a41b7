"""Runs one part of the tests (see tools/test):

    run.py unit PRESET            the unit tests of a build
    run.py integration [PATTERN]  test/integration
    run.py neighbours             test/neighbours: nothing else should run meanwhile
    run.py chaos                  test/chaos
    run.py container [PATTERN]    test/container, on the host (tools/test-container)
    run.py vm                     what depends on the kernel, inside tools/vm
    run.py package BOOT [PATTERN] test/vm/BOOT: the installed package, inside tools/vm

Prints what failed with its output, what was skipped with its reason, and at the end a line
"failed: NAME" for each that failed and one line of counts.
"""

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


def integration(patterns, counts, folder=INTEGRATION):
    sys.path.insert(0, folder)
    loader = unittest.TestLoader()
    if patterns:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in patterns]
    suite = loader.discover(folder, pattern="*_test.py")
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


# These wait more than they work: they run beside the others.
PATIENT = ("schedule_test", "lifecycle_test", "health_test", "reexec_test")


def in_two_lanes(counts):
    """All of the integration tests."""
    beside = subprocess.Popen([sys.executable, os.path.abspath(__file__), "patient"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
    names = [name[:-3] for name in sorted(os.listdir(INTEGRATION)) if name.endswith("_test.py")]
    integration([f"{name}." for name in names if name not in PATIENT], counts)
    output = beside.communicate()[0]
    print(output)
    counts.names += re.findall(r"^failed: (.*)$", output, re.M)
    found = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped\s*$", output)
    if found:
        counts.passed += int(found[1])
        counts.failed += int(found[2])
        counts.skipped += int(found[3])
    else:
        counts.failed += 1
        counts.names.append("the patient lane did not come to its end")


def main():
    counts = Counts()
    part, arguments = sys.argv[1], sys.argv[2:]
    if part == "unit":
        unit(arguments[0], counts)
    elif part == "integration" and not arguments:
        in_two_lanes(counts)
    elif part == "integration":
        integration(arguments, counts)
    elif part == "patient":
        integration([f"{name}." for name in PATIENT], counts)
    elif part == "package":
        os.environ["TENANTD_TEST_SLOW"] = "5"
        sys.path.insert(0, os.path.join(ROOT, "test", "vm"))
        integration(arguments[1:], counts, os.path.join(ROOT, "test", "vm", arguments[0]))
    elif part == "neighbours":
        integration(arguments, counts, NEIGHBOURS)
    elif part == "container":
        integration(arguments, counts, CONTAINER)
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
