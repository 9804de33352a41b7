"""Commands as jobs (`tenantctl run -- COMMAND`) and node:child_process: any program, under
a policy, with its streams, its signals and its exit code."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, SLOW, TenantdTest, wait_until

SHELL = ["/bin/sh", "/usr/bin/cat", "/usr/bin/ls", "/usr/bin/sleep", "/usr/bin/env", "/usr/bin/id"]


class JobTest(TenantdTest):
    def job(self, *command, exec=(), read=(), write=(), connect=(), limits=None, options=(),
            permissions=None, cwd=None, **arguments):
        granted = {"child": {"exec": list(exec)}, "fs": {"read": list(read), "write": list(write)},
                   **(permissions or {})}
        if connect:
            granted["net"] = {"connect": list(connect)}
        limits = {"memory": "512M", "pids": 64, **(limits or {})}
        policy = self.policy(permissions=granted, limits=limits)
        return subprocess.run(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "run", "--policy",
             policy, *options, "--", *command],
            capture_output=True, text=True, timeout=60 * SLOW, cwd=cwd,
            **({"stdin": subprocess.DEVNULL} if "input" not in arguments else {}), **arguments)

    def shell(self, script, exec=(), **rest):
        return self.job("sh", "-c", script, exec=[*SHELL, *exec], **rest)

    def start(self, *command, exec=(), limits=None):
        policy = self.policy(permissions={"child": {"exec": list(exec)}},
                             limits={"memory": "512M", "pids": 64, **(limits or {})})
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "run", "--policy",
             policy, "--", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def processes(self):
        """The arguments of all processes of tenants."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}").st_uid >= 1879048192 or self.uid_of(pid) >= 1879048192:
                    with open(f"/proc/{pid}/cmdline") as file:
                        found.append(file.read().replace("\0", " "))
            except OSError:
                pass
        return found

    @staticmethod
    def uid_of(pid):
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("Uid:"):
                    return int(line.split()[1])
        return -1


class Codes(JobTest):
    def test_exit_codes_are_passed_through(self):
        for code in (0, 1, 42, 255):
            self.assertEqual(self.shell(f"exit {code}").returncode, code)

    def test_no_policy_grants_the_command_and_nothing_else(self):
        self.assertEqual(self.daemon.ctl("run", "--", "true").returncode, 0)
        done = self.daemon.ctl("run", "--", "sh", "-c", "/usr/bin/cat /etc/passwd")
        self.assertEqual(done.returncode, 127)
        self.assertIn("not found", done.stderr)

    def test_a_signal_is_128_more(self):
        self.assertEqual(self.shell("kill -KILL $$").returncode, 128 + signal.SIGKILL)
        self.assertEqual(self.shell("kill -SEGV $$").returncode, 128 + signal.SIGSEGV)

    def test_what_is_not_there(self):
        done = self.job("no-such-command")
        self.assertEqual(done.returncode, 127)
        self.assertIn("no-such-command: command not found", done.stderr)
        self.assertEqual(self.job("/usr/bin/no-such-command").returncode, 127)

    def test_what_cannot_be_run(self):
        for path in ("/etc", "/etc/passwd"):
            done = self.job(path)
            self.assertEqual(done.returncode, 126, done.stderr)
            self.assertIn(path, done.stderr)
        text = self.write("text", "no program\n")
        os.chmod(text, 0o755)
        os.chmod(self.folder, 0o755)
        done = self.job(text)
        self.assertEqual(done.returncode, 126, done.stderr)
        self.assertIn("neither a program", done.stderr)

    def test_time_limit(self):
        started = time.monotonic()
        done = self.shell("sleep 100", limits={"time": "300ms"})
        self.assertEqual(done.returncode, 124)
        self.assertIn("limits.time", done.stderr)
        self.assertLess(time.monotonic() - started, 10 * SLOW)

    def test_a_missing_granted_folder_is_named(self):
        done = self.shell("true", read=["/no/such/folder"])
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/folder", done.stderr)


