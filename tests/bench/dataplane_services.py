#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Services inside the cluster, client and server on one node, among 10, 1,000 and 10,000 services of ten endpoints: by the
socket and by the packet path, beside iptables and nftables rules of kube-proxy's shape, all in the same rounds. The limit is
veth and routing without rules, connection tracking or BPF; it has a turn before and after each few others, and "..._to_limit"
compares with the mean of those two (the median of the rounds' quotients; more than 1 is better than the limit).

Connections: connect, 64 bytes, an answer, close; 32 at a time; the client on one CPU, the server on the other."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import lab_kernel  # noqa: E402
import lab as cluster  # noqa: E402
from dataplane_lab import NETLOAD, PORTS, BenchLab  # noqa: E402
from dataplane_peers import IPERF_PORT, IPERF_VIP, PLACES, Proxy, balanced, check_plain, routed  # noqa: E402
from figures import ROUND_S, check, client, cpu_ns, iperf, median, note, rounds  # noqa: E402

ROUNDS_OF_ITS_OWN = True
SIZES = (10, 1000, 10000)
PATHS = ("socket", "packet")
KINDS = ("iptables", "nftables")
NAMES = {10: "ten", 1000: "thousand", 10000: None}  # of the service proxies
FIRST_GROUP = {10: 120, 1000: 100, 10000: 0}
LARGEST = SIZES[-1]


def node_name(path, size):
    return f"n{1 + PATHS.index(path) + 2 * (len(SIZES) - 1 - SIZES.index(size))}"


def node_settings():
    nodes = {}
    for size in reversed(SIZES):
        for path in PATHS:
            settings = {"routing": "native"}
            settings |= {"service-proxy-name": NAMES[size]} if NAMES[size] else {}
            settings |= {"socket-path": "false"} if path == "packet" else {}
            nodes[node_name(path, size)] = settings
    return nodes


def our_services(lab):
    """{(path, size): (client, server, the service's address)}."""
    for size in SIZES:
        lab.fill(size - 1, NAMES[size], FIRST_GROUP[size])
    lab.start_nodes()
    ours = {}
    for path in PATHS:
        for size in SIZES:
            name = node_name(path, size)
            ends = [lab.pod_end(name, f"{name}-{n}") for n in (1, 2)]
            ends[1].serve()
            ip = lab.web(f"web-{name}", [ends[1].pod], NAMES[size], PORTS)["clusterIP"]
            ours[path, size] = (*ends, ip)
    for near, _, ip in ours.values():
        cluster.until(lambda end=near, to=ip: answers(end, to), 20)
    return ours


def answers(end, ip):
    return end.start([NETLOAD, "connect", "--timeout", "200", f"{ip}:80"], 0).wait(10) == 0


def check_paths(lab, ours):
    """What is called the socket path is one, and the packet path is not."""
    for (path, size), _ in ours.items():
        node = lab.nodes[node_name(path, size)]
        programs = lab_kernel.attached_to_cgroup(node.cgroup)
        check(bool(programs) == (path == "socket"), f"{node.name} is of the {path} path, its cgroup has programs {programs}")


def begun(lab, path, size):
    """Connections that a node's flow table was given."""
    return lab.nodes[node_name(path, size)].metrics()['fairlead_flow_events_total{event="inserted"}']


def proxies(lab):
    """{(kind, size): Proxy}; the largest take some seconds."""
    made = {(kind, size): Proxy(lab, kind, size, 10 + 3 * k + s) for k, kind in enumerate(KINDS)
            for s, size in enumerate(SIZES)}
    for proxy in made.values():
        proxy.ends[1].serve()
        proxy.load()
    return made


def settings_of(limit, ours, theirs):
    """{name: (client, server, address, port)}."""
    settings = {"limit": (*limit, limit[1].ip, PORTS[0])}
    for path in PATHS:
        for size in SIZES:
            settings[f"{path}_{size}"] = (*ours[path, size], 80)
    near, far, _ = ours["socket", LARGEST]
    settings["direct"] = (near, far, far.ip, PORTS[0])
    for (kind, size), proxy in theirs.items():
        settings[f"{kind}_{size}"] = (*proxy.ends, proxy.vips["middle"], 80)
        if kind == "iptables" and size == LARGEST:
            settings |= {f"{kind}_{size}_{place}": (*proxy.ends, proxy.vips[place], 80) for place in ("first", "last")}
        if size > SIZES[0]:
            settings[f"{kind}_{size}_direct"] = (*proxy.ends, proxy.ends[1].ip, PORTS[0])
    return settings


class Count:
    """Connections made so far, by the setting's name."""

    def __init__(self):
        self.made = {}

    def add(self, ip, n):
        self.made[ip] = self.made.get(ip, 0) + n


def to_limit(name, pairs, pick, less_is_better=False):
    values = []
    for result, limits in pairs:
        limit = sum(map(pick, limits)) / len(limits)
        values.append(limit / pick(result) if less_is_better else pick(result) / limit)
    median(name, values, "x")


def beside(name, figure):
    """The peers of one of ours: {who: its figure}, where {} in `figure` is a setting's name."""
    path, _, size = name.partition("_")
    if name == "direct":
        return {"limit": figure.format("limit"), **{kind: figure.format(f"{kind}_{LARGEST}_direct") for kind in KINDS}}
    if path not in PATHS:
        return None
    return {"limit": figure.format("limit"), **{kind: figure.format(f"{kind}_{size}") for kind in KINDS}}


def connections(settings, count):
    def measure(near, far, ip, port):
        pid = far.server.pid
        before = cpu_ns(pid)
        result, used = client(near, 0, NETLOAD, "connect", "--concurrency", "32", "--bytes", "64", "--duration", str(ROUND_S),
                              f"{ip}:{port}")
        count.add((near.ip, ip), result["ok"])
        return result["rate"], (cpu_ns(pid) - before + used) / result["ok"] / 1000

    for name, pairs in rounds(settings, measure, base="limit").items():
        median(f"connect_{name}_per_s", [result[0] for result, _ in pairs], "1/s", beside(name, "connect_{}_per_s"))
        median(f"connect_{name}_cpu_us", [result[1] for result, _ in pairs], "us", beside(name, "connect_{}_cpu_us"))
        if name != "limit":
            to_limit(f"connect_{name}_to_limit", pairs, lambda r: r[0])
            to_limit(f"connect_{name}_cpu_to_limit", pairs, lambda r: r[1], True)


def latencies(settings, count):
    """One connection, request after request, and one connect after the other; both ends on one CPU."""
    def measure(near, far, ip, port):
        target = f"{ip}:{port}"
        trips, _ = client(near, 1, NETLOAD, "hold", "--bytes", "16", "--duration", str(ROUND_S), target)
        connects, _ = client(near, 1, NETLOAD, "connect", "--bytes", "16", "--duration", str(ROUND_S), target)
        count.add((near.ip, ip), connects["ok"] + 1)
        return {"mean": trips["seconds"] * 1e6 / trips["ok"], "p50": trips["answer_us"]["p50"], "p99": trips["answer_us"]["p99"],
                "connect_p50": connects["connect_us"]["p50"], "connect_p99": connects["connect_us"]["p99"]}

    for name, pairs in rounds(settings, measure, base="limit").items():
        for key in pairs[0][0]:
            median(f"round_trip_{name}_{key}_us", [result[key] for result, _ in pairs], "us",
                   beside(name, f"round_trip_{{}}_{key}_us") if name != "direct" else None)
        if name != "limit":
            to_limit(f"round_trip_{name}_to_limit", pairs, lambda r: r["mean"], True)


def throughputs(settings):
    def measure(near, ip, port):
        return iperf(near, ip, port)

    for name, pairs in rounds(settings, measure, base="limit").items():
        median(f"throughput_{name}", [result for result, _ in pairs], "Gbit/s",
               beside(name, "throughput_{}") if name != "direct" else None)
        if name != "limit":
            to_limit(f"throughput_{name}_to_limit", pairs, lambda r: r)


def bulk_settings(lab, limit, ours, theirs):
    """{name: (client, address, port)} of the servers of iperf3, each a service of one endpoint."""
    settings = {"limit": (limit[0], limit[1].ip, IPERF_PORT)}
    for path in PATHS:
        near, far, _ = ours[path, LARGEST]
        settings.setdefault("direct", (near, far.ip, IPERF_PORT))
        vip = lab.web(f"iperf-{path}", [far.pod], ports=[IPERF_PORT])["clusterIP"]
        settings[f"{path}_{LARGEST}"] = (near, vip, 80)
    for kind in KINDS:
        settings[f"{kind}_{LARGEST}"] = (theirs[kind, LARGEST].ends[0], IPERF_VIP, 80)
    for near, ip, port in settings.values():
        check(cluster.until(lambda to=(near, ip, port): reaches(*to), 20), f"iperf3 does not answer at {ip}:{port}")
    return settings


def reaches(end, ip, port):
    return end.start(["/usr/bin/iperf3", "-J", "-n", "1000", "-c", ip, "-p", str(port)], 0).wait(10) == 0


def few(settings):
    """What is asked for latency and throughput."""
    wanted = ["limit", "direct", f"socket_{LARGEST}", f"packet_{LARGEST}", f"iptables_{LARGEST}", f"nftables_{LARGEST}"]
    return {name: settings[name] for name in wanted}


def main():
    with BenchLab(node_settings()) as lab:
        limit = routed(lab)
        limit[1].serve()
        with ThreadPoolExecutor(2) as pool:
            theirs = pool.submit(proxies, lab)
            ours, theirs = our_services(lab), theirs.result()
        note("all nodes and peers serve")
        settings, count = settings_of(limit, ours, theirs), Count()
        check_paths(lab, ours)
        inserted = {key: begun(lab, *key) for key in ours}
        for near, far, ip, port in settings.values():
            if ip != far.ip:
                count.add((near.ip, ip), balanced(near, ip, port=port))
        note("all services spread their connections over their endpoints")
        connections(settings, count)
        note("connections are measured")
        latencies(few(settings), count)
        note("latencies are measured")
        throughputs(bulk_settings(lab, limit, ours, theirs))
        note("throughput is measured")
        finish(lab, limit, ours, theirs, inserted, count)


def finish(lab, limit, ours, theirs, inserted, count):
    """Whatever was measured was what it is called."""
    check_plain(limit[0].host)
    for (path, size), (near, _, ip) in ours.items():
        new = begun(lab, path, size) - inserted[path, size]
        made = count.made[near.ip, ip]
        check(new >= made if path == "packet" else new < 100,
              f"{made} connections by the {path} path, {size} services: the flow table was given {new}")
    for proxy in theirs.values():
        proxy.check({place: count.made.get((proxy.ends[0].ip, ip), 0) for place, ip in proxy.vips.items()})
    note("all was what it is called")


if __name__ == "__main__":
    main()
