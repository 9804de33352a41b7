"""tenantd as the first process of a container: what goes out of it, what comes in, what stays."""

import concurrent.futures
import json
import os
import shlex
import signal
import socket
import subprocess
import time
import unittest
import urllib.request

from podman import IMAGE_FILE, ROOT, STORE, ContainerTest, limits, podman

UP = "setInterval(() => {}, 1000); console.log('up');\n"
SERVICE = """export default {
	async fetch(request) {
		if (new URL(request.url).pathname === '/slow') await new Promise((r) => setTimeout(r, 1500));
		return new Response('hello\\n');
	},
};
console.log('up');
"""
# A fault's signals, which the kernel sends; those of job control; glibc's two; its own.
LEFT_ALONE = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGTSTP,
              signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
              signal.SIGABRT, signal.SIGSYS, 32, 33}
WITHOUT_EFFECT = {signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
FORWARDED = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGSTKFLT", "SIGCONT", "SIGURG", "SIGXCPU",
             "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR"]


# Each takes about a second: all of them in `make test-container`, some in `make test`.
EVERY = 8 if os.environ.get("TENANTD_TEST_SHORT") else 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port, path="/"):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read()


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "gone"


class ExitTest(ContainerTest):
    def restarted(self, worker, codes):
        """One container, started once for each of CODES: making one takes longer than all else."""
        self.write(f"{worker}/main.js", "")
        name = podman("create", *self.options(), self.image, f"/src/{worker}",
                      check=True).stdout.strip()
        wrong = []
        for code in codes:
            self.write(f"{worker}/main.js", f"process.exit({code});")
            got = podman("start", "--attach", name).returncode
            if got != code:
                wrong.append((code, got))
        return wrong

    def test_every_exit_code_passes_through(self):
        codes = sorted({*range(0, 256, 2 * EVERY - 1), 1, 2, 125, 126, 127, 128, 137, 143, 255})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            parts = pool.map(self.restarted, range(2), (codes[::2], codes[1::2]))
            self.assertEqual([wrong for part in parts for wrong in part], [])

    def test_what_cannot_be_run_is_126_and_127(self):
        self.write("policy.json", '{"version": 1, "nonsense": 1}')
        self.write("empty/README", "")
        self.assertEqual(self.run_image("/src/nothing.js").returncode, 127)
        self.assertEqual(self.run_image("/src/empty").returncode, 126)
        self.assertEqual(self.run_image("/dev/null").returncode, 126)
        self.assertEqual(self.run_image("--policy", "/src/policy.json", "/src").returncode, 125)
        self.assertEqual(self.run_image("--nonsense").returncode, 125)

    def test_a_thrown_error_is_1_and_in_the_log(self):
        self.write("throw.js", "throw new Error('broken');")
        done = self.run_image("/src/throw.js")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Error: broken", done.stderr)

    def test_arguments_after_the_program_are_its_own(self):
        self.write("arguments.js", "console.log(JSON.stringify(process.argv.slice(2)));")
        done = self.run_image("/src/arguments.js", "a", "--tier", "")
        self.assertEqual(done.stdout, '["a","--tier",""]\n')


class SignalTest(ContainerTest):
    def killed(self, worker, numbers):
        """What each of NUMBERS does to a program that listens to none: its exit code."""
        self.write("up.js", UP)
        name = podman("create", *self.options(), self.image, "/src/up.js", check=True).stdout.strip()
        wrong = []
        for number in numbers:
            # What it said the last time must not count.
            since = f"{time.time():.3f}"
            podman("start", name, check=True)
            deadline = time.monotonic() + 30
            while "up" not in podman("logs", "--since", since, name).stdout:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            podman("kill", "--signal", str(number), name, check=True)
            code = self.wait(name)
            if code != 128 + number:
                wrong.append((number, code))
        return wrong

    def test_one_that_nobody_listens_to_ends_it(self):
        numbers = [n for n in range(1, 65) if n not in LEFT_ALONE | WITHOUT_EFFECT][::EVERY]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            parts = pool.map(self.killed, range(2), (numbers[::2], numbers[1::2]))
            self.assertEqual([wrong for part in parts for wrong in part], [])

    def test_those_it_listens_to_are_passed_on(self):
        self.write("listens.js", "for (const name of %s)\n"
                   "\tprocess.on(name, (name, number) => console.log(name, number));\n%s"
                   % (json.dumps(FORWARDED), UP))
        name = self.start("/src/listens.js")
        for text in FORWARDED:
            number = int(getattr(signal, text))
            podman("kill", "--signal", str(number), name, check=True)
            self.wait_log(name, f"{text} {number}\n")

    def test_faults_and_job_control_sent_from_outside_do_nothing(self):
        self.write("alive.js", "process.on('SIGUSR1', () => console.log('alive'));" + UP)
        name = self.start("/src/alive.js")
        pid = self.inspect(name)["State"]["Pid"]
        for number in sorted((LEFT_ALONE | WITHOUT_EFFECT) - {signal.SIGKILL, signal.SIGSTOP}):
            os.kill(pid, number)
        podman("kill", "--signal", "USR1", name, check=True)
        self.wait_log(name, "alive")
        self.assertNotIn(state_of(pid), "TZX")