class Streams(JobTest):
    def test_input_through_a_pipe(self):
        text = "line\n" * 50000
        done = self.job("cat", input=text)
        self.assertEqual(done.stdout, text)

    def test_output_and_errors_are_apart(self):
        done = self.shell("echo out; echo err >&2")
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))

    def test_arguments_come_as_they_are(self):
        done = self.job("env", "printf", "%s|", "a b", "", "$x", "-n", "é", exec=["/usr/bin/printf"])
        self.assertEqual(done.stdout, "a b||$x|-n|é|")

    def test_signals_reach_the_program(self):
        process = self.start(
            "sh", "-c", 'trap "echo got usr1" USR1; trap "echo got term; exit 9" TERM; echo ready; '
            "while :; do sleep 0.05; done", exec=SHELL)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline(), "got usr1\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.stdout.readline(), "got term\n")
        self.assertEqual(process.wait(10 * SLOW), 9)

    def test_killing_tenantctl_ends_the_job_and_all_of_it(self):
        process = self.start("sh", "-c", "sleep 4711 & setsid sleep 4711 & echo ready; sleep 4711",
                             exec=[*SHELL, "/usr/bin/setsid"])
        self.assertEqual(process.stdout.readline(), "ready\n")
        wait_until(lambda: sum("sleep 4711" in line for line in self.processes()) >= 3,
                   what="three of them")
        process.kill()
        wait_until(lambda: not any("4711" in line for line in self.processes()),
                   what="the end of all of them")

    def test_what_stays_behind_ends_with_the_program(self):
        started = time.monotonic()
        done = self.shell("sleep 4712 & echo over")
        self.assertEqual(done.stdout, "over\n")
        self.assertLess(time.monotonic() - started, 20 * SLOW)
        wait_until(lambda: not any("4712" in line for line in self.processes()), what="its end")

    def test_orphans_are_reaped(self):
        done = self.shell(
            "for i in 1 2 3 4 5; do (sh -c 'sleep 0.01 & exit' &); done; sleep 0.5; "
            "for p in /proc/[0-9]*; do cat $p/stat; done", )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(") Z ", done.stdout)


