"""Network namespaces for tests, by rtnetlink itself: ip(8) may not be there."""

import fcntl
import os
import socket
import struct

RTM_NEWLINK = 16
FLAGS = 0x1 | 0x4 | 0x200 | 0x400  # NLM_F_REQUEST, ACK, EXCL, CREATE


def _attribute(kind, data):
    length = 4 + len(data)
    return struct.pack("HH", length, kind) + data + b"\0" * (-length % 4)


def current():
    """A descriptor of the namespace that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def inside(namespace, function):
    """What FUNCTION returns, which runs in NAMESPACE: its sockets stay there."""
    here = current()
    os.setns(namespace, os.CLONE_NEWNET)
    try:
        return function()
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)


def make_veth(name, peer, namespace):
    """A cable from NAME here to PEER in NAMESPACE."""
    nothing = struct.pack("BxHiII", 0, 0, 0, 0, 0)
    other = nothing + _attribute(3, peer.encode() + b"\0") + \
        _attribute(28, struct.pack("i", namespace))  # IFLA_IFNAME, IFLA_NET_NS_FD
    info = _attribute(1, b"veth") + _attribute(2, _attribute(1, other))
    body = nothing + _attribute(3, name.encode() + b"\0") + _attribute(18, info)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, FLAGS, 1, 0) + body)
        code, = struct.unpack("i", kernel.recv(4096)[16:20])
    if code:
        raise OSError(-code, f"cannot make a veth: {os.strerror(-code)}")


def set_addresses(device, four=(), six=()):
    """Gives DEVICE addresses, each ("203.0.113.7", 24), and puts it up."""
    with socket.socket() as control, socket.socket(socket.AF_INET6) as control6:
        for number, (address, prefix) in enumerate(four):
            name = f"{device}:{number}".encode() if number else device.encode()
            mask = (0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF).to_bytes(4, "big")
            fcntl.ioctl(control, 0x8916,  # SIOCSIFADDR
                        struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))
            fcntl.ioctl(control, 0x891C,  # SIOCSIFNETMASK
                        struct.pack("16sHH4s8x", name, socket.AF_INET, 0, mask))
        fcntl.ioctl(control, 0x8914,  # SIOCSIFFLAGS: up
                    struct.pack("16sH14x", device.encode(), 0x49 if device == "lo" else 0x1043))
        for address, prefix in six:
            fcntl.ioctl(control6, 0x8916, socket.inet_pton(socket.AF_INET6, address) +
                        struct.pack("=Ii", prefix, socket.if_nametoindex(device)))


def without_address_detection():
    """Addresses of IPv6 are there at once, on the devices that this namespace gets."""
    for place in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{place}/accept_dad", "w") as file:
            file.write("0")
