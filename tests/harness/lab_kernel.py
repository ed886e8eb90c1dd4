# SPDX-License-Identifier: Apache-2.0
"""What the lab needs of the kernel and no program of Debian's base offers: leaving checksums whole, an XDP program that
passes everything, a look at the packet filter's tables, and a witness of what passes an interface. Call within the
namespace in question (`in_netns`)."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_SGRO = 0x8946, 0x17, 0x2C
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_LOAD, BPF_OBJ_GET, BPF_PROG_QUERY, BPF_LINK_CREATE, BPF_LINK_DETACH = 5, 7, 16, 28, 34
PROG_TYPE_CLS, PROG_TYPE_XDP, ATTACH_XDP, ATTACH_TCX = 3, 6, 37, {46: "ingress", 47: "egress"}
SO_ATTACH_FILTER, SOL_PACKET, PACKET_STATISTICS, ETH_P_ALL, NETLINK_NETFILTER = 26, 263, 6, 3, 12


@contextlib.contextmanager
def in_netns(path):
    """The calling thread is in that network namespace meanwhile; sockets opened there stay there."""
    here = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if LIBC.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
        yield
    finally:
        if LIBC.setns(here, CLONE_NEWNET):
            os._exit(70)  # nothing may run on in the wrong namespace
        os.close(here)
        os.close(there)


def ethtool(device, command, value):
    request = ctypes.create_string_buffer(struct.pack("=II", command, value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(request)) + bytes(16))


def whole_checksums(device):
    """Packets leave with whole checksums and no larger than the MTU, as they would on a wire."""
    ethtool(device, ETHTOOL_STXCSUM, 0)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    fd = LIBC.syscall(SYS_BPF, command, buffer, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return fd


def attach_constant(device, kind, attach, verdict, flags=0):
    """A program that returns `verdict`. Returns a descriptor: the link lives as long."""
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, verdict, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    program = bpf(BPF_PROG_LOAD, struct.pack("=IIQQIIQIIII", kind, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0,
                                             0, 0, flags, 0, 0))
    try:
        return bpf(BPF_LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(device), attach, 0))
    finally:
        os.close(program)


def xdp_pass(device):
    """Without a program on its peer, a veth drops what XDP sends back. Returns a descriptor: the link lives as long."""
    return attach_constant(device, PROG_TYPE_XDP, ATTACH_XDP, 2, 1 << 5)  # XDP_PASS, frags


def xdp_drop(device):
    """Drops all that comes, counted as received. Returns a descriptor: the link lives as long."""
    return attach_constant(device, PROG_TYPE_XDP, ATTACH_XDP, 1, 1 << 5)  # XDP_DROP, frags


def tcx_drop(device):
    """Drops all that comes, when it has become a socket buffer. Returns a descriptor: the link lives as long."""
    return attach_constant(device, PROG_TYPE_CLS, 46, 2)  # TCX ingress, TC_ACT_SHOT


def receive_in_polls(device):
    """What comes is received in NAPI's polls, as from a NIC, and may come as XDP frames."""
    ethtool(device, ETHTOOL_SGRO, 1)


def attached(target, kind):
    """How many programs are attached to a device or cgroup by that attach type; 0 also where there is no such type."""
    buffer = ctypes.create_string_buffer(struct.pack("=II", target, kind).ljust(128, b"\0"))
    if LIBC.syscall(SYS_BPF, BPF_PROG_QUERY, buffer, 128):
        return 0
    return struct.unpack_from("=I", buffer, 24)[0]


def attached_to_device(index):
    """Kinds of TCX programs there."""
    return [name for kind, name in ATTACH_TCX.items() if attached(index, kind)]


