"""Code caches: made by a worker that runs nothing, used by the next start, never in its way."""

import glob
import json
import os
import time
import unittest

from harness import TenantdTest, request, wait_until

FUNCTIONS = "\n".join(
    f"function f{i}(x) {{ const table = {{ a: x + {i}, b: 'some text that takes room {i}' }}; "
    f"return table.a; }}" for i in range(30000))
PROGRAM = FUNCTIONS + "\nexport default { fetch() { return new Response(`${f1(1) + f29999(1)}`); } };\n"


class CodeCacheTest(TenantdTest):
    def caches(self):
        return [path for path in glob.glob(os.path.join(self.daemon.state, "caches", "[0-9a-f]*"))
                if not path.endswith(".new")]

    def stats(self, name):
        return self.daemon.status(name)["stats"]

    def start_time(self, name):
        """Milliseconds from the order to start until it is ready, the best of some."""
        times = []
        for _ in range(5):
            self.assertEqual(self.daemon.ctl("stop", name).returncode, 0)
            before = time.monotonic()
            self.assertEqual(self.daemon.ctl("start", name).returncode, 0)
            times.append((time.monotonic() - before) * 1000)
        return min(times)

    def test_the_next_start_uses_what_was_made(self):
        self.write("main.js", PROGRAM)
        port = self.deploy("cached", self.folder)
        self.assertEqual(self.stats("cached")["code_caches_used"], 0)
        wait_until(self.caches, what="a code cache")
        [cache] = self.caches()
        self.assertEqual(os.stat(cache).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(cache)).st_mode & 0o777, 0o700)
        with_cache = self.start_time("cached")
        self.assertEqual(self.stats("cached")["code_caches_used"], 1)
        self.assertEqual(self.stats("cached")["code_caches_rejected"], 0)
        self.assertEqual(request(port)[2], b"30002")
        # Damage, and other versions, are as if there were none.
        with open(cache, "r+b") as file:
            file.seek(os.path.getsize(cache) // 2)
            file.write(b"\xff" * 64)
        without = self.start_time("cached")
        self.assertEqual(self.stats("cached")["code_caches_used"], 0)
        self.assertEqual(self.stats("cached")["code_caches_rejected"], 1)
        self.assertEqual(request(port)[2], b"30002")
        for content in (b"", b"tntcode1", b"tntcode1" + b"\xff" * 100, os.urandom(5000)):
            with open(cache, "wb") as file:
                file.write(content)
            self.assertEqual(self.daemon.ctl("restart", "cached").returncode, 0)
            self.assertEqual(self.stats("cached")["code_caches_used"], 0)
            self.assertEqual(request(port)[2], b"30002")
        print(f"\nstart of a bundle of 3 MB: {with_cache:.0f} ms with its code cache, {without:.0f} ms without")

    def test_it_goes_with_its_release(self):
        self.write("main.js", PROGRAM + "// this one goes\n")
        before = set(self.caches())
        self.deploy("goes", self.folder)
        wait_until(lambda: set(self.caches()) - before, what="a code cache")
        self.daemon.ctl("remove", "goes", "-y")
        self.daemon.ctl("prune", "-y")
        wait_until(lambda: not set(self.caches()) - before, what="the end of the code cache")

    def test_making_it_runs_nothing(self):
        self.write("main.js", FUNCTIONS + """
            import './other.js';
            import { hostname } from 'node:os';
            console.log('the program ran');
            export default { fetch() { return new Response(`${f1(1)}`); } };""")
        self.write("other.js", "console.log('its import ran'); export {};")
        before = set(self.caches())
        self.deploy("once", self.folder)
        wait_until(lambda: set(self.caches()) - before, what="a code cache")
        logged = self.daemon.ctl("logs", "once").stdout
        self.assertEqual(logged.count("the program ran"), 1)
        self.assertEqual(logged.count("its import ran"), 1)
        self.assertEqual(self.daemon.ctl("restart", "once").returncode, 0)
        self.assertEqual(self.stats("once")["code_caches_used"], 2)

    def test_other_flags_have_their_own(self):
        self.write("main.js", PROGRAM + "// without compilers\n")
        before = set(self.caches())
        self.deploy("jitless", self.folder, permissions={"jit": False, "wasm": False})
        [made] = wait_until(lambda: set(self.caches()) - before, what="a code cache")
        self.assertTrue(made.endswith("-jitless"))
        self.assertEqual(self.daemon.ctl("restart", "jitless").returncode, 0)
        self.assertEqual(self.stats("jitless")["code_caches_used"], 1)
        # One that was made with compilers is not even looked at.
        with open(made, "r+b") as file:
            file.seek(8)
            file.write(b"\1\2\3\4")
        self.assertEqual(self.daemon.ctl("restart", "jitless").returncode, 0)
        self.assertEqual(self.stats("jitless")["code_caches_used"], 0)
        self.assertEqual(self.stats("jitless")["code_caches_rejected"], 0)

    def test_small_programs_and_commonjs_have_none(self):
        before = set(self.caches())
        self.write("main.js", "export default { fetch() { return new Response('small'); } };")
        self.deploy("small", self.folder)
        self.write("main.js", FUNCTIONS + "\nmodule.exports = { fetch() { return new Response('cjs'); } };")
        port = self.deploy("commonjs", self.folder)
        self.assertEqual(request(port)[2], b"cjs")
        # That it cannot be is remembered, so that it is tried once.
        made = wait_until(lambda: set(self.caches()) - before, what="the empty file")
        self.assertEqual([os.path.getsize(path) for path in made], [0])


if __name__ == "__main__":
    unittest.main()
