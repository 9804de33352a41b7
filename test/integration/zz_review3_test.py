import os, tempfile, shutil
from harness import TenantdTest
class Drop(TenantdTest):
    def test_open_file(self):
        base = tempfile.mkdtemp(prefix="tenantd-review-", dir="/srv")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        os.chmod(base, 0o755)
        r = self.run_script(f"""
import fs from 'node:fs';
const fd = fs.openSync('{base}/log', 'w');
process.permission.drop('fs.write');
fs.writeSync(fd, 'still');
try {{ fs.writeFileSync('{base}/other', 'x'); console.log('written'); }} catch (e) {{ console.log(e.code); }}
try {{ fs.unlinkSync('{base}/log'); console.log('unlinked'); }} catch (e) {{ console.log(e.code); }}
console.log(fs.readFileSync('{base}/log', 'utf8'));
process.permission.drop('fs.read');
try {{ fs.readFileSync('{base}/log'); console.log('read'); }} catch (e) {{ console.log(e.code); }}
""", "--policy", self.policy(permissions={"fs": {"write": [base]}}), name="s.mjs")
        print(r.returncode, r.stdout, r.stderr)
        self.assertEqual(r.returncode, 0)
        self.assertIn("still", r.stdout)
import struct, subprocess
from escape_test import TESTING, SENDER, needs_hook

@needs_hook
class Container(TenantdTest):
    options = ("--runtime", TESTING, "--tier", "container")
    def test_host_mount(self):
        base = tempfile.mkdtemp(prefix="tenantd-review-", dir="/srv")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", base], check=True)
        self.addCleanup(subprocess.run, ["umount", base], stderr=subprocess.DEVNULL)
        with open(base + "/file", "w") as f: f.write("x")
        os.chmod(self.folder, 0o755)
        self.write("main.js", SENDER)
        for i in range(1, 3):
            r = self.daemon.ctl("run", self.folder, "--policy", self.policy(permissions={"fs": {"write": [base]}}), "--", "3",
              (struct.pack("<II", 12, i) + b"fs\0\0").hex())
            print(r.stdout, r.stderr)
        self.assertTrue(os.path.ismount(base))
        self.assertTrue(os.path.exists(base + "/file"))
