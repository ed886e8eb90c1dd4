# SPDX-License-Identifier: Apache-2.0
"""Watching packets live: fairctl monitor."""

import json
import os
import re
import signal
import struct
import subprocess
import time

from common import FAMILIES, all_of, reached, tap, translates_at_sockets, until
from lab import CLIENT
from lab_objects import service_object

LEASE_S = 5  # MONITOR_LEASE_S


def services():
    return [service_object("watched", spec={"type": "NodePort"}), service_object("unwatched", spec={"type": "NodePort"}),
            service_object("watch-none", spec={"type": "NodePort"})]


def endpoints(cast):
    return {"watched": [cast.b], "unwatched": [cast.b], "watch-none": []}


class Monitor:
    """A running `fairctl monitor` of a node; `events` ends it and gives what it has told."""

    def __init__(self, node, *flags):
        self.node, before = node, owners(node)
        self.process = node.start(node.fairctl_argv("monitor", "-o", "json", *flags), text=True, stdout=-1, stderr=-1)
        until(lambda: self.process.poll() is not None or owners(node) - before, 5)

    def events(self):
        time.sleep(0.3)
        if self.process.poll() is None:
            self.process.terminate()
        out, self.errors = self.process.communicate(timeout=25)
        return [json.loads(line) for line in out.splitlines()]


def monitors(node):
    rows = json.loads(node.run(["bpftool", "-j", "map", "dump", "pinned", "/sys/fs/bpf/fairlead/v1/maps/monitors"]))
    return rows[0]["formatted"]["value"]


def switch(node):
    """The word that the programs look at: 0 when nobody watches."""
    return monitors(node)["until"]


def owners(node):
    """The numbers of those who have or had a place that was taken until some time."""
    return {place["owner"] for place in monitors(node)["of"] if place["until"]}


def watchers(node):
    return switch(node) != 0


def filters(lab, cast, made):
    """A monitor is told exactly what its filter says, whatever else goes on."""
    n1 = lab.nodes["n1"]
    wanted, other = made["watched"].node_port(80), made["unwatched"].node_port(80)
    for family in FAMILIES:
        to = n1.ips[family]
        for port in (wanted, other):
            reached(lab, lab.client, to, port, {"b"})
        by = {what: Monitor(n1, *flags) for what, flags in (
            ("port", ("--port", str(wanted))), ("service", ("--service", "default/watched", "--hook", "uplink")),
            ("pod", ("--pod", "b", "--proto", "udp")), ("client", ("--src", CLIENT[family], "--verdict", "translate")))}
        fifth = n1.run(n1.fairctl_argv("monitor", "--count", "1"), check=False)
        for port in (wanted, other):
            lab.client.peer.tcp(to, port)
        lab.client.peer.udp(to, made["watched"].node_port(80, "UDP"))
        seen = {what: monitor.events() for what, monitor in by.items()}
        all_of(f"IPv{family}: four monitors see what each has asked for, and nothing else", [
            ("events of each", {what: bool(events) for what, events in seen.items()}, dict.fromkeys(seen, True)),
            ("port", {e["packet"]["destinationPort"] for e in seen["port"] if e["hook"] == "uplink"}, {wanted}),
            ("no other port", [e for e in seen["port"] if other in (e["packet"]["destinationPort"], e["packet"]["sourcePort"])], []),
            ("service", {(e["service"].partition(":")[0], e["hook"]) for e in seen["service"]}, {("default/watched", "uplink")}),
            ("pod", {e["protocol"] for e in seen["pod"]}, {"UDP"}),
            ("pod's address", all(cast.b.ips[family] in json.dumps(e) for e in seen["pod"]), True),
            ("client", {e["packet"]["source"] for e in seen["client"]}, {CLIENT[family]}),
            ("rewritten", [e for e in seen["client"] if not e["rewritten"]], []),
            ("where to", {e["rewritten"]["destination"] for e in seen["client"]}, {cast.b.ips[family]})])
        tap.ok(fifth[0] == 1 and "others watch" in fifth[2], f"IPv{family}: and a fifth is told that there is no place", fifth)
    tap.ok(until(lambda: not watchers(n1), 2), "when they have ended nothing is left switched on", switch(n1))


def decisions(lab, cast, made):
    """Drops with their reason, refusals, and what is decided at the socket."""
    n1 = lab.nodes["n1"]
    drops = Monitor(n1, "--drops")
    lab.client.peer.tcp(n1.ips[4], made["watch-none"].node_port(80))
    events = drops.events()
    tap.is_({(e["verdict"], e["reason"], e["service"].partition(":")[0]) for e in events if e["packet"]["source"] == CLIENT[4]},
            {("drop", "no_endpoints", "default/watch-none")}, "a refusal is seen with its reason and service")
    if not translates_at_sockets(lab):
        return
    sock = Monitor(n1, "--hook", "sock", "--service", "watched")
    cast.a.peer.tcp(made["watched"].ips[4], 80)
    events = sock.events()
    tap.is_([(e["packet"]["destination"], e["rewritten"]["destination"], e["verdict"]) for e in events],
            [(made["watched"].ips[4], cast.b.ips[4], "translate")], "so is what is decided at a socket")
    tap.ok(events and events[0]["pid"] > 0 and events[0]["command"], "with its process", events)


