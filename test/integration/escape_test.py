"""Attacks from inside real workers and jobs, with a test-only native hook or as machine
code: as if V8 were broken already. Every one must fail with an error that a policy gives.
Then those that aim at the daemon: its messages, its processes, its control socket.

The table of attacks is test/escape/attack.c; test/escape/battery.py says which test
tries what."""

import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, SLOW, Daemon, TenantdTest, request, wait_until
from kill_test import alive, children_of, command_of

# EPERM ENOENT ESRCH EACCES EXDEV EINVAL EROFS ENOSYS EAFNOSUPPORT, EBADF of what is not handed in
POLICY_ERRORS = {1, 2, 3, 9, 13, 18, 22, 30, 38, 97}
JITLESS, FILES, JOB = 1 << 2, 1 << 4, 1 << 7  # enum attack_flag
TESTING = os.path.join(BUILD, "testing")
needs_hook = unittest.skipUnless(os.path.exists(TESTING + "/tenant-zygote"),
                                 "the test-only zygote is not built")

PROGRAM = """
const target = JSON.parse(process.argv[2]);
const all = attack();
for (let i = 0; i < all.length; i++) {
    const [id, name, flags] = all[i];
    console.log(JSON.stringify({ i, id, name, flags, start: true }));
    const [succeeded, code] = attack(i, target);
    console.log(JSON.stringify({ i, id, name, flags, succeeded, code }));
}
console.log('end');
"""


