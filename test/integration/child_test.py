"""Programs that tenants run: how fast they may start them, whose links lead to them, and what
happens to them when their parent gives up a permission."""

import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BUILD, ROOT, SLOW, TenantdTest, wait_until

RUNTIME = os.path.join(BUILD, "testing")
HAS_ATTACK = os.path.exists(os.path.join(RUNTIME, "tenant-zygote"))
SHELL = ["/bin/sh", "/usr/bin/cat", "/usr/bin/sleep", "/usr/bin/touch", "/usr/bin/true"]
OWN = 0xffffffff  # attackSend puts the worker's own number there
BURST, PACE = 16, 0.04  # daemon/child.c


def message_number(name):
    """As common/protocol.h has it."""
    with open(os.path.join(ROOT, "common", "protocol.h")) as file:
        text = file.read()
    names = text[text.index("enum message_type {"):text.index("MESSAGE_TYPE_COUNT")]
    return [line.strip(" \t,").split(" ")[0] for line in names.splitlines()[1:]].index(name) + 1


def string(text):
    data = text.encode()
    return struct.pack("=I", len(data)) + data + b"\0"


def child_start(number, *arguments, environment=()):
    """CHILD_START: see worker_child_encode."""
    lists = b"".join(struct.pack("=I", len(items)) + b"".join(map(string, items))
                     for items in (arguments, environment))
    return (struct.pack("=7I", message_number("MESSAGE_CHILD_START"), OWN, number, 0, 0, 0, 0) +
            string(arguments[0]) + string("") + lists)


def child_signal(number, signal):
    return struct.pack("=IIIi", message_number("MESSAGE_CHILD_SIGNAL"), OWN, number, signal)


def raw(messages, descriptor=3):
    """JavaScript that sends them as somebody would who has taken the runtime's place."""
    lines = [f"attackSend({descriptor}, new Uint8Array([{','.join(map(str, data))}]));"
             for data in messages]
    return "\n".join(lines) + "\n"


class ChildTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.world = tempfile.mkdtemp(prefix="tenantd-child-", dir="/srv")
        self.addCleanup(shutil.rmtree, self.world, ignore_errors=True)
        os.chmod(self.world, 0o755)
        self.out = self.make_folder("out", 0o777)

    def make_folder(self, name, mode=0o755):
        path = os.path.join(self.world, name)
        os.mkdir(path)
        os.chmod(path, mode)
        return path

    def make_script(self, path, text="echo ran", mode=0o755):
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, mode)
        return path

    def run_program(self, source, exec=SHELL, write=(), read=(), connect=(), then=None):
        """THEN is called while it runs."""
        policy = self.policy(permissions={
            "child": {"exec": list(exec)}, "fs": {"read": list(read), "write": list(write)},
            "net": {"connect": list(connect)}}, limits={"memory": "512M", "pids": 64})
        path = self.write("program.js", source)
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "run", path,
             "--policy", policy], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL)
        try:
            if then:
                then()
            output, errors = process.communicate(timeout=60 * SLOW)
        finally:
            process.kill()
            process.communicate()
        return subprocess.CompletedProcess((), process.returncode, output, errors)


class Pace(ChildTest):
    def test_starts_in_a_tight_loop_are_paced_and_none_fails(self):
        done = self.run_program("""
            import { spawnSync } from 'node:child_process';
            const started = performance.now();
            let count = 0, failed = 0;
            while (performance.now() - started < 2000) {
                const { status, error } = spawnSync('/usr/bin/true');
                if (status !== 0 || error) failed++;
                count++;
            }
            console.log(count, failed, performance.now() - started);
        """)
        count, failed, ms = map(float, done.stdout.split())
        self.assertEqual(failed, 0, done.stderr)
        self.assertLessEqual(count, BURST + ms / 1000 / PACE + 1)
        self.assertGreater(count, 2)

    def test_a_few_programs_start_without_delay(self):
        done = self.run_program("""
            import { spawn } from 'node:child_process';
            const started = performance.now();
            const all = Array.from({ length: 12 }, () => spawn('/usr/bin/true'));
            console.log(performance.now() - started);
            await Promise.all(all.map((one) => new Promise((go) => one.on('close', go))));
            console.log(all.every(({ exitCode }) => exitCode === 0));
        """)
        ms, fine = done.stdout.split()
        self.assertEqual(fine, "true", done.stderr)
        self.assertLess(float(ms), 12 * PACE * 1000 * SLOW)

    def test_workers_of_one_tenant_share_the_pace(self):
        path = self.write("program.js", """
            import { spawnSync } from 'node:child_process';
            const started = performance.now();
            let count = 0;
            for (; performance.now() - started < 2000; count++) spawnSync('/usr/bin/true');
            console.log(count);
        """)
        policy = self.policy(permissions={"child": {"exec": SHELL}})

        def run_all(names):
            started = time.monotonic()
            programs = [subprocess.Popen(
                [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "run", path,
                 "--policy", policy, "--name", name], stdout=subprocess.PIPE, text=True,
                stdin=subprocess.DEVNULL) for name in names]
            count = sum(int(program.communicate(timeout=60 * SLOW)[0]) for program in programs)
            return count, BURST + (time.monotonic() - started) / PACE

        count, most = run_all(["one", "one", "one"])
        self.assertLessEqual(count, most + 3)
        # Others have their own. Where everything is slow, nobody comes as far as to wait.
        count, most = run_all(["one", "two", "three"])
        if SLOW <= 1:
            self.assertGreater(count, most * 1.2)


