import os, json, tempfile, shutil, socket
from harness import TenantdTest
class Unix(TenantdTest):
    def test_socket_in_read_grant(self):
        base = tempfile.mkdtemp(prefix="tenantd-review-", dir="/srv")
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        os.chmod(base, 0o755)
        s = socket.socket(socket.AF_UNIX); s.bind(base + "/sock"); s.listen(); os.chmod(base + "/sock", 0o600)
        p = self.policy(permissions={"fs": {"read": [base]}, "child": {"exec": []}})
        r = self.daemon.ctl("run", "--policy", p, "--", "/usr/bin/python3", "-c",
            f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{base}/sock'); print('connected')")
        print(r.stdout, r.stderr)
