"""What the tests of node:net and node:tls share: real servers in threads, a CA of the test's
own, programs that print what they saw."""

import json
import os
import socket
import ssl
import subprocess
import threading

from harness import TenantdTest


class Server:
    """A TCP, unix or TLS server in threads; HANDLE gets each connection."""

    def __init__(self, handle, path=None, family=socket.AF_INET, context=None):
        self.handle = handle
        self.context = context
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(path)
            os.chmod(path, 0o777)
        else:
            self.socket = socket.socket(family)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(64)
        self.errors = []
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                self.handle(connection)
        except (OSError, ssl.SSLError) as error:
            self.errors.append(str(error))

    def close(self):
        self.socket.close()


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


class NetTest(TenantdTest):
    """Runs scripts with the policy's net.connect, and reads the JSON that they print."""

    def server(self, handle, **options):
        server = Server(handle, **options)
        self.addCleanup(server.close)
        return server

    def run_program(self, source, connect=(), timeout=60, **policy):
        policy = {"version": 1, "permissions": {"net": {"connect": list(connect)}}, **policy}
        path = self.write("policy.json", json.dumps(policy))
        program = self.write("program.js", source)
        return self.daemon.ctl("run", "--policy", path, program, timeout=timeout)

    def results(self, source, connect=(), **policy):
        """The JSON that the program printed as its only line."""
        done = self.run_program(source, connect, **policy)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)


# What scripts begin with: `say` prints the result, `until` waits for an event.
PRELUDE = """
import net from 'node:net';
import { once } from 'node:events';
const say = (value) => console.log(JSON.stringify(value));
const failure = (error) => ({
	name: error.constructor.name, message: error.message, code: error.code, errno: error.errno,
	syscall: error.syscall, address: error.address, port: error.port, hostname: error.hostname,
	permission: error.permission, resource: error.resource,
});
const outcome = (socket) => new Promise((resolve) => {
	const events = [];
	let error;
	for (const name of ['lookup', 'connect', 'ready', 'secureConnect', 'end', 'timeout'])
		socket.on(name, () => events.push(name));
	socket.on('error', (e) => { events.push('error'); error = failure(e); });
	socket.on('close', (hadError) => resolve({ events, error, hadError }));
	socket.resume();
});
"""


class Certificates:
    """A CA of the test's own, and what it signs."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.ca = self.read("ca.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name)) as file:
            return file.read()

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def make(self, name, names, subject="/O=Test/CN=server", signed=True, expired=False):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        with open(self.path(f"{name}.ext"), "w") as file:
            file.write(f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
        sign = (["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"] if signed
                else ["-signkey", f"{name}.key"])
        dates = (["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"] if expired
                 else ["-days", "2"])
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile",
                     f"{name}.ext", *sign, *dates)
        return self

    def context(self, name, alpn=(), least=ssl.TLSVersion.TLSv1_2, most=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = least, most
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context