@unittest.skipUnless(HAS_ATTACK, "the test-only zygote is not built")
class Waiting(ChildTest):
    options = ("--runtime", RUNTIME)

    def touches(self, count):
        return [child_start(1000 + i, "/usr/bin/touch", f"{self.out}/{i}") for i in range(count)]

    def test_they_start_in_order_and_signals_reach_those_that_wait(self):
        messages = self.touches(BURST + 6)
        messages += [child_signal(1000 + BURST + 1, 9), child_signal(1000 + BURST + 3, 15),
                     child_signal(1000 + BURST + 4, 17)]
        done = self.run_program(raw(messages) + f"setTimeout(() => {{}}, {4000 * SLOW});",
                                write=[self.out])
        self.assertEqual(done.returncode, 0, done.stderr)
        killed = {str(BURST + 1), str(BURST + 3)}
        expected = {str(i) for i in range(BURST + 6)}
        found = set(os.listdir(self.out))
        # SIGTERM may come when it is done.
        self.assertEqual(found | {str(BURST + 3)}, (expected - killed) | {str(BURST + 3)})

    def test_at_most_so_many_at_a_time_waiting_ones_included(self):
        messages = self.touches(70)
        done = self.run_program(raw(messages) + f"setTimeout(() => {{}}, {5000 * SLOW});",
                                write=[self.out])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(len(os.listdir(self.out)), 70)
        self.assertGreaterEqual(len(os.listdir(self.out)), 64)

    def test_what_waits_is_bounded_in_bytes(self):
        long = ["x" * 60000] * 2
        messages = self.touches(BURST) + [
            child_start(2000 + i, "/usr/bin/touch", f"{self.out}/long-{i}", environment=[
                f"A={text}" for text in long]) for i in range(12)]
        done = self.run_program(raw(messages) + f"setTimeout(() => {{}}, {3000 * SLOW});",
                                write=[self.out])
        self.assertEqual(done.returncode, 0, done.stderr)
        started = [name for name in os.listdir(self.out) if name.startswith("long")]
        self.assertGreater(len(started), 1)
        self.assertLess(len(started), 9)

    def test_the_parents_end_is_theirs(self):
        done = self.run_program(raw(self.touches(BURST + 20)) + "process.exit(0);",
                                write=[self.out])
        self.assertEqual(done.returncode, 0, done.stderr)
        time.sleep(1)
        self.assertLess(len(os.listdir(self.out)), BURST + 20)
        self.assertEqual(self.daemon.ctl("list").returncode, 0)

    def test_whoever_gave_up_the_right_starts_none_that_waited(self):
        done = self.run_program(
            raw(self.touches(BURST + 6)) + "process.permission.drop('child');" +
            f"setTimeout(() => {{}}, {3000 * SLOW});", write=[self.out])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(len(os.listdir(self.out)), BURST + 1)


@unittest.skipUnless(HAS_ATTACK, "the test-only zygote is not built")
class Asking(ChildTest):
    options = ("--runtime", RUNTIME)

    def test_only_a_job_that_is_being_made_may_ask_for_programs(self):
        message = struct.pack("=II", message_number("MESSAGE_PROGRAM"), OWN) + b"/etc/shadow\0"
        done = self.run_program(raw([message]) + f"setTimeout(() => {{}}, {5000 * SLOW});")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is not allowed in this state", done.stderr + self.daemon.log())


