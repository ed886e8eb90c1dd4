#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""From pod to pod without services, on one node and between two, beside veth with routing, bridges, and VXLAN as bridges and
as flannel use it: connections, round trips and throughput, all in the same rounds. "..._to_PEER" is the median of the rounds'
quotients; more than 1 is better than the peer."""

import os
import sys

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import dataplane_peers as peers  # noqa: E402
import lab as cluster  # noqa: E402
from dataplane_lab import NETLOAD, PORTS, BenchLab  # noqa: E402
from figures import ROUND_S, ROUNDS, check, client, cpu_ns, iperf, median, note, quotient, rounds  # noqa: E402

ROUNDS_OF_ITS_OWN = True
NATIVE = {"routing": "native"}
COMPARED = (("node_fairlead", "node_routed"), ("node_fairlead", "node_bridge"), ("nodes_vxlan", "nodes_bridge_vxlan"),
            ("nodes_vxlan", "nodes_routed_vxlan"), ("nodes_native", "nodes_routed"), ("nodes_native", "nodes_bridge_vxlan"))


def connects(near, far):
    """Connections a second, 32 at a time; CPU of both programs for each."""
    pid = far.server.pid
    before = cpu_ns(pid)
    result, used = client(near, 0, NETLOAD, "connect", "--concurrency", "32", "--bytes", "64", "--duration", str(ROUND_S),
                          f"{far.ip}:{PORTS[0]}")
    return {"connects_per_s": result["rate"], "connects_cpu_us": (cpu_ns(pid) - before + used) / result["ok"] / 1000}


def trips(near, far):
    """Requests on one connection; both ends on one CPU."""
    result, _ = client(near, 1, NETLOAD, "hold", "--bytes", "16", "--duration", str(ROUND_S), f"{far.ip}:{PORTS[0]}")
    return {"round_trip_us": result["seconds"] * 1e6 / result["ok"], "round_trip_p50_us": result["answer_us"]["p50"],
            "round_trip_p99_us": result["answer_us"]["p99"]}


def throughput(near, far):
    return {"throughput": iperf(near, far.ip)}


# What is said, its unit, and the name of the quotient to a peer (None: none).
KEYS = {"connects_per_s": ("1/s", "connects"), "connects_cpu_us": ("us", "connects_cpu"), "round_trip_us": ("us", "round_trip"),
        "round_trip_p50_us": ("us", None), "round_trip_p99_us": ("us", None), "throughput": ("Gbit/s", "throughput")}


def compare(pairs, measure, count):
    results = rounds(pairs, measure, count)
    for key in results["node_routed"][0]:
        unit, name = KEYS[key]
        columns = {pair: [row[key] for row in rows] for pair, rows in results.items()}
        for pair, values in columns.items():
            beside = {peer.partition("_")[2]: f"{peer}_{key}" for ours, peer in COMPARED if ours == pair}
            median(f"{pair}_{key}", values, unit, beside)
        for ours, peer in COMPARED:
            if name:
                a, b = columns[ours], columns[peer]
                quotient(f"{ours}_{name}_to_{peer.partition('_')[2]}", *((b, a) if unit == "us" else (a, b)))


def make_pairs(lab):
    """{name: (client, server)}."""
    lab.start_nodes()
    ends = {node: [lab.pod_end(node, f"{node}-{n}") for n in (1, 2)] for node in lab.nodes}
    plain = peers.routed(lab)
    pairs = {"node_routed": plain, "node_bridge": peers.bridged(lab), "node_fairlead": ends["n1"],
             "nodes_bridge_vxlan": peers.bridged_vxlan(lab), "nodes_routed_vxlan": peers.routed_vxlan(lab),
             "nodes_vxlan": (ends["n1"][0], ends["n2"][1]), "nodes_routed": peers.routed_hosts(lab),
             "nodes_native": (ends["n3"][0], ends["n4"][1])}
    for _, far in pairs.values():
        if not far.server:
            far.serve()
    for name, (near, far) in pairs.items():
        check(cluster.until(lambda end=near, to=far: end.start([NETLOAD, "connect", f"{to.ip}:{PORTS[0]}"], 0).wait(10) == 0, 20),
              f"{name}: the server is not reached")
    return pairs


def main():
    with BenchLab({"n1": {}, "n2": {}, "n3": NATIVE, "n4": NATIVE}) as lab:
        pairs = make_pairs(lab)
        note("all nodes and peers serve")
        compare(pairs, connects, ROUNDS)
        compare(pairs, trips, ROUNDS)
        compare(pairs, throughput, 3)
        peers.check_plain(pairs["node_routed"][0].host)
        note("all is measured")


if __name__ == "__main__":
    main()
