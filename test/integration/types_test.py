"""The types for tenants' programs, by the TypeScript compiler: right programs compile, each
wrong line of others does not."""

import json
import os
import re
import subprocess
import tempfile
import unittest

import harness

TYPES = os.path.join(harness.ROOT, "test", "types")
COMPILER = os.path.join(TYPES, "node_modules", "typescript", "bin", "tsc")
DECLARATIONS = os.path.join(harness.ROOT, "isolate", "types", "tenantd.d.ts")
TENANTCTL = os.path.join(harness.BUILD, "tenantctl")


def compile_program(*files):
    """What tsc says, one message a line."""
    with tempfile.TemporaryDirectory() as folder:
        project = os.path.join(folder, "tsconfig.json")
        with open(project, "w") as file:
            json.dump({"compilerOptions": {
                "noEmit": True, "strict": True, "target": "esnext", "module": "esnext", "moduleResolution": "bundler",
                "lib": ["esnext", "webworker"], "types": [],
                "typeRoots": [os.path.join(TYPES, "node_modules", "@types")]},
                "files": [DECLARATIONS, *(os.path.join(TYPES, name) for name in files)]}, file)
        done = subprocess.run(["node", COMPILER, "-p", project, "--pretty", "false"],
                              capture_output=True, text=True, cwd=TYPES, timeout=120 * harness.SLOW)
        return done.returncode, done.stdout


@unittest.skipUnless(os.path.exists(COMPILER), "typescript is not installed (tools/npm-packages test/types)")
class TypesTest(unittest.TestCase):
    def test_right_programs_compile(self):
        for name in ("service.ts", "plain.ts", "node.ts"):
            with self.subTest(name):
                code, said = compile_program(os.path.join("right", name))
                self.assertEqual((code, said), (0, ""))

    def test_each_wrong_line_is_refused(self):
        file = os.path.join("wrong", "programs.ts")
        with open(os.path.join(TYPES, file)) as source:
            wanted = [number for number, line in enumerate(source, 1) if line.endswith("// error\n")]
        _, said = compile_program(file)
        found = sorted({int(line) for line in re.findall(r"^wrong/programs\.ts\((\d+),", said, re.M)})
        self.assertEqual(found, wanted, said)
        self.assertNotIn("tenantd.d.ts(", said)


class TypesVerbTest(unittest.TestCase):
    def test_tenantctl_prints_the_file(self):
        done = subprocess.run([TENANTCTL, "types"], capture_output=True, text=True, timeout=20)
        with open(DECLARATIONS) as file:
            self.assertEqual((done.returncode, done.stdout), (0, file.read()))


if __name__ == "__main__":
    unittest.main()