class Links(ChildTest):
    """Whose symbolic links lead to a granted program."""

    def job(self, *command, exec=(), read=(), write=()):
        policy = self.policy(permissions={
            "child": {"exec": [*exec]}, "fs": {"read": list(read), "write": list(write)}},
            limits={"memory": "512M", "pids": 64})
        return self.daemon.ctl("run", "--policy", policy, "--", *command)

    def setUp(self):
        super().setUp()
        self.private = self.make_folder("private")
        self.secret = self.make_script(os.path.join(self.private, "secret"), "echo the secret")

    def expect_nothing(self, path, *command):
        done = self.job(*(command or (path,)), exec=[path, *SHELL])
        self.assertEqual(done.stdout, "", done.stderr)
        self.assertNotEqual(done.returncode, 0)

    def test_links_of_root_are_followed(self):
        folder = self.make_folder("tools")
        os.symlink(self.secret, f"{folder}/tool")
        done = self.job(f"{folder}/tool", exec=[f"{folder}/tool"])
        self.assertEqual(done.stdout, "the secret\n", done.stderr)

    def test_links_in_folders_of_others_are_not(self):
        shared = self.make_folder("shared", 0o777)
        os.symlink(self.secret, f"{shared}/tool")
        os.symlink(self.private, f"{shared}/folder")
        self.expect_nothing(f"{shared}/tool")
        self.expect_nothing(f"{shared}/folder/secret")
        self.expect_nothing(f"{shared}/folder", "/usr/bin/cat", self.secret)
        theirs = self.make_folder("theirs")
        os.chown(theirs, 1234, 1235)
        os.symlink(self.secret, f"{theirs}/tool")
        self.expect_nothing(f"{theirs}/tool")

    def test_links_of_another_tenant_are_not(self):
        shared = self.make_folder("another")
        self.deploy("another", self.write(
            "another/main.js", "export default { fetch: () => new Response('ok') };"),
            permissions={"fs": {"write": [shared]}})
        os.symlink(self.secret, f"{shared}/tool")
        self.expect_nothing(f"{shared}/tool")
        # Nor by way of the first line of a script.
        os.symlink("/usr/bin/cat", f"{shared}/interpreter")
        script = os.path.join(self.private, "script")
        with open(script, "w") as file:
            file.write(f"#!{shared}/interpreter\nthe script's text\n")
        os.chmod(script, 0o755)
        self.expect_nothing(script)
        # What is no link is what was granted.
        self.make_script(f"{shared}/own")
        done = self.job(f"{shared}/own", exec=[f"{shared}/own"])
        self.assertEqual(done.stdout, "ran\n", done.stderr)

    def test_what_the_tenants_user_cannot_reach_is_not_there(self):
        closed = self.make_folder("closed", 0o700)
        tool = self.make_script(f"{closed}/tool")
        os.symlink(tool, f"{self.private}/link")
        for path in (tool, f"{self.private}/link"):
            done = self.job(path, exec=[path])
            self.assertEqual((done.returncode, done.stdout), (127, ""), done.stderr)

    def test_a_granted_folder_that_is_closed_to_others_holds_programs(self):
        """There the tenant acts as the folder's owner, whom its own user id is not."""
        closed = self.make_folder("closed", 0o700)
        os.chown(closed, 1234, 1235)
        for grants in ({"write": [closed]}, {"read": [closed]}):
            self.make_script(f"{closed}/tool")
            done = self.run_program(f"""
                import {{ spawnSync }} from 'node:child_process';
                console.log(`${{spawnSync('{closed}/tool').stdout}}`);
            """, exec=[closed, *SHELL], **grants)
            self.assertEqual(done.stdout, "ran\n\n", done.stderr)

    def test_errors_tell_nothing_of_what_lies_behind_a_link(self):
        closed = self.make_folder("closed", 0o700)
        for name in ("folder", "file"):
            os.mkdir(f"{closed}/{name}") if name == "folder" else \
                self.make_script(f"{closed}/{name}")
        os.chmod(self.out, 0o777)
        links = {"folder": f"{closed}/folder", "file": f"{closed}/file",
                 "missing": f"{closed}/missing", "below": f"{closed}/file/below"}
        for name, target in links.items():
            os.symlink(target, f"{self.out}/{name}")
        done = self.run_program(f"""
            import {{ spawnSync }} from 'node:child_process';
            for (const name of {json.dumps(list(links))})
                console.log(spawnSync('{self.out}/' + name).error.code);
        """, exec=[self.out], write=[self.out])
        self.assertEqual(len(done.stdout.split()), len(links), done.stderr)
        self.assertEqual(len(set(done.stdout.split())), 1, done.stdout)


