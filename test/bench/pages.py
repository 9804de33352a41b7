#!/usr/bin/env python3
"""Where a tenant's memory is: starts hello-world tenants and tells, for each kind of
mapping, how many pages are a worker's own, how many of them differ from the zygote's and
how many are the same as there (own for nothing), and how many are new.

    tools/userland python3 test/bench/pages.py [TENANTS] [--warm] [--list]

--warm starts them from a stock. --list adds each page of one worker that is its own, with
the number of bytes that differ, -1 where the zygote has no such page. The PSS of
files also changes with what else the machine does with the same libraries.
"""

import json
import os
import re
import statistics
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from harness import Daemon, free_port, request  # noqa: E402

PAGE = 4096
PRESENT, OF_FILE, PFN = 1 << 63, 1 << 61, (1 << 55) - 1
PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "servers", "tenantd.js")


def mappings(pid):
    """(start, end, flags, name) of each mapping; one without a name behind a library's data
    is its .bss."""
    found, last, behind = [], "", 0
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            fields = line.split(None, 5)
            start, end = (int(x, 16) for x in fields[0].split("-"))
            name = fields[5].strip() if len(fields) > 5 else ""
            if name.startswith("/"):
                last = name
            elif not name and start == behind and "/" in last:
                name = last + " (bss)"
            behind = end
            found.append((start, end, fields[1], name))
    return found


def kind(start, flags, name):
    base = os.path.basename(name)
    if name.startswith("/") or name.startswith("["):
        return f"{re.sub('[0-9.]+$', '', base)} {flags}"
    return f"anonymous {flags}" + (" high" if start > 0x7f0000000000 else " V8")


def entries(pid, start, end):
    count = (end - start) // PAGE
    with open(f"/proc/{pid}/pagemap", "rb", 0) as file:
        data = os.pread(file.fileno(), count * 8, start // PAGE * 8)
    return struct.unpack(f"{len(data) // 8}Q", data)


def page_at(file, address):
    try:
        return os.pread(file.fileno(), PAGE, address)
    except OSError:
        return None


class Count:
    def __init__(self):
        self.differ = self.same = self.new = self.bytes = 0


def compare(zygote, worker, listing=None):
    kinds = {}
    old_maps = {start: (end, flags) for start, end, flags, _ in mappings(zygote)}
    old_pages = {}
    for start, (end, flags) in old_maps.items():
        if end - start < 1 << 34:
            for i, entry in enumerate(entries(zygote, start, end)):  # [vsyscall] has none
                if entry & PRESENT:
                    old_pages[start + i * PAGE] = entry & PFN
    with open(f"/proc/{zygote}/mem", "rb", 0) as old, open(f"/proc/{worker}/mem", "rb", 0) as own:
        for start, end, flags, name in mappings(worker):
            if end - start >= 1 << 34 or "s" in flags:
                continue
            count = kinds.setdefault(kind(start, flags, name), Count())
            for i, entry in enumerate(entries(worker, start, end)):
                address = start + i * PAGE
                if not entry & PRESENT or entry & OF_FILE:
                    continue
                if address not in old_pages:
                    count.new += 1
                    different = -1
                elif old_pages[address] == entry & PFN:
                    continue
                else:
                    a, b = page_at(old, address), page_at(own, address)
                    different = sum(x != y for x, y in zip(a, b)) if a != b else 0
                    if different:
                        count.differ += 1
                        count.bytes += different
                    else:
                        count.same += 1
                if listing is not None:
                    listing.append((address, name, flags, different))
    return kinds


def rollup(pid):
    values = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            values[fields[0][:-1]] = int(fields[1])
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmPTE"):
                values["PageTables"] = int(line.split()[1])
    return values


def whole(daemon):
    """The proportional set size of everything, kB: of all pages, and of those of no file,
    which no other daemon on the machine has a share of."""
    sizes = [rollup(x) for x in [daemon.process.pid, *descendants(daemon.process.pid)]]
    return sum(x["Pss"] for x in sizes), sum(x["Pss_Anon"] + x["Pss_Shmem"] for x in sizes)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(x) for x in file.read().split()]


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


def name_of(pid):
    with open(f"/proc/{pid}/comm") as file:
        return file.read().strip()


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def deploy(daemon, first, count):
    for i in range(first, first + count):
        port = free_port()
        policy = os.path.join(daemon.folder, f"policy-{i}.json")
        with open(policy, "w") as file:
            json.dump({"version": 1,
                       "permissions": {"net": {"listen": [f"127.0.0.1:{port}"]}},
                       "limits": {"memory": "128M", "cpu": "100%"}}, file)
        done = daemon.ctl("deploy", f"t{i}", PROGRAM, "--policy", policy)
        if done.returncode != 0:
            sys.exit(done.stderr + daemon.log())
        request(port)


def print_table(tables):
    print(f"\n{'kB, mean of workers':36}" +
          "".join(f" {title:>8}" for title in ("own", "differ", "same", "new", "bytes")))
    whole_table = [0.0] * 4

    def line(name, mean):
        print(f"{name:36}" + "".join(f" {4 * value:8.1f}" for value in (sum(mean[:3]), *mean[:3])) +
              f" {mean[3]:8.0f}")

    for name in sorted({n for t in tables for n in t}):
        rows = [t.get(name, Count()) for t in tables]
        mean = [sum(getattr(r, field) for r in rows) / len(rows)
                for field in ("differ", "same", "new", "bytes")]
        if sum(mean) > 0:
            whole_table = [a + b for a, b in zip(whole_table, mean)]
            line(name, mean)
    line("all", whole_table)


def report(daemon, growth, listed):
    below = descendants(daemon.process.pid)
    workers = [x for x in below if name_of(x).startswith("t:")]
    zygote = next(x for x in below if name_of(x) == "tenant-zygote" and
                  name_of(parent(x)) != "tenant-zygote")
    print("PSS of daemon, zygote and workers for each further tenant: "
          f"{growth[0]:.1f} kB, without files {growth[1]:.1f} kB")
    sizes = [rollup(x) for x in workers]
    for field in ("Pss", "Private_Dirty", "Private_Clean", "PageTables"):
        values = sorted(x[field] for x in sizes)
        print(f"{field:14} kB: median {statistics.median(values):6.0f}, "
              f"{values[0]} to {values[-1]}")
    listing = []
    tables = [compare(zygote, workers[0], listing)]
    print_table(tables + [compare(zygote, x) for x in workers[1:]])
    for address, name, flags, different in listing if listed else ():
        print(f"{address:x} {flags} {os.path.basename(name)} {different}")


def main():
    numbers = [x for x in sys.argv[1:] if x.isdigit()]
    count = max(2, int(numbers[0])) if numbers else 20
    daemon = Daemon("--warm", "4" if "--warm" in sys.argv else "0")
    try:
        deploy(daemon, 0, 1)
        time.sleep(1)
        before = whole(daemon)
        deploy(daemon, 1, count - 1)
        time.sleep(1)
        growth = [(many - few) / (count - 1) for few, many in zip(before, whole(daemon))]
        report(daemon, growth, "--list" in sys.argv)
    finally:
        daemon.close()


main()
