"""Modules are resolved and loaded as Node does it: the same folders run in both, with the same
conditions, and what they print is compared."""

import json
import os
import subprocess
import unittest

from harness import TenantdTest

CONDITIONS = ["--conditions=tenantd", "--conditions=workerd", "--conditions=worker",
              "--no-addons"]

PACKAGES = {
    "plain": {"package.json": {"name": "plain", "main": "lib/main"},
              "lib/main.js": "exports.it = 'plain main';", "other.js": "exports.it = 'plain other';",
              "folder/index.js": "exports.it = 'plain folder';"},
    "index": {"index.js": "exports.it = 'index';"},
    "nothing": {"package.json": {"name": "nothing"}},
    "wrong-main": {"package.json": {"main": "gone.js"}, "index.js": "exports.it = 'wrong main';"},
    "bad-json": {"package.json": "{ bad", "index.js": ""},
    "esm": {"package.json": {"type": "module", "exports": "./main.js"},
            "main.js": "export const it = 'esm'; export default 'esm default';"},
    "detected": {"package.json": {"main": "./main.js"}, "main.js": "export const it = 'detected';"},
    "cjs-in-esm": {"package.json": {"type": "module", "exports": "./main.cjs"},
                   "main.cjs": "exports.it = 'cjs in esm';"},
    "conditions": {
        "package.json": {"exports": {
            ".": {"import": "./import.mjs", "require": "./require.cjs"},
            "./tenantd": {"node": "./node.cjs", "tenantd": "./tenantd.cjs", "default": "./default.cjs"},
            "./workerd": {"browser": "./default.cjs", "workerd": "./tenantd.cjs"},
            "./worker": {"worker": "./tenantd.cjs", "default": "./default.cjs"},
            "./nested": {"node": {"import": "./import.mjs", "default": "./require.cjs"}},
            "./nested-none": {"node": {"browser": "./import.mjs"}, "default": "./default.cjs"},
            "./none": {"browser": "./import.mjs"},
            "./null": None,
            "./list": ["not-a-target", "./default.cjs"],
            "./list-null": [None, {"browser": "./x"}, "./default.cjs"],
            "./list-empty": [],
            "./missing": "./missing.cjs",
            "./outside": "../esm/main.js",
            "./inside-modules": "./node_modules/x.js",
            "./number": 7,
            "./pattern/*": "./files/*.cjs",
            "./pattern/private/*": None,
            "./deep/*/end": "./files/*/end.cjs",
            "./ext/*.js": "./files/*.cjs",
            "./module-sync": {"module-sync": "./import.mjs", "default": "./default.cjs"},
            "./addons": {"node-addons": "./missing.cjs", "default": "./default.cjs"},
        }},
        "import.mjs": "export const it = 'import';", "require.cjs": "exports.it = 'require';",
        "node.cjs": "exports.it = 'node';", "tenantd.cjs": "exports.it = 'tenantd';",
        "default.cjs": "exports.it = 'default';", "files/a.cjs": "exports.it = 'file a';",
        "files/b/c.cjs": "exports.it = 'file b/c';", "files/private/x.cjs": "exports.it = 'private';",
        "files/q/end.cjs": "exports.it = 'q end';",
    },
    "mixed-keys": {"package.json": {"exports": {".": "./a.js", "import": "./a.js"}}, "a.js": ""},
    "number-keys": {"package.json": {"exports": {"0": "["}}, "a.js": ""},
    "sugar": {"package.json": {"exports": {"require": "./r.cjs", "default": "./d.mjs"}},
              "r.cjs": "exports.it = 'sugar require';", "d.mjs": "export const it = 'sugar default';"},
    "@scope/name": {"package.json": {"exports": {".": "./a.cjs", "./sub": "./b.cjs"}},
                    "a.cjs": "exports.it = 'scoped';", "b.cjs": "exports.it = 'scoped sub';"},
    "self": {"package.json": {"name": "self", "exports": {".": "./a.cjs", "./b": "./b.cjs"},
                              "imports": {"#own": "./b.cjs"}},
             "a.cjs": "exports.it = require('self/b').it + require('#own').it;",
             "b.cjs": "exports.it = 'b';"},
    "outer": {"package.json": {}, "index.js": "exports.it = require('inner').it;",
              "node_modules/inner/index.js": "exports.it = 'inner of outer';"},
    "marked": {"index.js": "Object.defineProperty(exports, '__esModule', { value: true });"
                           "exports.default = 'marked default'; exports.it = 'marked';"},
    "reexports": {"index.js": "module.exports = require('./again');",
                  "again.js": "exports.it = 'again'; exports.more = 1;"},
    "function": {"index.js": "module.exports = function f() {}; module.exports.it = 'on a function';"},
    "getter": {"index.js": "Object.defineProperty(exports, 'it', { enumerable: true, get() { return 'got'; } });"},
    "throws": {"index.js": "throw new Error('at load');"},
    "awaits": {"package.json": {"type": "module", "exports": "./a.js"},
               "a.js": "export const it = await 'awaited';"},
    "exports-name": {"package.json": {"type": "module", "exports": "./a.js"},
                     "a.js": "export { it as 'module.exports' }; const it = { it: 'as module.exports' };"},
    "json-main": {"package.json": {"main": "data.json"}, "data.json": '{"it":"json main"}'},
    "inner": {"index.js": "exports.it = 'top inner';"},
    "no-strict": {"index.js": "exports.it = (function () { return this === globalThis; })() + String(delete exports.x);"},
}