class Memory(ChildTest):
    def test_the_supervisor_forgets_the_environment_of_a_child(self):
        """Nowhere in its memory, once the child runs: not in what it received, kept for later,
        or sent on."""
        done = self.run_program(f"""
            import {{ spawnSync }} from 'node:child_process';
            import fs from 'node:fs';
            const env = {{ SECRET: ['marked', 'by', 'test'].join('-') + '='.repeat(20) }};
            for (let i = 0; i < {BURST} + 4; i++)
                if (spawnSync('sh', ['-c', 'test -n "$SECRET"'], {{ env }}).status !== 0) throw 1;
            fs.writeFileSync('{self.out}/done', '');
            while (!fs.existsSync('{self.out}/looked')) await new Promise((go) => setTimeout(go, 20));
        """, write=[self.out], then=self.look_into_memory)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.found, [])
        # It would be found if it were there.
        self.assertGreater(self.searched, 1 << 20)

    def look_into_memory(self):
        wait_until(lambda: os.path.exists(f"{self.out}/done"), what="the children")
        marker = b"marked-by-test" + b"=" * 20
        pid = self.daemon.process.pid
        self.found, self.searched = [], 0
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                area, mode = line.split()[:2]
                start, end = (int(part, 16) for part in area.split("-"))
                if not mode.startswith("rw") or end - start > 1 << 30:  # a sanitizer's own
                    continue
                try:
                    memory.seek(start)
                    data = memory.read(end - start)
                except OSError:
                    continue
                self.searched += len(data)
                if marker in data:
                    self.found.append(line)
        with open(f"{self.out}/looked", "w"):
            pass


class Drops(ChildTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                cls.requests.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"from outside")

            def log_message(self, *arguments):
                pass

        cls.requests = []
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        cls.port = cls.server.server_address[1]
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.requests.clear()

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_programs_that_run_lose_the_network_with_their_parent(self):
        rule = f"127.0.0.2:{self.port}"
        for scope in ("'net'", f"'net.connect', '{rule}'"):
            self.requests.clear()
            done = self.run_program(f"""
                import {{ spawn, spawnSync }} from 'node:child_process';
                const url = 'http://{rule}/';
                const child = spawn('sh', ['-c', `read x; curl -sSf ${{url}}before; echo; read x;
                    curl -sSf ${{url}}after || echo refused`]);
                child.stdout.setEncoding('utf8').on('data', (text) => {{
                    console.log(text.trim());
                    if (!text.includes('from outside')) return;
                    process.permission.drop({scope});
                    child.stdin.end('\\n');
                    const later = spawnSync('curl', ['-sSf', url + 'later']);
                    console.log('later', `${{later.stdout}}`);
                }});
                child.stdin.write('\\n');
            """, exec=[*SHELL, "/usr/bin/curl"], connect=[rule])
            self.assertEqual(sorted(done.stdout.split("\n")),
                             ["", "from outside", "later ", "refused"], done.stderr)
            self.assertEqual(self.requests, ["/before"])

    def test_programs_that_run_keep_their_files(self):
        with open(f"{self.out}/file", "w") as file:
            file.write("content")
        done = self.run_program(f"""
            import {{ spawn, spawnSync }} from 'node:child_process';
            const child = spawn('sh', ['-c', 'read x; cat {self.out}/file'],
                                {{ stdio: ['pipe', 'inherit', 'inherit'] }});
            process.permission.drop('fs');
            console.log(spawnSync('cat', ['{self.out}/file']).status);
            child.stdin.end('\\n');
        """, write=[self.out])
        self.assertEqual(done.stdout, "1\ncontent", done.stderr)