class StopTest(ContainerTest):
    def test_a_service_finishes_its_requests_and_ends_with_0(self):
        self.write("service.js", SERVICE)
        port = free_port()
        self.write("all.json", '{"version": 1, "permissions": {"net": {"listen": ["0.0.0.0:1"]}}}')
        options = [option for option in self.options() if option not in ("--network", "none")]
        name = podman("run", "--detach", *options, "--network", "host", "--env", f"PORT={port}",
                      self.image, "--log-level", "info", "--policy", "/src/all.json",
                      "/src/service.js", check=True).stdout.strip()
        self.addCleanup(podman, "rm", "--force", "--time", "0", name)
        self.wait_log(name, "event=listening")
        self.assertEqual(get(port), b"hello\n")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            slow = pool.submit(get, port, "/slow")
            time.sleep(0.4)
            begin = time.monotonic()
            podman("stop", "--time", "12", name, check=True)
            self.assertEqual(slow.result(), b"hello\n")
        self.assertLess(time.monotonic() - begin, 8)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 0)

    def test_a_script_that_does_not_listen_ends_with_143(self):
        self.write("up.js", UP)
        name = self.start("/src/up.js")
        podman("stop", "--time", "12", name, check=True)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 143)

    def test_the_listener_of_sigterm_decides(self):
        self.write("term.js", "process.on('SIGTERM', () => setTimeout(() => process.exit(5), 200));"
                   + UP)
        name = self.start("/src/term.js")
        podman("stop", "--time", "12", name, check=True)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 5)

    def test_one_that_hangs_is_killed_after_the_grace(self):
        self.write("hang.js", "console.log('up'); setTimeout(() => { for (;;); }, 300);")
        name = self.start("--grace", "1s", "/src/hang.js")
        time.sleep(0.6)
        begin = time.monotonic()
        podman("stop", "--time", "12", name, check=True)
        self.assertLess(time.monotonic() - begin, 6)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 137)


class OrphanTest(ContainerTest):
    def test_orphans_are_reaped(self):
        helper = os.path.join(self.src, "orphans")
        subprocess.run([os.path.join(ROOT, "tools", "userland"), "gcc", "-static", "-O1", "-o",
                        helper, os.path.join(ROOT, "test", "container", "orphans.c")], check=True)
        self.write("up.js", UP)
        name = self.start("/src/up.js")
        pid = self.inspect(name)["State"]["Pid"]
        before = set(children_of(pid))
        for _ in range(3):
            self.assertEqual(podman("exec", name, "/src/orphans", "50", check=True).stdout, "50\n")
        deadline = time.monotonic() + 10
        while set(children_of(pid)) - before and time.monotonic() < deadline:
            time.sleep(0.05)
        left = {child: state_of(child) for child in set(children_of(pid)) - before}
        self.assertEqual(left, {})


