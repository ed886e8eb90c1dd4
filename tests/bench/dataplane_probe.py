# SPDX-License-Identifier: Apache-2.0
"""Runs in a pod, as a process of the pod, and connects to a service until it is answered.

    dataplane_probe.py first IP PORT
        waits until nobody answers there, which it says in a line, and then prints the time (CLOCK_MONOTONIC, ns) of the
        first answer.
    dataplane_probe.py changes FILE
        FILE: {"api", "netns", "cert", "key", "path", "vip", "choices": [[server's name, JSON of the patch]...], "count",
        "pause_s"}. Sends the patches in turn to the API, whose network namespace is netns, and connects to vip from the
        moment before, until the new server answers. Prints a JSON list of how many ms that took each time.
    dataplane_probe.py tables FILE
        The same on a node, for a service with so many endpoints that no client would meet the one that changed: until its
        frontend in the pinned map leads to other slots, which is the one write that clients see. "choices" without names."""

import ctypes
import json
import os
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import lab_kernel  # noqa: E402

TRY_S, PAUSE_S, PATIENCE_S = 0.05, 0.0001, 30


def ask(address):
    """The name of who answers, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(TRY_S)
        try:
            sock.connect(address)
            sock.sendall(b"?\n")
            return sock.recv(400).split(b" ")[0].decode()
        except OSError:
            return None


def wait_for(address, accepted, pause_s=PAUSE_S):
    """The time (ns) when an answer came that is accepted."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if accepted(ask(address)):
            return time.monotonic_ns()
        time.sleep(pause_s)
    sys.exit(f"{address[0]} port {address[1]} does not answer as it should within {PATIENCE_S} s")


def api_connection(wanted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(wanted["cert"], wanted["key"])
    with lab_kernel.in_netns(wanted["netns"]):
        plain = socket.create_connection((wanted["api"], 6443))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain)


def read_answer(connection):
    """Of a request whose answer has a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        sys.exit(f"the API says {data[:500]!r}")
    fields = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
    while len(body) < int(fields[b"content-length"]):
        body += connection.recv(65536)


class Frontend:
    """Of a service at a TCP port: bytes of its entry in the pinned map `services`."""

    MAP, OBJ_GET, LOOKUP = "/sys/fs/bpf/fairlead/v1/maps/services", 7, 1

    def __init__(self, ip, port):
        path = ctypes.create_string_buffer(self.MAP.encode())
        self.map = lab_kernel.bpf(self.OBJ_GET, struct.pack("=QI", ctypes.addressof(path), 0))
        self.key = ctypes.create_string_buffer(bytes(10) + b"\xff\xff" + socket.inet_aton(ip) +
                                               struct.pack("!HBx", port, socket.IPPROTO_TCP), 20)
        self.value = ctypes.create_string_buffer(32)

    def slots(self):
        """Where its slots begin, for clients in the cluster."""
        lab_kernel.bpf(self.LOOKUP, struct.pack("=IxxxxQQQ", self.map, ctypes.addressof(self.key),
                                                ctypes.addressof(self.value), 0))
        return struct.unpack_from("=I", self.value, 8)[0]


def until_turned(frontend, before):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if frontend.slots() != before:
            return time.monotonic_ns()
        time.sleep(PAUSE_S)
    sys.exit(f"the frontend has not been turned for {PATIENCE_S} s")


def patch_of(wanted, patch):
    return (f"PATCH {wanted['path']} HTTP/1.1\r\nHost: api\r\nContent-Type: application/merge-patch+json\r\n"
            f"Content-Length: {len(patch)}\r\n\r\n{patch}").encode()


def timed(wanted, is_done):
    """Sends the patches in turn; prints how many ms it took until is_done(choice), which returns when."""
    connection = api_connection(wanted)
    times = []
    for i in range(wanted["count"] + 1):
        choice = wanted["choices"][i % len(wanted["choices"])]
        request, done = patch_of(wanted, choice[1]), is_done(choice)
        begin = time.monotonic_ns()
        connection.sendall(request)
        took = done() - begin
        read_answer(connection)
        if i:  # the first may find its choice made already
            times.append(took / 1e6)
        time.sleep(wanted["pause_s"])
    print(json.dumps(times))


def changes(wanted):
    address = (wanted["vip"], 80)
    timed(wanted, lambda choice: lambda: wait_for(address, lambda said: said == choice[0]))


def tables(wanted):
    frontend = Frontend(wanted["vip"], 80)

    def from_now(_):
        before = frontend.slots()
        return lambda: until_turned(frontend, before)

    timed(wanted, from_now)


def first(address):
    wait_for(address, lambda said: said is None)
    print("nobody answers", flush=True)
    print(wait_for(address, lambda said: said is not None, 0.002))


def main():
    if sys.argv[1] == "first":
        first((sys.argv[2], int(sys.argv[3])))
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        {"changes": changes, "tables": tables}[sys.argv[1]](json.load(file))


main()