@unittest.skipUnless(HAS_ATTACK, "the test-only zygote is not built")
class DropsBelowJavaScript(ChildTest):
    """The checks of JavaScript are left out: as somebody would who has taken the runtime's
    place, the program sends its own messages and makes its own system calls."""
    options = ("--runtime", RUNTIME)
    EGRESS = 5  # the worker's descriptor of its channel to egress

    def setUp(self):
        super().setUp()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.port = self.listener.getsockname()[1]
        self.rule = f"127.0.0.1:{self.port}"

    def connect(self):
        """CONNECT of common/egress.h, under a number that the runtime does not know."""
        with open(os.path.join(ROOT, "common", "egress.h")) as file:
            names = [line.strip(" \t,\n").split(" ")[0] for line in file]
        kind = names.index("EGRESS_CONNECT") - names.index("EGRESS_READY") + 1
        return raw([struct.pack("=IIHBBI", kind, 4711, self.port, 0, 0, 0) + b"127.0.0.1"],
                   self.EGRESS)

    def accepted(self):
        """How many connections came."""
        self.listener.settimeout(0)
        count = 0
        while True:
            try:
                self.listener.accept()[0].close()
                count += 1
            except BlockingIOError:
                return count

    def denied(self):
        try:
            with open(os.path.join(self.daemon.state, "audit", "audit.jsonl")) as file:
                return [(record["permission"], record["layer"]) for record in map(json.loads, file)
                        if record["result"] == "denied" and str(self.port) in record["resource"]]
        except FileNotFoundError:
            return []

    def connects(self, drop):
        done = self.run_program(f"""
            const later = (ms) => new Promise((go) => setTimeout(go, ms));
            {drop}
            {self.connect()}
            await later({500 * SLOW});
        """, connect=[self.rule, "127.0.0.9:1"])
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.accepted()

    def test_without_a_drop_it_connects(self):
        self.assertEqual(self.connects(""), 1)
        self.assertEqual(self.connects("process.permission.drop('net', '127.0.0.9:1');"), 1)
        self.assertEqual(self.denied(), [])

    def test_a_dropped_network_is_refused_by_egress(self):
        for drop in ("'net'", "'net.connect'", f"'net', '{self.rule}'"):
            before = len(self.denied())
            self.assertEqual(self.connects(f"process.permission.drop({drop});"), 0, drop)
            self.assertEqual(self.denied()[before:], [("net.connect", "egress")])

    def test_the_supervisor_alone_suffices(self):
        """It is told, and egress not: the two channels are not one."""
        drop = struct.pack("=II", message_number("MESSAGE_DROP"), OWN) + b"net\0\0"
        self.assertEqual(self.connects(raw([drop]) + f"await later({300 * SLOW});"), 0)
        self.assertEqual(self.denied(), [("net.connect", "egress")])

    def writes_after_rename(self, drop, open_first):
        """A folder to write, in one to read, has got another name when it is given up. Can the
        worker write there, before and after?"""
        outer = self.make_folder("outer")
        middle = self.make_folder("outer/middle", 0o777)
        inner = self.make_folder("outer/middle/in ner", 0o777)
        moved = f"{outer}/mo ved"
        with open(f"{inner}/file", "w") as file:
            file.write("content")
        os.chmod(f"{inner}/file", 0o666)

        def rename():
            wait_until(lambda: os.path.exists(f"{inner}/ready"), what="the program")
            os.rename(middle, moved)
            with open(f"{moved}/in ner/go", "w"):
                pass

        done = self.run_program(f"""
            import fs from 'node:fs';
            const index = attack().findIndex(([, name]) => name === 'read grant: open to write');
            const write = () => attack(index, {{ port: 1, victim: 1, abstract: 'x', socket: '/x',
                read: '{moved}/in ner', write: '{inner}', file: '/x' }})[0];
            const fd = {f"fs.openSync('{inner}/file', 'r+')" if open_first else "0"};
            fs.writeFileSync('{inner}/ready', '');
            while (!fs.existsSync('{moved}/in ner/go')) await new Promise((go) => setTimeout(go, 20));
            const before = write();
            process.permission.drop({drop.format(inner=repr(inner))});
            console.log(before, write());
            process.permission.drop('fs', '{inner}');
            console.log(write());
        """, read=[outer], write=[inner], then=rename)
        shutil.rmtree(outer)
        self.assertEqual(done.stdout, "1 0\n0\n", done.stderr)

    def test_a_drop_reaches_a_grant_whose_parent_was_renamed(self):
        for drop in ("'fs.write', {inner}", "'fs.write'", "'fs.read', {inner}", "'fs', {inner}"):
            for open_first in (False, True):
                with self.subTest(drop=drop, open_first=open_first):
                    self.writes_after_rename(drop, open_first)


if __name__ == "__main__":
    unittest.main()
