"""tenantctl run: a script once, in the same confinement, as a CI job or a person uses it."""

import subprocess
import time
import unittest

from harness import TenantdTest


class RunTest(TenantdTest):
    def test_output_and_exit_code_pass_through(self):
        done = self.run_script(
            "console.log('out'); console.error('err'); process.exitCode = 7;")
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("out\n", "err\n", 7))

    def test_a_task_of_the_console_is_no_debuggers(self):
        done = self.run_script("console.log(console.createTask('it').run(() => 5));")
        self.assertEqual((done.returncode, done.stdout), (0, "5\n"), done.stderr)

    def test_code_from_strings_names_what_would_allow_it(self):
        source = """
            for (const make of [() => eval('1'), () => new Function('1'),
                () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))])
                try { make(); } catch (error) { console.log(error.name, error.message); }
        """
        done = self.run_script(source, "--policy", self.policy(permissions={"eval": False, "wasm": False}))
        lines = done.stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["EvalError", "EvalError", "CompileError"], done.stderr)
        for line, name in zip(lines, ("eval", "eval", "wasm")):
            self.assertIn(f"\"{name}\": true among the policy's permissions would allow it", line)

    def test_arguments(self):
        done = self.run_script("console.log(JSON.stringify(process.argv.slice(2)))",
                               arguments=["a b", "--flag", "ü"])
        self.assertEqual(done.stdout, '["a b","--flag","ü"]\n')

    def test_process_exit_is_immediate_and_runs_exit_listeners(self):
        done = self.run_script(
            "process.on('exit', (c) => console.log('exit', c));"
            "process.exit(3); console.log('never')")
        self.assertEqual((done.stdout, done.returncode), ("exit 3\n", 3))

    def test_uncaught_exception_ends_with_1_and_its_place(self):
        done = self.run_script("function f() {\n  throw new TypeError('broken');\n}\nf();\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/app/script.js:2", done.stderr)
        self.assertIn("TypeError: broken", done.stderr)
        self.assertIn("at f (", done.stderr)

    def test_unhandled_rejection_ends_with_1(self):
        done = self.run_script("Promise.reject(new Error('nobody cares'));"
                               "setTimeout(() => console.log('never'), 1000)")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Error: nobody cares", done.stderr)
        self.assertNotIn("never", done.stdout)

    def test_rejection_of_a_non_error_says_so(self):
        done = self.run_script("Promise.reject('just text')")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ERR_UNHANDLED_REJECTION", done.stderr)
        self.assertIn("just text", done.stderr)

    def test_listeners_can_handle_what_is_uncaught(self):
        done = self.run_script(
            "process.on('uncaughtException', (e, origin) => console.log('caught', e.message, origin));"
            "process.on('unhandledRejection', (e) => console.log('rejected', e.message));"
            "setTimeout(() => { throw new Error('one') }, 1);"
            "setTimeout(() => console.log('two'), 5);"
            "Promise.reject(new Error('three'));")
        self.assertEqual(
            (done.stdout, done.returncode),
            ("rejected three\ncaught one uncaughtException\ntwo\n", 0), done.stderr)

    def test_late_handler_is_no_unhandled_rejection(self):
        done = self.run_script("const p = Promise.reject(new Error('x'));"
                               "queueMicrotask(() => p.catch(() => console.log('ok')))")
        self.assertEqual((done.stdout, done.returncode), ("ok\n", 0))

    def test_order_of_the_event_loop_is_nodes(self):
        source = """
            const log = (s) => order.push(s);
            const order = [];
            process.on('exit', () => console.log(order.join(' ')));
            setTimeout(() => { log('timeout1'); process.nextTick(() => log('tick-in-timeout'));
                Promise.resolve().then(() => log('micro-in-timeout')); }, 0);
            setTimeout(() => log('timeout2'), 0);
            setImmediate(() => { log('immediate1'); process.nextTick(() => log('tick-in-immediate'));
                setImmediate(() => log('immediate3')); });
            setImmediate(() => log('immediate2'));
            Promise.resolve().then(() => { log('micro1'); process.nextTick(() => log('tick-in-micro')); })
                .then(() => log('micro2'));
            process.nextTick(() => { log('tick1'); Promise.resolve().then(() => log('micro-in-tick'));
                process.nextTick(() => log('tick2')); });
            queueMicrotask(() => log('microtask'));
            const until = performance.now() + 5;
            while (performance.now() < until);
            log('script');
        """
        # What `node script.mjs` prints: a module is evaluated in a microtask; and what
        # `node script.cjs` prints.
        later = ("timeout1 tick-in-timeout micro-in-timeout timeout2 "
                 "immediate1 tick-in-immediate immediate2 immediate3")
        for name, first in (
                ("script.mjs", "script micro1 microtask micro2 tick1 tick-in-micro tick2 "
                               "micro-in-tick"),
                ("script.cjs", "script tick1 tick2 micro1 microtask micro-in-tick micro2 "
                               "tick-in-micro")):
            done = self.run_script(source, "--bundle", "never", name=name)
            self.assertEqual(done.stdout.strip(), f"{first} {later}", done.stderr)

    def test_timers(self):
        done = self.run_script("""
            const t = setInterval(() => { console.log('tick'); if (++n === 3) clearInterval(t); }, 2);
            let n = 0;
            const never = setTimeout(() => console.log('never'), 5);
            clearTimeout(never);
            setTimeout(() => console.log('unref'), 100000).unref();
            const late = setTimeout((a, b) => console.log('args', a, b), 20, 1, 2);
            console.log(typeof late.ref, late.hasRef(), +late > 0);
        """)
        self.assertEqual(done.stdout, "function true true\ntick\ntick\ntick\nargs 1 2\n")

    def test_memory_usage_and_version(self):
        done = self.run_script("""
            const m = process.memoryUsage();
            console.log(m.rss > 1e6, m.heapUsed > 1e5, m.heapTotal >= m.heapUsed, m.external >= 0);
            console.log(/^v\\d+\\.\\d+\\.\\d+$/.test(process.version), process.versions.v8.startsWith('13.6'));
        """)
        self.assertEqual(done.stdout, "true true true true\ntrue true\n", done.stderr)

    def test_environment_is_only_what_is_granted(self):
        self.assertEqual(self.run_script("console.log(JSON.stringify(process.env))").stdout, "{}\n")
        policy = self.policy(permissions={"env": {"set": {"MODE": "test"}}})
        done = self.run_script(
            "process.env.N = 5; console.log(process.env.MODE, typeof process.env.N)",
            "--policy", policy)
        self.assertEqual(done.stdout, "test string\n", done.stderr)

    def test_eval_and_wasm_follow_the_policy(self):
        source = ("let e, w; try { e = eval('1+1') } catch (x) { e = x.name }"
                  "try { w = new WebAssembly.Module(new Uint8Array([0,97,115,109,1,0,0,0])) && 'wasm' }"
                  "catch (x) { w = x.name } console.log(e, w)")
        self.assertEqual(self.run_script(source).stdout, "EvalError wasm\n")
        allowed = self.policy(permissions={"eval": True, "wasm": False})
        self.assertEqual(self.run_script(source, "--policy", allowed).stdout, "2 CompileError\n")

    def test_jitless(self):
        policy = self.policy(permissions={"jit": False})
        done = self.run_script(
            "let s = 0; for (let i = 0; i < 1e5; i++) s += i; console.log(s, typeof WebAssembly);"
            "console.log('aXb'.replace(/[A-Z]/, '-'))",
            "--policy", policy)
        self.assertEqual((done.stdout, done.returncode), ("4999950000 undefined\na-b\n", 0),
                         done.stderr)

    def test_a_busy_loop_ends_at_the_cpu_limit(self):
        policy = self.policy(limits={"request": {"cpu": "100ms"}})
        started = time.monotonic()
        done = self.run_script("setTimeout(() => { for (;;); }, 1)", "--policy", policy)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("limits.request.cpu", done.stderr)
        self.assertLess(time.monotonic() - started, 30)

    def test_a_script_may_compute_for_as_long_as_no_policy_says_how_long(self):
        busy = ("setTimeout(() => { const end = Date.now() + 1500; while (Date.now() < end);"
                " console.log('done'); }, 1)")
        done = self.run_script(busy)
        self.assertEqual((done.stdout, done.returncode), ("done\n", 0), done.stderr)
        done = self.run_script(busy, "--policy", self.policy(limits={"request": {"time": "1s"}}))
        self.assertEqual((done.stdout, done.returncode), ("done\n", 0), done.stderr)

    def test_endless_microtasks_end_at_the_cpu_limit(self):
        policy = self.policy(limits={"request": {"cpu": "100ms"}})
        done = self.run_script(
            "const f = () => queueMicrotask(f); setTimeout(f, 1)", "--policy", policy)
        self.assertIn("limits.request.cpu", done.stderr)

    def test_an_unterminable_native_loop_ends_at_the_cpu_limit(self):
        policy = self.policy(limits={"request": {"cpu": "100ms"}, "memory": "512M"})
        done = self.run_script("setTimeout(() => new Uint8Array(2e8).sort(), 1);"
                               "setTimeout(() => { for (;;) new Array(1000).fill(1.5) }, 2)",
                               "--policy", policy)
        self.assertIn("limits.request.cpu", done.stderr)

    def test_what_the_library_throws_is_shown_where_the_program_asked(self):
        done = self.run_script("import fs from 'node:fs';\n\n  fs.readFileSync('/etc/passwd');\n")
        lines = done.stderr.split("\n")
        self.assertEqual(lines[:3], ["Uncaught file:///app/script.js:3",
                                     "  fs.readFileSync('/etc/passwd');", "     ^"])
        self.assertIn('grant it with "fs": { "read": ["/etc/passwd"] }', done.stderr)
        done = self.run_script("import net from 'node:net';\nnet.connect(80, 'example.com');\n")
        self.assertIn('grant it with "net": { "connect": ["example.com:80"] }', done.stderr)

    def test_the_heap_limit_ends_it_with_a_message(self):
        policy = self.policy(limits={"memory": "64M"})
        done = self.run_script("const a = []; for (;;) a.push(new Array(1000).fill(1.5))",
                               "--policy", policy)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("limits.memory", done.stderr)

    def test_memory_outside_of_the_heap_is_limited_too(self):
        policy = self.policy(limits={"memory": "64M"})
        done = self.run_script("""
            const a = [];
            try { for (;;) a.push(new Uint8Array(1 << 20).fill(1)); }
            catch (e) { console.log(e.name, a.length < 70); }
        """, "--policy", policy)
        self.assertTrue(done.stdout == "RangeError true\n" or done.returncode != 0, done.stdout)

    def test_wasm_memory_is_limited_by_the_cgroup(self):
        policy = self.policy(limits={"memory": "64M"})
        done = self.run_script("""
            const m = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
            m.grow(4096);
            new Uint8Array(m.buffer).fill(1);
            console.log('got it all');
        """, "--policy", policy)
        self.assertNotIn("got it all", done.stdout)
        self.assertNotEqual(done.returncode, 0)

    def test_random_values_differ_between_workers(self):
        source = ("console.log(Math.random(), crypto.randomUUID(),"
                  "crypto.getRandomValues(new Uint32Array(1))[0])")
        outputs = [self.run_script(source).stdout.split() for _ in range(5)]
        for column in range(3):
            self.assertEqual(len({line[column] for line in outputs}), 5, outputs)

    def test_time_origin_is_the_workers_own(self):
        done = self.run_script(
            "console.log(performance.now() < 5000, Math.abs(performance.timeOrigin - Date.now()) < 5000)")
        self.assertEqual(done.stdout, "true true\n")

    def test_signals_end_it(self):
        path = self.write("script.js", "console.log('up'); setInterval(() => {}, 1000)")
        process = subprocess.Popen(
            [self.ctl_path(), "--socket", self.daemon.socket, "run", path],
            stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "up\n")
        process.terminate()
        self.assertEqual(process.wait(20), 143)
        process.stdout.close()

    def ctl_path(self):
        import harness
        return harness.BUILD + "/tenantctl"

    def test_standard_input_is_not_the_terminals(self):
        done = self.run_script("console.log('ok')")
        self.assertEqual(done.stdout, "ok\n")

    def test_large_output_arrives_whole(self):
        done = self.run_script("for (let i = 0; i < 20000; i++) console.log('line ' + i + ' '.repeat(50))")
        self.assertEqual(done.stdout.count("\n"), 20000)
        self.assertEqual(done.returncode, 0)

    def test_tla_that_never_settles(self):
        done = self.run_script("await new Promise(() => {})")
        self.assertEqual(done.returncode, 13)
        self.assertIn("top-level await", done.stderr)

    def test_a_missing_file(self):
        done = self.daemon.ctl("run", self.folder + "/nothing.js")
        self.assertEqual(done.returncode, 127)
        self.assertIn("nothing.js", done.stderr)

    def test_nothing_of_the_host_is_visible(self):
        done = self.run_script("""
            console.log(typeof require, typeof native, typeof process.binding, Object.keys(globalThis).join());
            try { await import('/etc/passwd') } catch (e) { console.log(e.code) }
            try { await import('../../etc/passwd') } catch (e) { console.log(e.code) }
            try { await import('file:///proc/self/environ') } catch (e) { console.log(e.code) }
        """)
        self.assertEqual(done.stdout.split("\n")[0].split()[:3], ["undefined"] * 3)
        self.assertEqual(done.stdout.split("\n")[1:4], ["ERR_MODULE_NOT_FOUND"] * 3)


if __name__ == "__main__":
    unittest.main()
