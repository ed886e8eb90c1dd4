# SPDX-License-Identifier: Apache-2.0
"""Frames made by hand, for what no socket would send. Pure functions, but for the one that looks a MAC up."""

import socket
import struct


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def address_bytes(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(source, to, proto, body):
    src, dst = address_bytes(source), address_bytes(to)
    if ":" in source:
        return struct.pack(">IHBB", 6 << 28, len(body), proto, 64) + src + dst + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0) + src + dst
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def udp(source, to, sport, dport, data):
    head = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    pseudo = address_bytes(source) + address_bytes(to) + struct.pack(">IHBB", 8 + len(data), 0, 0, 17)
    return head[:6] + struct.pack(">H", checksum(pseudo + head + data) or 0xFFFF) + data


def tcp_syn(source, to, sport, dport, number):
    head = struct.pack(">HHIIBBHHH", sport, dport, number, 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = address_bytes(source) + address_bytes(to) + struct.pack(">IHBB", len(head), 0, 0, 6)
    return head[:16] + struct.pack(">H", checksum(pseudo + head)) + head[18:]


def frame(mac, to_mac, packet):
    """An Ethernet frame with an IP packet."""
    return mac_bytes(to_mac) + mac_bytes(mac) + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet


def udp_frame(mac, to_mac, source, to, sport, dport, data):
    """An Ethernet frame with a UDP datagram."""
    kind = 0x86DD if ":" in source else 0x0800
    return mac_bytes(to_mac) + mac_bytes(mac) + struct.pack(">H", kind) + ip_packet(source, to, 17, udp(
        source, to, sport, dport, data))


def gateway_mac(pod):
    """What the pod believes its gateway's MAC to be."""
    words = pod.run("ip neigh show 169.254.1.1 dev eth0").split()
    return words[words.index("lladdr") + 1]
