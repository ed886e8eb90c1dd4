# SPDX-License-Identifier: Apache-2.0
"""A node's own processes where nothing is translated at the socket: NodePorts at addresses of their own node, which go
through lo, and service addresses that the node has no route to."""

import json

from common import FAMILIES, LOOPBACK, all_of, name_of, reached, refused, spread, tap, until
from lab import ROUTER
from lab_objects import service_object, service_port

BOTH, HERE, BESIDE = {"b", "c"}, {"b"}, {"h"}
GATEWAY = {4: "169.254.152.152", 6: "fe80::98:98"}
ROUTE = {4: "10.96.0.0/16", 6: "fd10:96::/112"}
NOBODY = {4: "10.96.250.250", 6: "fd10:96::fafa"}


def services():
    node_port = {"type": "NodePort"}
    return [service_object("own", spec=node_port),
            service_object("own-here", spec=node_port),
            service_object("own-host", spec=node_port),
            service_object("own-empty", spec=node_port),
            *(service_object(name, [service_port(80, 9), service_port(80, 9, "UDP")], spec=node_port)
              for name in ("own-deaf", "own-deaf-there"))]


def endpoints(cast):
    return {"own": [cast.b, cast.c], "own-here": [cast.b], "own-host": [cast.h], "own-empty": [], "own-deaf": [cast.b],
            "own-deaf-there": [cast.c]}


def addresses(lab, family):
    n1 = lab.nodes["n1"]
    return (("its address", n1.ips[family]), ("its loopback address", LOOPBACK[family]))


def reach(lab, cast, made):
    """Endpoints here and elsewhere, pods and host processes, by TCP and UDP; whoever serves sees the node."""
    n1, n2 = lab.nodes["n1"], lab.nodes["n2"]
    for family in FAMILIES:
        for what, to in addresses(lab, family):
            port, udp = made["own"].node_port(80), made["own"].node_port(80, "UDP")
            reached(lab, n1, to, port, BOTH)
            tap.is_((spread(n1, to, port), spread(n1, to, udp, proto="udp"), spread(n1, to, udp, proto="udp", connected=False)),
                    (BOTH, BOTH, BOTH), f"IPv{family}: a node's process reaches a NodePort at {what}")
            answers = [n1.peer.tcp(to, port) for _ in range(8)] + [n1.peer.udp(to, udp) for _ in range(8)]
            seen = {(a.get("client", [0])[0], (a.get("peer") or [0])[0]) for a in answers}
            tap.is_(seen, {(n1.ips[family], to)}, f"IPv{family}: whoever serves at {what} sees the node, and the process {what}")
            large = [n1.peer.tcp(to, port, get=2000000, put=2000000) for _ in range(4)]
            n1.peer.udp(to, udp, size=8000, timeout=0.2)  # may be too large for a pod's device: the stack hears of it
            pieces = [n1.peer.udp(to, udp, size=8000, reply=8000, tries=3) for _ in range(6)]
            all_of(f"IPv{family}: megabytes and datagrams of 8 KB pass a NodePort at {what}", [
                ("there", [a.get("put_whole") for a in large], [True] * 4), ("back", [a.get("get_whole") for a in large], [True] * 4),
                ("8 KB each way", [a.get("whole") for a in pieces], [True] * 6)])
        cases = []
        for who, node in (("a process beside it", n2), ("another node's", n1)):
            for to in (node.ips[family], LOOPBACK[family]):
                port, udp = made["own-host"].node_port(80), made["own-host"].node_port(80, "UDP")
                cases += [(f"{who}, {to}, TCP", reached(lab, node, to, port, BESIDE), "h"),
                          (f"{who}, {to}, UDP", reached(lab, node, to, udp, BESIDE, proto="udp", connected=False), "h"),
                          (f"{who}, {to}, 1 MB", node.peer.tcp(to, port, get=1000000).get("get_whole"), True)]
        all_of(f"IPv{family}: an endpoint with the node's network serves NodePorts of the own node", cases)


def refusals(lab, cast, made):
    n1 = lab.nodes["n1"]
    for family in FAMILIES:
        for what, to in addresses(lab, family):
            empty = made["own-empty"]
            until(lambda to=to, empty=empty: refused(n1.peer.tcp(to, empty.node_port(80), timeout=1)), 3)
            cases = [("no endpoints, TCP", n1.peer.tcp(to, empty.node_port(80)), refused),
                     ("no endpoints, UDP", n1.peer.udp(to, empty.node_port(80, "UDP")), refused),
                     ("another port, TCP", n1.peer.tcp(to, 81), refused), ("another port, UDP", n1.peer.udp(to, 81), refused)]
            for name in ("own-deaf", "own-deaf-there"):
                cases += [(f"{name}: nobody listens, TCP", n1.peer.tcp(to, made[name].node_port(80)), refused),
                          (f"{name}: nobody listens, UDP", n1.peer.udp(to, made[name].node_port(80, "UDP")), refused)]
            all_of(f"IPv{family}: a node's process is refused at once at {what}", cases)


