"""`tenantd run`: one program in the foreground. What takes a real container is in test/container."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import BUILD, SLOW, free_port, wait_until

NOBODY = ["setpriv", "--reuid", "65532", "--regid", "65532", "--clear-groups", "--inh-caps=-all"]
ALL_TIERS = (("full", []), ("container", []), ("single", NOBODY))
SERVICE = """export default {
	async fetch() { await new Promise((r) => setTimeout(r, 500)); return new Response('hello'); },
};
"""


class RunSingleTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tenantd-single-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def command(self, *arguments, prefix=()):
        return [*prefix, os.path.join(BUILD, "tenantd"), "run", *arguments]

    def run_it(self, *arguments, prefix=(), **more):
        return subprocess.run(self.command(*arguments, prefix=prefix), capture_output=True,
                              text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL, **more)

    def start(self, *arguments, prefix=(), until="", **more):
        """Goes on; its standard error is the test's to read."""
        process = subprocess.Popen(
            self.command("--log-level", "info", *arguments, prefix=prefix), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, **more)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.output = ""
        while until not in self.output:
            line = process.stdout.readline()
            self.assertTrue(line, self.output)
            self.output += line
        return process

    # ---- what comes out ----

    def test_output_arguments_and_exit_code_in_every_tier(self):
        path = self.write("x.js", "console.log(process.argv.slice(2).join()); console.error('err');"
                          "process.exitCode = 7;")
        for tier, prefix in ALL_TIERS:
            with self.subTest(tier):
                done = self.run_it("--tier", tier, path, "a", "--", "-b", prefix=prefix)
                self.assertEqual((done.stdout, done.stderr, done.returncode),
                                 ("a,--,-b\n", "err\n", 7))

    def test_a_first_double_dash_is_nobodys(self):
        path = self.write("x.js", "console.log(process.argv.slice(2).join());")
        self.assertEqual(self.run_it(path, "--", "--help").stdout, "--help\n")

    def test_standard_input(self):
        path = self.write("x.js", "for await (const part of process.stdin) console.log(`${part}`);")
        done = subprocess.run(self.command(path), input="typed", capture_output=True, text=True,
                              timeout=60 * SLOW)
        self.assertEqual((done.stdout, done.returncode), ("typed\n", 0), done.stderr)

    def test_only_the_file_is_the_program(self):
        self.write("beside.js", "export default 1;")
        path = self.write("x.js", "await import('./beside.js');")
        done = self.run_it(path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ERR_MODULE_NOT_FOUND", done.stderr)

    def test_a_folder_is_the_whole_program(self):
        self.write("app/beside.js", "export default 'beside';")
        self.write("app/main.js", "import text from './beside.js'; console.log(text);")
        self.assertEqual(self.run_it(os.path.join(self.folder, "app")).stdout, "beside\n")

    def test_a_reader_that_does_not_read_stops_the_program_and_loses_nothing(self):
        path = self.write("x.js", "for (let i = 0; i < 100000; i++) console.log('line', i);")
        process = self.start("--log-level", "error", path)
        time.sleep(1.5 * SLOW)  # its pipe is full by now, and so are ours
        self.assertIsNone(process.poll())
        lines = process.stdout.read().splitlines()
        self.assertEqual(lines, [f"line {i}" for i in range(100000)])
        self.assertEqual(process.wait(), 0)

    def test_a_reader_that_is_gone_is_not_the_end(self):
        path = self.write("x.js", "for (let i = 0; i < 20000; i++) console.log('line', i);"
                          "process.exitCode = 9;")
        process = self.start("--log-level", "error", path)
        process.stdout.close()
        self.assertEqual(process.wait(), 9)

    def test_a_line_without_end_comes_in_pieces(self):
        path = self.write("x.js", "process.stdout.write('x'.repeat(30000) + '\\ny');")
        self.assertEqual(self.run_it(path).stdout, "x" * 30000 + "\ny")
        lines = [json.loads(line)["line"] for line
                 in self.run_it("--log-format", "json", path).stdout.splitlines()]
        self.assertEqual("".join(lines), "x" * 30000 + "y")
        self.assertEqual(lines[-1], "y")

    def test_secrets_are_left_out(self):
        secrets = os.path.join(self.folder, "secrets")
        os.makedirs(os.path.join(secrets, "app"), mode=0o700)
        self.write("secrets/app/KEY", "opensesame\n")
        os.chmod(os.path.join(secrets, "app", "KEY"), 0o600)
        policy = self.write("p.json", '{"version": 1, "permissions": {"env": {"secrets": ["KEY"]}}}')
        path = self.write("x.js", "console.log('say ' + process.env.KEY);")
        done = self.run_it("--secrets-dir", secrets, "--policy", policy, path)
        self.assertEqual(done.stdout, "say ***\n", done.stderr)

    # ---- signals ----

    def test_a_service_drains_and_ends_with_0(self):
        path = self.write("x.js", SERVICE)
        port = free_port()
        for tier, prefix in ALL_TIERS:
            with self.subTest(tier):
                process = self.start("--tier", tier, path, prefix=prefix, until="event=listening",
                                     env={**os.environ, "PORT": str(port)})
                slow = subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{port}/"],
                                        stdout=subprocess.PIPE, text=True)
                time.sleep(0.2)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(slow.communicate()[0], "hello")
                self.assertEqual(process.wait(), 0)

    def test_each_ending_signal_has_its_own_code(self):
        path = self.write("x.js", "console.log('up'); setInterval(() => {}, 1000);")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP,
                       signal.SIGUSR1, signal.SIGRTMIN):
            with self.subTest(number):
                process = self.start(path, until="up\n")
                process.send_signal(number)
                self.assertEqual(process.wait(), 128 + number)

    def test_the_second_one_kills(self):
        path = self.write("x.js", "process.on('SIGTERM', () => console.log('no'));"
                          "console.log('up'); setInterval(() => {}, 1000);")
        process = self.start(path, until="up\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.stdout.readline().split("event=")[-1].split()[0], "stopping")
        self.assertEqual(process.stdout.readline(), "no\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 137)

    def test_told_to_end_before_there_is_a_worker(self):
        path = self.write("x.js", "console.log('ran');")
        process = self.start(path, until="event=cgroups")
        process.send_signal(signal.SIGTERM)
        self.assertIn(process.wait(), (143, 0))
        self.assertNotIn("error", process.stdout.read())

    # ---- what it needs, and what it leaves ----

    def test_a_kill_leaves_nothing_that_the_next_one_does_not_remove(self):
        path = self.write("x.js", "console.log('up'); setInterval(() => {}, 1000);")
        copies = lambda: {name for name in os.listdir("/dev/shm") if name.startswith("tenantd-run-")}
        before = copies()
        process = self.start(path, until="up\n")
        mine = copies() - before
        self.assertEqual(len(mine), 1)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True,
                                  text=True).stdout.split()
        self.assertGreaterEqual(len(children), 2)
        process.kill()
        process.wait()
        wait_until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children))
        self.assertEqual(self.run_it(self.write("y.js", "")).returncode, 0)
        self.assertEqual(copies() & mine, set())

    def test_two_that_run_do_not_remove_each_other(self):
        path = self.write("x.js", "process.on('SIGUSR1', async () => "
                          "console.log((await import('node:fs')).readdirSync('.').join()));"
                          "console.log('up'); setInterval(() => {}, 1000);")
        process = self.start(path, until="up\n")
        self.assertEqual(self.run_it(self.write("y.js", "")).returncode, 0)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "x.js\n")

    def test_no_other_user_finds_the_copy(self):
        path = self.write("x.js", "console.log('up'); setInterval(() => {}, 1000);")
        os.chmod(path, 0o600)
        look = "import os; print([f for d, _, f in os.walk('/dev/shm') if 'tenantd-run-' in d])"
        for tier, prefix in ALL_TIERS[:2]:
            with self.subTest(tier):
                process = self.start("--tier", tier, path, until="up\n", prefix=prefix)
                self.assertIn("x.js", subprocess.check_output(["python3", "-c", look], text=True))
                seen = subprocess.check_output(["python3", "-c", look], user=65534, group=65534,
                                               extra_groups=[], text=True)
                self.assertNotIn("x.js", seen)
                process.kill()
                process.wait()

    def test_root_cannot_be_the_single_one(self):
        done = self.run_it("--tier", "single", self.write("x.js", "console.log('ran')"))
        self.assertEqual((done.stdout, done.returncode), ("", 125))
        self.assertIn("for a user other than root", done.stderr)

    def test_the_daemon_of_many_is_not_for_the_tier_single(self):
        done = subprocess.run([os.path.join(BUILD, "tenantd"), "--tier", "single"],
                              capture_output=True, text=True, timeout=60 * SLOW)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("tenantd run", done.stderr)

    def test_a_better_tier_than_there_is_refuses(self):
        path = self.write("x.js", "console.log('ran')")
        policy = self.write("p.json", '{"version": 1, "tier": "container"}')
        for options, reason in ((["--tier", "full"], "must be started as root"),
                                (["--tier", "container"], "must be started as root"),
                                (["--policy", policy], 'demands the tier "container"')):
            with self.subTest(options):
                done = self.run_it(*options, path, prefix=NOBODY)
                self.assertEqual((done.stdout, done.returncode), ("", 125))
                self.assertIn(reason, done.stderr)

    def test_a_less_than_full_tier_that_nobody_named_is_told(self):
        path = self.write("x.js", "")
        self.assertIn("tier=single", self.run_it(path, prefix=NOBODY).stderr)
        self.assertEqual(self.run_it("--tier", "single", path, prefix=NOBODY).stderr, "")

    def test_what_one_program_cannot_have_is_refused(self):
        path = self.write("x.js", "console.log('ran')")
        for text in ('{"version": 1, "signedBy": ["%s"]}' % ("A" * 43 + "="),
                     '{"version": 1, "permissions": {"net": {"ingress": ["x.example"]}}}'):
            with self.subTest(text):
                done = self.run_it("--policy", self.write("p.json", text), path)
                self.assertEqual((done.stdout, done.returncode), ("", 125))
                self.assertIn("tenantd run", done.stderr)

    def test_a_port_that_is_none_is_an_error(self):
        path = self.write("x.js", "")
        for port in ("0", "70000", "x"):
            done = self.run_it(path, env={**os.environ, "PORT": port})
            self.assertEqual(done.returncode, 125)
            self.assertIn("PORT", done.stderr)

    def test_what_was_refused_is_in_the_log(self):
        path = self.write("x.js", "try { await fetch('http://192.0.2.1/'); } catch {}"
                          "console.log('on');")
        policy = self.write("p.json", '{"version": 1, "permissions": {"net": {"connect":'
                            ' ["192.0.2.2:80"]}}}')
        for tier, prefix in ALL_TIERS:
            with self.subTest(tier):
                done = self.run_it("--tier", tier, "--policy", policy, path, prefix=prefix)
                self.assertEqual(done.stdout, "on\n")
                self.assertIn('event=denied permission=net.connect resource="192.0.2.1:80"',
                              done.stderr)

    def test_a_program_with_only_a_schedule_is_a_service(self):
        self.write("app/tenant.json", '{"schedules": [{"cron": "* * * * *"}]}')
        self.write("app/main.js", "export default { scheduled() { console.log('due'); } };")
        process = self.start("--tier", "container", os.path.join(self.folder, "app"),
                             until="event=ready")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)


if __name__ == "__main__":
    unittest.main()