class ConfinementTest(ContainerTest):
    def setUp(self):
        self.write("who.js", "console.log('ran as', process.getuid());")

    def test_a_user_other_than_root_without_capabilities(self):
        done = self.run_image("/src/who.js", options=[
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"])
        self.assertEqual((done.stdout, done.returncode), ("ran as 65532\n", 0), done.stderr)
        self.assertIn("tier=single", done.stderr)

    def test_root_with_the_default_capabilities(self):
        done = self.run_image("/src/who.js", options=["--user", "0"])
        self.assertRegex(done.stdout, r"^ran as 18790\d+\n$")
        self.assertIn("tier=container", done.stderr)

    def test_root_without_capabilities_is_refused(self):
        done = self.run_image("/src/who.js", options=["--user", "0", "--cap-drop", "ALL"])
        self.assertEqual(done.returncode, 125)
        self.assertIn("the tier single is for a user other than root", done.stderr)

    def test_a_root_without_any_place_to_write_to(self):
        done = self.run_image("/src", options=["--read-only", "--read-only-tmpfs=false"])
        self.assertEqual(done.returncode, 126)  # no main.js; but it came so far
        self.write("main.js", "console.log('ran');")
        done = self.run_image("/src", options=["--read-only", "--read-only-tmpfs=false"])
        self.assertEqual((done.stdout, done.returncode), ("ran\n", 0), done.stderr)
        os.remove(os.path.join(self.src, "main.js"))

    def test_a_tier_that_is_not_there_is_no_silent_one(self):
        done = self.run_image("--tier", "full", "/src/who.js")
        self.assertEqual(done.returncode, 125)
        self.write("policy.json", '{"version": 1, "tier": "container"}')
        done = self.run_image("--policy", "/src/policy.json", "/src/who.js")
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertIn('demands the tier "container"', done.stderr)

    def test_what_is_not_granted_is_out_of_reach(self):
        self.write("reach.js", """import fs from 'node:fs';
const tries = {
	passwd: () => fs.readFileSync('/etc/passwd'),
	own: () => fs.readFileSync('/proc/1/environ'),
	memory: () => fs.openSync('/proc/1/mem', 'r+'),
	binary: () => fs.readFileSync('/usr/sbin/tenantd'),
	write: () => fs.writeFileSync('/tmp/x', 'x'),
	shm: () => fs.writeFileSync('/dev/shm/x', 'x'),
	kill: () => process.kill(process.pid === 1 ? 2 : 1, 9), // itself it may
	list: () => fs.readdirSync('/'),
};
for (const [name, act] of Object.entries(tries)) {
	try { act(); console.log(name, 'WORKS'); } catch (error) { console.log(name, error.code); }
}
try { await fetch('http://127.0.0.1:1/'); console.log('fetch WORKS'); } catch { console.log('fetch no'); }
""")
        for user in ("65532", "0"):
            done = self.run_image("/src/reach.js", options=["--user", user])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(done.stdout.splitlines()), 9)
            self.assertNotIn("WORKS", done.stdout)

    def test_more_memory_than_the_container_has_ends_it_with_137(self):
        self.write("eat.js", "const all = []; for (;;) { const b = new Uint8Array(1 << 20); b.fill(1);"
                   " all.push(b); }")
        self.write("more.json", '{"version": 1, "limits": {"memory": "2G"}}')
        done = self.run_image("--policy", "/src/more.json", "/src/eat.js",
                              options=["--memory", "128m", "--memory-swap", "128m"])
        self.assertEqual(done.returncode, 137, done.stderr)


class LogTest(ContainerTest):
    def test_lines_of_json(self):
        self.write("lines.js", "console.log('a\\u001b[31m\"b\"'); console.error('c');"
                   "process.stdout.write('no end');")
        done = self.run_image("--log-format", "json", "/src/lines.js")
        out = [json.loads(line) for line in done.stdout.splitlines()]
        err = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertEqual([(line["stream"], line["line"]) for line in out],
                         [("stdout", 'a\\x1b[31m"b"'), ("stdout", "no end")])
        self.assertIn(("stderr", "c"), [(line["stream"], line["line"]) for line in err])
        self.assertEqual({line["level"] for line in err if line["stream"] == "tenantd"}, {"warn"})

    def test_much_output_arrives_whole_and_in_order(self):
        self.write("much.js", "for (let i = 0; i < 50000; i++) console.log('line', i);")
        done = self.run_image("/src/much.js")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stdout.splitlines(), [f"line {i}" for i in range(50000)])


class DocumentationTest(ContainerTest):
    """The commands of docs/container.md, in its order."""

    def commands(self):
        with open(os.path.join(ROOT, "docs", "container.md")) as file:
            blocks = file.read().split("```")[1::2]
        self.assertGreaterEqual(len(blocks), 4)
        return blocks

    def podman(self, line, folder):
        """LINE with this store, and without what a test machine need not have: bridges."""
        words = shlex.split(line)
        self.assertEqual(words[0], "podman")
        if words[1] == "load":
            words[words.index("--input") + 1] = IMAGE_FILE
        if "--publish" in words:
            place = words.index("--publish")
            del words[place:place + 2]
        if words[1] == "run":
            words[2:2] = ["--pull=never", "--network", "none", *limits()]
        return subprocess.run(["podman", *STORE, *words[1:]], capture_output=True, text=True,
                              timeout=120, cwd=folder)

    def test_they_work(self):
        self.write("app/main.js", "console.log('ran', process.argv.slice(2).join());")
        self.write("policy.json", '{"version": 1}')
        blocks = self.commands()
        for line in blocks[0].strip().splitlines():
            done = self.podman(line, self.src)
            self.assertEqual(done.returncode, 0, line + done.stderr)
        self.assertEqual(done.stdout, "ran \n")
        self.write("Containerfile", blocks[1])
        done = podman("build", "--pull=never", "--isolation", "chroot", "--tag",
                      "localhost/tenantd-app", self.src)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(podman, "rmi", "--force", "localhost/tenantd-app")
        done = podman("run", "--rm", "--pull=never", "--network", "none", *limits(),
                      "localhost/tenantd-app")
        self.assertEqual((done.stdout, done.returncode), ("ran \n", 0), done.stderr)
        line = blocks[2].strip().replace("localhost/tenantd:0.1.0", "localhost/tenantd-app")
        done = self.podman(line, self.src)
        self.assertEqual(json.loads(done.stdout)["line"], "ran one,two", done.stderr)


if __name__ == "__main__":
    unittest.main()
