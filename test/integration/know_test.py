"""What the daemon knows and tells: secrets, audit, policy explain/test/suggest, doctor, tiers."""

import json
import os
import subprocess
import tempfile
import time
import unittest

from harness import BUILD, TenantdTest, request, wait_until

SECRET = "hunter22-correct-horse"
SHOW_ENV = """
export default { fetch(request, env) {
  const url = new URL(request.url);
  if (url.pathname === '/env') return Response.json({ env, process: process.env });
  if (url.pathname === '/log') { console.log(`key=${env.API_KEY};`); return new Response('ok'); }
  if (url.pathname === '/split') {
    const half = env.API_KEY.length >> 1;
    process.stdout.write(env.API_KEY.slice(0, half));
    setTimeout(() => process.stdout.write(env.API_KEY.slice(half) + '\\n'), 100);
    return new Response('ok');
  }
  if (url.pathname === '/die') setTimeout(() => { throw new Error(`cannot use ${env.API_KEY}`); });
  if (url.pathname === '/spin') for (;;);
  return new Response('ok');
} };
"""


class SecretsTest(TenantdTest):
    @classmethod
    def setUpClass(cls):
        cls.secrets = tempfile.mkdtemp(prefix="tenantd-secrets-")
        cls.options = ("--secrets-dir", cls.secrets)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        subprocess.run(["rm", "-rf", cls.secrets], check=True)

    def put(self, tenant, name, value, mode=0o600):
        folder = os.path.join(self.secrets, tenant)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(value)
        os.chmod(path, mode)

    def deploy_secret(self, tenant, **more):
        return self.deploy(tenant, self.write("main.js", SHOW_ENV), port=None,
                           permissions={"net": {"listen": ["127.0.0.1:0"]},
                                        "env": {"set": {"MODE": "x"}, "secrets": ["API_KEY"]}},
                           **more)

    def deploy(self, name, program, *options, port=None, **policy):
        path = self.policy(**policy)
        done = self.daemon.ctl("deploy", name, program, "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return self.port_of(name)

    def test_a_secret_is_in_both_environments_and_only_what_is_granted(self):
        self.put("shop", "API_KEY", SECRET + "\n")
        port = self.deploy_secret("shop")
        seen = json.loads(request(port, "/env")[2])
        self.assertEqual(seen["env"], {"MODE": "x", "API_KEY": SECRET})
        # CVE-2025-48934: to list the environment must show no more than to ask for it.
        self.assertEqual(seen["process"], {"MODE": "x", "API_KEY": SECRET})

    def test_a_secret_is_nowhere_else(self):
        self.put("hidden", "API_KEY", SECRET)
        port = self.deploy_secret("hidden")
        request(port, "/log")
        wait_until(lambda: "key=" in self.daemon.ctl("logs", "hidden").stdout, what="the line")
        self.assertNotIn(SECRET, json.dumps(self.daemon.status("hidden")))
        self.assertNotIn(SECRET, self.daemon.ctl("list", "--json").stdout)
        self.assertNotIn(SECRET, self.daemon.ctl("policy", "explain", "hidden", "--json").stdout)
        self.assertNotIn(SECRET, self.daemon.log())
        found = subprocess.run(["grep", "-rl", SECRET, self.daemon.state], capture_output=True,
                               text=True)
        self.assertEqual(found.stdout, "")
        worker = self.daemon.status("hidden")["pid"]
        for pid in (worker, self.daemon.process.pid):
            for name in ("environ", "cmdline"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    self.assertNotIn(SECRET.encode(), file.read())
        # Not in a core file either: there is none. 1: no file, and no pipe (core(5)).
        with open(f"/proc/{worker}/limits") as file:
            core = next(line for line in file if line.startswith("Max core file size"))
        self.assertEqual(core.split()[4:6], ["1", "1"])

    def test_no_process_environment_can_be_read_from_inside(self):
        """/proc/self/environ, /proc/PID/environ and ways round to them: there is no /proc."""
        self.put("reader", "API_KEY", SECRET)
        path = self.policy(permissions={"env": {"secrets": ["API_KEY"]}})
        done = self.run_script("""
            const fs = await import('node:fs').catch(() => null);
            const ways = ['/proc/self/environ', '/proc/1/environ', '/proc/thread-self/environ',
              '/dev/fd/../environ', '/app/../proc/self/environ', '/proc/self/mem'];
            for (const way of ways) {
              try { fs.readFileSync(way); console.log('READ', way); } catch {}
            }
            console.log('tried');""", "--name", "reader", "--policy", path)
        self.assertEqual(done.stdout, "tried\n", done.stderr)

    def test_the_supervisor_keeps_one_copy(self):
        """What is left of messages is wiped: the value is where redaction needs it."""
        value = "only-one-copy-" + os.urandom(8).hex()
        self.put("single", "API_KEY", value)
        self.deploy_secret("single")
        self.assertEqual(self.count_in_memory(self.daemon.process.pid, value), 1)

    def count_in_memory(self, pid, value):
        count = 0
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
            for line in maps:
                span, rights, *_ = line.split()
                if not rights.startswith("rw") or "[v" in line:
                    continue
                begin, end = (int(part, 16) for part in span.split("-"))
                try:
                    memory.seek(begin)
                    count += memory.read(end - begin).count(value.encode())
                except OSError:
                    pass
        return count

    def test_logs_have_stars(self):
        self.put("stars", "API_KEY", SECRET)
        port = self.deploy_secret("stars")
        request(port, "/log")
        request(port, "/split")
        text = wait_until(
            lambda: (t := self.daemon.ctl("logs", "stars", "--plain").stdout).count("***") >= 2
            and t, what="two redacted lines")
        self.assertIn("key=***;", text)
        self.assertNotIn("hunter22", text)
        self.assertNotIn("correct-horse", text)

    def test_the_reason_of_a_failure_has_stars(self):
        self.put("dies", "API_KEY", SECRET)
        port = self.deploy_secret("dies")
        try:
            request(port, "/die")
        except OSError:
            pass
        last = wait_until(lambda: self.daemon.status("dies")["last_exit"], what="the end")
        self.assertIn("cannot use ***", last["message"])
        self.assertNotIn(SECRET, self.daemon.log())

    def test_a_missing_secret_is_an_error_of_the_start_with_its_places(self):
        path = self.policy(permissions={"env": {"secrets": ["NOT_THERE"]}})
        done = self.daemon.ctl("deploy", "missing", self.write("main.js", SHOW_ENV), "--policy",
                               path)
        self.addCleanup(self.daemon.ctl, "remove", "missing", "-y")
        self.assertEqual(done.returncode, 1)
        self.assertIn("NOT_THERE", done.stderr)
        self.assertIn(f"{self.secrets}/missing/NOT_THERE", done.stderr)

    def test_a_secret_that_others_can_read_is_refused(self):
        self.put("open", "API_KEY", SECRET, mode=0o644)
        path = self.policy(permissions={"env": {"secrets": ["API_KEY"]}})
        done = self.daemon.ctl("deploy", "open", self.write("main.js", SHOW_ENV), "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", "open", "-y")
        self.assertEqual(done.returncode, 1)
        self.assertIn("chmod 0600", done.stderr)
        self.assertNotIn(SECRET, done.stderr)

    def test_a_restart_reads_a_rotated_secret(self):
        self.put("rotated", "API_KEY", "the-old-one")
        port = self.deploy_secret("rotated")
        self.put("rotated", "API_KEY", "the-new-one")
        self.assertEqual(self.daemon.ctl("restart", "rotated").returncode, 0)
        seen = json.loads(request(port, "/env")[2])
        self.assertEqual(seen["env"]["API_KEY"], "the-new-one")

    def test_another_tenants_secret_is_out_of_reach(self):
        self.put("rich", "API_KEY", SECRET)
        path = self.policy(permissions={"env": {"secrets": ["API_KEY"]}})
        done = self.daemon.ctl("deploy", "poor", self.write("main.js", SHOW_ENV), "--policy", path)
        self.addCleanup(self.daemon.ctl, "remove", "poor", "-y")
        self.assertEqual(done.returncode, 1)
        self.assertIn("poor/API_KEY", done.stderr)

    def test_a_run_has_its_secrets_and_its_output_is_the_callers_own(self):
        self.put("ci", "API_KEY", SECRET)
        path = self.policy(permissions={"env": {"secrets": ["API_KEY"]}})
        done = self.run_script("console.log(process.env.API_KEY)", "--name", "ci", "--policy", path)
        self.assertEqual((done.stdout, done.returncode), (SECRET + "\n", 0), done.stderr)


class KnowTest(TenantdTest):
    def audit(self, *arguments):
        done = self.daemon.ctl("audit", "--json", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    # ---- audit ----

    def test_a_limit_that_is_reached_is_recorded_with_its_layer(self):
        port = self.deploy("spins", self.write("main.js", SHOW_ENV), port=0,
                           limits={"request": {"cpu": "100ms"}})
        try:
            request(port, "/spin")
        except OSError:
            pass
        records = wait_until(lambda: self.audit("spins"), what="the record")
        self.assertEqual(records[0]["permission"], "resource")
        self.assertEqual(records[0]["resource"], "limits.request.cpu")
        self.assertEqual(records[0]["result"], "denied")
        self.assertEqual(records[0]["layer"], "engine")
        self.assertEqual(records[0]["tenant"], "spins")
        self.assertEqual(len(records[0]["release"]), 64)
        self.assertTrue(self.audit("spins", "--denied"))
        self.assertEqual(self.audit("nobody"), [])
        plain = self.daemon.ctl("audit", "spins", "--plain").stdout.splitlines()[0].split("\t")
        self.assertEqual(plain[1:6], ["spins", "denied", "resource", "limits.request.cpu", "engine"])
        mode = os.stat(os.path.join(self.daemon.state, "audit", "audit.jsonl")).st_mode & 0o777
        self.assertEqual(mode, 0o600)

    def test_a_full_heap_is_recorded(self):
        path = self.policy(limits={"memory": "32M"})
        self.run_script("const all = []; for (;;) all.push([all.length])",
                        "--name", "hungry", "--policy", path)
        records = self.audit("hungry")
        self.assertEqual(records[-1]["resource"], "limits.memory")
        self.assertIn(records[-1]["layer"], ("cgroup", "engine"))

    def test_a_kill_by_the_kernel_for_memory_is_recorded_by_the_cgroup(self):
        """WebAssembly's memory is the kernel's to count."""
        path = self.policy(limits={"memory": "32M"})
        self.run_script(
            "const m = new WebAssembly.Memory({ initial: 1, maximum: 4096 });"
            "for (;;) { m.grow(16); new Uint8Array(m.buffer).fill(1); }",
            "--name", "grows", "--policy", path)
        self.assertEqual([(r["layer"], r["resource"]) for r in self.audit("grows")],
                         [("cgroup", "limits.memory")])

    def test_code_that_is_made_is_recorded_with_its_place(self):
        """Refusals by the engine; with "all", what it allowed."""
        source = ("export const f = () => eval('1 + 1');\n"
                  "const module = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);\n"
                  "for (const make of [f, () => new Function('return 2')(),\n"
                  "  () => new WebAssembly.Module(module)])\n"
                  "  try { make(); console.log('made'); } catch (e) { console.log(e.name); }\n"
                  "await WebAssembly.compile(module).catch(() => 0);\n"
                  "eval(7);\n")
        expected = [("eval", "script.js:1:24"), ("eval", "script.js:3:30"),
                    ("wasm", "script.js:4:9"), ("wasm", "script.js:6:19")]
        for granted, audit, name in ((False, "denied", "makes"), (True, "denied", "may-make"),
                                     (True, "all", "all-made"), (False, "off", "off-made")):
            path = self.policy(permissions={"eval": granted, "wasm": granted}, audit=audit)
            done = self.run_script(source, "--name", name, "--policy", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.split(), ["made"] * 3 if granted else
                             ["EvalError", "EvalError", "CompileError"])
            told = [(r["permission"], r["resource"]) for r in self.audit(name)]
            self.assertEqual(told, [] if granted and audit == "denied" or audit == "off" else expected)
            for record in self.audit(name):
                self.assertEqual(record["layer"], "engine")
                self.assertEqual(record["result"], "allowed" if granted else "denied")
        path = self.policy(permissions={"eval": False, "wasm": False})
        done = self.daemon.ctl("policy", "suggest", "makes", "--policy", path)
        grants = json.loads(done.stdout)["permissions"]
        self.assertEqual((grants["eval"], grants["wasm"]), (True, True))
        self.assertIn("script.js:1:24", done.stderr)

    def test_what_is_dropped_of_a_flood_is_told(self):
        done = self.run_script("""
            import fs from 'node:fs';
            for (let second = 0; second < 2; second++) {
              for (let i = 0; i < 400; i++)
                try { fs.readFileSync(`/etc/${second}/${i}`); } catch {}
              await new Promise((done) => setTimeout(done, 1100));
            }
            try { fs.readFileSync('/etc/last'); } catch {}
            """, "--name", "floods")
        self.assertEqual(done.returncode, 0, done.stderr)
        records = self.audit("floods", "-n", "5000")
        told = [r for r in records if "dropped" not in r]
        dropped = [r["dropped"] for r in records if "dropped" in r]
        self.assertEqual(len(told) + sum(dropped), 801)
        self.assertGreater(sum(dropped), 600)
        shown = self.daemon.ctl("audit", "floods", "-n", "5000").stdout
        self.assertIn("records dropped", shown)

    def test_audit_off_records_nothing(self):
        path = self.policy(audit="off", limits={"request": {"cpu": "50ms"}})
        self.run_script("for(;;);", "--name", "silent", "--policy", path)
        self.assertEqual(self.audit("silent"), [])

    def test_following_shows_new_records(self):
        follower = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, "audit", "-f", "-n",
             "0", "--json", "followed"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        time.sleep(0.3)
        path = self.policy(limits={"request": {"cpu": "50ms"}})
        for name in ("other", "followed"):
            self.run_script("for(;;);", "--name", name, "--policy", path)
        record = json.loads(follower.stdout.readline())
        self.assertEqual((record["tenant"], record["resource"]), ("followed", "limits.request.cpu"))

    # ---- policy ----

    def test_explain_says_what_is_reachable_and_who_enforces_it(self):
        port = self.deploy("explained", self.write("main.js", SHOW_ENV), port=0)
        self.assertTrue(port)
        text = self.daemon.ctl("policy", "explain", "explained").stdout
        for part in ("listens on 127.0.0.1:0", "Landlock", "no program at all", "cgroup", "128M"):
            self.assertIn(part, text)
        document = self.daemon.json("policy", "explain", "explained")
        self.assertEqual([section["title"] for section in document["sections"]][:2],
                         ["Files", "Network"])
        path = self.policy(port)
        self.assertEqual(self.daemon.ctl("policy", "explain", path).returncode, 0)
        self.assertEqual(self.daemon.ctl("policy", "explain", "nobody").returncode, 4)

    def test_policy_test_answers_with_its_exit_code(self):
        self.deploy("tested", self.write("main.js", SHOW_ENV), port=0)
        allowed = (("read", "/app/main.js"), ("listen", "127.0.0.1:0"), ("wasm",))
        denied = (("read", "/etc/passwd"), ("write", "/app/main.js"), ("exec", "/bin/sh"),
                  ("connect", "example.com:443"), ("listen", "0.0.0.0:80"), ("env", "PATH"),
                  ("eval",))
        for question in allowed:
            self.assertEqual(self.daemon.ctl("policy", "test", "tested", *question).returncode, 0)
        for question in denied:
            done = self.daemon.ctl("policy", "test", "tested", *question)
            self.assertEqual(done.returncode, 1, question)
            self.assertTrue(done.stdout.startswith("denied: "), done.stdout)
        for wrong in (("read", "relative"), ("connect", "no-port"), ("fly", "/"), ("read",),
                      ("eval", "x")):
            self.assertEqual(self.daemon.ctl("policy", "test", "tested", *wrong).returncode, 2)
        done = self.daemon.ctl("policy", "test", "tested", "read", "/etc/passwd", "--json")
        self.assertEqual(json.loads(done.stdout)["result"], "denied")

    def test_policy_test_knows_sites(self):
        path = self.policy(permissions={"net": {"ingress": [
            "shop.test/api", "*.shop.test", {"host": "a.shop.test", "path": "/x"}]}})
        for what, code, part in (("shop.test/api", 0, "net.ingress has shop.test/api"),
                                 ("SHOP.test:80/api/../api/v1?q", 0, "shop.test/api"),
                                 ("shop.test", 1, 'add "shop.test" to permissions.net.ingress'),
                                 ("shop.test/apis", 1, 'add "shop.test/apis" to'),
                                 ("b.shop.test/x", 0, "net.ingress has *.shop.test"),
                                 ("a.shop.test/x/y", 0, "net.ingress has a.shop.test/x"),
                                 ("a.shop.test/z", 0, "net.ingress has *.shop.test"),
                                 ("*.shop.test", 2, "that is no host"), ("/x", 2, "that is no host")):
            done = self.daemon.ctl("policy", "test", path, "site", what)
            self.assertEqual(done.returncode, code, what + done.stdout + done.stderr)
            self.assertIn(part, done.stdout + done.stderr)

    def test_suggest_prints_a_valid_policy(self):
        self.deploy("suggested", self.write("main.js", SHOW_ENV), port=0, audit="all")
        done = self.daemon.ctl("policy", "suggest", "suggested")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("there are no records", done.stderr)
        path = self.write("suggested.json", done.stdout)
        self.assertEqual(self.daemon.ctl("check", path).returncode, 0)
        self.assertEqual(json.loads(done.stdout)["permissions"]["net"]["listen"], ["127.0.0.1:0"])

    def test_a_run_that_records_all_suggests_its_policy(self):
        """The run is denied what it needs; what is suggested is what it needs."""
        data = tempfile.mkdtemp(prefix="tenantd-data-", dir="/var/tmp")
        self.addCleanup(subprocess.run, ["rm", "-rf", data], check=True)
        os.makedirs(os.path.join(data, "many"))
        names = ["one", "many/a", "many/b", "many/c"]
        for name in names:
            with open(os.path.join(data, name), "w") as file:
                file.write(name)
        paths = [os.path.join(data, name) for name in names]
        policy = self.policy()
        done = self.run_script(f"""
            import fs from 'node:fs';
            for (const path of {json.dumps(paths)})
              try {{ fs.readFileSync(path); console.log('READ'); }} catch {{}}
            await fetch('https://api.example.com:8443/').catch(() => 0);
            """, "--name", "wants", "--policy", policy, "--audit", "all")
        self.assertEqual((done.stdout, done.returncode), ("", 0), done.stderr)
        for record in self.audit("wants"):
            self.assertEqual(record["result"], "denied")
        done = self.daemon.ctl("policy", "suggest", "wants", "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stderr)
        grants = json.loads(done.stdout)["permissions"]
        self.assertEqual(grants["fs"]["read"],
                         [os.path.join(data, "many"), os.path.join(data, "one")])
        self.assertEqual(grants["net"]["connect"], ["api.example.com:8443"])
        self.assertIn(f"{data}/many is granted as a whole", done.stderr)

    def test_a_run_takes_no_longer_than_its_time(self):
        path = self.policy(limits={"time": "300ms"})
        done = self.run_script("setTimeout(() => {}, 1e6)", "--name", "slow", "--policy", path)
        self.assertEqual(done.returncode, 124, done.stderr)
        self.assertIn("limits.time", done.stderr)
        self.assertEqual([(r["layer"], r["resource"]) for r in self.audit("slow")],
                         [("supervisor", "limits.time")])

    # ---- doctor, tiers ----

    def test_doctor_asks_the_daemon_or_looks_itself(self):
        asked = self.daemon.ctl("doctor", "--json")
        own = subprocess.run([os.path.join(BUILD, "tenantctl"), "--socket", "/nowhere", "doctor",
                              "--json"], capture_output=True, text=True)
        for done, source in ((asked, "tenantd"), (own, "tenantctl")):
            document = json.loads(done.stdout)
            self.assertEqual(document["source"], source)
            self.assertEqual(done.returncode, 0 if document["possible"] == "full" else 1)
            names = {item["name"] for item in document["items"]}
            self.assertLessEqual({"Landlock", "seccomp", "control groups", "user ids"}, names)
            for item in document["items"]:
                if item["state"] in ("weaker", "missing", "fatal"):
                    self.assertTrue(item["cost"], item)
        self.assertEqual(json.loads(asked.stdout)["tier"], "full")

    def test_the_tier_is_told(self):
        self.deploy("tiered", self.write("main.js", SHOW_ENV), port=0, tier="full")
        self.assertEqual(self.daemon.status("tiered")["tier"], "full")
        self.assertEqual(self.daemon.json("version")["tenantd"]["tier"], "full")
        self.assertIn("tier full", self.daemon.ctl("version").stdout)

    def test_a_tier_that_is_none_is_refused(self):
        program = os.path.join(BUILD, "tenantd")
        done = subprocess.run([program, "--tier", "half"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("full or container", done.stderr)

    # ---- limits.stack ----

    def test_the_stack_is_as_deep_as_the_policy_says(self):
        source = ("let depth = 0; function f() { depth++; f(); }"
                  "try { f(); } catch (e) { console.log(e.name, depth); }")
        depths = []
        for stack in ("128K", "984K", "64M"):
            done = self.run_script(source, "--policy",
                                   self.policy(limits={"stack": stack, "memory": "256M"}))
            self.assertEqual(done.returncode, 0, done.stderr)
            name, depth = done.stdout.split()
            self.assertEqual(name, "RangeError")
            depths.append(int(depth))
        self.assertGreater(depths[1], 4 * depths[0])
        self.assertGreater(depths[2], 30 * depths[1])


class ContainerTest(TenantdTest):
    """What is said of a policy where there are no mounts and namespaces."""

    options = ("--tier", "container")

    def test_explain_says_what_this_tier_does(self):
        self.deploy("explained", self.write("main.js", SHOW_ENV), port=0)
        document = self.daemon.json("policy", "explain", "explained")
        self.assertEqual(document["tier"], "container")
        text = self.daemon.ctl("policy", "explain", "explained").stdout
        release = self.daemon.status("explained")["release"]
        for part in (f"{self.daemon.state}/releases/{release}", "Landlock, alone", "can be seen",
                     "the tier container"):
            self.assertIn(part, text)
        for part in ("/app", "namespace,", "namespace ", "mount (", "no swap"):
            self.assertNotIn(part, text)
        refused = self.policy(limits={"tmp": "1M"}, tier="full",
                              permissions={"child": {"exec": ["/bin/true"]}})
        text = self.daemon.ctl("policy", "explain", refused).stdout
        for part in ("limits.tmp needs", "child.exec needs", "demands the tier full"):
            self.assertIn(part, text)
        # Without a daemon nobody knows: the tier full.
        alone = subprocess.run([os.path.join(BUILD, "tenantctl"), "--socket", "/nowhere", "policy",
                                "explain", refused], capture_output=True, text=True)
        self.assertIn("at /app", alone.stdout)
        self.assertIn("the tier full", alone.stdout)

    def test_policy_test_knows_where_the_release_is(self):
        data = tempfile.mkdtemp(prefix="tenantd-data-", dir="/var/tmp")
        self.addCleanup(os.rmdir, data)
        self.deploy("tested", self.write("main.js", SHOW_ENV), port=0,
                    permissions={"fs": {"read": [data]}})
        release = f"{self.daemon.state}/releases/{self.daemon.status('tested')['release']}"
        for question, code in ((("read", f"{release}/main.js"), 0), (("read", "/app/main.js"), 1),
                               (("write", f"{release}/x"), 1), (("read", data), 0),
                               (("exec", "/bin/true"), 1)):
            done = self.daemon.ctl("policy", "test", "tested", *question)
            self.assertEqual(done.returncode, code, done.stdout)

    def test_suggest_grants_no_release(self):
        port = self.deploy("suggested", self.write("main.js", """
            import fs from 'node:fs';
            export default { fetch() {
              fs.readFileSync(new URL(import.meta.url));
              try { fs.writeFileSync(new URL('x', import.meta.url), ''); } catch {}
              try { fs.readFileSync('/etc/hosts'); } catch {}
              return new Response('ok');
            } };"""), port=0, audit="all")
        request(port)
        done = self.daemon.ctl("policy", "suggest", "suggested")
        self.assertEqual(json.loads(done.stdout)["permissions"]["fs"],
                         {"read": ["/etc/hosts"], "write": []}, done.stderr)


if __name__ == "__main__":
    unittest.main()
