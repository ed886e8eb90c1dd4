#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
# runner: alone
"""Tables that are too small, floods, and frames of garbage: what does not fit is told, what is there is right, and
connections that are in use go on. Every packet is translated on its way. SEED=n chooses other changes and other garbage."""

import contextlib
import json
import os
import re
import random
import socket
import struct
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import lab_churn  # noqa: E402
import lab_kernel  # noqa: E402
import lab_packets  # noqa: E402
import tap  # noqa: E402
from apiserver import BUILD, TOP  # noqa: E402
from lab import API, CLIENT, Lab, requirements, until  # noqa: E402
from lab_api import SERVICES, SLICES, Api  # noqa: E402
from lab_objects import endpoint_slices, service_object, service_port  # noqa: E402

SEED = os.environ.get("SEED", "1")
HELD = 16
NETLOAD = os.path.join(BUILD, "netload")
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")


class Cast:
    """Pods a and b on n1, c on n2; b and c serve `steady`."""

    def __init__(self, lab):
        self.lab, self.n1 = lab, lab.nodes["n1"]
        self.a, self.b, self.c = lab.pods(("n1", "a"), ("n1", "b"), ("n2", "c"))
        self.steady = lab.services(service_object("steady", [service_port(90, 9000)], spec={"type": "NodePort"}))["steady"]
        for pod in (self.b, self.c):
            pod.start_program([NETLOAD, "serve", "--name", pod.name, "--tcp", "9000"], stdout=subprocess.PIPE).stdout.readline()
        lab.endpoints(self.steady, [self.b, self.c])
        vip, port = self.steady.ips, self.steady.node_port(90)
        self.inside = (f"{vip[4]}:90", f"[{vip[6]}]:90")
        self.outside = (f"{self.n1.ips[4]}:{port}", f"[{self.n1.ips[6]}]:{port}")
        for start, ways in ((self.a.start_program, self.inside), (lab.client.start, self.outside)):
            for way in ways:
                until(lambda start=start, way=way: connected(start, way, "--count", "4")["failed"] == 0, 5)

    def flip(self, api, number):
        for s in endpoint_slices(self.steady.object, [[self.b], [self.c], [self.b, self.c]][number % 3]):
            api.send("PUT", f"{SLICES}/{s['metadata']['name']}", s)


def connected(start, *words):
    """What netload counts when it has come to its end."""
    return begun(start, "connect", *words).finish()


class begun:  # pylint: disable=invalid-name
    """A netload at work."""

    def __init__(self, start, *words):
        self.process = start([NETLOAD, *words], stdout=subprocess.PIPE, text=True)

    def finish(self, end=False):
        if end:
            self.process.terminate()
        return json.loads(self.process.communicate(timeout=60)[0].splitlines()[-1])


class Held:
    """Connections from a pod and from outside that are used now and then."""

    def __init__(self, cast, interval_ms=400):
        words = ("hold", "--concurrency", str(HELD), "--interval", str(interval_ms), "--timeout", "4000", "--announce")
        self.loads = [begun(cast.a.start_program, *words, *cast.inside), begun(cast.lab.client.start, *words, *cast.outside)]
        for load in self.loads:
            load.process.stdout.readline()

    def end(self, title):
        got = [load.finish(end=True) for load in self.loads]
        tap.is_([(g["opened"], g["failed"], g["broken"]) for g in got], [(HELD, 0, 0)] * 2, f"{title}: connections in use go on")
        tap.diag(f"{title}: {[g['ok'] for g in got]} answers, longest gaps {[g['longest_gap_ms'] for g in got]} ms")


# ---- tables that are too small


def full(lab, cast):
    """Far more is wanted than fits. What is there is right; room that comes back is used."""
    n1 = cast.n1
    with lab_churn.churn(lab, 2, 20, SEED) as writers:
        time.sleep(3)
    tap.is_([f for w in writers for f in w.faults], [], "the API server takes what is written")
    want = lab_churn.wanted(lab, "n1")
    tap.ok(len(want.frontends) + len(want.addresses) > 60, "more is wanted than there is room for", len(want.frontends))
    until(lambda: not lies(want, lab_churn.Found(n1)), 10)
    tap.is_(lies(want, found := lab_churn.Found(n1)), [], "in full tables nothing is wrong")
    tap.diag(f"{len(found.frontends)} of {len(want.frontends)} frontends found room")
    code, text, _ = n1.run(n1.fairctl_argv("status"), check=False)
    tap.ok(code == 1 and re.search(r"FULL: +map services", text), "fairctl status tells", text)
    metrics = n1.metrics()
    tap.ok(metrics['fairlead_map_full{map="services"}'] == 1 and metrics["fairlead_services_without_room"] > 0, "metrics tell")
    told = until(lambda: "ServiceTableFull" in lab.kubectl("get events -A"), 5)
    tap.ok(told, "an Event tells")
    tap.is_(connected(cast.a.start_program, "--count", "20", *cast.inside)["failed"], 0, "who was there first is served")
    churned = [s for s in Api(lab, API).send("GET", SERVICES)["items"] if s["metadata"]["name"].startswith("churn")]
    names = [s["metadata"]["name"] for s in sorted(churned, key=lambda s: s["spec"]["type"] + str("externalIPs" in s["spec"]))]
    lab.delete("service", *names[2:])
    want = lab_churn.wanted(lab, "n1")
    healed = until(lambda: not lab_churn.differences(want, lab_churn.Found(n1)), 10)
    tap.ok(healed, "when others go, the rest is served in whole", "\n".join(lab_churn.differences(want, lab_churn.Found(n1))[:20]))
    lab.delete("service", *names[:2])
    until(lambda: n1.metrics()["fairlead_services_without_room"] == 0, 5)
    tap.is_(n1.run(n1.fairctl_argv("status"), check=False)[0], 0, "and fairctl status has nothing to say any more")


