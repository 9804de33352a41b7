"""Programs that are bundled on their way: TypeScript, JSX, CommonJS, npm packages."""

import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import TenantdTest, request

SERVICE = """
import { answer } from './lib/answer';
import shout from 'shout';

interface Answer { text: string }

function fail(why: string): never {
    // A comment that is gone in the bundle.
    throw new TypeError(why);
}

export default {
    fetch(request: Request): Response {
        const given: Answer = { text: shout(answer()) };
        if (new URL(request.url).pathname === '/fail') fail('told to');
        if (new URL(request.url).pathname === '/stack')
            try { fail('caught'); } catch (error) { return new Response((error as Error).stack); }
        return new Response(given.text);
    },
};
"""
# A package as npm installs it: CommonJS, which asks for a built-in module while it runs.
PACKAGE = """
const { EventEmitter } = require('events');
module.exports = (text) => {
    let loud;
    new EventEmitter().on('text', (it) => { loud = it.toUpperCase(); }).emit('text', text);
    return loud;
};
"""


class BundleTest(TenantdTest):
    def service(self, folder="service"):
        self.write(f"{folder}/src/main.ts", SERVICE)
        self.write(f"{folder}/src/lib/answer.ts",
                   "export const answer = (): string => 'hello' as const;\n")
        self.write(f"{folder}/src/greeting.txt", "a file beside it\n")
        self.write(f"{folder}/package.json", json.dumps({"dependencies": {"shout": "1"}}))
        self.write(f"{folder}/node_modules/shout/package.json",
                   json.dumps({"name": "shout", "version": "1.0.0", "main": "index.js"}))
        self.write(f"{folder}/node_modules/shout/index.js", PACKAGE)
        return os.path.join(self.folder, folder)

    def release_of(self, name):
        return self.daemon.status(name)["release"]

    def files_of(self, name):
        root = os.path.join(self.daemon.state, "releases", self.release_of(name))
        return sorted(os.path.relpath(os.path.join(folder, file), root)
                      for folder, _, files in os.walk(root) for file in files)

    def test_typescript_with_npm_packages_is_deployed_as_it_lies_there(self):
        port = self.deploy("service", self.service())
        self.assertEqual(request(port)[2], b"HELLO")
        self.assertEqual(self.files_of("service"),
                         ["package.json", "src/greeting.txt", "src/main.js", "src/main.js.map",
                          "tenant.json"])

    def test_stacks_show_the_sources(self):
        port = self.deploy("stacks", self.service())
        stack = request(port, "/stack")[2].decode().split("\n")
        self.assertEqual(stack[0], "TypeError: caught")
        self.assertEqual(stack[1], "    at fail (file:///app/src/main.ts:9:11)")
        self.assertIn("file:///app/src/main.ts:17:19)", stack[2])
        request(port, "/fail")
        logged = harness.wait_until(
            lambda: (text := self.daemon.ctl("logs", "stacks").stdout).count("told to") and text)
        self.assertIn("file:///app/src/main.ts:9:11", logged)

    def test_an_error_that_ends_it_shows_the_line_of_the_source(self):
        program = self.write("broken/main.ts",
                             "const wanted: number = 1;\n\n"
                             "function load(): never { throw new RangeError(`no ${wanted}`); }\n"
                             "load();\n")
        done = self.daemon.ctl("deploy", "broken", os.path.dirname(program))
        self.assertEqual(done.returncode, 1)
        self.assertIn("file:///app/main.ts:3\n", done.stderr)
        self.assertIn("function load(): never { throw new RangeError(`no ${wanted}`); }", done.stderr)
        self.assertIn("at load (file:///app/main.ts:3:32)", done.stderr)

    def test_commonjs_knows_where_it_is(self):
        self.write("where/package.json", json.dumps({"dependencies": {"place": "1"}}))
        self.write("where/node_modules/place/index.js", "module.exports = [__dirname, __filename];")
        self.write("where/text.txt", "beside it")
        # What a module calls so itself stays what it is.
        self.write("where/main.cjs", """
            const { readFileSync } = require('node:fs');
            const path = require('node:path');
            const own = ((__dirname) => __dirname)('mine');
            const text = readFileSync(path.join(__dirname, 'text.txt'), 'utf8');
            exports.__esModule = true;
            exports.default = { fetch: () => Response.json([text, own, typeof __filename, require('place')]) };
        """)
        self.write("where/tenant.json", json.dumps({"entry": "main.cjs"}))
        port = self.deploy("where", os.path.join(self.folder, "where"))
        self.assertEqual(json.loads(request(port)[2]),
                         ["beside it", "mine", "string", ["/app", "/app/main.js"]])

    def test_prepare_stack_trace_is_the_programs_own(self):
        program = self.write("own.ts", """
            Error.prepareStackTrace = (error: Error, sites: any[]) =>
                `${error.message}: ${sites.length > 0 && sites[0].getFileName()}`;
            console.log(new Error('mine').stack);
        """)
        done = self.daemon.ctl("run", program)
        self.assertEqual(done.stdout, "mine: file:///app/own.js\n", done.stderr)

    def test_the_same_sources_give_the_same_release_wherever_they_lie(self):
        first = self.service("first")
        second = os.path.join(self.folder, "elsewhere", "deeper")
        shutil.copytree(first, second)
        for folder, _, files in os.walk(second):
            for file in files:
                os.utime(os.path.join(folder, file), (1, 1))
        self.deploy("first", first)
        self.deploy("second", second)
        self.assertEqual(self.release_of("first"), self.release_of("second"))

    def test_folders_that_are_not_bundled(self):
        self.write("plain/package.json", json.dumps({"type": "module"}))
        self.write("plain/src/main.ts", """
            import { shout, type Text } from './lib/shout.js';
            import { twice } from './twice.tsx';
            import { old } from './old.cts';
            interface Never { x: number }

            const text: Text = shout('hello');
            console.log(text, twice(2), old, import.meta.filename);
            enum Colour { Red = 1 }
            console.log(Colour.Red);
            try { (null as unknown as Never).x; } catch (error) { console.log((error as Error).stack); }
        """)
        self.write("plain/src/lib/shout.ts",
                   "export type Text = string;\nexport const shout = (text: string): Text => text.toUpperCase();\n")
        self.write("plain/src/twice.tsx", "export const twice = (n: number): number => n * 2;\n")
        self.write("plain/src/old.cts", "const old: string = 'cjs';\nexport = { old };\n")
        self.write("plain/src/types.d.ts", "declare const unused: string;\n")
        self.write("plain/tenant.json", json.dumps({"entry": "src/main.ts"}))
        done = self.daemon.ctl("run", "--bundle", "never", os.path.join(self.folder, "plain"))
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:2], ["HELLO 4 cjs /app/src/main.ts", "1"], done.stderr)
        self.assertIn("file:///app/src/main.ts:11:", lines[3])

    def test_a_script_that_is_not_bundled(self):
        program = self.write("alone.ts", "const text: string = 'alone';\nconsole.log(text);\n")
        done = self.daemon.ctl("run", "--bundle", "never", program)
        self.assertEqual((done.returncode, done.stdout), (0, "alone\n"), done.stderr)

    def test_a_script_in_typescript_is_run(self):
        program = self.write("script.ts", "const text: string = 'typed';\nconsole.log(text);\n")
        done = self.daemon.ctl("run", program)
        self.assertEqual((done.returncode, done.stdout), (0, "typed\n"), done.stderr)

    def test_jsx_becomes_calls(self):
        self.write("page/node_modules/react/jsx-runtime.js",
                   "exports.jsx = (type, { children }) => `<${type}>${children}</${type}>`;")
        program = self.write("page/main.tsx", """
            export default { fetch: () => new Response(<p>{'hi'}</p> as unknown as string) };""")
        port = self.deploy("page", os.path.dirname(program))
        self.assertEqual(request(port)[2], b"<p>hi</p>")

    def test_what_is_wrong_is_told_with_its_place_and_nothing_is_deployed(self):
        program = self.write("wrong/main.ts", "import { x } from './missing';\nconsole.log(x);\n")
        done = self.daemon.ctl("deploy", "wrong", os.path.dirname(program))
        self.assertEqual(done.returncode, 1)
        self.assertIn("main.ts:1:18:", done.stderr)
        self.assertIn("Could not resolve \"./missing\"", done.stderr)
        self.assertIsNone(self.daemon.status("wrong"))

    def test_dependencies_that_are_not_installed(self):
        program = self.write("bare/main.js", "import 'hono';\n")
        self.write("bare/package.json", json.dumps({"dependencies": {"hono": "4"}}))
        done = self.daemon.ctl("deploy", "bare", os.path.dirname(program))
        self.assertIn("they are not installed: run `npm ci` in it", done.stderr)

    def test_no_esbuild(self):
        program = self.write("alone.ts", "console.log(1);\n")
        done = subprocess.run(
            [os.path.join(harness.BUILD, "tenantctl"), "--socket", self.daemon.socket, "deploy",
             "alone", program], capture_output=True, text=True, env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no esbuild in PATH", done.stderr)

    def test_bundling_can_be_forbidden_and_asked_for(self):
        folder = self.service("as-it-is")
        self.write("as-it-is/main.js",
                   "export default { fetch: () => new Response('plain') };\n")
        self.write("as-it-is/tenant.json", json.dumps({"entry": "main.js"}))
        done = self.daemon.ctl("deploy", "as-it-is", folder, "--bundle", "never")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("node_modules/shout/index.js", self.files_of("as-it-is"))
        done = self.daemon.ctl("deploy", "as-it-is", folder, "--bundle", "always")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("main.js.map", self.files_of("as-it-is"))
        done = self.daemon.ctl("deploy", "as-it-is", folder, "--bundle", "maybe")
        self.assertIn("--bundle is auto, always or never", done.stderr)


if __name__ == "__main__":
    unittest.main()
