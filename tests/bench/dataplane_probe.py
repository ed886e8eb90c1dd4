# SPDX-License-Identifier: Apache-2.0
"""Runs in a pod, as a process of the pod, and connects to a service until it is answered.

    dataplane_probe.py first IP PORT
        prints the time (CLOCK_MONOTONIC, ns) of the first answer.
    dataplane_probe.py changes FILE
        FILE: {"api", "netns", "cert", "key", "path", "vip", "choices": [[server's name, JSON of the patch]...], "count",
        "pause_s"}. Sends the patches in turn to the API, whose network namespace is netns, and connects to vip from the
        moment before, until the new server answers. Prints a JSON list of how many ms that took each time."""

import json
import os
import socket
import ssl
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


def wait_for(address, accepted):
    """The time (ns) when an answer came that is accepted."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if accepted(ask(address)):
            return time.monotonic_ns()
        time.sleep(PAUSE_S)
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


def changes(wanted):
    connection, address = api_connection(wanted), (wanted["vip"], 80)
    times = []
    for i in range(wanted["count"] + 1):
        name, patch = wanted["choices"][i % len(wanted["choices"])]
        request = (f"PATCH {wanted['path']} HTTP/1.1\r\nHost: api\r\nContent-Type: application/merge-patch+json\r\n"
                   f"Content-Length: {len(patch)}\r\n\r\n{patch}").encode()
        begin = time.monotonic_ns()
        connection.sendall(request)
        took = wait_for(address, lambda said, want=name: said == want) - begin
        read_answer(connection)
        if i:  # the first may find its server chosen already
            times.append(took / 1e6)
        time.sleep(wanted["pause_s"])
    print(json.dumps(times))


def main():
    if sys.argv[1] == "first":
        print(wait_for((sys.argv[2], int(sys.argv[3])), lambda said: said is not None))
        return
    with open(sys.argv[2], encoding="utf-8") as file:
        changes(json.load(file))


main()
