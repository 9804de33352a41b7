"""node:worker_threads with the real daemon: what holds in a thread, and what bounds it."""

import socket
import time
import unittest

from harness import SLOW, TenantdTest, request

EVAL = {"eval": True, "wasm": True}

# Runs CODE in a thread and says what came of it.
RUN = """
import { Worker } from 'node:worker_threads';
const run = (code, options) => new Promise((resolve) => {
	const out = [];
	const worker = new Worker(code, { eval: true, ...options });
	worker.on('message', (m) => out.push(m));
	worker.on('error', (e) => out.push(`${e?.code ?? e?.name}: ${e?.message}`));
	worker.on('exit', (code) => resolve([...out, code]));
});
"""


class WorkerThreadsTest(TenantdTest):
    def run_threads(self, source, code=0, permissions=EVAL, limits=None, name="script.mjs"):
        done = self.run_script(RUN + source, "--policy", self.policy(
            permissions=permissions, limits={"pids": 64, "memory": "512M", **(limits or {})}),
            name=name)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_messages_errors_and_exit_codes(self):
        done = self.run_threads("""
            const post = "require('node:worker_threads').parentPort.postMessage";
            console.log(JSON.stringify([
                await run(`${post}(1 + 1)`),
                await run("throw new TypeError('bad')"),
                await run("Promise.reject(new RangeError('later'))"),
                await run("process.exit(7); for (;;);"),
                await run(`process.on('exit', (c) => { ${post}('exit ' + c); process.exitCode = 9 })`),
                await run(`import { parentPort } from 'worker_threads'; parentPort.postMessage(import.meta.url.slice(0, 5))`),
                await run('await new Promise(() => {})'),
            ]));""")
        self.assertEqual(
            done.stdout.strip(),
            '[[2,0],["TypeError: bad",1],["RangeError: later",1],[7],["exit 0",9],["file:",0],[13]]')

    def test_a_file_of_the_release_and_what_it_is_given(self):
        done = self.run_threads("""
            import { isMainThread, parentPort, workerData, threadId, threadName } from 'node:worker_threads';
            import { fileURLToPath } from 'node:url';
            if (isMainThread) {
                const worker = new Worker(new URL(import.meta.url), {
                    workerData: { list: [1n, new Date(0)] }, argv: ['a'], env: { X: 'y' }, name: 'n' });
                worker.on('message', (m) => console.log(JSON.stringify(m)));
                worker.on('exit', (code) => console.log('exit', code, worker.threadId));
            } else {
                console.log('from the thread');
                parentPort.postMessage([threadId > 0, threadName, String(workerData.list[0]),
                    workerData.list[1].getTime(), process.argv.slice(2), { ...process.env }]);
            }""")
        self.assertIn('[true,"n","1",0,["a"],{"X":"y"}]', done.stdout)
        self.assertIn("from the thread", done.stdout)
        self.assertIn("exit 0 -1", done.stdout)

    def test_busy_and_waiting_threads_are_terminated(self):
        done = self.run_threads("""
            for (const code of ['for (;;);', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)',
                'setInterval(() => {}, 1)', 'const f = () => process.nextTick(f); f()',
                'const f = () => Promise.resolve().then(f); f()']) {
                const worker = new Worker(code, { eval: true });
                await new Promise((resolve) => worker.once('online', resolve));
                console.log(await worker.terminate());
            }""")
        self.assertEqual(done.stdout, "1\n" * 5)

    def test_threads_that_only_listen_are_terminated(self):
        done = self.run_threads("""
            const listens = "require('node:worker_threads').parentPort.on('message', () => {})";
            const idle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
            const end = async (code) => {
                const worker = new Worker(code, { eval: true });
                await new Promise((resolve) => worker.once('message', resolve));
                await idle(200);
                // V8's own tasks wake an idle thread too, but only after seconds.
                return Promise.race([worker.terminate(), idle(3000).then(() => 'waits')]);
            };
            const post = "require('node:worker_threads').parentPort.postMessage(0)";
            console.log(await end(`${listens}; ${post}`));
            console.log(await end(`
                const { Worker } = require('node:worker_threads');
                const inner = new Worker(${JSON.stringify(`${listens}; ${post}`)}, { eval: true });
                inner.once('message', () => { ${post} });`));""")
        self.assertEqual(done.stdout, "1\n" * 2)

    def test_ports_of_a_message_that_is_refused_are_closed(self):
        done = self.run_threads("""
            import { MessageChannel } from 'node:worker_threads';
            const { port1, port2 } = new MessageChannel();
            const sent = new MessageChannel();
            const closed = new Promise((resolve) => sent.port1.once('close', () => resolve('closed')));
            const fill = new Uint8Array(16 << 20);
            let name;
            try {
                for (let i = 0; i < 64; i++) port1.postMessage(fill);
            } catch (error) {
                name = error.name;
            }
            let again;
            try {
                port1.postMessage([fill, sent.port2], [sent.port2]);
            } catch (error) {
                again = error.name;
            }
            console.log(name, again, await closed);
            port1.close();""")
        self.assertEqual(done.stdout, "DataCloneError DataCloneError closed\n")

    def test_many_are_made_and_terminated(self):
        done = self.run_threads("""
            for (let i = 0; i < 15; i++)
                await Promise.all(Array.from({ length: 8 }, async (_, k) => {
                    const worker = new Worker(k & 1 ? 'for (;;);' : "require('fs').readFile('/app/script.mjs', () => {}); setInterval(() => {}, 1)", { eval: true });
                    if (k & 2) await new Promise((resolve) => worker.once('online', resolve));
                    await worker.terminate();
                }));
            console.log('ok');""")
        self.assertEqual(done.stdout, "ok\n")

    def test_connections_of_ended_threads_do_not_disturb_later_ones(self):
        hole = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(hole.close)
        for _ in range(4):  # its queue is full: it answers to nothing
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        ports = [s.getsockname()[1] for s in (hole, server)]
        done = self.run_threads("""
            import net from 'node:net';
            const [hole, server] = PORTS;
            const waiting = net.connect(hole, '127.0.0.1').on('error', (e) => console.log(e.message));
            const idle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
            for (let i = 0; i < 3; i++) {
                const worker = new Worker(`
                    require('net').connect(${hole}, '127.0.0.1').on('error', () => {});
                    require('worker_threads').parentPort.postMessage(0);`, { eval: true });
                await new Promise((resolve) => worker.once('message', resolve));
                await idle(100);
                await worker.terminate();
            }
            console.log(await run(`require('net').connect(${server}, '127.0.0.1', function () {
                this.destroy();
                require('worker_threads').parentPort.postMessage('connected');
            })`));
            waiting.destroy();""".replace("PORTS", str(ports)),
            permissions={**EVAL, "net": {"connect": [f"127.0.0.1:{p}" for p in ports]}})
        self.assertEqual(done.stdout, "[ 'connected', 0 ]\n")

    def test_several_compute_at_once(self):
        done = self.run_threads("""
            const bytes = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
            const compiled = new WebAssembly.Module(bytes);
            const shared = new Int32Array(new SharedArrayBuffer(4));
            const code = `
                const { workerData: { bytes, compiled, shared } } = require('worker_threads');
                (async () => {
                    for (let n = 0; n < 30; n++) {
                        const all = [];
                        for (let i = 0; i < 5000; i++) all.push({ i, text: 'x' + i, bytes: new Uint8Array(50) });
                        JSON.parse(JSON.stringify(all.slice(0, 100)));
                        await WebAssembly.compile(bytes);
                        Atomics.add(shared, 0, new WebAssembly.Instance(compiled).exports.add(2, -1));
                        await new Promise((resolve) => setImmediate(resolve));
                    }
                })()`;
            const ends = await Promise.all(Array.from({ length: 8 }, () => run(code, { workerData: { bytes, compiled, shared } })));
            console.log(ends.join(), shared[0]);""", limits={"memory": "1G"})
        self.assertEqual(done.stdout, "0,0,0,0,0,0,0,0 240\n")

    def test_a_full_heap_ends_the_thread_alone(self):
        done = self.run_threads("""
            console.log((await run('const a = []; for (;;) a.push(new Array(1000).fill({}))',
                { resourceLimits: { maxOldGenerationSizeMb: 16 } })).join(' '));
            console.log('and it goes on');""")
        self.assertIn("ERR_WORKER_OUT_OF_MEMORY", done.stdout)
        self.assertIn("and it goes on", done.stdout)

    def test_a_bomb_of_threads_is_refused(self):
        done = self.run_threads("""
            let made = 0, code;
            try {
                for (; made < 1000; made++) new Worker('setInterval(() => {}, 1000)', { eval: true });
            } catch (error) {
                ({ code } = error);
            }
            console.log(made > 2 && made <= 64, code);
            process.exit(0);""", limits={"pids": 16})
        self.assertEqual(done.stdout, "true ERR_WORKER_INIT_FAILED\n")

    def test_memory_of_all_threads_is_the_tenants(self):
        done = self.run_threads("""
            // Never written, so that the kernel's limit is not what ends it.
            const code = `const a = []; let n = 0;
                try { for (;; n++) a.push(new ArrayBuffer(1 << 24)); }
                catch (error) { require('worker_threads').parentPort.postMessage([error.name, n]); setInterval(() => a, 1000); }`;
            const hold = () => new Promise((resolve) => new Worker(code, { eval: true }).on('message', resolve));
            const [name, first] = await hold(), [other, second] = await hold();
            console.log(name, first > 10, other, second < 3);
            process.exit(0);""", limits={"memory": "512M"})
        self.assertEqual(done.stdout, "RangeError true RangeError true\n")

    def test_a_thread_is_under_the_limit_of_cpu_time(self):
        done = self.run_threads("""
            new Worker("setTimeout(() => { for (;;); }, 10)", { eval: true });
            setInterval(() => {}, 10);""", code=152, limits={"request": {"cpu": "200ms"}})
        self.assertIn("worker thread used more than 200 ms", done.stderr)

    def test_others_are_not_blamed_for_a_busy_thread(self):
        done = self.run_threads("""
            const code = `const end = Date.now() + 1500;
                const f = () => { for (const e = Date.now() + 20; Date.now() < e;); if (Date.now() < end) setImmediate(f); };
                f()`;
            console.log((await run(code)).join());""", limits={"request": {"cpu": "300ms"}})
        self.assertEqual(done.stdout, "0\n")

    def test_eval_follows_the_policy(self):
        done = self.run_script(RUN + """
            for (const [code, options] of [['1', { eval: true }], [new URL('data:text/javascript,1'), {}]])
                try { new Worker(code, options); } catch (error) { console.log(error.name); }""",
            "--policy", self.policy(), name="script.mjs")
        self.assertEqual(done.stdout, "EvalError\nEvalError\n", done.stderr)

    def test_a_thread_is_as_confined_as_the_program(self):
        done = self.run_threads("""
            const code = `
                const fs = require('fs'), { parentPort } = require('worker_threads');
                const why = (f) => { try { f(); return 'done'; } catch (error) { return error.code; } };
                parentPort.postMessage([
                    why(() => fs.readFileSync('/etc/passwd')),
                    why(() => fs.writeFileSync('/app/x', '')),
                    why(() => fs.readdirSync('/proc')),
                    why(() => require('child_process').spawnSync('/bin/true')),
                    why(() => process.chdir('/')),
                ].join(' '))`;
            console.log((await run(code))[0]);""")
        here = self.run_script("""
            import fs from 'node:fs';
            const why = (f) => { try { f(); return 'done'; } catch (error) { return error.code; } };
            console.log([why(() => fs.readFileSync('/etc/passwd')), why(() => fs.writeFileSync('/app/x', '')),
                why(() => fs.readdirSync('/proc'))].join(' '));""", name="script.mjs")
        first = done.stdout.split()
        self.assertEqual(first[:3], here.stdout.split(), done.stderr)
        self.assertNotIn("done", done.stdout)
        self.assertEqual(first[4], "ERR_WORKER_UNSUPPORTED_OPERATION")

    def test_a_service_answers_from_a_thread_and_drains(self):
        program = self.write("main.mjs", """
            import { Worker, isMainThread, parentPort } from 'node:worker_threads';
            let next;
            if (isMainThread) {
                const worker = new Worker(new URL(import.meta.url));
                worker.on('message', (m) => next(m));
                globalThis.worker = worker;
            } else {
                parentPort.on('message', (m) => parentPort.postMessage(`from the thread: ${m}`));
                setInterval(() => {}, 1);
            }
            export default { async fetch() {
                const answer = new Promise((resolve) => { next = resolve; });
                worker.postMessage(1);
                return new Response(await answer);
            } };""")
        port = self.deploy("threads", program, port=0, limits={"pids": 64})
        self.assertEqual(request(port)[2], b"from the thread: 1")
        begun = time.monotonic()
        done = self.daemon.ctl("stop", "threads")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(time.monotonic() - begun, 10 * SLOW)


if __name__ == "__main__":
    unittest.main()