def lies(want, found):
    """Frontends that are there but lead to another service, and backends of nobody: of what did not fit less may be there."""
    lines = [f"frontend {key}: wanted {want.frontends.get(key)}, found {is_}" for key, is_ in found.frontends.items()
             if want.frontends.get(key, [None])[0] != is_[0]]
    return lines + [f"backend {b} is stale" for b in sorted((found.backends | found.drained) - want.known)]


# ---- floods


def flood(lab, cast):
    """Ten times as many half-open connections as the flow table holds, from outside, of clients that never go on."""
    n1, rng = cast.n1, random.Random(SEED)
    held, before = Held(cast), evicted(n1)
    port = cast.steady.node_port(90)
    mac, to_mac = mac_of(lab.client), lab.client.run("ip neigh show 198.51.100.1 dev eth0").split()[2]
    sock = raw(lab.client)
    for _ in range(20):
        for _ in range(500):
            source = f"198.51.100.{rng.randint(20, 250)}"
            syn = lab_packets.tcp_syn(source, n1.ips[4], rng.randint(1024, 65535), port, rng.getrandbits(32))
            sock.send(lab_packets.frame(mac, to_mac, lab_packets.ip_packet(source, n1.ips[4], 6, syn)))
        time.sleep(0.05)
    sock.close()
    got = connected(lab.client.start, "--count", "50", "--timeout", "4000", *cast.outside)
    tap.ok(evicted(n1) - before > 2000, "flows are evicted, and counted", evicted(n1) - before)
    tap.is_(got["failed"], 0, "new connections get through")
    held.end("flood of SYNs")