SPECIFIERS = [
    "./a.cjs", "./a", "./folder", "./folder/", "./folder/index.js", ".", "./", "./none.js", "./none",
    "./data.json", "./a.cjs?query", "./a.cjs#hash", "./%61.cjs", "./a%2fb.js", "./unknown.ext", "./noext",
    "./text.txt", "./dotted.name.js", "./bom.cjs", "./hashbang.cjs", "./ambiguous-await.js",
    "./declares.js", "./syntax.cjs", "./syntax.mjs", "./importmeta.js", "./strict.mjs", "",
    "plain", "plain/", "plain/other", "plain/other.js", "plain/folder", "plain/folder/", "plain/none.js",
    "plain/package.json", "index", "nothing", "wrong-main", "bad-json", "esm", "esm/main.js",
    "detected", "cjs-in-esm", "conditions", *(f"conditions/{name}" for name in (
        "tenantd", "workerd", "worker", "nested", "nested-none", "none", "null", "list", "list-null",
        "list-empty", "missing", "outside", "inside-modules", "number", "pattern/a", "pattern/b/c",
        "pattern/private/x", "pattern/none", "deep/q/end", "deep/z/end", "ext/a.js", "ext/a",
        "package.json", "unknown", "pattern/../a", "pattern/node_modules/a", "module-sync", "addons")),
    "mixed-keys", "number-keys", "sugar", "@scope/name", "@scope/name/sub", "@scope/name/none", "@scope",
    "@/x", ".hidden", "a%20b", "self", "outer", "inner", "marked", "reexports", "function", "getter",
    "throws", "awaits", "exports-name", "json-main", "no-strict", "none", "none/sub",
    "root", "root/sub", "root/none", "#plain", "#pattern/a", "#none", "#", "#/", "#external", "#builtin",
    "#nested", "#outside", "#self",
    "fs", "node:fs", "fs/promises", "node:none", "timers/promises",
]

FILES = {
    "package.json": {"name": "root", "exports": {".": "./a.cjs", "./sub": "./folder/index.js"}, "imports": {
        "#plain": "./a.cjs", "#pattern/*": "./*.cjs", "#external": "plain", "#builtin": "node:path",
        "#nested": {"import": "./strict.mjs", "require": "./a.cjs"}, "#outside": "../x.js", "#self": "root/sub"}},
    "a.cjs": "exports.it = 'a';",
    "folder/index.js": "exports.it = 'folder';",
    "data.json": '{"it":"json"}',
    "unknown.ext": "exports.it = 'unknown';",
    "noext": "exports.it = 'noext';",
    "text.txt": "exports.it = 'text';",
    "dotted.name.js": "exports.it = 'dotted';",
    "bom.cjs": "\ufeffexports.it = 'bom';",
    "hashbang.cjs": "#!/usr/bin/env node\nexports.it = 'hashbang';",
    "ambiguous-await.js": "const it = await 'x'; globalThis.awaited = it;",
    "declares.js": "const require = 1, module = 2; export const it = 'declares';",
    "syntax.cjs": "exports.it = ;",
    "syntax.mjs": "export const it = ;",
    "importmeta.js": "globalThis.meta = import.meta.url.slice(-13);",
    "strict.mjs": "export const it = typeof require + (function () { return this; })();",
}



