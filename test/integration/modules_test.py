"""ES modules of a release: graphs, JSON, dynamic import, import.meta, large programs."""

import json
import os
import unittest

from harness import TenantdTest, request


class ModulesTest(TenantdTest):
    def run_folder(self, entry="main.js"):
        self.write("tenant.json", json.dumps({"entry": entry}))
        return self.daemon.ctl("run", self.folder)

    def test_static_dynamic_json_and_meta(self):
        self.write("main.js", """
            import { a } from './lib/a.js';
            import data from './data.json' with { type: 'json' };
            const { default: later } = await import('./lib/later.js');
            console.log(a, data.x, later, import.meta.url, import.meta.dirname, import.meta.filename);
            console.log(await import('./lib/a.js') === await import('./lib/../lib/a.js'));
        """)
        self.write("lib/a.js", "import './b.js'; export const a = 'A';")
        self.write("lib/b.js", "import { a } from './a.js'; queueMicrotask(() => console.log('b', a));")
        self.write("lib/later.js", "export default 'later';")
        self.write("data.json", '{"x": 42}')
        done = self.run_folder()
        self.assertEqual(
            done.stdout,
            "b A\nA 42 later file:///app/main.js /app /app/main.js\ntrue\n", done.stderr)

    def test_json_needs_its_attribute(self):
        self.write("main.js", "import './data.json';")
        self.write("data.json", "{}")
        done = self.run_folder()
        self.assertEqual(done.returncode, 1)
        self.assertIn("ERR_IMPORT_ATTRIBUTE_MISSING", done.stderr)

    def test_a_module_is_evaluated_once_and_a_failed_one_stays_failed(self):
        self.write("main.js", """
            for (let i = 0; i < 2; i++)
                await import('./bad.js').catch((e) => console.log(e.message));
        """)
        self.write("bad.js", "console.log('evaluated'); throw new Error('bad');")
        self.assertEqual(self.run_folder().stdout, "evaluated\nbad\nbad\n")

    def run_as_it_is(self, entry="main.js", *options):
        self.write("tenant.json", json.dumps({"entry": entry}))
        return self.daemon.ctl("run", "--bundle", "never", self.folder, *options)

    def test_a_missing_module_names_what_was_tried(self):
        self.write("main.mjs", """
            import { createRequire } from 'node:module';
            for (const load of [(name) => import(name), createRequire(import.meta.url)])
                for (const name of ['./none.js', 'nothing/sub', '../outside.js', '/etc/passwd'])
                    try { await load(name); } catch (error) { console.log(error.code, error.message); }
        """)
        self.write("package.json", "{}")
        done = self.run_as_it_is("main.mjs")
        told = done.stdout
        self.assertEqual(told.count("Looked for:\n"), 8, told + done.stderr)
        for place in ("/app/none.js", "/app/node_modules/nothing", "/outside.js", "/etc/passwd",
                      "/app/none.js.json", "/app/node_modules"):
            self.assertIn(f"\n- {place}\n", told)

    def test_code_comes_from_the_release_alone(self):
        # Also where files outside of it are granted.
        self.write("granted/code.js", "console.log('ran');")
        self.write("granted/node_modules/it/index.js", "console.log('ran');")
        self.write("program/main.cjs", f"""
            const {{ createRequire }} = require('node:module');
            const outside = '{self.folder}/granted';
            console.log(require('fs').readFileSync(outside + '/code.js', 'utf8').length > 0);
            for (const load of [() => require(outside + '/code.js'), () => createRequire(outside + '/x.js')('it'),
                () => import(outside + '/code.js'), () => import('file://' + outside + '/code.js'),
                () => require('./../..' + outside + '/code.js')])
                Promise.resolve().then(load).catch((error) => console.log(error.code));
        """)
        self.write("program/tenant.json", '{"entry": "main.cjs"}')
        policy = self.policy(permissions={"fs": {"read": [self.folder + "/granted"]}})
        done = self.daemon.ctl("run", "--bundle", "never", "--policy", policy, self.folder + "/program")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "true", done.stderr)
        self.assertEqual(sorted(lines[1:]), ["ERR_MODULE_NOT_FOUND"] * 2 + ["MODULE_NOT_FOUND"] * 3)

    def test_text_and_bytes(self):
        self.write("page.html", "\ufeff<p>hi</p>")
        self.write("main.js", """
            import page from './page.html' with { type: 'text' };
            import bytes from './page.html' with { type: 'bytes' };
            import code from './main.js' with { type: 'text' };
            import * as self from './main.js';
            console.log(page, bytes.constructor.name, bytes.length, code.includes('import page'), Object.keys(self));
            console.log((await import('./page.html', { with: { type: 'bytes' } })).default === bytes);
            export {};
        """)
        self.assertEqual(self.run_as_it_is().stdout, "<p>hi</p> Uint8Array 12 true []\ntrue\n")

    def test_webassembly_needs_its_grant(self):
        with open(os.path.join(self.folder, "empty.wasm"), "wb") as file:
            file.write(b"\0asm\1\0\0\0")
        self.write("main.js", "import('./empty.wasm').catch((error) => console.log(error.name, error.message)); export {};")
        policy = self.policy(permissions={"wasm": False})
        done = self.run_as_it_is("main.js", "--policy", policy)
        self.assertIn("CompileError /app/empty.wasm: ", done.stdout, done.stderr)
        self.assertIn("disallowed by embedder", done.stdout)

    def test_services_in_commonjs(self):
        for name, source in (("plain", "module.exports = { fetch() { return new Response(typeof require); } };"),
                             ("marked", "exports.__esModule = true; exports.default = { fetch() { return new Response(typeof require); } };")):
            self.write("main.js", source)
            self.assertEqual(request(self.deploy(f"cjs-{name}", self.folder))[2], b"function")

    def test_what_is_absent_says_so_by_name(self):
        self.write("main.cjs", """
            const mod = require('node:module');
            for (const call of [() => mod.register('./x.js'), () => mod.registerHooks({}),
                () => mod.stripTypeScriptTypes('1'), () => require('node:nothing'), () => process.dlopen({}, 'x')])
                try { call(); } catch (error) { console.log(error.code); }
            import('node:nothing').catch((error) => console.log(error.code, error.message));
            import('https://example.com/').catch((error) => console.log(error.code));
        """)
        self.assertEqual(self.run_as_it_is("main.cjs").stdout.splitlines(), [
            "ERR_METHOD_NOT_IMPLEMENTED"] * 3 + ["ERR_UNKNOWN_BUILTIN_MODULE", "ERR_DLOPEN_DISABLED",
            "ERR_UNKNOWN_BUILTIN_MODULE No such built-in module: node:nothing",
            "ERR_UNSUPPORTED_ESM_URL_SCHEME"])

    def test_no_program_can_break_resolution(self):
        self.write("main.cjs", """
            const noise = () => { throw new Error('the library called this'); };
            for (const [prototype, names] of [[Array.prototype, ['push', 'slice', 'map', 'join', 'indexOf', 'includes']],
                [String.prototype, ['startsWith', 'endsWith', 'slice', 'indexOf', 'lastIndexOf', 'split', 'charCodeAt', 'replace']],
                [Map.prototype, ['get', 'set', 'has']], [Set.prototype, ['add', 'has', 'forEach']],
                [RegExp.prototype, ['exec', 'test']]])
                for (const name of names) prototype[name] = noise;
            JSON.parse = JSON.stringify = noise;
            globalThis.URL = noise;
            Object.defineProperty(Object.prototype, 'exports', { set: noise, get: () => undefined, configurable: true });
            console.log(require('pkg').it, require('./data.json').x);
            (async () => console.log((await import('pkg')).default.it))();
        """)
        self.write("node_modules/pkg/package.json", '{"exports": {".": "./lib/main.cjs"}}')
        self.write("node_modules/pkg/lib/main.cjs", "Object.defineProperty(exports, 'it', { value: 1, enumerable: true }); exports.it;")
        self.write("data.json", '{"x": 2}')
        done = self.run_as_it_is("main.cjs")
        self.assertEqual(done.stdout, "1 2\n1\n", done.stderr)

    def test_200_modules(self):
        for i in range(200):
            imports = "".join(f"import {{ v as v{j} }} from './m{j}.js';" for j in (2 * i + 1, 2 * i + 2)
                              if j < 200)
            total = " + ".join(["1"] + [f"v{j}" for j in (2 * i + 1, 2 * i + 2) if j < 200])
            self.write(f"m{i}.js", f"{imports} export const v = {total};")
        self.write("main.js", "import { v } from './m0.js'; console.log(v);")
        self.assertEqual(self.run_folder().stdout, "200\n")

    def test_a_deep_chain_of_2000_modules(self):
        for i in range(2000):
            self.write(f"m{i}.js", f"import {{ v as w }} from './m{i + 1}.js'; export const v = w + 1;")
        self.write("m2000.js", "export const v = 0;")
        self.write("main.js", "import { v } from './m0.js'; console.log(v);")
        self.assertEqual(self.run_folder().stdout, "2000\n")

    def test_a_3_mb_bundle_serves(self):
        functions = "\n".join(
            f"function f{i}(x) {{ const table = {{ a: x + {i}, b: 'some text that takes room {i}' }}; "
            f"return table.a; }}" for i in range(30000))
        self.write("main.js", functions + "\nexport default { fetch() { return new Response(`${"
                   + " + ".join(f"f{i}(1)" for i in range(0, 30000, 300)) + "}`); } };\n")
        self.assertGreater(os.path.getsize(self.folder + "/main.js"), 3e6)
        port = self.deploy("large", self.folder)
        status, _, body = request(port)
        self.assertEqual((status, body), (200, str(sum(i + 1 for i in range(0, 30000, 300))).encode()))


if __name__ == "__main__":
    unittest.main()