def no_route(lab, cast, made):
    """The default routes are gone: services stay, and what is no service's is refused."""
    n1, own = lab.nodes["n1"], made["own"]
    for family in FAMILIES:
        n1.run(f"ip -{family} route delete default")
    for family in FAMILIES:
        vip = own.ips[family]
        all_of(f"IPv{family}: a node without a default route reaches services", [
            ("TCP", (reached(lab, n1, vip, 80, BOTH), spread(n1, vip, 80))[1], BOTH),
            ("endpoint with the node's network elsewhere", reached(lab, n1, made["own-host"].ips[family], 80, BESIDE), "h"),
            ("2 MB", n1.peer.tcp(vip, 80, get=2000000).get("get_whole"), True),
            ("unknown port, TCP", n1.peer.tcp(vip, 81), refused), ("unknown port, UDP", n1.peer.udp(vip, 81), refused),
            ("no endpoints", n1.peer.tcp(made["own-empty"].ips[family], 80), refused),
            ("an address that no service has, TCP", n1.peer.tcp(NOBODY[family], 80), refused),
            ("an address that no service has, UDP", n1.peer.udp(NOBODY[family], 80), refused)])
    n1.ip(f"route add default via {ROUTER}\nroute add default via fd10:18::fe\n")


def routes(node, family):
    """Ours to services: their next hops."""
    rows = json.loads(node.run(f"ip -{family} -j route show {ROUTE[family]} proto 152"))
    return [row.get("gateway") for row in rows]


def neighbours(node, family):
    rows = json.loads(node.run(f"ip -{family} -j neighbour show nud permanent to {GATEWAY[family]}"))
    return [row.get("dst") for row in rows]


def setting(node, name):
    return node.run(["cat", f"/proc/sys/net/ipv4/conf/lo/{name}"]).strip()


def repaired(lab, cast, made):
    """What somebody takes away comes back."""
    n1 = lab.nodes["n1"]
    for family in FAMILIES:
        n1.run(f"ip -{family} route delete {ROUTE[family]} proto 152")
        n1.run(f"ip neighbour delete {GATEWAY[family]} dev eth0")
    n1.run(["sh", "-c", "for n in accept_local route_localnet; do echo 0 >/proc/sys/net/ipv4/conf/lo/$n; done"])
    whole = until(lambda: all(routes(n1, f) == neighbours(n1, f) == [GATEWAY[f]] for f in FAMILIES), 3)
    tap.ok(whole, "the route to services and its next hop come back", n1.run("ip -d route") + n1.run("ip neighbour"))
    tap.ok(until(lambda: {setting(n1, "accept_local"), setting(n1, "route_localnet")} == {"1"}, 3), "and lo's settings")
    pin = next(pin for pin in n1.run("ls /sys/fs/bpf/fairlead/v1/links").split() if pin.startswith("to_lo_1"))
    n1.run(f"rm /sys/fs/bpf/fairlead/v1/links/{pin}")
    tap.ok(until(lambda: pin in n1.run("ls /sys/fs/bpf/fairlead/v1/links").split(), 3), "and lo's program")
    tap.is_(name_of(n1.peer.tcp(n1.ips[4], made["own-here"].node_port(80))), "b", "and it works")


def groups(lab, cast, made):
    """What the host's stack says to groups of hosts in the tunnel's device is no drop."""
    rows = [row for node in lab.nodes.values() for row in json.loads(node.fairctl("drops", "-o", "json"))]
    tap.is_([row for row in rows if row["where"] == "to_overlay"], [], "nothing is dropped on its way into the tunnel")


def costs_nothing(lab, cast, made):
    """Where sockets are served there is nothing of this. For a lab of that kind."""
    for node in lab.nodes.values():
        tap.is_(([routes(node, f) + neighbours(node, f) for f in FAMILIES],
                 [n for n in node.run("ls /sys/fs/bpf/fairlead/v1/links /sys/fs/bpf/fairlead/v1/programs").split() if "to_lo" in n],
                 setting(node, "accept_local"), setting(node, "route_localnet")), ([[], []], [], "0", "0"),
                f"{node.name} has no route to services, and no program on lo")


STORIES = (reach, refusals, no_route, repaired, groups)
