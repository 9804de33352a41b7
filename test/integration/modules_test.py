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