class World(TenantdTest):
    """What the attacks aim at (attack_grants.c says what lies where)."""

    def setUp(self):
        super().setUp()
        self.base = tempfile.mkdtemp(prefix="tenantd-escape-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        os.chmod(self.base, 0o755)
        for name in ("folder", "read", "read/sub", "write", "single"):
            os.mkdir(self.at(name))
            os.chmod(self.at(name), 0o777)
        for name, mode in (("secret", 0o666), ("folder/file", 0o666), ("folder/program", 0o755),
                           ("folder/script", 0o755), ("read/file", 0o666), ("write/own", 0o666),
                           ("write/program", 0o777), ("single/one", 0o666),
                           ("single/sibling", 0o666)):
            with open(self.at(name), "w") as file:
                file.write("#!/bin/sh\n" if name.endswith("script") else "garbage garbage garbage")
            os.chmod(self.at(name), mode)
        os.symlink("/etc/shadow", self.at("write/out"))  # a job has an /etc/passwd
        os.symlink("..", self.at("write/up"))
        os.symlink("../read/file", self.at("write/to-file"))
        os.mknod(self.at("write/device"), 0o20666, os.makedev(1, 3))
        os.chmod(self.at("write/device"), 0o666)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0tenantd-escape-{os.getpid()}")
        self.named = socket.socket(socket.AF_UNIX)
        self.named.bind(self.at("sock"))
        os.chmod(self.at("sock"), 0o777)
        for sock in (self.listener, self.abstract, self.named):
            sock.listen()
            self.addCleanup(sock.close)
        self.target = {"port": self.listener.getsockname()[1], "victim": os.getpid(),
                       "abstract": f"tenantd-escape-{os.getpid()}", "socket": self.at("sock"),
                       "read": self.at("read"), "write": self.at("write"),
                       "file": self.at("single/one")}

    def at(self, name):
        return os.path.join(self.base, name)

    def files(self):
        return {"read": [self.at("folder"), self.at("read"), self.at("single/one")],
                "write": [self.at("write")]}

    def check_world(self):
        """Nobody came, nothing changed."""
        for sock in (self.listener, self.abstract, self.named):
            sock.settimeout(0.05)
            self.assertRaises(TimeoutError, sock.accept)
        for name in ("secret", "read/file", "single/one", "single/sibling"):
            with open(self.at(name)) as file:
                self.assertEqual(file.read(), "garbage garbage garbage", name)
        self.assertEqual(os.listdir(self.at("read/sub")), [])
        self.assertEqual(sorted(os.listdir(self.at("read"))), ["file", "sub"])
        for folder, _, names in os.walk(self.at("write")):
            for name in names:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertEqual(mode & 0o6000, 0, name)


@needs_hook
class EscapeTest(World):
    options = ("--runtime", TESTING)

    def attack(self, label, allowed, *options):
        self.write("file", "the attacker's own")
        self.write("program", "#!/bin/sh\n")
        blocked, killed, succeeded = [], [], []
        index, count = 0, None
        while count is None or index < count:
            # One run goes as far as it can; an attack that ends the process by a signal
            # was stopped, and the next run starts behind it.
            self.write("main.js", PROGRAM.replace("let i = 0", f"let i = {index}"))
            done = self.daemon.ctl("run", self.folder, *options, "--", json.dumps(self.target))
            lines = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
            self.assertTrue(lines, done.stderr + self.daemon.log()[-2000:])
            for line in lines:
                if "succeeded" in line:
                    (succeeded if line["succeeded"] else blocked).append(line)
            last = lines[-1]
            index = last["i"] + 1
            if done.stdout.endswith("\nend\n"):  # not in a name
                count = index
            else:
                killed.append((last["id"], last["name"], done.returncode))
                self.assertGreater(done.returncode, 128, (last, done.returncode, done.stderr))
        got_out = [line for line in succeeded if not line["flags"] & allowed]
        self.assertEqual(got_out, [])
        self.assertGreater(len(blocked), 250)
        wrong = [line for line in blocked if line["code"] not in POLICY_ERRORS]
        self.assertEqual([(w["id"], w["name"], os.strerror(w["code"])) for w in wrong], [])
        self.check_world()
        print(f"\nBATTERY {label}: {len(blocked) + len(killed) + len(succeeded)} attacks, "
              f"{len(blocked)} blocked, {len(killed)} ended by a signal, "
              f"{len(succeeded)} allowed by design")

    def test_no_attack_gets_out_of_a_worker(self):
        self.attack("worker", JITLESS)

    def test_no_attack_gets_out_of_a_worker_with_grants(self):
        policy = self.policy(
            permissions={"fs": self.files(), "net": {"connect": ["192.0.2.1:80"]},
                         "child": {"exec": ["/usr/bin/cat"]}}, limits={"tmp": "1M"})
        self.attack("worker with grants", JITLESS | FILES, "--policy", policy)

    def test_no_attack_gets_out_of_a_jitless_worker(self):
        self.attack("jitless worker", 0, "--policy", self.policy(permissions={"jit": False}))


@unittest.skipUnless(os.path.exists(TESTING + "/job_attack"), "job_attack is not built")
class EscapeJobTest(World):
    def attack(self, victim, *options):
        policy = self.policy(permissions={"fs": self.files()},
                             limits={"memory": "256M", "pids": 32})
        target = self.target
        done = self.daemon.ctl(
            "run", "--policy", policy, *options, "--", TESTING + "/job_attack", "/etc/shadow",
            self.at("folder"), target["abstract"], target["socket"], str(target["port"]),
            str(victim), target["read"], target["write"], target["file"], timeout=120)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[-1:], ["end"], done.stderr + done.stdout[-500:])
        return [line.split("\t") for line in lines[:-1]]

    def test_no_attack_gets_out_of_a_job(self):
        lines = self.attack(self.target["victim"])
        came = {state: [line for line in lines if line[4] == state]
                for state in ("open", "blocked", "died")}
        got_out = [line[1:3] for line in came["open"]
                   if not int(line[3]) & (JOB | FILES | JITLESS)]
        self.assertEqual(got_out, [])
        self.assertEqual(came["died"], [])
        self.assertGreater(len(came["blocked"]), 250)
        self.check_world()
        print(f"\nBATTERY job: {len(lines)} attacks, {len(came['blocked'])} blocked, "
              f"{len(came['open'])} a job's right")

    def test_the_jobs_process_1_is_not_to_be_touched(self):
        lines = self.attack(1)
        touched = [line[1:3] for line in lines if line[1] == "E10" and line[4] != "blocked"]
        self.assertEqual(touched, [["E10", "pidfd_open"]])  # to wait for it, no more
        for name in ("open /proc/PID/exe", "open /proc/PID/environ", "open /proc/PID/maps"):
            self.assertEqual([line[4] for line in lines if line[2] == name], ["blocked"], name)

    def test_no_program_without_a_file(self):
        """An anonymous file, by execveat and by /proc/self/fd, and one that it has written
        itself, also by the loader. (The loader and an anonymous file that may not be
        executed: maps code as anybody does who writes code, which a job may.)"""
        code = f"""if True:
            import os, shutil, subprocess
            data = open('/usr/bin/python3', 'rb').read()
            script = ['-c', 'print("RAN")']
            def attempt(command, **more):
                try:
                    done = subprocess.run(command + script, capture_output=True, **more)
                    print('RAN' if b'RAN' in done.stdout else 'refused')
                except OSError:
                    print('refused')
            for flags in (0, 1, 2, 8, 16):
                try:
                    fd = os.memfd_create('x', flags)
                except OSError:
                    print('none')
                    continue
                os.write(fd, data)
                attempt([f'/proc/self/fd/{{fd}}'], pass_fds=[fd])
                try:
                    os.execve(fd, ['x'] + script, {{}})
                except OSError:
                    print('refused')
            for folder in ('/tmp', '{self.at("write")}', '/dev/shm'):
                try:
                    shutil.copy('/usr/bin/python3', folder + '/p')
                    os.chmod(folder + '/p', 0o755)
                except OSError:
                    print('none')
                    continue
                attempt([folder + '/p'])
                attempt(['/lib64/ld-linux-x86-64.so.2', folder + '/p'])
        """
        done = self.daemon.ctl("run", "--policy", self.policy(permissions={"fs": self.files()}),
                               "--", "/usr/bin/python3", "-c", code)
        self.assertEqual(set(done.stdout.split()), {"none", "refused"}, done.stdout + done.stderr)