def attached_to_cgroup(path):
    """Attach types of the programs there."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return [kind for kind in range(60) if kind not in ATTACH_TCX and attached(folder, kind)]
    finally:
        os.close(folder)


def detach(path):
    """Of a pinned link, as somebody else would."""
    name = ctypes.create_string_buffer(path.encode())
    link = bpf(BPF_OBJ_GET, struct.pack("=QI", ctypes.addressof(name), 0))
    try:
        bpf(BPF_LINK_DETACH, struct.pack("=I", link))
    finally:
        os.close(link)


def packet_filter_rules():
    """Names of the tables of nftables (iptables-nft's among them) and of legacy iptables in this network namespace."""
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(2)
        # NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_DUMP; struct nfgenmsg
        sock.send(struct.pack("=IHHII", 20, 10 << 8 | 1, 0x301, 1, 0) + bytes(4))
        data = sock.recv(65536)
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            if kind == 10 << 8:
                size = struct.unpack_from("=H", data, 20)[0]
                found.append("nft " + data[24:20 + size].rstrip(b"\0").decode())
            data = data[(length + 3) & ~3:]
    for name in ("ip_tables_names", "ip6_tables_names", "arp_tables_names"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/thread-self/net/{name}", encoding="ascii") as file:
            found += file.read().split()
    return found


def _jump(code, value, yes, no):
    return struct.pack("=HBBI", code, yes, no, value)


def _load(code, offset):
    return struct.pack("=HBBI", code, 0, 0, offset)


class Witness:
    """Counts the packets on the interfaces of this namespace (but lo) that have an address of the lab as source or
    destination. The filter runs in the kernel: no packet is copied. Not all private addresses: this machine's own name
    server or package mirror may have one."""

    NETWORKS_4 = (("10.96.0.0", 16), ("10.200.0.0", 16), ("10.244.0.0", 16), ("172.16.0.0", 12), ("192.168.0.0", 16),
                  ("198.18.0.0", 15), ("198.51.100.0", 24))
    PREFIX_6 = 0xFD10  # all of the lab's IPv6 addresses

    def __init__(self, more=()):
        """more: further (address, bits) of IPv4."""
        self.networks = (*self.NETWORKS_4, *more)
        program = self.program()
        code = ctypes.create_string_buffer(program)
        self.sockets = {}
        for _, name in socket.if_nameindex():
            if name != "lo":
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
                sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                                struct.pack("HP", len(program) // 8, ctypes.addressof(code)))
                sock.bind((name, ETH_P_ALL))
                self.sockets[name] = sock

    def program(self):
        """Classic BPF over the network header: accept 1 byte of what is private."""
        accept, v6 = [], []
        for offset in (12, 16):
            accept.append(_load(0x20, offset))  # ld [offset]
            for address, bits in self.networks:
                mask = 0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF
                accept += [struct.pack("=HBBI", 0x54, 0, 0, mask),
                           ("jeq", struct.unpack(">I", socket.inet_aton(address))[0]), _load(0x20, offset)]
        for offset in (8, 24):
            v6 += [_load(0x28, offset), ("jeq", self.PREFIX_6)]  # ldh [offset]
        head = 4  # instructions that choose the family
        total = head + len(accept) + 1 + len(v6) + 1
        out = [_load(0x30, 0), struct.pack("=HBBI", 0x54, 0, 0, 0xF0), _jump(0x15, 0x40, 1, 0), None]
        out[3] = _jump(0x15, 0x60, len(accept) + 1, len(accept) + len(v6) + 1)
        out[2] = _jump(0x15, 0x40, 1, 0)
        for item in [*accept, _load(0x06, 0), *v6, _load(0x06, 0)]:
            out.append(_jump(0x15, item[1], total - len(out) - 1, 0) if isinstance(item, tuple) else item)
        return b"".join([*out, _load(0x06, 1)])

    def count(self):
        """Packets by interface, since the last call; only where there were any."""
        counts = {name: struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[0]
                  for name, sock in self.sockets.items()}
        return {name: count for name, count in counts.items() if count}

    def close(self):
        for sock in self.sockets.values():
            sock.close()
