#!/usr/bin/env python3
"""pack.py BUILD TARGET: the programs of BUILD and the libraries that they need, as an OCI image
in the file TARGET (image-spec 1.0, with docker's manifest.json beside it, so that `podman load`
and `docker load` both take it). Runs in the userland, whose libraries BUILD was linked and
tested with: they are the image's. Two calls on the same build make the same bytes.

There is no shell in it, no package manager and nothing else that could be run.
"""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

PROGRAMS = {
    "tenantd": "usr/sbin/tenantd",
    "tenantctl": "usr/bin/tenantctl",
    "tenant-zygote": "usr/lib/tenantd/tenant-zygote",
    "tenant-launcher": "usr/lib/tenantd/tenant-launcher",
    "tenantd-egress": "usr/lib/tenantd/tenantd-egress",
    "tenantd-ingress": "usr/lib/tenantd/tenantd-ingress",
}
USER = 65532  # as in distroless images; nobody else's
FOLDERS = {"app": 0o755, "etc/tenantd/policy.d": 0o755, "etc/tenantd/secrets": 0o755, "run": 0o755,
           "tmp": 0o1777, "dev": 0o755, "proc": 0o755, "sys": 0o755}
FILES = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\ntenantd:x:{USER}:{USER}:tenantd:/:/sbin/nologin\n",
    "etc/group": f"root:x:0:\ntenantd:x:{USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Layer:
    """A tar of files with no owner, no time and no order but that of their names."""

    def __init__(self):
        self.entries = {}

    def folder(self, path, mode=0o755):
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.folder(parent)
        self.entries[path] = (tarfile.DIRTYPE, mode, b"")

    def file(self, path, data, mode=0o644):
        self.folder_of(path)
        self.entries[path] = (tarfile.REGTYPE, mode, data)

    def link(self, path, target):
        self.folder_of(path)
        self.entries[path] = (tarfile.SYMTYPE, 0o777, target)

    def folder_of(self, path):
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.folder(parent)

    def host_file(self, path):
        """PATH of the userland, with the links on its way and its mode."""
        real = os.path.realpath(path)
        if os.path.islink(path):
            self.link(path.lstrip("/"), os.path.relpath(real, os.path.dirname(path)))
        with open(real, "rb") as file:
            self.file(real.lstrip("/"), file.read(), os.stat(real).st_mode & 0o755)

    def tar(self):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.entries):
                kind, mode, content = self.entries[path]
                info = tarfile.TarInfo(path)
                info.type, info.mode, info.mtime = kind, mode, EPOCH
                if kind == tarfile.SYMTYPE:
                    info.linkname = content
                    archive.addfile(info)
                else:
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
        return data.getvalue()


def libraries(programs):
    """The paths of what PROGRAMS are linked with, the loader included, where they really lie."""
    found = set()
    for program in programs:
        for line in run("ldd", program).splitlines():
            if "not found" in line:
                raise SystemExit(f"image: {program}: {line.strip()}")
            match = re.search(r"(?:=> )?(/\S+) \(0x", line)
            if match:
                folder, name = os.path.split(match[1])
                found.add(os.path.join(os.path.realpath(folder), name))
    return sorted(found)


def packages(paths):
    """{name: version} of the packages that PATHS are from."""
    owners = run("dpkg", "-S", *sorted({os.path.realpath(path) for path in paths}))
    names = {line.split(": ", 1)[0] for line in owners.splitlines()}
    listed = run("dpkg-query", "-W", "-f", "${binary:Package} ${Version}\n", *sorted(names))
    return dict(line.split(" ", 1) for line in listed.splitlines())