HELLO = "export default { fetch() { return new Response('hello'); } };"

# Arguments: FD, and messages for it, hexadecimal or zeros:LENGTH.
SENDER = """
const [fd, ...messages] = process.argv.slice(2);
for (const hex of messages)
    attackSend(Number(fd), hex.startsWith('zeros:') ? new Uint8Array(Number(hex.slice(6)))
        : Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16)));
setTimeout(() => console.log('alive'), 100);
"""
FLOOD = """
const message = Uint8Array.from(process.argv[3].match(/../g), (x) => parseInt(x, 16));
let sent = 0;
const end = Date.now() + 1000;
while (Date.now() < end) if (attackSend(Number(process.argv[2]), message) > 0) sent++;
console.log('sent', sent);
"""
CHANNEL, EGRESS = "3", "5"  # descriptors of a worker
ITSELF = 0xffffffff  # the hook puts the worker's own number in its place


@needs_hook
class IpcTest(TenantdTest):
    """E24: what a worker may say to the supervisor and to egress once it is somebody else's."""

    options = ("--runtime", TESTING)

    def setUp(self):
        super().setUp()
        self.port = self.deploy("neighbour", self.write("neighbour/main.js", HELLO))
        self.worker = self.daemon.status("neighbour")["pid"]
        self.write("main.js", SENDER)

    def check_others(self):
        self.assertEqual(request(self.port)[2], b"hello")
        self.assertEqual(self.daemon.status("neighbour")["pid"], self.worker)
        self.assertIsNone(self.daemon.process.poll())

    def say(self, fd, *messages, policy=()):
        return self.daemon.ctl("run", self.folder, *policy, "--", fd,
                               *(message if isinstance(message, str) else message.hex()
                                 for message in messages))

    def test_messages_of_every_type_in_every_size(self):
        ended = 0
        generator = random.Random(3)
        for kind in (*range(0, 23), 255, 0x7fffffff, 0xffffffff):
            for size in (0, 1, 4, 40, 300):
                message = struct.pack("=II", kind, generator.choice((0, 1, 2, 3, 99)))
                message += generator.randbytes(size)
                done = self.say(CHANNEL, message)
                ended += "alive" not in done.stdout
        self.check_others()
        # Most are no message that a worker may send: it does not live on.
        self.assertGreater(ended, 70)
        self.assertIn("event=bad-message", self.daemon.log())

    def test_what_is_cut_off_or_too_long(self):
        for message in (b"x", b"1234567", b"\xff" * 20000, "zeros:131072", "zeros:131073",
                        "zeros:190000"):
            self.say(CHANNEL, message)
        self.check_others()

    def test_once_only_messages_again_and_in_anothers_name(self):
        confined, ready, failed, exiting = 7, 8, 9, 10
        own = int(self.daemon.status("neighbour").get("instance", 1) or 1)
        for instance in {0, 1, own, own + 1, own + 2}:
            for kind in (confined, ready, failed, exiting):
                header = struct.pack("=II", kind, instance)
                self.say(CHANNEL, header, header, header)
                self.say(CHANNEL, header + struct.pack("=II", 1, 0) + b"text\0")
                self.say(CHANNEL, header + struct.pack("=II", 0xffffffff, 0xffffffff) + b"x" * 99)
        self.check_others()
        self.assertEqual(self.daemon.status("neighbour")["state"], "running")

    def test_a_reason_cannot_forge_the_log_or_the_terminal(self):
        text = b"\x1b[2J\x1b]0;x\x07\nevent=forged tenant=neighbour\r\n\xe2\x80\xae\0"
        for instance in range(1, 40):
            done = self.say(CHANNEL, struct.pack("=IIII", 10, instance, 3, 1) + text)
            self.assertNotIn("\x1b", done.stderr)
        self.check_others()
        self.assertNotIn("\x1b", self.daemon.log())
        self.assertNotIn("\nevent=forged", self.daemon.log())

    def test_a_flood_of_audit_messages(self):
        self.write("main.js", FLOOD)
        audit = struct.pack("=IIIIIi", 11, ITSELF, 0, 0, 0, -1) + b"/x\0"
        started = threading.Thread(target=self.daemon.ctl, args=(
            "run", self.folder, "--", CHANNEL, audit.hex()))
        started.start()
        worst = 0
        while started.is_alive():
            asked = time.monotonic()
            self.assertEqual(self.daemon.ctl("status", "neighbour").returncode, 0)
            worst = max(worst, time.monotonic() - asked)
        started.join()
        self.check_others()
        self.assertLess(worst, 1 * SLOW)

    def test_a_flood_of_drops(self):
        """Each made the supervisor fork once, and listen to nobody else meanwhile."""
        self.write("main.js", FLOOD)
        daemon = Daemon(*self.options)
        self.addCleanup(daemon.close)
        results, worst = [], 0

        def attack():
            drop = struct.pack("=II", 12, ITSELF) + b"fs\0\0"
            results.append(daemon.ctl("run", self.folder, "--", CHANNEL, drop.hex()))

        started = threading.Thread(target=attack)
        started.start()
        while started.is_alive():
            asked = time.monotonic()
            self.assertEqual(daemon.ctl("list").returncode, 0)
            worst = max(worst, time.monotonic() - asked)
        started.join()
        self.assertIn("sent", results[-1].stdout, results[-1].stderr)
        self.assertLess(worst, 0.5 * SLOW)

    def test_garbage_for_egress(self):
        policy = ("--policy", self.policy(permissions={"net": {"connect": ["192.0.2.1:80"]}}))
        egress = lambda: subprocess.run(
            ["pgrep", "-P", str(self.daemon.process.pid), "tenantd-egress"],
            capture_output=True, text=True).stdout.split()
        # Somebody who needs it: it goes when nobody does.
        done = self.daemon.ctl("deploy", "user", self.write("user/main.js", HELLO), "--policy",
                               self.policy(name="user.json", permissions={"net": {
                                   "listen": ["127.0.0.1:0"], "connect": ["192.0.2.1:80"]}}))
        self.addCleanup(self.daemon.ctl, "remove", "user", "-y")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.say(EGRESS, policy=policy)
        before = egress()
        self.assertEqual(len(before), 1)
        generator = random.Random(4)
        for kind in (*range(0, 14), 0xffffffff):
            for size in (0, 1, 8, 64, 60000):
                self.say(EGRESS, struct.pack("=II", kind, 1) + generator.randbytes(size), policy=policy)
        self.check_others()
        self.assertEqual(egress(), before)

    def test_it_cannot_add_rules_for_itself(self):
        """ADD, FORGET, PROXY are the supervisor's and the jobs'."""
        wire = lambda text: struct.pack("=I", len(text)) + text + b"\0"
        add = struct.pack("=II", 3, 1) + wire(b"evil") + struct.pack("=IIIII", 0, 1, 9, 9, 9) + \
            struct.pack("=I", 1) + wire(b"127.0.0.1:1-65535") + struct.pack("=I", 0)
        policy = ("--policy", self.policy(permissions={"net": {"connect": ["192.0.2.1:80"]}}))
        self.write("main.js", SENDER + f"""
            const code = await fetch('http://127.0.0.1:{self.port}/').then(() => 'reached', (e) => e.cause?.code ?? e.code ?? e.message);
            console.log(code);
        """)
        for message in (add, struct.pack("=II", 4, 1), struct.pack("=II", 9, 1)):
            done = self.say(EGRESS, message, policy=policy)
            self.assertNotIn("reached", done.stdout)
        self.check_others()


