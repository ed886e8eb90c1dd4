#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""Clusters that know one family only, IPv6 among them: nodes, pods, services and the tunnel between the nodes."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import tap  # noqa: E402
from common import Cast, all_of, name_of, reached, refused, spread  # noqa: E402
from lab import CLIENT, Lab, requirements  # noqa: E402
from lab_objects import service_object  # noqa: E402

BOTH = {"b", "c"}


def start(lab):
    """The cast, and a service whose backends are on two nodes."""
    family = lab.families[0]
    cast = Cast(lab)
    names = {"ipFamilyPolicy": "SingleStack", "ipFamilies": [f"IPv{family}"], "type": "NodePort"}
    made = lab.services(service_object("web", spec=names), service_object("none", spec=names))
    lab.all_endpoints({made["web"]: [cast.b, cast.c], made["none"]: []})
    return family, cast, made


def story(lab):
    family, cast, made = start(lab)
    vip, port, n1 = made["web"].ips[family], made["web"].node_port(80), lab.nodes["n1"]
    tap.is_((set(cast.a.ips), set(made["web"].ips)), ({family}, {family}), f"IPv{family} only: pods and services have no other")
    lab.client.peer.serve(tcp=[8080], udp=[8080])
    reached(lab, cast.a, vip, 80, BOTH)
    large = cast.a.peer.tcp(cast.c.ips[family], 8080, get=1000000, put=1000000)
    pieces = cast.a.peer.udp(cast.c.ips[family], 8080, size=8000, reply=8000, tries=3)
    all_of(f"IPv{family} only: pods meet, on a node and between nodes", [
        ("beside", name_of(cast.a.peer.tcp(cast.b.ips[family], 8080)), "b"),
        ("elsewhere, and under which address", (name_of(large), large.get("client", [0])[0]), ("c", cast.a.ips[family])),
        ("1 MB each way", (large.get("get_whole"), large.get("put_whole")), (True, True)),
        ("8 KB each way", pieces.get("whole"), True),
        ("echo", cast.a.peer.ping(cast.c.ips[family]).get("whole"), True),
        ("node to pod", name_of(n1.peer.tcp(cast.c.ips[family], 8080)), "c"),
        ("pod to node", name_of(cast.a.peer.tcp(lab.nodes["n2"].ips[family], 8080)), "h")])
    all_of(f"IPv{family} only: services reach every backend", [
        (f"{place.name}, {proto}", spread(place, vip, 80, proto=proto), BOTH)
        for place in (cast.a, n1, cast.h) for proto in ("tcp", "udp")])
    all_of(f"IPv{family} only: every node serves NodePorts", [
        (f"{node.name}, {proto}", spread(lab.client, node.ips[family], made["web"].node_port(80, proto.upper()), proto=proto), BOTH)
        for node in lab.nodes.values() if reached(lab, lab.client, node.ips[family], port, BOTH) for proto in ("tcp", "udp")])
    all_of(f"IPv{family} only: no endpoints, no waiting", [
        ("a pod", cast.a.peer.tcp(made["none"].ips[family], 80), refused),
        ("a client", lab.client.peer.tcp(n1.ips[family], made["none"].node_port(80)), refused)])
    out = cast.a.peer.tcp(CLIENT[family], 8080)
    tap.is_(out.get("client", [0])[0], n1.ips[family], f"IPv{family} only: outside, pods have their node's address")
    for node in lab.nodes.values():
        code, text, errors = node.run(node.fairctl_argv("status"), check=False)
        tap.ok(code == 0, f"IPv{family} only: nothing is wrong on {node.name}", text + errors)


def main():
    requirements()
    for family in (6, 4):
        for routing in ("vxlan", "native"):
            with Lab(families=(family,), routing=routing) as lab:
                tap.diag(f"IPv{family}, {routing}")
                lab.story(story)
                lab.check_no_packet_filter()
                lab.check_no_way_out()
    tap.done()


main()
