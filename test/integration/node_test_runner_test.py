"""node:test in programs: what it prints and how it exits, as Node's own, and what is not there."""

import json
import os
import re
import subprocess
import unittest

from harness import TenantdTest

SUITE = """
import test, { describe, it, beforeEach, afterEach, before, after, suite } from 'node:test';
import assert from 'node:assert';

test('plain', () => {});
test('asynchronous', async () => { await new Promise((done) => setTimeout(done, 5)); });
test('callback', (t, done) => setTimeout(done, 1));
describe('a suite', () => {
	let count = 0;
	before(() => { count = 10; });
	beforeEach(() => { count++; });
	afterEach(() => {});
	after(() => {});
	it('first', () => assert.strictEqual(count, 11));
	it('second', (t) => { t.diagnostic('said'); assert.strictEqual(count, 12); });
	it.skip('skipped', () => { throw new Error('never'); });
	it.todo('to do');
});
test('subtests', async (t) => {
	await t.test('inner', () => {});
	await t.test('inner too', async () => {});
});
test('mocks', (t) => {
	const double = t.mock.fn((value) => value * 2);
	assert.strictEqual(double(2), 4);
	assert.strictEqual(double.mock.callCount(), 1);
	const object = { method: () => 'real' };
	t.mock.method(object, 'method', () => 'mock');
	assert.strictEqual(object.method(), 'mock');
	t.mock.restoreAll();
	assert.strictEqual(object.method(), 'real');
});
test('timers', (t) => {
	t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
	let called = 0;
	setTimeout(() => called++, 1000);
	t.mock.timers.tick(999);
	assert.strictEqual(called, 0);
	t.mock.timers.tick(1);
	assert.strictEqual(called, 1);
	assert.strictEqual(Date.now(), 1000);
});
test('timers are real again', (t, done) => setTimeout(done, 1));
test('plan', (t) => { t.plan(1); t.assert.ok(true); });
"""

FAILURES = """
import test from 'node:test';
import assert from 'node:assert';

test('fine', () => {});
test('wrong', () => assert.strictEqual(1, 2));
test('rejects', async () => { throw new Error('on purpose'); });
test('throws later', () => new Promise(() => { setTimeout(() => { throw new Error('too late'); }, 1); }));
test('outer', async (t) => { await t.test('inner fails', () => { throw new Error('inner'); }); });
test('takes too long', { timeout: 20 }, () => new Promise((done) => setTimeout(done, 60000).unref()));
"""


def comparable(report):
    """A report without what differs between two runs of anything."""
    report = re.sub(r"\(\d+\.?\d*ms\)", "(ms)", report)
    report = re.sub(r"duration_ms \d+\.?\d*", "duration_ms", report)
    # Stacks have frames of the library's own.
    lines = [line for line in report.split("\n") if not re.match(r"\s+at |.*tenantd:library", line)]
    return [re.sub(r"^test at .*/?(\w+\.mjs:)", r"test at \1", line) for line in lines]