class TimeOfLifeTest(TenantdTest):
    """E25: whoever dies or stops in the middle of something leaves nothing half confined."""

    def child(self, word):
        found = [pid for pid in children_of(self.daemon.process.pid) if word in command_of(pid)]
        return found[0] if found else None

    def test_the_supervisor_dies_while_everybody_is_stopped(self):
        program = self.write("main.js", "setInterval(() => {}, 1000);")
        for delay in (0.001, 0.005, 0.01, 0.02, 0.05, 0.2):
            runs = [subprocess.Popen(
                [BUILD + "/tenantctl", "--socket", self.daemon.socket, "run", program],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(3)]
            time.sleep(delay)
            everybody = children_of(self.daemon.process.pid)
            for pid in list(everybody):
                everybody += children_of(pid)
            for pid in everybody:
                try:
                    os.kill(pid, signal.SIGSTOP)
                except ProcessLookupError:
                    pass
            everybody += children_of(self.daemon.process.pid)
            self.daemon.process.kill()
            self.daemon.process.wait()
            wait_until(lambda: not any(alive(pid) for pid in everybody), 5,
                       "the end of all that it had started")
            for run in runs:
                run.wait(10)
            self.daemon.start()

    def test_a_stopped_worker_holds_nobody_up(self):
        port = self.deploy("stopped", self.write("a/main.js", HELLO))
        other = self.deploy("other", self.write("b/main.js", HELLO))
        os.kill(self.daemon.status("stopped")["pid"], signal.SIGSTOP)
        self.assertEqual(request(other)[2], b"hello")
        started = time.monotonic()
        self.assertEqual(self.daemon.ctl("restart", "stopped").returncode, 0)
        self.assertLess(time.monotonic() - started, 40 * SLOW)
        self.assertEqual(request(port)[2], b"hello")

    def test_a_stopped_zygote_holds_nobody_up_who_runs(self):
        port = self.deploy("runs", self.write("main.js", HELLO))
        zygote = self.child("tenant-zygote")
        os.kill(zygote, signal.SIGSTOP)
        run = subprocess.Popen([BUILD + "/tenantctl", "--socket", self.daemon.socket, "run",
                                self.write("late.js", "console.log('late')")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        self.assertEqual(request(port)[2], b"hello")
        self.assertEqual(self.daemon.ctl("list").returncode, 0)
        os.kill(zygote, signal.SIGCONT)
        output, errors = run.communicate(timeout=30 * SLOW)
        self.assertTrue(output == "late\n" or run.returncode != 0, errors)

    def test_a_killed_launcher_is_replaced(self):
        command = ("run", "--", "/usr/bin/true")
        self.assertEqual(self.daemon.ctl(*command).returncode, 0)
        launcher = self.child("tenant-launcher")
        self.assertIsNotNone(launcher)
        sleeper = subprocess.Popen([BUILD + "/tenantctl", "--socket", self.daemon.socket, "run",
                                    "--", "/usr/bin/sleep", "30"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        os.kill(launcher, signal.SIGKILL)
        wait_until(lambda: not alive(launcher))
        self.assertEqual(self.daemon.ctl(*command).returncode, 0)
        # The job is the supervisor's child: it runs on, or has ended, but is known.
        sleeper.terminate()
        self.assertIsNotNone(sleeper.wait(10 * SLOW))
        wait_until(lambda: not any("sleep" in command_of(pid)
                                   for pid in children_of(self.daemon.process.pid)))


class ControlSurfaceTest(TenantdTest):
    """E26: who may talk to the daemon, and what a tenant can make an operator's terminal do."""

    def setUp(self):
        super().setUp()
        self.addCleanup(os.chmod, self.daemon.socket, os.stat(self.daemon.socket).st_mode)

    def test_the_socket_is_roots(self):
        mode = os.stat(self.daemon.socket).st_mode & 0o777
        self.assertEqual(mode & 0o007, 0, oct(mode))

    def test_another_user_is_refused_whatever_the_mode(self):
        os.chmod(self.daemon.folder, 0o755)
        os.chmod(self.daemon.socket, 0o777)
        done = subprocess.run(
            ["python3", "-c", "import socket, sys\n"
             "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5)\n"
             "s.connect(sys.argv[1])\n"
             "try:\n  s.send(b'{\"verb\":\"list\"}'); print(repr(s.recv(1000)))\n"
             "except OSError as error: print(type(error).__name__)\n", self.daemon.socket],
            user=65534, group=65534, extra_groups=[], capture_output=True, text=True)
        self.assertNotIn("tenants", done.stdout)
        self.assertIn(done.stdout.strip(), ("b''", "BrokenPipeError", "ConnectionResetError"),
                      done.stderr)
        self.assertIn("event=control-refused uid=65534", self.daemon.log())

    def test_credentials_of_others_in_a_message_change_nothing(self):
        """SO_PEERCRED is of whoever connected; SCM_CREDENTIALS is not looked at."""
        os.chmod(self.daemon.folder, 0o755)
        os.chmod(self.daemon.socket, 0o777)
        source = ("import socket, struct, sys\n"
                  "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(5)\n"
                  "s.connect(sys.argv[1])\n"
                  "try:\n  s.sendmsg([b'{\"verb\":\"list\"}'], [(socket.SOL_SOCKET, 2,\n"
                  "    struct.pack('=iII', 1, 0, 0))]); print(repr(s.recv(1000)))\n"
                  "except OSError as error: print(type(error).__name__)\n")
        done = subprocess.run(["python3", "-c", source, self.daemon.socket], user=65534,
                              group=65534, extra_groups=[], capture_output=True, text=True)
        self.assertNotIn("tenants", done.stdout)

    def test_nothing_of_a_tenant_reaches_the_terminal_as_it_is(self):
        evil = "\\x1b]0;x\\x07\\x1b[2J\\u202e\\r\\n"
        self.deploy("loud", self.write("main.js", f"""
            console.log('{evil}event=forged');
            console.error('{evil}');
            export default {{ fetch() {{ throw new Error('{evil}'); }} }};"""))
        request(self.port_of("loud"))
        for arguments in (("logs", "loud"), ("status", "loud"), ("list",), ("audit",),
                          ("status", "loud", "--json")):
            done = self.daemon.ctl(*arguments)
            for text in (done.stdout, done.stderr):
                self.assertNotIn("\x1b", text, arguments)
                self.assertNotIn("\x07", text, arguments)
        broken = self.write("broken.js", f"throw new Error('{evil}');")
        done = self.daemon.ctl("deploy", "loud", broken)
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertNotIn("\x1b", self.daemon.log())

    def test_names_are_no_paths(self):
        program = self.write("main.js", HELLO)
        for name in ("../x", "a/b", "/etc", ".", "..", "-x", "a\nb", "\x1b[2J", "a" * 300, "",
                     "a\0b"[:1] + "%00", "x;id", "$(id)"):
            done = self.daemon.ctl("deploy", "--", name, program)
            self.assertNotEqual(done.returncode, 0, name)
            self.assertNotIn("\x1b", done.stderr)
        self.assertEqual(self.daemon.json("list")["tenants"], [])

    def test_there_is_no_pager(self):
        """CVE-2023-26604: whoever reads with root's rights is not given a program to run."""
        environment = {**os.environ, "PAGER": "touch /tmp/tenantd-pager", "LESSOPEN": "|id"}
        for verb in ("list", "help"):
            subprocess.run(["script", "-qec", f"{BUILD}/tenantctl --socket {self.daemon.socket} {verb}",
                            "/dev/null"] if shutil.which("script") else
                           [BUILD + "/tenantctl", "--socket", self.daemon.socket, verb],
                           env=environment, capture_output=True)
        self.assertFalse(os.path.exists("/tmp/tenantd-pager"))


class RaceTest(TenantdTest):
    """E05: a folder that changes under the daemon's hands."""

    def swap(self, stop, path, other):
        """PATH is now a folder, now a link to OTHER."""
        while not stop.is_set():
            try:
                os.rename(path, path + ".away")
                os.symlink(other, path)
                os.unlink(path)
                os.rename(path + ".away", path)
            except OSError:
                pass

    def racing(self, path, other):
        stop = threading.Event()
        thread = threading.Thread(target=self.swap, args=(stop, path, other))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        return stop

    def test_a_release_whose_folders_become_links(self):
        self.write("main.js", HELLO)
        self.write("lib/inner.js", "export default 1;")
        secret = tempfile.mkdtemp(prefix="tenantd-secret-", dir="/srv")
        self.addCleanup(shutil.rmtree, secret, ignore_errors=True)
        with open(os.path.join(secret, "inner.js"), "w") as file:
            file.write("the secret")
        stop = self.racing(os.path.join(self.folder, "lib"), secret)
        for _ in range(25):
            self.daemon.ctl("deploy", "race", self.folder)
        stop.set()
        self.addCleanup(self.daemon.ctl, "remove", "race", "-y")
        for folder, _, names in os.walk(self.daemon.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, errors="replace") as file:
                        self.assertNotIn("the secret", file.read(), path)
        self.assertEqual(os.listdir(secret), ["inner.js"])

    def test_a_grant_whose_folder_becomes_a_link(self):
        """A writable grant's own folder is swapped by a tenant's accomplice: its link is
        followed neither for that grant nor for one below it."""
        base = tempfile.mkdtemp(prefix="tenantd-race-", dir="/srv")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        os.chmod(base, 0o777)  # not only root's: links in it are nobody's to follow
        os.mkdir(base + "/inner")
        os.chmod(base + "/inner", 0o777)
        policy = self.policy(permissions={"fs": {"write": [base + "/inner"]}})
        stop = self.racing(base + "/inner", "/etc")
        outcomes = set()
        for _ in range(40):
            done = self.run_script(
                f"import fs from 'fs'; console.log(fs.existsSync('{base}/inner/passwd'))",
                "--policy", policy)
            outcomes.add(done.stdout)
        stop.set()
        self.assertLessEqual(outcomes, {"false\n", ""})


if __name__ == "__main__":
    unittest.main()