def base_layer(programs):
    layer = Layer()
    for path, mode in FOLDERS.items():
        layer.folder(path, mode)
    for name in ("lib", "lib64", "bin", "sbin"):
        layer.link(name, f"usr/{name}")
        layer.folder(f"usr/{name}")
    for path, text in FILES.items():
        layer.file(path, text.encode())
    paths = libraries(programs)
    for path in paths:
        layer.host_file(path)
    with open("/etc/ssl/certs/ca-certificates.crt", "rb") as file:
        layer.file("etc/ssl/certs/ca-certificates.crt", file.read())
    for folder, _, names in os.walk("/usr/share/zoneinfo"):
        for name in names:
            if not os.path.islink(os.path.join(folder, name)):
                layer.host_file(os.path.join(folder, name))
    used = packages([*paths, "/usr/share/ca-certificates"])
    for name in used:
        copyright = f"/usr/share/doc/{name.split(':')[0]}/copyright"
        if os.path.exists(copyright):
            layer.host_file(copyright)
    text = "".join(f"{name} {version}\n" for name, version in sorted(used.items()))
    layer.file("usr/share/doc/tenantd/packages", text.encode())
    return layer


def program_layer(build, programs):
    layer = Layer()
    for name, program in programs.items():
        stripped = run_strip(program)
        layer.file(PROGRAMS[name], stripped, 0o755)
    with open(os.path.join(build, "library.snapshot"), "rb") as file:
        layer.file("usr/lib/tenantd/library.snapshot", file.read())
    return layer


def run_strip(program):
    with tempfile.NamedTemporaryFile() as file:
        run("strip", "-o", file.name, program)
        with open(file.name, "rb") as stripped:
            return stripped.read()


class Image:
    def __init__(self):
        self.blobs = {}

    def add(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[f"blobs/sha256/{digest}"] = data
        return f"sha256:{digest}", len(data)

    def add_json(self, value):
        return self.add(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())

    def write(self, path, files):
        with tarfile.open(path + ".new", "w", format=tarfile.USTAR_FORMAT) as archive:
            for name, data in sorted({**self.blobs, **files}.items()):
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(data), 0o644, EPOCH
                archive.addfile(info, io.BytesIO(data))
        os.rename(path + ".new", path)


def configuration(diff_ids, created, version):
    return {
        "created": created, "architecture": "amd64", "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/sbin:/usr/bin"],
            "Entrypoint": ["tenantd", "run"],
            "Cmd": ["/app"],
            "ExposedPorts": {"8080/tcp": {}},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "tenantd",
                "org.opencontainers.image.description":
                    "runs an untrusted JavaScript program, confined",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": created, "created_by": text}
                    for text in ("libraries of Debian forky", "tenantd")],
    }


def main():
    build, target = sys.argv[1:]
    programs = {name: os.path.join(build, name) for name in PROGRAMS}
    version = run(programs["tenantd"], "--version").split()[-1]
    created = run("date", "-u", "-d", f"@{EPOCH}", "+%Y-%m-%dT%H:%M:%SZ").strip()
    image = Image()
    layers, diff_ids, size = [], [], 0
    for layer in (base_layer(programs.values()), program_layer(build, programs)):
        tar = layer.tar()
        size += len(tar)
        diff_ids.append("sha256:" + hashlib.sha256(tar).hexdigest())
        digest, length = image.add(gzip.compress(tar, 6, mtime=0))
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                       "digest": digest, "size": length})
    config, length = image.add_json(configuration(diff_ids, created, version))
    config_of = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config,
                 "size": length}
    manifest, length = image.add_json({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config_of, "layers": layers})
    index = {"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": manifest,
        "size": length, "annotations": {"org.opencontainers.image.ref.name": version,
                                        "io.containerd.image.name": f"localhost/tenantd:{version}"}}]}
    path_of = lambda digest: "blobs/sha256/" + digest.split(":")[1]
    docker = [{"Config": path_of(config), "RepoTags": [f"localhost/tenantd:{version}"],
               "Layers": [path_of(layer["digest"]) for layer in layers]}]
    image.write(target, {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        "manifest.json": json.dumps(docker).encode(),
    })
    compressed = sum(layer["size"] for layer in layers)
    print(f"{target}: localhost/tenantd:{version}, {size / 1e6:.0f} MB, "
          f"{compressed / 1e6:.0f} MB compressed")


main()
