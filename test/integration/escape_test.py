"""Attacks from inside a real worker: machine code by a test-only native hook, as if V8
were broken already. Every one must fail with an error that a policy gives."""

import json
import os
import socket
import unittest

import harness
from harness import TenantdTest

POLICY_ERRORS = {1, 2, 3, 13, 22, 30, 38, 97}  # EPERM ENOENT ESRCH EACCES EINVAL EROFS ENOSYS EAFNOSUPPORT

PROGRAM = """
const target = JSON.parse(process.argv[2]);
const only = process.argv[3];
const all = attack();
for (let i = 0; i < all.length; i++) {
    const [id, name, flags] = all[i];
    if (only !== undefined ? i !== Number(only) : false) continue;
    console.log(JSON.stringify({ i, id, name, flags, start: true }));
    const [succeeded, code] = attack(i, target);
    console.log(JSON.stringify({ i, id, name, flags, succeeded, code }));
}
console.log('end');
"""


class EscapeTest(TenantdTest):
    options = ("--runtime", os.path.join(harness.BUILD, "testing"))
    allowed = 1 << 2  # ATTACK_JITLESS: executable memory is allowed where the JIT is

    @unittest.skipUnless(os.path.exists(harness.BUILD + "/testing/tenant-zygote"),
                         "the test-only zygote is not built")
    def test_no_attack_gets_out_of_a_worker(self):
        self.write("main.js", PROGRAM)
        self.write("file", "the attacker's own")
        self.write("program", "#!/bin/sh\n")
        listener = socket.create_server(("127.0.0.1", 0))
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\0tenantd-escape-test")
        abstract.listen()
        path = self.folder + ".sock"
        named = socket.socket(socket.AF_UNIX)
        named.bind(path)
        os.chmod(path, 0o777)
        named.listen()
        self.addCleanup(os.unlink, path)
        target = {"port": listener.getsockname()[1], "victim": os.getpid(),
                  "abstract": "tenantd-escape-test", "socket": path}
        blocked, killed, succeeded = [], [], []
        index, count = 0, None
        while count is None or index < count:
            # One run goes as far as it can; an attack that ends the process by a signal
            # was stopped, and the next run starts behind it.
            self.write("main.js", PROGRAM.replace("let i = 0", f"let i = {index}"))
            done = self.daemon.ctl("run", self.folder, "--", json.dumps(target))
            lines = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
            self.assertTrue(lines, done.stderr + self.daemon.log()[-2000:])
            for line in lines:
                if "succeeded" in line:
                    (succeeded if line["succeeded"] else blocked).append(line)
            last = lines[-1]
            index = last["i"] + 1
            if "end" in done.stdout:
                count = index
            else:
                killed.append((last["id"], last["name"], done.returncode))
                self.assertGreater(done.returncode, 128, (last, done.returncode, done.stderr))
        for sock in (listener, abstract, named):
            sock.close()
        print(f"\nattacks: {len(blocked)} blocked, {len(killed)} ended by a signal, "
              f"{len(succeeded)} succeeded")
        got_out = [line for line in succeeded if not line["flags"] & self.allowed]
        self.assertEqual(got_out, [])
        self.assertGreater(len(blocked), 40)
        wrong = [line for line in blocked if line["code"] not in POLICY_ERRORS]
        self.assertEqual([(w["id"], w["name"], os.strerror(w["code"])) for w in wrong], [])


if __name__ == "__main__":
    unittest.main()
