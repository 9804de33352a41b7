import os, struct, threading, time, json, subprocess, unittest
from harness import TenantdTest, BUILD, request
from escape_test import TESTING, needs_hook, HELLO

FLOOD = """
const message = Uint8Array.from(process.argv[3].match(/../g), (x) => parseInt(x, 16));
let sent = 0;
const end = Date.now() + 6000;
while (Date.now() < end) if (attackSend(Number(process.argv[2]), message) > 0) sent++;
console.log('sent', sent);
"""

@needs_hook
class Flood(TenantdTest):
    options = ("--runtime", TESTING)

    def flood(self, kind, message):
        self.write("main.js", FLOOD.replace("process.argv[3]", f"'{message}'").replace("process.argv[2]", "3"))
        # the instance's number is not known: the last one given
        results = []
        t = threading.Thread(target=lambda: results.append(self.daemon.ctl("run", self.folder, *self.extra)))
        t.start()
        time.sleep(1.5)
        slow = 0
        for i in range(10):
            begun = time.monotonic()
            self.daemon.ctl("list")
            slow = max(slow, time.monotonic() - begun)
            time.sleep(0.1)
            if slow > 1: break
        t.join()
        print(kind, "slowest list", slow, results[0].stdout, results[0].stderr[-500:])
        return slow

    def test_audit(self):
        self.extra = ()
        slow = 0
        for i in range(1, 3):
            # AUDIT, fs.read, engine, denied, -1, "/x"
            self.flood(f"audit {i}", struct.pack("<IIIIIi", 11, i, 0, 6, 0, -1).hex() + "2f7800")

    def test_drop(self):
        self.extra = ()
        self.flood("drop", struct.pack("<II", 12, 1).hex() + "66730000")

    def test_drop_child(self):
        self.extra = ()
        self.flood("dropchild", struct.pack("<II", 12, 2).hex() + "6368696c640000")