def limits(lab, cast, made):
    """--count ends it; what is above --rate is counted, and said."""
    n1, port = lab.nodes["n1"], made["watched"].node_port(80)
    counted = n1.start(n1.fairctl_argv("monitor", "--port", str(port), "--count", "3", "-o", "json"), text=True, stdout=-1)
    until(lambda: watchers(n1), 3)
    lab.client.peer.many(n1.ips[4], port, 10)
    out, _ = counted.communicate(timeout=5)
    tap.is_(len(out.splitlines()), 3, "--count ends a monitor")
    slow = Monitor(n1, "--port", str(port), "--rate", "2")
    lab.client.peer.many(n1.ips[4], port, 50)
    shown = len(slow.events())
    told = re.search(r"(\d+) packets were above --rate 2", slow.errors)
    tap.ok(0 < shown <= 6 and told and int(told[1]) > 50, "what is above the rate is not shown, but counted and said", slow.errors)
    deaf = Monitor(n1, "--port", str(port), "--rate", "0")
    deaf.process.send_signal(signal.SIGSTOP)
    lab.client.peer.many(n1.ips[4], port, 800)
    deaf.process.send_signal(signal.SIGCONT)
    shown = len(deaf.events())
    told = re.search(r"(\d+) packets were lost", deaf.errors)
    tap.ok(shown > 100 and told and int(told[1]) > 0, "so is what comes while the monitor does not read", (shown, deaf.errors))


def blocks(data):
    """(type, body) of a pcapng file's blocks."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8:at + length - 4]
        at += length


def comments(data):
    """Of its packets: option 1."""
    for kind, body in blocks(data):
        if kind != 6:
            continue
        at = 20 + (struct.unpack_from("<I", body, 12)[0] + 3 & ~3)
        while at + 4 <= len(body):
            code, length = struct.unpack_from("<HH", body, at)
            if code == 1:
                yield body[at + 4:at + 4 + length].decode()
            at += 4 + (length + 3 & ~3)


def pcap(lab, cast, made):
    """--pcap: tcpdump reads it, with the packets before and after, whole and in time."""
    n1, port = lab.nodes["n1"], made["watched"].node_port(80)
    path = os.path.join(lab.tmp, "seen.pcapng")
    for family in FAMILIES:
        monitor = Monitor(n1, "--port", str(port), "--hook", "uplink", "--pcap", path)
        start = time.time()
        lab.client.peer.tcp(n1.ips[family], port, put=3000)
        monitor.events()
        end = time.time()
        text = subprocess.run(["tcpdump", "-nnvtt", "-r", path], capture_output=True, text=True, check=False)
        lines = text.stdout
        stamps = [float(stamp) for stamp in re.findall(r"^(\d+\.\d+) ", lines, re.M)]
        with open(path, "rb") as file:
            said = list(comments(file.read()))
        all_of(f"IPv{family}: tcpdump reads the packets of --pcap", [
            ("exit", (text.returncode, len(stamps) > 4), (0, True)),
            ("as they came", f"> {n1.ips[family]}.{port}: Flags [S]" in lines, True),
            ("as they left", re.search(re.escape(f"> {cast.b.ips[family]}.") + r"\d+: Flags \[S\]", lines) is not None, True),
            ("time", bool(stamps) and start - 1 <= min(stamps) and max(stamps) <= end + 1 and stamps == sorted(stamps), True),
            ("comments", any("uplink: forward" in c and "default/watched" in c for c in said), True),
            ("before and after", any(c.startswith("rewritten by ") for c in said), True)])
        os.unlink(path)
    code, _, errors = n1.run(n1.fairctl_argv("monitor", "--pcap", "/nowhere/file"), check=False)
    tap.ok(code == 1 and "/nowhere/file cannot be written" in errors, "a file that cannot be written is named", errors)


def killed(lab, cast, made):
    """One that is killed leaves nothing behind, and the agent need not run."""
    n1, port = lab.nodes["n1"], made["watched"].node_port(80)
    monitor = Monitor(n1, "--port", str(port))
    tap.ok(watchers(n1), "the programs' switch is on while somebody watches", switch(n1))
    monitor.process.send_signal(signal.SIGKILL)
    monitor.process.communicate()
    start = time.monotonic()

    def is_off():
        lab.client.peer.tcp(n1.ips[4], port)
        return not watchers(n1)
    tap.ok(until(is_off, LEASE_S + 4), "the first packet after a killed monitor's lease turns it off", time.monotonic() - start)
    for wrong, want in ((("--port", "x"), "a number from 1 to 65535"), (("--src", "10.0.0.300"), "an IP address or a prefix"),
                        (("--reason", "bad"), "fairctl drops --all"), (("--pod", "nobody"), "no pod nobody is on this node"),
                        (("--service", "watchd"), "did you mean"), (("--verdict", "maybe"), "pass"),
                        (("--count", "0"), "above 0"), (("--snaplen", "9"), "from 14 to")):
        code, _, errors = n1.run(n1.fairctl_argv("monitor", *wrong), check=False)
        tap.ok(code in (1, 2) and want in errors, f"monitor {' '.join(wrong)} is refused with what would be right", errors)


STORIES = (filters, decisions, limits, pcap, killed)
