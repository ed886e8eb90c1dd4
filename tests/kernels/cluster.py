#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""On an emulated machine with an older kernel (see run): three nodes with agents, plugged pods, an API server; services,
NodePorts and pods' traffic; and what this kernel lacks (FL_LACKS) is named, together with the fallback that is in use."""

import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", where) for where in ("e2e/stories", "harness")]

import cluster_ip  # noqa: E402
import lab_kernel  # noqa: E402
import node_port  # noqa: E402
import pods  # noqa: E402
import tap  # noqa: E402
from lab import Lab, requirements  # noqa: E402
from play import prepare, tell_all  # noqa: E402

THEMES = (cluster_ip, node_port, pods)
LACKS = os.environ.get("FL_LACKS", "").split()
TOLD = {"tcx": "clsact filters", "kernel_ctx": "a call or two for each translated packet", "sock_retval": "EPERM",
        "sock_destroy": "they stay with them"}  # feature: what the agent's status names instead


def told(lab, cast, made):
    """The agent says which features are missing, and what it does instead; no more than are."""
    for node in lab.nodes.values():
        status = json.loads(node.run("cat /run/fairlead/status.json"))
        missing = sorted(name for name, there in status["features"].items() if there is False)
        tap.is_(missing, sorted(name for name in LACKS if name in TOLD), f"{node.name}: just these features are missing")
        tap.is_([[TOLD[name] in line for line in status["fallbacks"]].count(True) for name in missing], [1] * len(missing),
                f"{node.name}: and each has its fallback named")
        with open(node.log, encoding="utf-8") as file:
            tap.is_("bpf_sock_destroy" in file.read(), "sock_destroy" in LACKS,
                    f"{node.name}: whether sockets of removed endpoints can be closed is logged")


def used(lab, cast, made):
    """Programs are where they have to be: TCX links, or filters where there is no TCX."""
    node = lab.nodes["n1"]
    names = [name for name in json.loads(node.run("ip -j link")) if name["ifname"].startswith(("fl", "eth0"))]
    tap.ok(len(names) > 2, "there are pods, the tunnel and a NIC", names)
    for device in names:
        filters = "".join(node.run(f"tc filter show dev {device['ifname']} {way}") for way in ("ingress", "egress"))
        with lab_kernel.in_netns(node.netns):
            links = lab_kernel.attached_to_device(device["ifindex"])
        got = (filters.count("direct-action"), len(links))
        tap.is_(got, (2, 0) if "tcx" in LACKS else (0, 2), f"{device['ifname']}: programs by filter and by TCX")


def main():
    requirements()
    with Lab(non_masquerade_cidrs=pods.UNMASQUERADED) as lab:
        cast, made = prepare(lab, THEMES)
        tap.diag(f"the lab was up after {time.monotonic() - lab.started:.1f} s")
        tell_all(lab, [tell for theme in THEMES for tell in theme.STORIES], sys.argv[1:], cast, made)
        tell_all(lab, [told, used], sys.argv[1:], cast, made)
        lab.check_no_packet_filter()
    tap.done()


main()
