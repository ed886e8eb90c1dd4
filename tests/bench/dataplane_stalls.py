#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""How many connections wait for a second SYN (more than 900 ms to get connected) when a translation makes one connection of
what are two to the clients, as the kernel's settings are by default: an endpoint that closes first remembers a connection for
60 s (TIME_WAIT) and takes a new one between the same addresses and ports only if its TCP timestamp is newer, but a client's
timestamps have another offset for each destination (tcp_timestamps=1). All other benchmarks set tcp_timestamps=2.

In the cluster one client first makes so many connections by one service that all of its 2,048 source ports have been used,
then 1,000 by four others with the same endpoint, at once, and after 12 s 1,000 by yet eight others. From outside it is 13
addresses that use one NodePort, and the endpoint sees the node's address. (34 connections a second to one endpoint are 2,048
within the minute that it remembers them. Between two offsets the difference is the same for all connections, so that all are
refused or none; hence the eight.) "refused" are SYNs that the endpoint did not take because of an old timestamp: what then
becomes of them differs.

burst: all ways together, as fast as they are answered, for some seconds."""

import json
import os
import subprocess
import sys
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import lab as cluster  # noqa: E402
from dataplane_lab import NETLOAD, PORTS, BenchLab, End  # noqa: E402
from dataplane_peers import PLACES, Proxy  # noqa: E402
from figures import QUICK, check, note, say  # noqa: E402

ROUNDS_OF_ITS_OWN = True
NODE_PORT, SLOW_MS, WAYS = 30080, 900, 13
COUNT, BURST_S, PAUSE_S, PORTS_OF_CLIENT = 1000, 2 if QUICK else 5, 12, 2048
DEFAULTS = f"""echo 1 >/proc/sys/net/ipv4/tcp_timestamps
echo 2 >/proc/sys/net/ipv4/tcp_tw_reuse
echo 65536 >/proc/sys/net/ipv4/tcp_max_tw_buckets
echo 32768 {32768 + PORTS_OF_CLIENT - 1} >/proc/sys/net/ipv4/ip_local_port_range
"""
NATIVE = {"routing": "native"}


class Path:
    """A client and its ways to the endpoint `far`: [(target, address of the client or None)]."""

    def __init__(self, name, end, far, targets, sources=(None,)):
        self.name, self.end, self.far = name, end, far
        self.ways = [(target, source) for target in targets for source in sources]

    def answers(self):
        return all(self.end.start([NETLOAD, "connect", target], 0).wait(10) == 0 for target, _ in self.ways)

    def refused(self):
        """SYNs that the endpoint has refused so far because a closed connection had a newer timestamp."""
        with open(self.far.netns.removesuffix("ns/net") + "net/netstat", encoding="ascii") as file:
            names, values = file.readline().split(), file.readline().split()
        return int(values[names.index("PAWSTimewait")])

    def begin(self, way, **limits):
        """A run of the client: a Popen."""
        target, source = self.ways[way % len(self.ways)]
        words = [word for key, value in limits.items() for word in (f"--{key}", str(value))]
        words += ["--bind", source] if source else []
        return self.end.start_program([NETLOAD, "connect", "--concurrency", "16", "--slow", str(SLOW_MS), "--timeout", "4000",
                                       "--close", "server", *words, target], stdout=subprocess.PIPE, text=True)


def result(process):
    """(connections made, those that stalled or failed, errors, p99 of connect() in us)."""
    said = json.loads(process.stdout.read())
    check(process.wait(60) in (0, 1), f"netload ended with {process.returncode}")
    return said["ok"] + said["failed"], said["slow"] + said["failed"], said["errors"], said["connect_us"]["p99"]


def tell(path, when, results):
    made, bad = (sum(r[i] for r in results) for i in (0, 1))
    check(made >= 64, f"{path.name}: only {made} connections: {results}")
    errors = [r[2] for r in results if r[2]]
    note(f"{path.name}, {when}: {bad} of {made} stalled or failed{', errors: ' + str(errors) if errors else ''}")
    say(f"{path.name}_{when}_stalled_percent", 100 * bad / made, "%")
    if when != "burst":
        say(f"{path.name}_{when}_connect_p99_ms", max(r[3] for r in results) / 1000, "ms")


def sparse(paths):
    """Few connections: what becomes of them does not depend on how fast the machine is."""
    for path in paths:
        made, bad, errors, _ = result(path.begin(0, count=2 * PORTS_OF_CLIENT))
        check(made == 2 * PORTS_OF_CLIENT and bad < made / 100, f"{path.name}: {bad} of the first {made} stalled: {errors}")
    for ways, when in ((range(1, 5), "at_once"), (range(5, 13), f"after_{PAUSE_S}_s")):
        for path in paths:
            refused = path.refused()
            runs = [path.begin(way, count=COUNT // len(ways)) for way in ways]
            tell(path, when, [result(run) for run in runs])
            share = 100 * (path.refused() - refused) / COUNT
            say(f"{path.name}_{when}_refused_percent", share, "%")
            check(path.name != "packet" or when == "at_once" or share > 5,
                  f"no timestamp was too old for the endpoint: {share} % refused (once in 256 times that is chance)")
        time.sleep(PAUSE_S if when == "at_once" else 0)


def burst(path):
    for _ in range(1 if QUICK else 2):  # the first uses up what there is of ports
        runs = [path.begin(way, duration=BURST_S) for way in range(len(path.ways))]
        results = [result(run) for run in runs]
    tell(path, "burst", results)


def our_paths(lab):
    """n1 has the socket path, n2 the packet path."""
    lab.start_nodes()
    ends = {name: lab.pod_end(name[:2], name) for name in ("n1-near", "n1-far", "n2-near", "n2-far")}
    for end in ends.values():
        end.run(["sh", "-ec", DEFAULTS])
    paths = []
    for path, node in (("socket", "n1"), ("packet", "n2")):
        near, far = ends[f"{node}-near"], ends[f"{node}-far"]
        far.serve()
        vips = [lab.web(f"{path}-{k}", [far.pod])["clusterIP"] for k in range(WAYS)]
        paths.append(Path(path, near, far, [f"{vip}:80" for vip in vips]))
    sources = [f"198.51.100.{10 + k}" for k in range(WAYS)]
    lab.client.ip("".join(f"address add {ip}/24 dev eth0\n" for ip in sources[1:]))
    client = End(lab.client.start, sources[0], lab.client.netns)
    client.run(["sh", "-ec", DEFAULTS])
    node_port = lab.web("port", [ends["n2-far"].pod], ports=[PORTS[1]], type="NodePort")["ports"][0]["nodePort"]
    direct = Path("direct", ends["n1-near"], ends["n1-far"], [f"{ends['n1-far'].ip}:{PORTS[2]}"])
    return [direct, *paths, Path("nodeport", client, ends["n2-far"], [f"198.18.18.11:{node_port}"], sources)]


def their_paths(lab):
    """The same by rules; the client's addresses are the pod's, and so is the host's that has the NodePort."""
    paths = []
    for kind, net in (("iptables", 71), ("nftables", 72)):
        for name, at in ((kind, net), (f"{kind}_nodeport", net + 10)):
            proxy = Proxy(lab, kind, 40, at, [(f"10.{at}.2.2", PORTS[0])], node_port=NODE_PORT, more=WAYS - len(PLACES)).load(setup="")
            near, far = proxy.ends
            sources = [f"10.{at}.1.{10 + k}" for k in range(WAYS)]
            near.run(["sh", "-ec", "".join(f"ip address add {ip}/24 dev eth0\n" for ip in sources)])
            for end in proxy.ends:
                end.run(["sh", "-ec", DEFAULTS])
            far.serve()
            if name == kind:
                paths.append(Path(name, near, far, [f"{vip}:80" for vip in proxy.vips.values()]))
            else:
                paths.append(Path(name, near, far, [f"10.{at}.1.1:{proxy.measured['middle'].node_port}"], sources))
    return paths


def main():
    with BenchLab({"n1": NATIVE, "n2": {**NATIVE, "socket-path": "false"}}) as lab:
        paths = our_paths(lab) + their_paths(lab)
        for path in paths:
            check(cluster.until(path.answers, 20), f"{path.name}: the endpoint does not answer")
        note("all paths are ready")
        sparse(paths)
        for path in paths:
            burst(path)
        for name in ("n1", "n2"):
            print(f"# {name}: " + lab.nodes[name].fairctl("drops").replace("\n", f"\n# {name}: "))


if __name__ == "__main__":
    main()
