"""What a daemon does to its state folder, as a list of operations, and the folder as it was
after any prefix of them: what a power cut leaves on a disk that keeps the order of writes.

The operations are taken from strace's account of the daemon and of what it forks."""

import os
import re

CALLS = ("openat,openat2,open,creat,write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,"
         "rmdir,mkdir,mkdirat,link,linkat,ftruncate,truncate,fchmod,fchmodat,fchmodat2,chmod,"
         "symlinkat,copy_file_range,sendfile,fallocate")
LINE = re.compile(r"^(\d+) +([\d.]+) (\w+)\((.*)\) += (-?\d+|\?)(.*)$")
RESUMED = re.compile(r"^(\d+) +([\d.]+) <\.\.\. (\w+) resumed>(.*)$")
UNFINISHED = re.compile(r"^(\d+) +([\d.]+) (\w+)\((.*) <unfinished \.\.\.>$")


def strace(output):
    """What to put in front of the daemon."""
    return ("strace", "-D", "-f", "-q", "-y", "-ttt", "-xx", "-s", "1000000", "-o", output,
            "-e", f"trace={CALLS}", "-e", "signal=none")


def text_of(word):
    """A string of strace's, all of it in hexadecimal."""
    return bytes.fromhex(word.replace("\\x", "")) if word.startswith("\\x") else word.encode()


