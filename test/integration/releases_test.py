"""Releases: what is kept, rolling back, who did what, differences, pruning, kill -9 in between."""

import glob
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import BUILD, Daemon, TenantdTest, request, wait_until


def serve(text, **extra):
    return f"export default {{ fetch: () => new Response({json.dumps(text)}) }};\n"


class ReleasesTest(TenantdTest):
    def put(self, name, text):
        """Deploys a program that answers TEXT; returns its release's id."""
        done = self.daemon.ctl("deploy", name, self.write("main.js", serve(text)), "--json")
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["release"]

    def releases(self, name):
        return self.daemon.json("releases", name)["releases"]

    def outcomes(self, name):
        return [(r["release"], r["outcome"]) for r in self.releases(name)]

    def stored(self):
        return set(os.listdir(os.path.join(self.daemon.state, "releases")))

    def answer(self, name):
        return request(self.port_of(name))[2].decode()

    def test_rolls_back_to_the_last_good_release(self):
        a, b, c = (self.put("back", text) for text in "abc")
        self.assertEqual(self.outcomes("back"), [(c, "active"), (b, "previous"), (a, "kept")])
        done = self.daemon.ctl("rollback", "back", "-m", "c is slow", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["release"], b)
        self.assertEqual(self.answer("back"), "b")
        self.assertEqual(self.outcomes("back"),
                         [(b, "active"), (c, "rolled-back"), (a, "previous")])
        self.assertEqual(self.releases("back")[1]["reason"], "c is slow")
        # Again: not to and fro, but further back.
        self.assertEqual(self.daemon.ctl("rollback", "back").returncode, 0)
        self.assertEqual(self.answer("back"), "a")
        none = self.daemon.ctl("rollback", "back")
        self.assertEqual(none.returncode, 1)
        self.assertIn("no earlier release that was good", none.stderr)
        # By name, and by the beginning of it, also to one that was rolled back.
        self.assertEqual(self.daemon.ctl("rollback", "back", c[:8]).returncode, 0)
        self.assertEqual(self.answer("back"), "c")
        same = self.daemon.ctl("rollback", "back", c)
        self.assertIn("is its active release", same.stderr)
        self.assertEqual(same.returncode, 1)
        self.assertIn("has no release", self.daemon.ctl("rollback", "back", "abcd1234").stderr)
        self.assertIn("at least the first 4", self.daemon.ctl("rollback", "back", "xyz").stderr)
        self.assertEqual(self.daemon.ctl("rollback", "nobody").returncode, 4)

    def test_rollback_survives_a_restart_of_the_daemon(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        ids = []
        for text in "ab":
            done = daemon.ctl("deploy", "r", self.write("main.js", serve(text)), "--json")
            ids.append(json.loads(done.stdout)["release"])
        daemon.process.kill()
        daemon.process.wait()
        daemon.start()
        self.assertEqual([r["outcome"] for r in daemon.json("releases", "r")["releases"]],
                         ["active", "previous"])
        wait_until(lambda: daemon.status("r")["state"] == "running")
        done = daemon.ctl("rollback", "r")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(daemon.status("r")["release"], ids[0])

    def test_keeps_five_and_never_removes_what_it_needs(self):
        ids = [self.put("keep", str(i)) for i in range(8)]
        wait_until(lambda: not self.stored() & set(ids[:3]), what="pruning")
        self.assertTrue(self.stored() >= set(ids[3:]))
        self.assertEqual([r for r, _ in self.outcomes("keep")], ids[:2:-1])
        gone = self.daemon.ctl("rollback", "keep", ids[0])
        self.assertEqual(gone.returncode, 1)
        done = self.daemon.ctl("prune", "keep", "--keep", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 releases of keep removed, 2 kept", done.stdout)
        wait_until(lambda: self.stored() & set(ids) == set(ids[6:]), what="pruning")
        # The one to roll back to is there, and works.
        self.assertEqual(self.daemon.ctl("rollback", "keep").returncode, 0)
        self.assertEqual(self.answer("keep"), "6")
        self.assertEqual(self.daemon.ctl("prune", "keep", "--keep", "0").returncode, 2)

    def test_a_deployment_sets_how_many_are_kept(self):
        ids = [self.put("few", str(i)) for i in range(3)]
        done = self.daemon.ctl("deploy", "few", self.write("main.js", serve("x")), "--keep", "2",
                               "--json")
        new = json.loads(done.stdout)["release"]
        wait_until(lambda: self.stored() & {*ids, new} == {ids[2], new}, what="pruning")
        # It holds from then on.
        newer = self.put("few", "y")
        wait_until(lambda: self.stored() & {*ids, new, newer} == {new, newer}, what="pruning")

    def test_what_failed_is_remembered_and_not_kept(self):
        good = self.put("bad", "good")
        done = self.daemon.ctl("deploy", "bad", self.write("main.js", "throw new Error('oh no')"),
                               "-m", "a try")
        self.assertEqual(done.returncode, 1)
        self.assertIn("oh no", done.stderr)
        failed = [r for r in self.releases("bad") if r["outcome"] == "failed"]
        self.assertEqual(len(failed), 1)
        self.assertIn("oh no", failed[0]["reason"])
        self.assertEqual(failed[0]["message"], "a try")
        wait_until(lambda: failed[0]["release"] not in self.stored(), what="pruning")
        back = self.daemon.ctl("rollback", "bad", failed[0]["release"][:10])
        self.assertIn("failed (", back.stderr)
        self.assertIn("was not kept", back.stderr)
        self.assertEqual(self.daemon.status("bad")["release"], good)

    def test_tells_who_it_was(self):
        release = self.put("who", "hello")
        record = self.releases("who")[0]
        self.assertEqual((record["by"]["uid"], record["by"]["user"]), (0, "root"))
        self.assertEqual(record["by"]["command"], "tenantctl")
        self.assertGreater(record["by"]["pid"], 1)
        self.daemon.ctl("stop", "who")
        self.daemon.ctl("start", "who")
        self.daemon.ctl("restart", "who")
        history = self.daemon.json("history", "who")["history"]
        self.assertEqual([h["action"] for h in history], ["deploy", "stop", "start", "restart"])
        self.assertEqual({h["result"] for h in history}, {"ok"})
        self.assertEqual((history[0]["from"], history[0]["to"]), (None, release))
        self.assertEqual(history[1]["by"]["user"], "root")
        self.assertEqual(len(self.daemon.json("history", "-n", "2")["history"]), 2)
        # It outlives the tenant.
        self.daemon.ctl("remove", "who", "-y")
        last = self.daemon.json("history", "who")["history"][-1]
        self.assertEqual((last["action"], last["from"], last["to"]), ("remove", release, None))
        self.assertFalse(os.path.exists(os.path.join(self.daemon.state, "history", "who.json")))

    def test_diff(self):
        self.write("d/tenant.json", json.dumps(
            {"entry": "main.js", "permissions": {"net": {"connect": ["a.example:443"]}}}))
        self.write("d/main.js", serve("one") + "".join(f"// {i}\n" for i in range(20)))
        self.write("d/old.txt", "gone\n")
        folder = os.path.join(self.folder, "d")
        self.addCleanup(self.daemon.ctl, "remove", "diff", "-y")
        done = self.daemon.ctl("deploy", "diff", folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        same = self.daemon.ctl("diff", "diff", "active", "active")
        self.assertEqual((same.returncode, same.stdout), (0, ""))
        self.assertEqual(self.daemon.ctl("diff", "diff").returncode, 2)  # no previous one yet
        self.write("d/tenant.json", json.dumps(
            {"entry": "main.js", "permissions": {"net": {"connect": ["b.example:443"]}}}))
        self.write("d/main.js", serve("two") + "".join(f"// {i}\n" for i in range(20)))
        self.write("d/new.bin", "a\0b")
        os.remove(os.path.join(folder, "old.txt"))
        self.assertEqual(self.daemon.ctl("deploy", "diff", folder).returncode, 0)
        done = self.daemon.ctl("diff", "diff")
        self.assertEqual(done.returncode, 1, done.stderr)
        for part in ("changed  main.js", "added    new.bin", "removed  old.txt",
                     "removed  permission asked for: net.connect a.example:443",
                     "added    permission asked for: net.connect b.example:443",
                     "--- a/main.js", "+++ b/main.js", "@@ -1,4 +1,4 @@",
                     '-export default { fetch: () => new Response("one") };',
                     '+export default { fetch: () => new Response("two") };',
                     "--- a/old.txt", "+++ /dev/null", "-gone", "not shown"):
            self.assertIn(part, done.stdout)
        self.assertNotIn("// 10", done.stdout)
        found = json.loads(self.daemon.ctl("diff", "diff", "previous", "active", "--json").stdout)
        self.assertEqual({(f["path"], f["change"]) for f in found["files"]},
                         {("main.js", "changed"), ("new.bin", "added"), ("old.txt", "removed"),
                          ("tenant.json", "changed")})
        self.assertEqual([f["size_b"] for f in found["files"] if f["path"] == "new.bin"], [3])

    def test_the_same_folder_elsewhere_is_the_same_release(self):
        for name in ("main.js", "b/x.txt", "a/y.txt"):
            self.write("one/" + name, serve("same"))
        one, two = (os.path.join(self.folder, n) for n in ("one", "two"))
        first = self.daemon.json("deploy", "same", one)["release"]
        self.addCleanup(self.daemon.ctl, "remove", "same", "-y")
        os.makedirs(two)
        # In another order, with other times, modes and owners.
        for name in ("a/y.txt", "b/x.txt", "main.js"):
            os.makedirs(os.path.dirname(os.path.join(two, name)), exist_ok=True)
            path = shutil.copyfile(os.path.join(one, name), os.path.join(two, name))
            os.utime(path, (1, 1))
            os.chmod(path, 0o700)
            os.chown(path, 12345, 54321)
        objects = set(os.listdir(os.path.join(self.daemon.state, "objects", "same")))
        done = subprocess.run(
            ["sh", "-c", f"umask 077; exec {BUILD}/tenantctl --socket {self.daemon.socket} "
             f"deploy same {two} --json"], capture_output=True, text=True)
        self.assertEqual(json.loads(done.stdout)["release"], first)
        # Nothing new; a sweep of what other tests left may be under way.
        self.assertLessEqual(set(os.listdir(os.path.join(self.daemon.state, "objects", "same"))),
                             objects)
        self.assertEqual(len(self.releases("same")), 1)

    def test_tenants_share_no_file_and_so_cannot_see_what_the_other_has(self):
        """One would see it from the file's count of links, or by locking it."""
        links = {}
        for name in ("this", "that"):
            self.write(f"{name}/main.js", serve(name))
            self.write(f"{name}/common.txt", "the same in both")
            self.addCleanup(self.daemon.ctl, "remove", name, "-y")
            release = self.daemon.json("deploy", name, os.path.join(self.folder, name))["release"]
            links[name] = os.stat(os.path.join(self.daemon.state, "releases", release, "common.txt"))
        self.assertNotEqual(links["this"].st_ino, links["that"].st_ino)
        # A sweep of what other tests left may have come between: then nothing is shared at all.
        for status in links.values():
            self.assertLessEqual(status.st_nlink, 2)

    def test_a_policy_that_could_not_be_restored_is_not_replaced(self):
        self.addCleanup(self.daemon.ctl, "remove", "kept", "-y")
        self.assertEqual(self.daemon.ctl("deploy", "kept", self.write("kept.js", serve("one")))
                         .returncode, 0)
        path = os.path.join(self.daemon.policies, "kept.json")
        with open(path, "w") as file:
            file.write(" " * (8 << 20))
        done = self.daemon.ctl("deploy", "kept", self.write("kept.js", serve("two")), "--policy",
                               self.write("kept.json", '{"version": 1}'))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot keep the old policy", done.stdout + done.stderr)
        self.assertEqual(os.path.getsize(path), 8 << 20)
        self.assertEqual(self.answer("kept"), "one")
        os.unlink(path)

    def test_files_that_releases_share_are_stored_once(self):
        self.write("s/big.txt", "x" * 1000000)
        folder = os.path.join(self.folder, "s")
        self.addCleanup(self.daemon.ctl, "remove", "share", "-y")
        inodes, ids = set(), []
        time.sleep(1)  # the sweep of what other tests left
        for i in range(3):
            self.write("s/main.js", serve(f"share {i}"))
            ids.append(self.daemon.json("deploy", "share", folder)["release"])
            inodes.add(os.stat(os.path.join(self.daemon.state, "releases", ids[-1],
                                            "big.txt")).st_ino)
        self.assertEqual(len(inodes), 1)
        # Removing some leaves the file to the others, and the last takes it along.
        objects = os.path.join(self.daemon.state, "objects", "share")
        first = hashlib.sha256(serve("share 0").encode()).hexdigest()
        self.assertIn(first, os.listdir(objects))
        self.daemon.ctl("prune", "share", "--keep", "1")
        wait_until(lambda: first not in os.listdir(objects), what="the sweep")
        self.assertEqual(self.daemon.ctl("rollback", "share").returncode, 0)
        self.assertEqual(self.answer("share"), "share 1")
        self.daemon.ctl("remove", "share", "-y")
        big = hashlib.sha256(b"x" * 1000000).hexdigest()
        wait_until(lambda: not os.path.exists(f"{objects}/{big}"), what="the sweep")


class CanaryTest(TenantdTest):
    def put(self, text, *options):
        done = self.daemon.ctl("deploy", "c", self.write("main.js", serve(text)), "--json",
                               *options)
        self.addCleanup(self.daemon.ctl, "remove", "c", "-y")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def answers(self, count=20):
        port = int(self.daemon.status("c")["listeners"][0]["address"].rsplit(":", 1)[1])
        return [request(port)[2].decode() for _ in range(count)]

    def outcomes(self):
        return [(r["release"], r["outcome"])
                for r in self.daemon.json("releases", "c")["releases"]]

    def test_a_canary_is_promoted(self):
        old = self.put("old")["release"]
        done = self.put("new", "--weight", "50%", "-m", "try it")
        self.assertTrue(done["canary"])
        self.assertEqual(set(self.answers()), {"old", "new"})
        self.assertEqual(self.outcomes(), [(done["release"], "trying"), (old, "active")])
        third = self.daemon.ctl("deploy", "c", self.write("main.js", serve("third")), "--wait")
        self.assertEqual(third.returncode, 1)
        self.assertIn("is its canary since", third.stderr)
        self.assertIn("by root (uid 0", third.stderr)
        promoted = self.daemon.ctl("promote", "c", "-m", "it is well")
        self.assertEqual(promoted.returncode, 0, promoted.stderr)
        self.assertEqual(set(self.answers()), {"new"})
        self.assertEqual(self.outcomes(), [(done["release"], "active"), (old, "previous")])
        history = self.daemon.json("history", "c")["history"]
        self.assertEqual([(h["action"], h["result"]) for h in history],
                         [("deploy", "ok"), ("deploy", "canary"), ("deploy", "failed"),
                          ("promote", "ok")])
        self.assertEqual((history[-1]["from"], history[-1]["to"]), (old, done["release"]))
        self.assertEqual(history[-1]["message"], "it is well")
        none = self.daemon.ctl("promote", "c")
        self.assertEqual(none.returncode, 1)
        self.assertIn("has no canary", none.stderr)

    def test_a_canary_is_rolled_back(self):
        old = self.put("old")["release"]
        new = self.put("new", "--canary-instances", "1")["release"]
        done = self.daemon.ctl("rollback", "c", "-m", "too slow")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: set(self.answers()) == {"old"}, what="the canary's end")
        self.assertEqual(self.outcomes(), [(new, "failed"), (old, "active")])
        self.assertEqual(self.daemon.json("releases", "c")["releases"][0]["reason"], "too slow")

    def test_what_rolls_back_by_itself_is_in_the_history(self):
        old = self.put("old")["release"]
        dies = "setTimeout(() => process.exit(3), 700);\n" + serve("dies")
        done = self.daemon.ctl("deploy", "c", self.write("main.js", dies), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        new = json.loads(done.stdout)["release"]
        wait_until(lambda: self.daemon.status("c")["release"] == old, what="the rollback")
        wait_until(lambda: self.outcomes() == [(old, "active"), (new, "rolled-back")])
        last = self.daemon.json("history", "c")["history"][-1]
        self.assertEqual((last["action"], last["by"], last["from"], last["to"]),
                         ("auto-rollback", None, new, old))

    def test_numbers_out_of_range(self):
        path = self.write("main.js", serve("x"))
        for option in (("--weight", "0%"), ("--weight", "100%"), ("--weight", "10"),
                       ("--canary-instances", "0"), ("--canary-instances", "65"),
                       ("--keep", "51"), ("--min-healthy", "25h"), ("-m", "x" * 1001)):
            done = self.daemon.ctl("deploy", "c", path, *option)
            self.assertEqual(done.returncode, 2, option)


SLOW = "await new Promise(resolve => setTimeout(resolve, 1500));\n" + serve("slow")


class LockTest(TenantdTest):
    def begin(self, *arguments):
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def test_a_second_deployment_is_told_who_is_at_it(self):
        self.deploy("lock", self.write("main.js", serve("first")))
        first = self.begin("deploy", "lock", self.write("slow.js", SLOW))
        time.sleep(0.5)
        second = self.daemon.ctl("deploy", "lock", self.write("main.js", serve("second")))
        self.assertEqual(second.returncode, 1)
        self.assertRegex(second.stderr, r"root \(uid 0, pid %d, tenantctl\) is deploying to it "
                         r"since 20.*Z \(\d+ s\)" % first.pid)
        self.assertEqual(self.daemon.ctl("rollback", "lock").returncode, 1)
        refused = self.daemon.json("history", "lock")["history"][-1]
        self.assertEqual((refused["action"], refused["result"]), ("rollback", "refused"))
        # Another tenant is another lock.
        self.deploy("other", self.write("main.js", serve("other")))
        waiting = self.begin("deploy", "lock", self.write("third.js", serve("third")), "--wait")
        self.assertEqual(first.wait(), 0)
        self.assertEqual(waiting.wait(), 0, waiting.stderr.read())
        self.assertEqual(request(self.port_of("lock"))[2], b"third")

    def test_who_waits_and_goes_away_is_forgotten(self):
        self.deploy("gone", self.write("main.js", serve("first")))
        first = self.begin("deploy", "gone", self.write("slow.js", SLOW))
        time.sleep(0.3)
        waiting = self.begin("deploy", "gone", self.write("third.js", serve("third")), "--wait")
        time.sleep(0.3)
        waiting.kill()
        self.assertEqual(first.wait(), 0)
        time.sleep(0.5)
        self.assertEqual(request(self.port_of("gone"))[2], b"slow")
        self.assertEqual(self.daemon.ctl("deploy", "gone",
                                         self.write("main.js", serve("next"))).returncode, 0)


class SignatureTest(TenantdTest):
    def setUp(self):
        super().setUp()
        self.key = self.new_key("key")

    def new_key(self, name):
        path = os.path.join(self.folder, name)
        done = self.daemon.ctl("keygen", path, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.public = json.loads(done.stdout)["key"]
        return path

    def try_deploy(self, name, program, *options):
        self.addCleanup(self.daemon.ctl, "remove", name, "-y")
        return self.daemon.ctl("deploy", name, program, *options)

    def test_a_policy_demands_signatures(self):
        public = self.public
        policy = self.policy(0, signedBy=[public])
        program = self.write("p/main.js", serve("signed")) and os.path.join(self.folder, "p")
        done = self.try_deploy("sig", program, "--policy", policy)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not signed, and the policy demands it", done.stderr)
        self.assertIsNone(self.daemon.status("sig"))
        # Signed by another's key.
        other = self.new_key("other")
        done = self.try_deploy("sig", program, "--policy", policy, "--sign-key", other)
        self.assertIn(f"is signed by {self.public}, which the policy's", done.stderr)
        # By the right one; then with the file beside.
        done = self.try_deploy("sig", program, "--policy", policy, "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.daemon.json("releases", "sig")["releases"][0]["signed_by"], public)
        self.write("p/main.js", serve("signed 2"))
        done = self.daemon.ctl("sign", program + "/", "--key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.daemon.ctl("deploy", "sig", program).returncode, 0)
        # Altered after it was signed.
        self.write("p/main.js", serve("signed 3"))
        done = self.daemon.ctl("deploy", "sig", program)
        self.assertEqual(done.returncode, 1)
        self.assertIn("was altered after it was signed", done.stderr)
        self.assertEqual(request(self.port_of("sig"))[2], b"signed 2")
        # A rollback needs none: what the release came with still holds.
        self.assertEqual(self.daemon.ctl("rollback", "sig").returncode, 0)
        self.assertEqual(request(self.port_of("sig"))[2], b"signed")

    def test_a_signature_for_another_tenant(self):
        policy = self.policy(0, signedBy=[self.key + ".pub"])
        program = self.write("one.js", serve("x"))
        self.daemon.ctl("sign", program, "--key", self.key, "--tenant", "somebody")
        done = self.try_deploy("me", program, "--policy", policy)
        self.assertIn("is signed for the tenant somebody, not for me", done.stderr)
        self.daemon.ctl("sign", program, "--key", self.key, "--tenant", "me")
        done = self.try_deploy("me", program, "--policy", policy)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(program + ".sig") as file:
            text = file.read()
        with open(program + ".sig", "w") as file:
            file.write(text.replace("tenant me", "tenant -"))
        done = self.daemon.ctl("deploy", "me", program)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the signature does not fit what it signs", done.stderr)
        with open(program + ".sig", "w") as file:
            file.write(text.replace("release", "releese"))
        done = self.daemon.ctl("deploy", "me", program)
        self.assertIn('line 2 of the signature: expected "release "', done.stderr)

    def test_a_key_that_others_may_write_is_refused(self):
        os.chmod(self.key + ".pub", 0o666)
        policy = self.policy(0, signedBy=[self.key + ".pub"])
        done = self.try_deploy("open", self.write("one.js", serve("x")), "--policy", policy,
                               "--sign-key", self.key)
        self.assertIn("signedBy/0: the key", done.stderr)
        self.assertIn("may be changed by others", done.stderr)
        os.chmod(self.key, 0o644)
        done = self.daemon.ctl("sign", os.path.join(self.folder, "one.js"), "--key", self.key)
        self.assertEqual(done.returncode, 1)
        self.assertIn("may be read by others", done.stderr)

    def test_a_damaged_release_does_not_start(self):
        policy = self.policy(0, signedBy=[self.public])
        program = self.write("one.js", serve("whole"))
        done = self.try_deploy("dam", program, "--policy", policy, "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        release = self.daemon.status("dam")["release"]
        path = os.path.join(self.daemon.state, "releases", release, "one.js")
        with open(path, "r+") as file:
            file.write(serve("w0ole"))
        os.kill(self.daemon.status("dam")["pid"], signal.SIGKILL)
        wait_until(lambda: "is damaged" in self.daemon.log(), what="the refusal")
        self.assertNotEqual(self.daemon.ctl("restart", "dam").returncode, 0)
        # Deploying it again repairs it.
        done = self.daemon.ctl("deploy", "dam", program, "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(request(self.port_of("dam"))[2], b"whole")

    def restart_daemon(self):
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.daemon.start()

    def test_a_damaged_history_costs_no_signature(self):
        policy = self.policy(0, signedBy=[self.public])
        done = self.try_deploy("lost", self.write("one.js", serve("whole")), "--policy", policy,
                               "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        history = os.path.join(self.daemon.state, "history", "lost.json")
        with open(history, "w") as file:
            file.write("{")
        self.restart_daemon()
        wait_until(lambda: self.daemon.status("lost")["state"] == "running",
                   what=f"its start {self.daemon.status('lost')}")
        self.assertEqual(request(self.port_of("lost"))[2], b"whole")

    def test_signatures_of_an_older_daemon(self):
        policy = self.policy(0, signedBy=[self.public])
        done = self.try_deploy("older", self.write("one.js", serve("whole")), "--policy", policy,
                               "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        release = self.daemon.status("older")["release"]
        kept = os.path.join(self.daemon.state, "signatures", release, "older")
        path = os.path.join(self.daemon.state, "history", "older.json")
        with open(kept) as file:
            signature = file.read()
        with open(path) as file:
            history = json.load(file)
        # It kept them there, and nowhere else.
        history["releases"][0]["signature"] = signature
        with open(path, "w") as file:
            json.dump(history, file)
        os.unlink(kept)
        self.restart_daemon()
        wait_until(lambda: self.daemon.status("older")["state"] == "running", what="its start")
        with open(kept) as file:
            self.assertEqual(file.read(), signature)

    def test_a_release_that_was_damaged_while_the_daemon_was_away(self):
        policy = self.policy(0, signedBy=[self.public])
        done = self.try_deploy("away", self.write("one.js", serve("whole")), "--policy", policy,
                               "--sign-key", self.key, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        old = self.daemon.status("away")["release"]
        done = self.try_deploy("away", self.write("one.js", serve("next")), "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(self.daemon.state, "releases", old, "one.js"), "r+") as file:
            file.write("// ")
        # What serves goes on; what is damaged is never started.
        done = self.daemon.ctl("rollback", "away")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the release {old[:12]} is damaged", done.stderr)
        self.assertEqual(request(self.port_of("away"))[2], b"next")
        new = self.daemon.status("away")["release"]
        with open(os.path.join(self.daemon.state, "releases", new, "one.js"), "r+") as file:
            file.write("// ")
        self.restart_daemon()
        wait_until(lambda: f"the release {new[:12]} is damaged" in self.daemon.log())
        self.assertNotEqual(self.daemon.status("away")["state"], "running")

    def test_a_policy_that_begins_to_demand_signatures(self):
        program = self.write("one.js", serve("free"))
        self.assertEqual(self.try_deploy("late", program).returncode, 0)
        with open(os.path.join(self.daemon.policies, "late.json"), "w") as file:
            json.dump({"version": 1, "permissions": {"net": {"listen": ["127.0.0.1:0"]}},
                       "signedBy": [self.public]}, file)
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "late" in self.daemon.log() and "is not signed" in self.daemon.log())
        # What serves goes on under the policy that it had.
        self.assertEqual(request(self.port_of("late"))[2], b"free")
        done = self.daemon.ctl("deploy", "late", program, "--sign-key", self.key)
        self.assertEqual(done.returncode, 0, done.stderr)


class KillTest(unittest.TestCase):
    """kill -9 of the daemon in the middle: what is active is something that was activated, all
    of it is there, and nothing is left over."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.folder = self.daemon.folder
        self.ids = {}

    def write(self, text):
        path = os.path.join(self.folder, "p")
        os.makedirs(path, exist_ok=True)
        for i in range(10):
            with open(os.path.join(path, f"f{i}.txt"), "w") as file:
                file.write(f"{i}" * 1000)
        with open(os.path.join(path, "main.js"), "w") as file:
            file.write(serve(text))
        return path

    def deploy(self, text):
        done = self.daemon.ctl("deploy", "k", self.write(text), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.ids[json.loads(done.stdout)["release"]] = text

    def kill_during(self, delay, *arguments):
        process = subprocess.Popen(
            [os.path.join(BUILD, "tenantctl"), "--socket", self.daemon.socket, *arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        self.daemon.process.kill()
        self.daemon.process.wait()
        process.wait()
        self.daemon.start()

    def check(self):
        wait_until(lambda: (s := self.daemon.status("k")) and s["state"] == "running",
                   what="the tenant")
        release = self.daemon.status("k")["release"]
        port = int(self.daemon.status("k")["listeners"][0]["address"].rsplit(":", 1)[1])
        if release in self.ids:
            self.assertEqual(request(port)[2].decode(), self.ids[release])
        releases = self.daemon.json("releases", "k")["releases"]
        self.assertEqual([r["release"] for r in releases if r["outcome"] == "active"], [release])
        self.assertNotIn("trying", [r["outcome"] for r in releases])
        kept = {r["release"] for r in releases if r["stored"]}
        stored = os.path.join(self.daemon.state, "releases")
        wait_until(lambda: set(os.listdir(stored)) == kept, what="pruning")
        wait_until(lambda: os.listdir(os.path.join(self.daemon.state, "staging")) == [],
                   what="an empty staging folder")
        used = {os.stat(p).st_ino for p in glob.glob(stored + "/*/*")}
        objects = os.path.join(self.daemon.state, "objects")
        wait_until(lambda: {os.stat(p).st_ino for p in glob.glob(objects + "/*/*")} <= used,
                   what="objects that nobody uses to go")

    def test_in_the_middle_of_anything(self):
        for text in ("a", "b", "c"):
            self.deploy(text)
        for turn, delay in enumerate((0.005, 0.02, 0.04, 0.06, 0.1)):
            with self.subTest(what="deploy", delay=delay):
                self.kill_during(delay, "deploy", "k", self.write(f"d{turn}"))
                self.check()
            with self.subTest(what="rollback", delay=delay):
                self.kill_during(delay / 2, "rollback", "k", next(iter(self.ids)))
                self.check()
            with self.subTest(what="prune", delay=delay):
                self.deploy(f"e{turn}")
                self.kill_during(delay / 4, "prune", "k", "--keep", "2")
                self.check()

    def test_a_history_that_is_no_history(self):
        self.deploy("a")
        self.deploy("b")
        self.daemon.stop()
        path = os.path.join(self.daemon.state, "history", "k.json")
        with open(path, "r+") as file:
            file.truncate(100)
        lines = os.path.join(self.daemon.state, "operations", "operations.jsonl")
        with open(lines, "a") as file:
            file.write('{"time":"half a li')
        self.daemon.start()
        self.assertEqual([r["outcome"] for r in self.daemon.json("releases", "k")["releases"]],
                         ["active"])
        self.assertTrue(os.path.exists(path + ".damaged"))
        self.assertIn("event=history-damaged", self.daemon.log())
        self.deploy("c")
        actions = [h["action"] for h in self.daemon.json("history")["history"]]
        self.assertEqual(actions, ["deploy", "deploy", "deploy"])


if __name__ == "__main__":
    unittest.main()