def wasm(*sections):
    """A WebAssembly module of (id, items) with items as bytes; all lengths are below 128."""
    out = b"\0asm\1\0\0\0"
    for number, items in sections:
        body = bytes([len(items)]) + b"".join(items)
        out += bytes([number, len(body)]) + body
    return out


def name(text):
    return bytes([len(text)]) + text.encode()


I32, FUNCTION, GLOBAL = b"\x7f", b"\0", b"\3"
BINARY = b"\x60\2" + I32 + I32 + b"\1" + I32
UNARY = b"\x60\1" + I32 + b"\1" + I32
WASM = {
    # add(a, b), and a global counter of 7
    "add.wasm": wasm((1, [BINARY]), (3, [b"\0"]), (6, [I32 + b"\0\x41\7\x0b"]),
                     (7, [name("add") + FUNCTION + b"\0", name("counter") + GLOBAL + b"\0"]),
                     (10, [b"\7\0\x20\0\x20\1\x6a\x0b"])),
    # add(a, b) = times(counter), of a module of JavaScript and of the one above
    "uses.wasm": wasm((1, [UNARY, BINARY]),
                      (2, [name("./env.mjs") + name("times") + FUNCTION + b"\0",
                           name("./add.wasm") + name("counter") + GLOBAL + I32 + b"\0"]),
                      (3, [b"\1"]), (7, [name("add") + FUNCTION + b"\1"]),
                      (10, [b"\6\0\x23\0\x10\0\x0b"])),
    "missing-import.wasm": wasm((1, [UNARY]), (2, [name("./env.mjs") + name("none") + FUNCTION + b"\0"])),
    "broken.wasm": b"no wasm",
}

MAIN = """
import { createRequire, findPackageJSON, isBuiltin } from 'node:module';
const require = createRequire(import.meta.url);
const root = import.meta.dirname;
const clean = (text) => String(text).split('\\nLooked for:')[0].split('\\n')[0].replaceAll(root, 'ROOT');
const say = (...words) => console.log(...words.map((word) => String(word).replaceAll(root, 'ROOT')));
async function attempt(name, specifier, call) {
    try {
        say(name, JSON.stringify(specifier), '->', await call());
    } catch (error) {
        say(name, JSON.stringify(specifier), '!!', error.constructor.name, error.code, clean(error.message));
    }
}
const show = (found) => typeof found === 'object' && found.it !== undefined || typeof found === 'function'
    ? `${found.it} ${Object.keys(found).filter((key) => key !== 'module.exports').length}` : typeof found;
for (const specifier of %s) {
    await attempt('import', specifier, async () => {
        const ns = await import(specifier);
        return `${ns.it} ${typeof ns.default} ${Object.keys(ns).length}`;
    });
    await attempt('require', specifier, () => show(require(specifier)));
    await attempt('require.resolve', specifier, () => require.resolve(specifier));
    await attempt('paths', specifier, () =>
        (require.resolve.paths(specifier) ?? []).filter((path) => path.startsWith(root)));
    await attempt('meta', specifier, () => import.meta.resolve(specifier));
    await attempt('find', specifier, () => findPackageJSON(specifier, import.meta.url));
    await attempt('builtin', specifier, () => isBuiltin(specifier));
}
"""