class Sandbox(JobTest):
    def test_the_host_is_not_there(self):
        done = self.shell("cat /etc/shadow; ls /home; ls /root; ls /sys; ls /work; cat /etc/hostname")
        self.assertEqual(done.stdout, "")
        self.assertNotEqual(done.returncode, 0)

    def test_it_is_nobody_but_itself(self):
        done = self.shell("id -u; cat /etc/passwd; cat /proc/self/status")
        self.assertEqual(done.stdout.splitlines()[0], "1")
        self.assertIn("NoNewPrivs:\t1", done.stdout)
        self.assertIn("CapBnd:\t0000000000000000", done.stdout)
        self.assertIn("Seccomp:\t2", done.stdout)
        self.assertNotIn("root", done.stdout)

    def test_environment_is_what_is_granted(self):
        done = self.job("env", permissions={"env": {"set": {"MODE": "ci", "HOME": "/tmp"}}})
        variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.assertEqual(variables["MODE"], "ci")
        self.assertEqual(variables["HOME"], "/tmp")
        proxy = {name for name in variables if name.upper().endswith("_PROXY")}
        self.assertEqual(set(variables) - proxy,
                         {"MODE", "HOME", "PATH", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR"})
        self.assertIn("HTTPS_PROXY", proxy)

    def test_proc_shows_its_own_processes(self):
        done = self.shell("cd /proc; ls -d [0-9]*; ls /proc/1/ 2>&1; ls sys; cat kallsyms cmdline")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        # The shell itself; process 1 belongs to nobody whom it could see.
        self.assertEqual([line for line in lines if line.isdigit()], ["2"])
        self.assertIn("No such file", done.stdout)

    def test_no_network_without_rules(self):
        done = self.job(
            "python3", "-c",
            "import socket, errno\n"
            "for address in (('192.0.2.1', 80), ('127.0.0.1', 1)):\n"
            "  s = socket.socket(); s.settimeout(5)\n"
            "  print(errno.errorcode[s.connect_ex(address)])\n"
            "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
            "c = socket.create_connection(s.getsockname()); print('loopback')\n"
            "for kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW),\n"
            "             (socket.AF_VSOCK, socket.SOCK_STREAM)):\n"
            "  try: socket.socket(*kind)\n"
            "  except OSError as error: print(errno.errorcode[error.errno])\n")
        self.assertEqual(done.stdout.split(),
                         ["ENETUNREACH", "ECONNREFUSED", "loopback", "EPERM", "EPERM", "EPERM"],
                         done.stderr)

    def test_forbidden_calls_fail_and_are_told(self):
        done = self.job(
            "python3", "-c",
            "import ctypes, errno\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "for call in (165, 101, 272, 321, 323, 250, 308):\n"
            "  assert libc.syscall(call, 0, 0, 0, 0, 0) == -1\n"
            "  print(errno.errorcode[ctypes.get_errno()])\n"
            "assert libc.syscall(435, 0, 0) == -1; print(errno.errorcode[ctypes.get_errno()])\n",
            options=["--name", "forbidden"])
        self.assertEqual(done.stdout.split(), ["EPERM"] * 7 + ["ENOSYS"], done.stderr)
        audit = os.path.join(self.daemon.state, "audit", "audit.jsonl")
        with open(audit) as file:
            records = [json.loads(line) for line in file if '"forbidden"' in line]
        self.assertEqual({record["resource"] for record in records},
                         {"mount", "ptrace", "unshare", "bpf", "userfaultfd", "keyctl", "setns"})
        self.assertEqual({record["layer"] for record in records}, {"seccomp"})

    def test_a_socket_of_the_host_in_a_granted_folder_is_out_of_reach(self):
        host = socket.socket(socket.AF_UNIX)
        self.addCleanup(host.close)
        host.bind(os.path.join(self.folder, "host.sock"))
        host.listen()
        host.settimeout(0.2)
        program = (f"import socket; s = socket.socket(socket.AF_UNIX); "
                   f"s.connect('{self.folder}/host.sock'); print('connected')")
        done = self.job("python3", "-c", program,
                        permissions={"fs": {"read": [self.folder]}})
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("PermissionError", done.stderr)
        self.assertRaises(TimeoutError, host.accept)

    def test_its_own_unix_sockets_work(self):
        program = ("import socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/own'); "
                   "s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('/tmp/own'); "
                   "c.send(b'own'); print(s.accept()[0].recv(9))")
        done = self.job("python3", "-c", program)
        self.assertEqual(done.stdout, "b'own'\n", done.stderr)

    def test_setuid_bits_cannot_be_made(self):
        done = self.job(
            "python3", "-c",
            "import os\n"
            "open('/tmp/x', 'w').close()\n"
            "os.chmod('/tmp/x', 0o755)\n"
            "for act in (lambda: os.chmod('/tmp/x', 0o4755),\n"
            "            lambda: os.open('/tmp/y', os.O_CREAT | os.O_WRONLY, 0o2755),\n"
            "            lambda: os.mknod('/tmp/z', 0o104755)):\n"
            "  try: act(); print('made')\n"
            "  except PermissionError: print('refused')\n")
        self.assertEqual(done.stdout.split(), ["refused"] * 3, done.stderr)

    def test_only_granted_programs_run(self):
        done = self.job(
            "python3", "-c",
            "import os, subprocess, shutil\n"
            "print(subprocess.run(['/bin/cat', '/etc/hosts'], capture_output=True).returncode)\n"
            "for path in ('/usr/bin/ls', '/usr/lib/git-core/git'):\n"
            "  try: subprocess.run([path]); print('ran')\n"
            "  except OSError as error: print(type(error).__name__)\n"
            "shutil.copy('/usr/bin/cat', '/tmp/cat')\n"
            "try: subprocess.run(['/tmp/cat', '/etc/hosts']); print('ran')\n"
            "except OSError as error: print(type(error).__name__)\n"
            "loader = [f for f in os.listdir('/lib64') if f.startswith('ld-linux')][0]\n"
            "print(subprocess.run(['/lib64/' + loader, '/tmp/cat', '/etc/hosts'],\n"
            "  capture_output=True).returncode != 0)\n",
            exec=["/usr/bin/cat"])
        self.assertEqual(done.stdout.split(),
                         ["0", "FileNotFoundError", "PermissionError", "PermissionError", "True"],
                         done.stderr)

    def test_tmp_is_private_and_limited(self):
        done = self.shell("echo x > /tmp/mine; cat /tmp/mine; ls /tmp; "
                          "cat /dev/zero > /tmp/full; ls -l $HOME && echo y > $HOME/y && echo home",
                          limits={"tmp": "1M"})
        self.assertIn("home", done.stdout)
        self.assertIn("No space left", done.stderr)
        self.assertFalse(os.path.exists("/tmp/mine"))
        self.assertEqual(self.shell("cat /tmp/mine").returncode, 1)

    def test_the_environment_of_a_script_grant(self):
        os.chmod(self.folder, 0o755)
        script = self.write("tool", "#!/usr/bin/env python3\nprint('interpreted')\n")
        os.chmod(script, 0o755)
        done = self.shell(script, exec=[script])
        self.assertEqual(done.stdout, "interpreted\n", done.stderr)


class Secrets(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.secrets = tempfile.mkdtemp(prefix="tenantd-secrets-")
        cls.options = ("--secrets-dir", cls.secrets)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.secrets)

    def test_secrets_are_files_and_not_variables(self):
        folder = os.path.join(self.secrets, "sealed")
        os.mkdir(folder, 0o700)
        with open(os.path.join(folder, "TOKEN"), "w") as file:
            file.write("s3cret-value")
        os.chmod(os.path.join(folder, "TOKEN"), 0o600)
        done = self.shell('cat "$CREDENTIALS_DIRECTORY/TOKEN"; echo; env; ls -l /run/secrets',
                          permissions={"env": {"secrets": ["TOKEN"]}},
                          options=["--name", "sealed"])
        first, rest = done.stdout.split("\n", 1)
        self.assertEqual(first, "s3cret-value", done.stderr)
        self.assertNotIn("s3cret", rest)
        self.assertIn("-r--------", rest)


class Files(JobTest):
    def setUp(self):
        super().setUp()
        self.read_folder = tempfile.mkdtemp(prefix="tenantd-read-", dir="/var/tmp")
        self.write_folder = tempfile.mkdtemp(prefix="tenantd-write-", dir="/var/tmp")
        self.other_folder = tempfile.mkdtemp(prefix="tenantd-other-", dir="/var/tmp")
        for folder in (self.read_folder, self.write_folder, self.other_folder):
            self.addCleanup(shutil.rmtree, folder)
            with open(os.path.join(folder, "file"), "w") as file:
                file.write("content\n")

    def grants(self):
        return {"read": [self.read_folder], "write": [self.write_folder]}

    def test_read_and_write_and_neither(self):
        done = self.shell(
            f"cat {self.read_folder}/file; cat {self.write_folder}/file; "
            f"cat {self.other_folder}/file; echo x > {self.read_folder}/new; "
            f"echo x > {self.write_folder}/new && echo wrote", **self.grants())
        self.assertEqual(done.stdout, "content\ncontent\nwrote\n", done.stderr)
        with open(os.path.join(self.write_folder, "new")) as file:
            self.assertEqual(file.read(), "x\n")
        self.assertFalse(os.path.exists(os.path.join(self.read_folder, "new")))

    def test_the_current_folder_if_granted(self):
        self.assertEqual(self.shell("pwd", cwd=self.read_folder, **self.grants()).stdout,
                         self.read_folder + "\n")
        self.assertEqual(self.shell("pwd", cwd=self.other_folder, **self.grants()).stdout, "/\n")

    def test_what_it_writes_does_not_run(self):
        script = f"{self.write_folder}/run"
        done = self.shell(f"echo '#!/bin/sh' > {script}; {script} && echo ran", **self.grants())
        self.assertEqual(done.stdout, "")
        with open(script, "w") as file:
            file.write("#!/bin/sh\necho ran\n")
        os.chmod(script, 0o755)
        self.assertEqual(self.shell(script, **self.grants()).stdout, "")
        # Unless the operator grants both.
        self.assertEqual(self.shell(script, exec=[self.write_folder], **self.grants()).stdout,
                         "ran\n")

    def test_what_it_writes_leads_to_nothing(self):
        """A grant to run what the tenant may write is none to read what it would like to."""
        for folder in (self.other_folder, self.write_folder):
            os.chmod(folder, 0o755)
        os.chmod(os.path.join(self.other_folder, "file"), 0o644)
        tool = os.path.join(self.write_folder, "tool")

        def cat(*command):
            done = self.job(*(command or ("cat", f"{self.other_folder}/file")),
                            exec=["/usr/bin/cat", "/bin/sh", tool], **self.grants())
            self.assertEqual(done.stdout, "", done.stderr)
            self.assertIn("No such file", done.stderr)
            os.unlink(tool)

        def script(text):
            with open(tool, "w") as file:
                file.write(text)
            os.chmod(tool, 0o755)

        for target in (self.other_folder, f"{self.other_folder}/file",
                       f"../{os.path.basename(self.other_folder)}"):
            os.symlink(target, tool)
            cat()
        for interpreter in (self.other_folder, f"{self.other_folder}/file"):
            script(f"#!{interpreter}\n")
            cat()
        script(f"#!/usr/bin/env -S -u {self.other_folder} sh\ncat {self.other_folder}/file\n")
        cat(tool)

    def test_a_link_to_what_it_may_write_runs(self):
        for folder in (self.read_folder, self.write_folder):
            os.chmod(folder, 0o755)
        os.mkdir(f"{self.write_folder}/bin")
        with open(f"{self.write_folder}/bin/real", "w") as file:
            file.write("#!/bin/sh\necho ran\n")
        os.chmod(f"{self.write_folder}/bin/real", 0o755)
        os.symlink("bin/real", f"{self.write_folder}/inside")
        os.symlink(f"{self.write_folder}/inside", f"{self.read_folder}/outside")
        for link in (f"{self.write_folder}/inside", f"{self.read_folder}/outside"):
            done = self.job(link, exec=[link], **self.grants())
            self.assertEqual(done.stdout, "ran\n", (link, done.stderr))

    def test_git_clones_a_granted_repository(self):
        if not shutil.which("git"):
            self.skipTest("no git")
        source = os.path.join(self.read_folder, "source")
        environment = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
                       "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "HOME": "/nope"}
        for command in (["init", "-q", source], ["-C", source, "add", "."],
                        ["-C", source, "commit", "-qm", "first"]):
            if command[0] == "-C" and command[2] == "add":
                with open(os.path.join(source, "file"), "w") as file:
                    file.write("in git\n")
            subprocess.run(["git", *command], check=True, env=environment)
        target = f"{self.write_folder}/target"
        done = self.job("git", "-c", "safe.directory=*", "clone", "-q", f"file://{source}", target,
                        exec=["/bin/sh", "/usr/bin/git", "/usr/lib/git-core"],
                        permissions={"env": {"set": {"GIT_CONFIG_COUNT": "1",
                                                     "GIT_CONFIG_KEY_0": "safe.directory",
                                                     "GIT_CONFIG_VALUE_0": "*"}}},
                        **self.grants())
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(target, "file")) as file:
            self.assertEqual(file.read(), "in git\n")

    def test_node_runs_a_script(self):
        if not shutil.which("node"):
            self.skipTest("no node")
        with open(os.path.join(self.write_folder, "main.js"), "w") as file:
            file.write("require('fs').writeFileSync('out', process.argv[2]);"
                       "console.log(require('os').cpus().length > 0, process.cwd())")
        done = self.job("node", "main.js", "argument", cwd=self.write_folder, **self.grants(),
                        limits={"memory": "1G"})
        self.assertEqual(done.stdout, f"true {self.write_folder}\n", done.stderr)
        with open(os.path.join(self.write_folder, "out")) as file:
            self.assertEqual(file.read(), "argument")


class Limits(JobTest):
    def test_memory(self):
        done = self.job("python3", "-c", "x = bytearray(400 << 20); print(len(x))",
                        limits={"memory": "64M"})
        self.assertEqual(done.returncode, 137, done.stdout + done.stderr)
        self.assertIn("memory", done.stderr)

    def test_a_fork_bomb_is_contained(self):
        started = time.monotonic()
        done = self.job(
            "python3", "-c",
            "import os, errno, time\n"
            "made = 0\n"
            "while True:\n"
            "  try:\n"
            "    if os.fork() == 0: time.sleep(1000)\n"
            "    made += 1\n"
            "  except OSError as error:\n"
            "    print(made < 32, errno.errorcode[error.errno]); break\n",
            limits={"pids": 32})
        self.assertEqual(done.stdout, "True EAGAIN\n", done.stderr)
        self.assertLess(time.monotonic() - started, 20 * SLOW)
        self.assertEqual(self.daemon.ctl("list").returncode, 0)

    def test_descriptors(self):
        done = self.job("python3", "-c",
                        "import os\n"
                        "try:\n"
                        "  while True: os.dup(0)\n"
                        "except OSError as error: print(error.strerror)", limits={"files": 64})
        self.assertEqual(done.stdout, "Too many open files\n", done.stderr)


class Children(JobTest):
    def run_program(self, source, exec=SHELL, arguments=(), **permissions):
        program = self.write("program.js", source)
        policy = self.policy(permissions={"child": {"exec": list(exec)}, **permissions},
                             limits={"memory": "512M", "pids": 64})
        return self.daemon.ctl("run", program, "--policy", policy,
                               *(["--", *arguments] if arguments else []))

    def test_spawn(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            const events = [];
            const child = spawn('sh', ['-c', 'cat; echo err >&2; exit 3'], { env: { A: 'b' } });
            console.log(typeof child.pid, child.spawnfile, child.spawnargs.length);
            let out = '', err = '';
            child.stdout.setEncoding('utf8').on('data', (text) => { out += text; });
            child.stderr.on('data', (data) => { err += data; });
            for (const name of ['spawn', 'exit', 'close'])
                child.on(name, (...values) => events.push([name, ...values]));
            child.stdin.write('one ');
            child.stdin.end('two');
            child.on('close', () => console.log(JSON.stringify(
                { out, err, events, exitCode: child.exitCode, signalCode: child.signalCode })));
        """)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "number sh 3", done.stderr)
        self.assertEqual(json.loads(lines[1]), {
            "out": "one two", "err": "err\n", "exitCode": 3, "signalCode": None,
            "events": [["spawn"], ["exit", 3, None], ["close", 3, None]]})

    def test_large_streams(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            const child = spawn('cat');
            let length = 0;
            child.stdout.on('data', (data) => { length += data.length; });
            child.on('close', () => console.log(length));
            const chunk = Buffer.alloc(100000, 'x');
            for (let i = 0; i < 50; i++)
                if (!child.stdin.write(chunk)) await new Promise((go) => child.stdin.once('drain', go));
            child.stdin.end();
        """)
        self.assertEqual(done.stdout, "5000000\n", done.stderr)

    def test_kill_abort_and_timeout(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            const closed = (child) => new Promise((go) => child.on('close', (...v) => go(v.join())));
            const one = spawn('sleep', ['100']);
            console.log(one.kill(), await closed(one), one.killed, one.kill());
            const controller = new AbortController();
            const two = spawn('sleep', ['100'], { signal: controller.signal });
            two.on('error', (error) => console.log(error.name, error.code));
            controller.abort();
            console.log(await closed(two));
            const three = spawn('sleep', ['100'], { timeout: 50, killSignal: 'SIGKILL' });
            console.log(await closed(three));
        """)
        self.assertEqual(done.stdout.splitlines(), [
            "true ,SIGTERM true false", "AbortError ABORT_ERR", ",SIGTERM", ",SIGKILL"],
            done.stderr)

    def test_exec_and_exec_file(self):
        done = self.run_program("""
            import { exec, execFile } from 'node:child_process';
            import { promisify } from 'node:util';
            console.log(JSON.stringify(await promisify(exec)('echo $0 $X', { env: { X: 'y' } })));
            await promisify(execFile)('sh', ['-c', 'echo gone; exit 4']).catch((error) =>
                console.log(error.code, error.killed, error.cmd, JSON.stringify(error.stdout)));
            exec('cat /dev/zero', { maxBuffer: 10 }, (error) => console.log(error.code));
        """)
        self.assertEqual(done.stdout.splitlines(), [
            '{"stdout":"/bin/sh y\\n","stderr":""}',
            '4 false sh -c echo gone; exit 4 "gone\\n"',
            "ERR_CHILD_PROCESS_STDIO_MAXBUFFER"], done.stderr)

    def test_the_synchronous_ones(self):
        done = self.run_program("""
            import { spawnSync, execSync, execFileSync } from 'node:child_process';
            const done = spawnSync('sh', ['-c', 'cat; exit 5'], { input: 'x'.repeat(300000) });
            console.log(done.status, done.stdout.length, done.signal, done.error, done.pid > 0);
            console.log(spawnSync('sleep', ['9'], { timeout: 50 }).error.code);
            console.log(spawnSync('cat', ['/dev/zero'], { maxBuffer: 9 }).error.code);
            console.log(execSync('echo hi', { encoding: 'utf8' }), spawnSync('sh', ['-c', 'kill $$']).signal);
            try { execFileSync('sh', ['-c', 'exit 6'], { stdio: 'pipe' }); }
            catch (error) { console.log(error.status, error.message); }
        """)
        self.assertEqual(done.stdout.splitlines(), [
            "5 300000 null undefined true", "ETIMEDOUT", "ENOBUFS", "hi", " SIGTERM",
            "6 Command failed: sh -c exit 6"], done.stderr)

    def test_what_is_not_granted(self):
        done = self.run_program("""
            import { exec, fork, spawn, spawnSync } from 'node:child_process';
            for (const act of [() => spawn('/usr/bin/git'), () => spawnSync('git'), () => exec('id'),
                               () => spawn('id', { shell: true })])
                try { act(); console.log('ran'); }
                catch (error) { console.log(error.code, error.permission, error.resource); }
            try { fork('x.js'); } catch (error) { console.log(error.code); }
            try { spawn('id', { stdio: [5, 'pipe', 'pipe'] }); } catch (error) { console.log(error.code); }
        """, exec=["/usr/bin/id"])
        self.assertEqual(done.stdout.splitlines(), [
            "ERR_ACCESS_DENIED ChildProcess /usr/bin/git", "ERR_ACCESS_DENIED ChildProcess git",
            "ERR_ACCESS_DENIED ChildProcess /bin/sh", "ERR_ACCESS_DENIED ChildProcess /bin/sh",
            "ERR_METHOD_NOT_IMPLEMENTED", "ERR_INVALID_ARG_VALUE"], done.stderr)

    def test_what_is_not_there(self):
        done = self.run_program("""
            import { spawn, spawnSync } from 'node:child_process';
            const child = spawn('/usr/lib/git-core/nothing', ['a']);
            child.on('error', (error) => console.log(
                error.code, error.syscall, error.path, error.spawnargs.join(), child.pid, error.message));
            const { error } = spawnSync('/usr/lib/git-core/nothing');
            console.log(error.code, error.syscall);
            spawn('/usr/lib/git-core/git', { cwd: '/nowhere' }).on('error', (error) => console.log(error.code));
        """, exec=["/usr/lib/git-core"])
        self.assertEqual(done.stdout.splitlines(), [
            "ENOENT spawnSync /usr/lib/git-core/nothing",
            "ENOENT spawn /usr/lib/git-core/nothing /usr/lib/git-core/nothing a undefined "
            "spawn /usr/lib/git-core/nothing ENOENT", "ENOENT"], done.stderr)

    def test_inherited_streams_and_the_release(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            spawn('cat', ['/app/program.js'], { stdio: 'inherit' });
        """)
        self.assertIn("stdio: 'inherit'", done.stdout, done.stderr)

    def test_a_service_logs_what_its_children_say(self):
        program = self.write("service/main.js", """
            import { spawn } from 'node:child_process';
            spawn('sh', ['-c', 'echo from a child'], { stdio: 'inherit' });
            export default { fetch: () => new Response('ok') };
        """)
        self.deploy("family", os.path.dirname(program), permissions={"child": {"exec": SHELL}})
        wait_until(lambda: "from a child" in self.daemon.ctl("logs", "family").stdout,
                   what="the child's line in the log")

    def test_children_end_with_their_tenant(self):
        program = self.write("service/main.js", """
            import { spawn } from 'node:child_process';
            spawn('sh', ['-c', 'sleep 4713 & sleep 4713'], { stdio: 'ignore' });
            export default { fetch: () => new Response('ok') };
        """)
        self.deploy("parent", os.path.dirname(program), permissions={"child": {"exec": SHELL}})
        wait_until(lambda: any("4713" in line for line in self.processes()), what="the child")
        self.daemon.ctl("stop", "parent")
        wait_until(lambda: not any("4713" in line for line in self.processes()), what="its end")

    def test_dropping_the_right_to_start_any(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            console.log(process.permission.has('child', '/usr/bin/id'));
            process.permission.drop('child');
            console.log(process.permission.has('child', '/usr/bin/id'));
            try { spawn('/usr/bin/id'); } catch (error) { console.log(error.code); }
        """)
        self.assertEqual(done.stdout.splitlines(), ["true", "false", "ERR_ACCESS_DENIED"],
                         done.stderr)


@unittest.skipUnless(os.path.exists(os.path.join(BUILD, "tenantd-egress")) and shutil.which("curl"),
                     "no tenantd-egress or no curl")
class Proxy(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"from outside")

            def log_message(self, *arguments):
                pass

        cls.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        cls.port = cls.server.server_address[1]
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def fetch(self, *options, connect):
        return self.job("curl", "-sS", "--max-time", "10", *options,
                        f"http://127.0.0.2:{self.port}/", connect=connect)

    def test_exactly_what_is_granted(self):
        granted = [f"127.0.0.2:{self.port}"]
        for options in ([], ["--proxytunnel"]):
            done = self.fetch(*options, connect=granted)
            self.assertEqual(done.stdout, "from outside", done.stderr)
        done = self.job("sh", "-c", f'curl -sS --proxy "$ALL_PROXY" http://127.0.0.2:{self.port}/',
                        exec=["/bin/sh", "/usr/bin/curl"], connect=granted)
        self.assertEqual(done.stdout, "from outside", done.stderr)

    def test_not_what_is_not(self):
        done = self.fetch("--fail", connect=[f"127.0.0.3:{self.port}"])
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")

    def test_there_is_no_way_around_the_proxy(self):
        done = self.fetch("--noproxy", "*", connect=[f"127.0.0.2:{self.port}"])
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
