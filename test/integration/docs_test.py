"""Every command that the README and the guide show is run."""

import os
import re
import subprocess
import unittest

import harness
from harness import ROOT, TenantdTest, request


class ReadmeTest(TenantdTest):
    def test_the_commands_of_the_readme(self):
        for example in ("hello", "stream"):
            done = self.daemon.ctl("deploy", example, f"{ROOT}/docs/examples/{example}",
                                   "--policy", f"{ROOT}/docs/examples/policies/{example}.json")
            self.assertEqual(done.returncode, 0, done.stderr)
        with open(ROOT + "/README.md") as file:
            blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
        lines = [line for block in blocks for line in block.splitlines()
                 if not line.startswith("make ")]
        self.assertGreater(len(lines), 5)
        for line in lines:
            command = line.replace("./build/tenantctl", harness.BUILD + "/tenantctl")
            done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True,
                                  timeout=60,
                                  env={**os.environ, "TENANTD_SOCKET": self.daemon.socket})
            said = re.search(r"# .*exit code (\d+)", line)
            self.assertEqual(done.returncode, int(said[1]) if said else 0,
                             f"{line}\n{done.stdout}{done.stderr}")

    def test_the_commands_of_the_guide(self):
        with open(ROOT + "/docs/guide.md") as file:
            blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.S)
        self.assertGreater(len(blocks), 5)
        tools = os.path.dirname(self.write("bin/tenantctl",
                                           f'#!/bin/sh\nexec {harness.BUILD}/tenantctl "$@"\n'))
        os.chmod(f"{tools}/tenantctl", 0o755)
        environment = {**os.environ, "TENANTD_SOCKET": self.daemon.socket,
                       "PATH": f"{tools}:{os.environ['PATH']}"}
        for block in blocks:
            script = re.sub(r"(?m)^(.*\S) +# .*exit code (\d+)$", r"\1 || [ $? = \2 ]", block)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.folder,
                                  capture_output=True, text=True, timeout=60, env=environment)
            self.assertEqual(done.returncode, 0, f"{block}\n{done.stdout}{done.stderr}")

    def test_links_of_the_documents(self):
        for folder, _, names in os.walk(ROOT + "/docs"):
            if "node_modules" in folder:
                continue
            for name in names:
                if name.endswith(".md"):
                    self.check_links(os.path.join(folder, name))
        self.check_links(ROOT + "/README.md")

    def check_links(self, path):
        with open(path) as file:
            for target in re.findall(r"\]\(([^)#:]+)\)", file.read()):
                self.assertTrue(os.path.exists(os.path.join(os.path.dirname(path), target)),
                                f"{path}: {target}")


class RuntimeTest(TenantdTest):
    def test_the_programs_of_the_reference(self):
        with open(ROOT + "/docs/runtime.md") as file:
            programs = re.findall(r"```js\n(.*?)```", file.read(), re.S)
        self.assertGreaterEqual(len(programs), 3)
        for number, program in enumerate(programs):
            name = f"doc{number}"
            port = self.deploy(name, self.write(f"{name}/main.js", program))
            status, _, body = request(port)
            self.assertIn(status, (200, 426), program)  # 426: it wants a WebSocket
            self.assertTrue(body.endswith(b"\n"), program)
            self.assertEqual(self.daemon.ctl("stop", name).returncode, 0)
            self.assertNotIn("Error", self.daemon.ctl("logs", name).stdout)
        self.assertIn("1 requests, exit code 0", self.daemon.ctl("logs", name).stdout)

    def test_the_reference_names_what_is_there(self):
        # The language's own globals are those of a context without any others.
        done = self.run_script("""
            import { builtinModules } from 'node:module';
            console.log(builtinModules.join(' '));
            console.log(Object.getOwnPropertyNames(globalThis).join(' '));
        """)
        node = subprocess.run(["node", "-p", "vm.runInNewContext('Object.getOwnPropertyNames(globalThis)').join(' ')"],
                              capture_output=True, text=True)
        modules, names = (line.split() for line in done.stdout.splitlines())
        self.assertGreater(len(modules), 50)
        with open(ROOT + "/docs/runtime.md") as file:
            named = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", file.read(), flags=re.S)))
        missing = set(modules + names) - named - set(node.stdout.split())
        self.assertEqual(missing, set())


if __name__ == "__main__":
    unittest.main()