def split(arguments):
    """The arguments of a call, at commas outside of quotes, <> and []."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(arguments):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "<[{":
            depth += 1
        elif not quoted and c in ">]}":
            depth -= 1
        elif not quoted and depth == 0 and c == ",":
            parts.append(arguments[start:i].strip())
            start = i + 1
    return [*parts, arguments[start:].strip()]


def quoted(part):
    found = re.search(r'"([^"]*)"', part)
    return text_of(found[1]) if found else b""


def path_of(descriptor):
    found = re.match(r"[-\w]+<([^>]*)>", descriptor)
    return text_of(found[1]).decode(errors="replace") if found else None


def joined(folder, path):
    path = path.decode(errors="replace")
    if path.startswith("/"):
        return path
    return os.path.normpath(os.path.join(path_of(folder) or "/", path))


class Recording:
    def __init__(self, trace, root):
        self.root = root.rstrip("/")
        self.operations = []  # (time, name, arguments...)
        pending = {}
        with open(trace, errors="replace") as file:
            for line in file:
                line = line.rstrip("\n")
                if found := UNFINISHED.match(line):
                    pending[found[1]] = found[4]
                    continue
                if found := RESUMED.match(line):
                    line = f"{found[1]} {found[2]} {found[3]}({pending.pop(found[1], '')}{found[4]}"
                if (found := LINE.match(line)) and found[5] not in ("?", "-1"):
                    self.take(float(found[2]), found[3], split(found[4]), int(found[5]), found[6])

    def inside(self, path):
        return path is not None and (path + "/").startswith(self.root + "/")

    def add(self, time, name, *arguments):
        if self.inside(arguments[0]) and not arguments[0].endswith(" (deleted)"):
            self.operations.append((time, name, *arguments))

    def take(self, time, name, parts, result, rest):
        if name in ("openat", "openat2", "open", "creat"):
            self.take_open(time, name, parts, rest)
        elif name in ("write", "pwrite64"):
            offset = int(parts[3]) if name == "pwrite64" else None
            self.add(time, "write", path_of(parts[0]), quoted(parts[1])[:result], offset)
        elif name == "writev":
            data = b"".join(text_of(one) for one in re.findall(r'iov_base="([^"]*)"', parts[1]))
            self.add(time, "write", path_of(parts[0]), data[:result], None)
        elif name in ("rename", "link"):
            self.add(time, name, joined("", quoted(parts[1])), joined("", quoted(parts[0])))
        elif name in ("renameat", "renameat2", "linkat"):
            old, new = joined(parts[0], quoted(parts[1])), joined(parts[2], quoted(parts[3]))
            if name == "linkat" and "AT_EMPTY_PATH" in parts[-1]:
                old = path_of(parts[0])
            kind = "exchange" if "RENAME_EXCHANGE" in parts[-1] else name[:4]
            self.add(time, {"rena": "rename"}.get(kind, kind), new, old)
        elif name in ("unlink", "rmdir"):
            self.add(time, "remove", joined("", quoted(parts[0])))
        elif name == "unlinkat":
            self.add(time, "remove", joined(parts[0], quoted(parts[1])))
        elif name == "mkdir":
            self.add(time, "mkdir", joined("", quoted(parts[0])), int(parts[1], 8))
        elif name == "mkdirat":
            self.add(time, "mkdir", joined(parts[0], quoted(parts[1])), int(parts[2], 8))
        elif name == "ftruncate":
            self.add(time, "truncate", path_of(parts[0]), int(parts[1]))
        elif name == "fchmod":
            self.add(time, "chmod", path_of(parts[0]), int(parts[1], 8))
        elif name in ("fchmodat", "fchmodat2"):
            self.add(time, "chmod", joined(parts[0], quoted(parts[1])), int(parts[2], 8))
        elif name == "symlinkat":
            self.add(time, "symlink", joined(parts[1], quoted(parts[2])), quoted(parts[0]))
        else:
            path = path_of(parts[2] if name == "copy_file_range" else parts[0])
            if self.inside(path):
                raise AssertionError(f"{name} of {path}: the recorder does not know its data")

    def take_open(self, time, name, parts, rest):
        flags = " ".join(parts[1:]) if name == "open" else " ".join(parts[2:])
        path = (joined("", quoted(parts[0])) if name in ("open", "creat")
                else joined(parts[0], quoted(parts[1])))
        if "O_CREAT" in flags or name == "creat":
            mode = re.search(r"\b0([0-7]{3,4})\b", flags)
            self.add(time, "create", path, int(mode[1], 8) if mode else 0o600,
                     "O_APPEND" in flags)
        if "O_TRUNC" in flags:
            self.add(time, "truncate", path, 0)

    def restore(self, count, target, cut=0):
        """Makes TARGET what the folder was after COUNT operations, and CUT bytes of the next if
        that is a write."""
        umask = os.umask(0)
        try:
            positions = {}
            for operation in self.operations[:count]:
                self.apply(operation, target, positions)
            if cut and count < len(self.operations) and self.operations[count][1] == "write":
                time, name, path, data, offset = self.operations[count]
                self.apply((time, name, path, data[:cut], offset), target, positions)
        finally:
            os.umask(umask)

    def apply(self, operation, target, positions):
        _, name, path, *rest = operation
        place = target + path[len(self.root):]
        if name == "create":
            if not os.path.exists(place):
                os.close(os.open(place, os.O_CREAT | os.O_WRONLY, rest[0]))
            positions[place] = None if rest[1] else 0
        elif name == "write":
            self.write(place, *rest, positions)
        elif name == "truncate":
            if os.path.exists(place):
                os.truncate(place, rest[0])
                positions[place] = 0 if positions.get(place) is not None else None
        elif name == "mkdir":
            if not os.path.isdir(place):
                os.mkdir(place, rest[0])
        elif name == "chmod":
            if os.path.exists(place):
                os.chmod(place, rest[0])
        elif name == "symlink":
            os.symlink(rest[0], place)
        elif name == "remove":
            if os.path.isdir(place):
                os.rmdir(place)
            elif os.path.lexists(place):
                os.unlink(place)
        else:
            self.move(name, place, target + rest[0][len(self.root):], positions)

    @staticmethod
    def write(place, data, offset, positions):
        if not os.path.exists(place):
            return  # its name is gone, or it never had one
        at = offset if offset is not None else positions.get(place)
        with open(place, "r+b") as file:
            if at is None:
                file.seek(0, os.SEEK_END)
            else:
                file.seek(at)
            file.write(data)
        if offset is None and at is not None:
            positions[place] = at + len(data)

    @staticmethod
    def move(name, new, old, positions):
        if name == "link":
            os.link(old, new)
            positions[new] = positions.get(old)
        elif name == "exchange":
            spare = new + ".exchange"
            os.rename(new, spare)
            os.rename(old, new)
            os.rename(spare, old)
        else:
            os.rename(old, new)
            positions[new] = positions.pop(old, None)
