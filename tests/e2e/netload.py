#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What the stories' load tool says is what happened: it counts what is refused, lost, late, wrong and from elsewhere."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FL_BUILD") or os.path.join(TOP, "build")
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import tap  # noqa: E402

TOOL = os.path.join(BUILD, "netload")
PATIENCE_S = 20
started = []


def start(*words):
    process = subprocess.Popen([TOOL, *map(str, words)], stdout=subprocess.PIPE, text=True)
    started.append(process)
    return process


def serve(name, *words):
    process = start("serve", "--name", name, "--address", "127.0.0.1", *words)
    tap.ok(json.loads(process.stdout.readline())["ready"], f"{name} says when it listens")
    return process


def end(process, number=signal.SIGTERM):
    """(exit code, the last line as JSON or None)."""
    process.send_signal(number)
    return result(process)


def result(process):
    out, _ = process.communicate(timeout=PATIENCE_S)
    lines = out.splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else None


def ask(*words):
    return result(start(*words))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    code, said = ask("connect", "--count", 30, "--concurrency", 3, f"127.0.0.1:{port}")
    tap.is_((code, said["ok"], said["failed"], said["names"]), (0, 30, 0, {"one": 30}), "connections are counted by server")
    code, said = ask("connect", "--count", 8, "--by-address", "--slow", 500, f"127.0.0.1:{port}")
    tap.is_((code, said["names"], said["slow"]), (0, {f"127.0.0.1:{port}": 8}, 0), "or by the server's address; slow ones too")
    code, said = ask("connect", f"127.0.0.1:{port}")
    last = said["last"]
    tap.is_((last["name"], last["client"], last["local"], last["peer"]),
            ("one", last["own"], f"127.0.0.1:{port}", f"127.0.0.1:{port}"), "a single one tells the addresses of both sides")
    code, said = ask("connect", "--mapped", "--udp", "--unconnected", "--text", "hello world", f"127.0.0.1:{port}")
    tap.is_((code, said["ok"]), (0, 1), "datagrams are answered on an IPv6 socket too")
    code, said = ask("connect", "--bytes", 1000000, "--count", 5, f"127.0.0.1:{port}")
    tap.is_((code, said["ok"]), (0, 5), "large requests come back whole")
    code, said = ask("connect", "--close", "server", "--count", 5, f"127.0.0.1:{port}")
    tap.is_((code, said["ok"]), (0, 5), "the server closes when it is asked to")


def refusals(port):
    for words, name in (((), "a connection"), (("--udp",), "a connected socket's datagram"),
                        (("--udp", "--unconnected"), "a datagram")):
        code, said = ask("connect", *words, f"127.0.0.1:{port}")
        tap.is_((code, said["failed"], said["errors"]), (1, 1, {"ECONNREFUSED": 1}), f"{name} that is refused is counted")


def silence(port):
    """Somebody takes what is sent and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", port))
        code, said = ask("hold", "--udp", "--timeout", 50, "--count", 3, f"127.0.0.1:{port}")
    tap.is_((code, said["failed"], said["errors"]), (1, 3, {"timeout": 3}), "what is not answered in time is lost")


def wrong_answers(port):
    def liar(listener, other):
        for _ in range(2):
            _, peer = listener.recvfrom(1000)
            listener.sendto(b"liar a b something else\n", peer)
        data, peer = listener.recvfrom(1000)
        other.sendto(b"liar a b " + data, peer)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        listener.bind(("127.0.0.1", port))
        other.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=liar, args=(listener, other), daemon=True)
        thread.start()
        code, said = ask("connect", "--udp", "--count", 2, f"127.0.0.1:{port}")
        tap.is_((code, said["errors"]), (1, {"garbled": 2}), "another answer than the request's is no answer")
        code, said = ask("connect", "--udp", "--unconnected", f"127.0.0.1:{port}")
        tap.is_((code, said["errors"]), (1, {"source": 1}), "nor is one from another address")
        thread.join(PATIENCE_S)


def held_connections(port, server):
    client = start("hold", "--concurrency", 10, "--interval", 5, "--announce", f"127.0.0.1:{port}")
    tap.is_(json.loads(client.stdout.readline()), {"open": 10}, "held connections are announced")
    server.send_signal(signal.SIGSTOP)
    time.sleep(0.4)
    server.send_signal(signal.SIGCONT)
    time.sleep(0.2)
    code, said = end(client)
    tap.is_((code, said["failed"], said["broken"], said["opened"]), (0, 0, 0, 10), "a server that pauses loses nothing")
    tap.ok(400 <= said["longest_gap_ms"] < 2000, "and the pause is the longest gap", said)

    stays = start("hold", "--concurrency", 10, "--interval", 5, f"127.0.0.1:{port}")
    reopens = start("hold", "--concurrency", 10, "--interval", 5, "--reopen", f"127.0.0.1:{port}")
    time.sleep(0.3)
    end(server, signal.SIGKILL)
    code, said = result(stays)
    tap.is_((code, said["broken"]), (1, 10), "connections of a server that is killed are broken, which ends the run")
    time.sleep(0.2)  # in which reopening fails
    second = serve("two", "--tcp", port)
    time.sleep(0.3)
    code, said = end(reopens)
    tap.is_((code, sorted(said["names"])), (1, ["one", "two"]), "or opened again when that is wanted")
    tap.ok(said["failed"] >= 10 and said["opened"] > said["broken"] >= 10, "with all failures counted", said)
    end(second)


def main():
    subprocess.run(["make", "-s", "-C", TOP, f"O={BUILD}", TOOL], stdout=subprocess.DEVNULL, check=True)
    port = free_port()
    try:
        refusals(port)
        silence(port)
        wrong_answers(port)
        server = serve("one", "--tcp", port, "--udp", port)
        answers(port)
        held_connections(port, server)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
    tap.done()


main()
