"""The second boot: tenants are back without anybody's doing; then the package goes."""

import os

from machine import PORT, UNIT, MachineTest, ask, journal, run, show, status, wait_until


class RebootedTest(MachineTest):
    def test_1_the_tenants_are_back(self):
        wait_until(lambda: show("ActiveState") == "active", 120, "the service")
        self.assertEqual(ask(), "hello s3cret-of-shop")
        self.assertEqual(ask(80, "web.example"), "shared")
        self.assertEqual(status("writer")["state"], "stopped")
        wait_until(lambda: show("StatusText") == "2 tenants up, 1 stopped", what="the status")
        self.assertTrue(journal("TENANT=shop", "EVENT=ready"))

    def test_2_stop_is_in_order(self):
        self.assertEqual(run("systemctl", "stop", UNIT).returncode, 0)
        self.assertEqual(show("Result"), "success")
        with self.assertRaises(ConnectionRefusedError):
            ask(PORT)
        self.assertEqual(run("systemctl", "start", UNIT).returncode, 0)
        self.assertEqual(ask(), "hello s3cret-of-shop")

    def test_3_the_package_goes_and_takes_all_along(self):
        main, worker = show("MainPID"), status("shop")["pid"]
        self.succeed("dpkg", "--purge", "tenantd")
        for pid in (main, worker):
            self.assertFalse(os.path.exists(f"/proc/{pid}"))
        for path in ("/usr/lib/tenantd", "/var/lib/tenantd", "/usr/sbin/tenantd",
                     "/etc/default/tenantd", "/run/tenantd", "/sys/fs/cgroup/system.slice/" + UNIT):
            self.assertFalse(os.path.exists(path), path)
        # What the operator wrote stays.
        self.assertTrue(os.path.exists("/etc/tenantd/policy.d/shop.json"))