def raw(place):
    """A socket that sends frames by a place's NIC."""
    with lab_kernel.in_netns(f"/proc/{place.peer.process.pid}/ns/net"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind(("eth0", 0))
        return sock


def evicted(node):
    return int(node.metrics()['fairlead_flow_events_total{event="evicted"}'])


def mac_of(place):
    return json.loads(place.run("ip -j link show eth0"))[0]["address"]


# ---- garbage


def garbage(rng, real):
    """A frame: noise, or a real one of which some bytes are wrong, missing or too many."""
    if rng.random() < 0.2:
        return rng.randbytes(rng.randint(14, 400))
    data = bytearray(rng.choice(real))
    for _ in range(rng.randint(1, 4)):
        data[rng.randint(12, len(data) - 1)] = rng.choice((0, 1, 0x45, 0x60, 0x7F, 0x80, 0xFF, rng.getrandbits(8)))
    cut = rng.random()
    if cut < 0.2:
        del data[rng.randint(14, len(data)):]
    elif cut < 0.3:
        data += rng.randbytes(rng.randint(1, 60))
    return bytes(data)


def samples(source, targets, mac, to_mac):
    """Frames that mean something: to services, pods and nodes, of both families where there is a source."""
    found = []
    for family, to, port in targets:
        if family in source:
            syn = lab_packets.tcp_syn(source[family], to, 4000, port, 1)
            echo = (b"\x08\0" if family == 4 else b"\x80\0") + bytes(2) + b"\0\1\0\1data"
            for proto, body in ((6, syn), (17, lab_packets.udp(source[family], to, 4000, port, b"who")), (1 if family == 4 else 58, echo)):
                found.append(lab_packets.frame(mac, to_mac, lab_packets.ip_packet(source[family], to, proto, body)))
                # an error about it, and a fragment of it
                error = (b"\x03\x03" if family == 4 else b"\x01\x04") + bytes(6) + found[-1][14:70]
                found.append(lab_packets.frame(mac, to_mac, lab_packets.ip_packet(source[family], to, 1 if family == 4 else 58, error)))
                if family == 4:
                    found.append(found[-2][:20] + b"\x20\x00" + found[-2][22:])
    return found


def noise(lab, cast):
    """Mangled frames come into a NIC, out of a pod and out of the tunnel: none of them stops or moves what is there."""
    n1, rng = cast.n1, random.Random(SEED)
    held, frames = Held(cast, 50), 0
    targets = [(f, ip, port) for f in (4, 6) for ip, port in (
        (cast.steady.ips[f], 90), (cast.b.ips[f], 9000), (cast.c.ips[f], 9000), (n1.ips[f], cast.steady.node_port(90)), (CLIENT[f], 9))]
    to_mac = mac_of(n1)
    n2_mac, a_mac = mac_of(lab.nodes["n2"]), mac_of(cast.a)
    outside, inside = raw(lab.nodes["n2"]), raw(cast.a)
    with lab_kernel.in_netns(lab.nodes["n2"].netns):
        tunnel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours = samples(CLIENT, targets, n2_mac, to_mac)
    pods = samples(cast.a.ips, targets, a_mac, lab_packets.gateway_mac(cast.a))
    remote = samples(cast.c.ips, targets, n2_mac, "ff:ff:ff:ff:ff:ff")
    head = struct.pack(">II", 1 << 27, 1 << 8)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for _ in range(100):
            for send, real in ((outside.send, ours), (inside.send, pods), (lambda data: tunnel.sendto(head + data, (n1.ips[4], 8472)), remote)):
                with contextlib.suppress(OSError):  # what even the sender's kernel refuses
                    send(garbage(rng, real))
                    frames += 1
        time.sleep(0.01)
    for sock in (outside, inside, tunnel):
        sock.close()
    tap.diag(f"{frames} frames")
    held.end("garbage")
    tap.is_([n.agent.poll() for n in lab.nodes.values()], [None, None], "the agents run")
    got = [connected(s, "--count", "40", *w) for s, w in ((cast.a.start_program, cast.inside), (lab.client.start, cast.outside))]
    tap.is_([g["failed"] for g in got], [0, 0], "and everything works")
    tap.is_(n1.run(n1.fairctl_argv("flow", "list", "-o", "json"), check=False)[0], 0, "the flow table can be read")


# ---- endpoints that change under load


def flips(lab, cast):
    """Endpoints change as fast as they can be written, while connections are made as fast as they can be: none fails, and
    each gets one of those who were endpoints."""
    api = Api(lab, API)
    words = ("connect", "--duration", "4", "--concurrency", "8", "--close", "reset")
    loads = [begun(cast.a.start_program, *words, *cast.inside), begun(lab.client.start, *words, *cast.outside),
             begun(cast.n1.start, *words, cast.inside[0])]
    turns = lab_churn.Repeat(lambda number: cast.flip(api, number))
    got = [load.finish() for load in loads]
    tap.diag(f"{turns.stop()} flips, {[g['ok'] for g in got]} connections, {[g['errors'] for g in got]}")
    api.close()
    tap.is_([(g["failed"], g["errors"], sorted(g["names"])) for g in got], [(0, {}, ["b", "c"])] * 3, "no connection meets half a change")
    tap.is_(turns.faults, [], "the API server takes what is written")


# ---- source ports


def ports(lab, cast):
    """64 source ports for connections from outside to an endpoint elsewhere, and 32 new connections every second and a half: each
    gets the port of one that was closed before it, though none has been closed for the time that ports rest."""
    n1 = cast.n1
    restart(n1, {"snat-port-min": 61000, "snat-port-max": 61063})
    lab.endpoints(cast.steady, [cast.c])
    until(lambda: set(connected(lab.client.start, "--count", "4", *cast.outside)["names"]) == {"c"}, 5)
    held, taken, got = Held(cast), taken_over(n1), []
    for _ in range(5):
        time.sleep(1.5)
        got += [connected(lab.client.start, "--count", "32", "--slow", "900", way) for way in cast.outside]
    tap.is_([(g["ok"], g["failed"], g["slow"]) for g in got], [(32, 0, 0)] * 10, "no connection waits for a source port")
    tap.ok(taken_over(n1) - taken > 150, "ports of closed connections are taken over, and counted", taken_over(n1) - taken)
    held.end("few source ports")
    lab.endpoints(cast.steady, [cast.b, cast.c])
    restart(n1, {})


def restart(node, settings):
    node.kill_agent(15)
    node.settings = settings
    node.start_agent()
    tap.ok(until(lambda: node.get_quietly("/healthz") == 200, 15), f"an agent with the settings {settings} starts")


def taken_over(node):
    return int(node.metrics()['fairlead_flow_events_total{event="taken_over"}'])


# ---- main


STORIES = (ports, flips, full, flood, noise)


def main(only):
    requirements()
    subprocess.run(["make", "-s", "-C", TOP, f"O={BUILD}", NETLOAD], stdout=subprocess.DEVNULL, check=True)
    with Lab(nodes=("n1", "n2"), socket_path=False, max_services=60, max_backends=1000, max_slot_lines=128, flow_entries=1024,
             max_source_ranges=4, max_affinity=16, max_fragments=16) as lab:
        cast = Cast(lab)
        for tell in STORIES:
            if not only or tell.__name__ in only:
                lab.story(tell, cast)
        lab.check_no_way_out()
        for node in lab.nodes.values():
            tap.is_(node.kill_agent(15), 0, f"the agent of {node.name} ends in order")
    tap.done()


main(sys.argv[1:])