class NodeTestRunnerTest(TenantdTest):
    def in_node(self, name, *options):
        return subprocess.run(["node", *options, os.path.join(self.folder, name)], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)

    def with_options(self, options):
        return self.policy(permissions={"env": {"set": {"NODE_OPTIONS": options}}})

    def test_a_suite_that_passes(self):
        done = self.run_script(SUITE, name="suite.mjs")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(comparable(done.stdout), comparable(self.in_node("suite.mjs").stdout))
        self.assertIn("fail 0", done.stdout)

    def test_failures_are_told_and_are_the_exit_code(self):
        done = self.run_script(FAILURES, name="suite.mjs")
        theirs = self.in_node("suite.mjs")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        ours, node = ([line for line in comparable(text) if line[:1] in "✔✖ℹ▶" and line]
                      for text in (done.stdout, theirs.stdout))
        self.assertEqual(ours, node)
        for reason in ("on purpose", "too late", "inner", "test timed out after 20ms"):
            self.assertIn(reason, done.stdout)

    def test_each_reporter_by_node_options(self):
        for reporter, sign in (("tap", "TAP version 13"), ("dot", "...."), ("junit", "<testsuites>")):
            with self.subTest(reporter):
                path = self.write("suite.mjs", SUITE)
                done = self.daemon.ctl("run", path, "--policy",
                                       self.with_options(f"--test-reporter={reporter}"))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn(sign, done.stdout)

    def test_a_pattern_chooses_tests(self):
        path = self.write("suite.mjs", FAILURES)
        done = self.daemon.ctl("run", path, "--policy", self.with_options("--test-name-pattern=fine"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("pass 1", done.stdout)

    def test_run_runs_files_in_this_program(self):
        self.write("one.test.mjs", "import test from 'node:test'; test('of one', () => {});")
        self.write("two.test.cjs", "require('node:test')('of two', () => { throw new Error('two'); });")
        self.write("main.mjs", """
            import { run } from 'node:test';
            import { tap } from 'node:test/reporters';
            const stream = run({ files: ['one.test.mjs', 'two.test.cjs'], isolation: 'none' });
            stream.on('test:fail', () => { process.exitCode = 1; });
            stream.compose(tap).pipe(process.stdout);
        """)
        self.write("tenant.json", json.dumps({"entry": "main.mjs"}))
        done = self.daemon.ctl("run", self.folder, "--bundle", "never")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("ok 1 - of one", done.stdout)
        self.assertIn("not ok 2 - of two", done.stdout)

    def test_snapshots_are_compared(self):
        self.write("main.mjs", "import test from 'node:test';"
                   "test('it', (t) => t.assert.snapshot({ text: 'a `b` ${c}' }));")
        self.write("tenant.json", json.dumps({"entry": "main.mjs"}))
        made = self.in_node("main.mjs", "--test-update-snapshots")
        self.assertEqual(made.returncode, 0, made.stdout)
        done = self.daemon.ctl("run", self.folder, "--bundle", "never")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        snapshot = os.path.join(self.folder, "main.mjs.snapshot")
        with open(snapshot, encoding="utf-8") as file:
            text = file.read()
        self.write("main.mjs.snapshot", text.replace("a \\\\`b", "other \\\\`b").replace("text", "texts"))
        done = self.daemon.ctl("run", self.folder, "--bundle", "never")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)

    def test_what_is_not_there_says_so(self):
        done = self.run_script("""
            import test, { run } from 'node:test';
            import assert from 'node:assert';
            test('absent', (t) => {
                assert.throws(() => t.mock.module('fs'), { code: 'ERR_METHOD_NOT_IMPLEMENTED' });
                assert.throws(() => run(), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', message: /isolation: 'none'/ });
                assert.throws(() => run({ isolation: 'none', watch: true }), { code: 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM' });
                assert.throws(() => run({ isolation: 'other' }), { code: 'ERR_INVALID_ARG_VALUE' });
            });
        """, name="absent.mjs")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_it_needs_its_scheme(self):
        done = self.run_script("import 'test';", name="bare.mjs")
        self.assertEqual(done.returncode, 1)
        self.assertIn("test", done.stderr)

    def test_a_run_listens_where_its_policy_says(self):
        path = self.write("serves.mjs", """
            import net from 'node:net';
            const server = net.createServer((socket) => socket.end('served')).listen(0, () => {
                net.connect(server.address().port, '127.0.0.1').on('data', (data) => console.log(`${data}`));
            }).on('connection', () => server.close());
        """)
        net = {"listen": ["127.0.0.1:0"], "connect": ["127.0.0.1:1-65535"]}
        done = self.daemon.ctl("run", path, "--policy", self.policy(permissions={"net": net}))
        self.assertEqual((done.returncode, done.stdout), (0, "served\n"), done.stderr)
        # The port of another is no reason not to run.
        net["listen"] = [f"127.0.0.1:{self.taken_port()}"]
        path = self.write("quiet.mjs", "console.log('runs');")
        done = self.daemon.ctl("run", path, "--policy", self.policy(permissions={"net": net}))
        self.assertEqual((done.returncode, done.stdout), (0, "runs\n"), done.stderr)

    def taken_port(self):
        import socket
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        return taken.getsockname()[1]


if __name__ == "__main__":
    unittest.main()