class ModulesNodeTest(TenantdTest):
    maxDiff = None

    def lay_out(self, files, below=""):
        for name, content in files.items():
            self.write(os.path.join(below, name), content if isinstance(content, str) else json.dumps(content))

    def both(self, entry):
        """What tenantd and what Node print: the same, but for where the release lies."""
        self.write("tenant.json", json.dumps({"entry": entry}))
        ours = self.daemon.ctl("run", "--bundle", "never", self.folder)
        node = subprocess.run(["node", "--no-warnings", *CONDITIONS, os.path.join(self.folder, entry)],
                              capture_output=True, text=True, timeout=60)
        return ours, node

    def assert_same(self, entry):
        ours, node = self.both(entry)
        self.assertEqual(ours.stdout.replace("/app", "ROOT").splitlines(),
                         node.stdout.replace(self.folder, "ROOT").splitlines(), ours.stderr)
        self.assertEqual(ours.returncode, node.returncode, ours.stderr + node.stderr)
        return ours, node

    def test_a_table_of_specifiers(self):
        self.lay_out(FILES)
        for name, files in PACKAGES.items():
            self.lay_out(files, f"node_modules/{name}")
        self.write("main.mjs", MAIN % json.dumps(SPECIFIERS))
        ours, _ = self.assert_same("main.mjs")
        self.assertGreater(len(ours.stdout.splitlines()), 7 * len(SPECIFIERS) - 1)

    def test_commonjs_that_two_import_and_that_looks_like_a_module(self):
        # Its second detection comes when it runs: its name stands for it among modules by then.
        self.lay_out({
            "node_modules/base/index.js": "exports.it = 'base';\nexports.more = 1;\n",
            "node_modules/user/index.js": "exports.user = require('base').it;\n",
            "node_modules/typed/index.js": "exports.typed = 1;\nconst export_ = 2;\nimport('base');\n",
            "main.mjs": "import typed from 'typed';\nimport { it } from 'base';\nimport { user } from 'user';\n"
                        "import * as again from 'base';\n"
                        "console.log(it, user, typed, again, Object.keys(again));\n",
        })
        self.assert_same("main.mjs")

    def test_cycles_caches_and_order(self):
        self.lay_out({
            "main.js": """
                console.log('main', require.main === module, module.children.length, process.mainModule === module);
                const a = require('./a');
                console.log(a.done, a.seen, a.partial, require('./b').done);
                console.log(module.children.map((child) => child.id.slice(__dirname.length)));
                console.log(Object.keys(require.cache).map((key) => key.slice(__dirname.length)));
                const before = require('./counted');
                delete require.cache[require.resolve('./counted')];
                console.log(before === require('./counted'), globalThis.counted);
                console.log(require('./data.json') === require('./data.json'));
                try { require('./bad.json'); } catch (error) { console.log(error.name, error.message.slice(__dirname.length)); }
                for (let i = 0; i < 2; i++) try { require('./throws'); } catch (error) { console.log(error.message, globalThis.thrown); }
                process.nextTick(() => console.log('tick'));
                Promise.resolve().then(() => console.log('microtask'));
                setImmediate(() => console.log('immediate'));
                require.extensions['.txt'] = (module, filename) => {
                    module.exports = require('fs').readFileSync(filename, 'utf8').trim();
                };
                console.log(require('./text'), this === module.exports, arguments.length);
                exports.x = 1;
                console.log(typeof require('module')._load, require('module') === require('node:module').Module);
                const load = require('module')._load;
                require('module')._load = function (request, ...rest) {
                    return request === 'virtual' ? 'replaced' : load.call(this, request, ...rest);
                };
                console.log(require('virtual'));
                try { require('./none'); } catch (error) { console.log(error.requireStack.length, error.code); }
                try { require(''); } catch (error) { console.log(error.code, error.message); }
                try { require(7); } catch (error) { console.log(error.code, error.message); }
                console.log(new (require('module'))('x').id, module.parent, module.loaded, module.paths.length > 0);
                """,
            "a.js": "exports.partial = 1; const b = require('./b'); exports.seen = b.seen; exports.done = 'a';",
            "b.js": "const a = require('./a'); exports.seen = a.partial; console.log(a.missing); exports.done = 'b';",
            "counted.js": "globalThis.counted = (globalThis.counted ?? 0) + 1;",
            "data.json": "{}", "bad.json": "{ x",
            "throws.js": "globalThis.thrown = (globalThis.thrown ?? 0) + 1; throw new Error('thrown');",
            "text.txt": "from an extension\n",
        })
        self.assert_same("main.js")

    def test_require_of_modules(self):
        self.lay_out({
            "main.cjs": """
                const show = (id) => {
                    try {
                        const it = require(id);
                        console.log(id, typeof it, Object.keys(it), it.__esModule, it.default);
                    } catch (error) {
                        console.log(id, error.constructor.name, error.code, error.message.split('\\n')[0].slice(0, 80));
                    }
                };
                ['./named.mjs', './default.mjs', './marked.mjs', './named-whole.mjs', './async.mjs', './above-async.mjs',
                 './throws.mjs', './syntax.mjs', './cycle.mjs', './uses-cjs.mjs', './detected.js'].forEach(show);
                console.log(require('./default.mjs') === require('./default.mjs'));
                import('./default.mjs').then((ns) => console.log(ns.default === require('./default.mjs').default));
                import('./throws.mjs').catch((error) => console.log(error.message, globalThis.throws));
                import('./async.mjs').then((ns) => { console.log(ns.it); show('./async.mjs'); });
                """,
            "named.mjs": "export const b = 1, a = 2;", "default.mjs": "export default { x: 1 }; export const c = 3;",
            "marked.mjs": "export default 1; export const __esModule = 'own';",
            "named-whole.mjs": "export default 1; export { whole as 'module.exports' }; const whole = { w: 1 };",
            "async.mjs": "export const it = await 1;", "above-async.mjs": "import './async.mjs'; export const it = 1;",
            "throws.mjs": "globalThis.throws = (globalThis.throws ?? 0) + 1; throw new RangeError('thrown');",
            "syntax.mjs": "export const = 1;",
            "cycle.mjs": "import './cycle.cjs'; export const it = 'cycle';",
            "cycle.cjs": "try { require('./cycle.mjs'); } catch (error) { console.log('in a cycle', error.code); }",
            "uses-cjs.mjs": "import whole, { x } from './plain.cjs'; export { x, whole };",
            "plain.cjs": "exports.x = 'x'; exports.y = 'y';",
            "detected.js": "export const detected = import.meta.filename.slice(-11);",
        })
        self.assert_same("main.cjs")

    def test_import_of_commonjs(self):
        self.lay_out({
            "main.mjs": """
                import whole, * as ns from './names.cjs';
                import { createRequire } from 'node:module';
                const require = createRequire(import.meta.url);
                console.log(Object.keys(ns).sort().join(), whole === ns['module.exports'], whole === require('./names.cjs'));
                for (const name of ['./typescript.cjs', './babel.cjs', './star.cjs', './defined.cjs', './conditional.cjs',
                    './default-name.cjs', './primitive.cjs', './null.cjs', './later.cjs', './syntax.cjs', './throws.cjs',
                    './throwing-getter.cjs', './cycle-a.cjs', './this.cjs', './return.cjs'])
                    try {
                        const found = await import(name);
                        console.log(name, Object.keys(found).sort().join(), String(found.default?.constructor?.name),
                            found.a, found.b, found.c);
                    } catch (error) { console.log(name, error.name, error.message); }
                console.log((await import('./names.cjs?again')) === ns, (await import('./names.cjs?again')).default === whole);
                try { await import('./names.cjs', { with: { type: 'json' } }); } catch (error) { console.log(error.code); }
                """,
            "names.cjs": "exports.a = 1; module.exports.b = 2; exports['c-d'] = 3; Object.defineProperty(exports, 'e', { value: 4, enumerable: true });",
            "typescript.cjs": "'use strict'; Object.defineProperty(exports, '__esModule', { value: true }); exports.a = exports.b = void 0; exports.a = 1; exports.default = 'd';",
            "babel.cjs": "'use strict'; Object.defineProperty(exports, '__esModule', { value: true }); var _x = require('./names.cjs'); Object.keys(_x).forEach(function (key) { if (key === 'default' || key === '__esModule') return; if (key in exports && exports[key] === _x[key]) return; Object.defineProperty(exports, key, { enumerable: true, get: function () { return _x[key]; } }); });",
            "star.cjs": "module.exports = { ...require('./names.cjs'), c: 'c' };",
            "defined.cjs": "Object.defineProperty(exports, 'a', { enumerable: true, get: function () { return q.p; } }); const q = { p: 'late' };",
            "conditional.cjs": "if (true) module.exports = require('./names.cjs'); else module.exports = require('./star.cjs');",
            "default-name.cjs": "exports.default = 'inner'; exports.a = 1;",
            "primitive.cjs": "module.exports = 'text';", "null.cjs": "module.exports = null;",
            "later.cjs": "setTimeout(() => { exports.a = 'too late'; }, 1);",
            "syntax.cjs": "exports.a = ;", "throws.cjs": "exports.a = 1; throw new TypeError('thrown');",
            "throwing-getter.cjs": "exports.b = 2; Object.defineProperty(exports, 'a', { enumerable: true, get() { throw new Error('no'); } });",
            "cycle-a.cjs": "exports.a = 'a'; exports.b = require('./cycle-b.cjs').b;",
            "cycle-b.cjs": "exports.b = require('./cycle-a.cjs').a + 'b';",
            "this.cjs": "this.a = 'this'; exports.b = this === exports;",
            "return.cjs": "exports.a = 1; return; exports.a = 2;",
        })
        self.assert_same("main.mjs")

    def test_what_is_no_javascript(self):
        self.lay_out({
            "main.mjs": """
                import json from './data.json' with { type: 'json' };
                import text from './main.mjs' with { type: 'text' };
                import { createRequire } from 'node:module';
                console.log(json.x, createRequire(import.meta.url)('./data.json') === json, text.includes('with { type'));
                const attempt = async (specifier, options) => {
                    try {
                        const found = await import(specifier, options);
                        console.log(specifier, Object.keys(found).join(), found.add?.(2, 3), found.counter, found.default);
                    } catch (error) { console.log(specifier, error.name, error.code, error.message.split('\\n')[0].replaceAll(import.meta.dirname, '')); }
                };
                await attempt('./data.json');
                await attempt('./main.mjs', { with: { type: 'json' } });
                await attempt('./data.json', { with: { type: 'css' } });
                await attempt('./data.json', { with: { other: 'json' } });
                await attempt('node:fs', { with: { type: 'json' } });
                await attempt('./bad.json', { with: { type: 'json' } });
                await attempt('./bom.json', { with: { type: 'json' } });
                await attempt('./add.wasm');
                await attempt('./uses.wasm');
                await attempt('./broken.wasm');
                await attempt('./missing-import.wasm');
                const source = await import.source('./add.wasm');
                console.log(source instanceof WebAssembly.Module, WebAssembly.Module.exports(source).length);
                try { await import.source('./main.mjs'); } catch (error) { console.log(error.name, error.code); }
                """,
            "data.json": '{"x": 42}', "bad.json": "{,", "bom.json": "\ufeff{}",
            "env.mjs": "export const times = (a) => a * 10;",
        })
        for file_name, binary in WASM.items():
            with open(os.path.join(self.folder, file_name), "wb") as file:
                file.write(binary)
        ours, node = self.both("main.mjs")
        node = subprocess.run(["node", "--no-warnings", "--experimental-import-text",
                               os.path.join(self.folder, "main.mjs")], capture_output=True, text=True)
        self.assertEqual(ours.stdout.splitlines(), node.stdout.splitlines(), ours.stderr + node.stderr)

    def test_errors_that_end_it(self):
        for name, source in {
            "async.mjs": "await null; throw new Error('late');",
            "throws.cjs": "process.on('uncaughtException', (error, origin) => console.log(error.message, origin)); throw new Error('x');",
            "rejects.mjs": "process.on('uncaughtException', (error, origin) => console.log(error.message, origin)); throw new Error('x');",
            "never.mjs": "console.log('waits'); await new Promise(() => {});",
            "exit.cjs": "process.exitCode = 7; console.log('out');",
        }.items():
            with self.subTest(name):
                self.write(name, source)
                self.assert_same(name)


if __name__ == "__main__":
    unittest.main()
