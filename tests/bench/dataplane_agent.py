#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The dataplane end to end, beside what people use instead, in one run whose rounds take turns: connections to services by
the socket and by the packet path among 10 and 10,000 services of ten endpoints; latency and throughput from pod to pod; a
start of the agent, its memory, and the time from a change in the API to the first connection that it decides.

Rates, latencies and throughputs are medians of the rounds. "..._to_..." compares with the peer of the same round: the
median of the quotients, so that what else the machine does in a round cancels out; more than 1 is better than the peer."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import lab as cluster  # noqa: E402
from dataplane_lab import FEW_LABEL, SLICES, BenchLab, endpoint, memory_mb, wait_ready  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
ROUND_S = float(os.environ.get("ROUND_S", "0.5"))
STARTS, CHANGES, CHANGE_RATE = 3, 200, 100
NETLOAD = os.path.join(BUILD, "netload")
PROBE = ["/usr/bin/python3", "-B", os.path.join(TOP, "tests", "bench", "dataplane_probe.py")]
PORT = 9000


def say(name, value, unit):
    print(json.dumps({"name": name, "value": float(f"{value:.5g}"), "unit": unit}), flush=True)


def median(name, values, unit):
    say(name, statistics.median(values), unit)


def quotient(name, ours, peers):
    median(name, [a / b for a, b in zip(ours, peers)], "x")


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


class Server:
    """One that runs on CPU 1."""

    def __init__(self, end, *argv):
        self.process = end.start(argv, 1)
        self.process.stdout.readline()  # which it prints when it listens


def client(end, cpu, *argv):
    """(result, ns of CPU that it took) of a client's run."""
    process = end.start(argv, cpu)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(argv)}: exit status {status}: {out}")
    return json.loads(out), (usage.ru_utime + usage.ru_stime) * 1e9


def rounds(settings, measure, count=ROUNDS):
    """{name: results}: every setting once a round, in alternating order."""
    results = {name: [] for name in settings}
    for i in range(count):
        order = list(settings.items())
        for name, setting in order if i % 2 else reversed(order):
            results[name].append(measure(*setting))
    return results


# ---- start, memory, changes

def first_answer(pod, ip, began_ns, before=lambda: None):
    """Seconds from then until a connection is answered."""
    probe = pod.start_program([*PROBE, "first", ip, "80"], stdout=subprocess.PIPE, text=True)
    before()
    out = probe.stdout.read()
    if probe.wait():
        raise RuntimeError("the service does not answer")
    return (int(out) - began_ns) / 1e9


def start(node, pod, ip):
    """Starts the agent; seconds until the service answers, until all is in the tables, and CPU seconds of the agent."""
    since = os.path.getsize(node.log)
    begin = time.monotonic_ns()
    node.start_agent()
    first = first_answer(pod, ip, begin)
    wait_ready(node, since)
    return first, (time.monotonic_ns() - begin) / 1e9, cpu_ns(node.agent.pid) / 1e9


def starts(node, pod, ip):
    memory = [memory_mb(node.agent.pid)]
    cold, warm = [], []
    for _ in range(STARTS):
        node.kill_agent()
        node.run(["rm", "-r", "/sys/fs/bpf/fairlead"])  # as after a reboot, but the pods are still there
        cold.append(start(node, pod, ip))
        memory.append(memory_mb(node.agent.pid))
        node.kill_agent()
        warm.append(start(node, pod, ip))
        memory.append(memory_mb(node.agent.pid))
    for name, values in (("cold", cold), ("warm", warm)):
        median(f"{name}_start_first_connection_s", [v[0] for v in values], "s")
        median(f"{name}_start_in_step_s", [v[1] for v in values], "s")
        median(f"{name}_start_cpu_s", [v[2] for v in values], "s")
    say("agent_rss_mb", max(m[0] for m in memory), "MB")
    say("agent_pss_mb", max(m[1] for m in memory), "MB")


def changes(lab, pods, ip):
    """From a PATCH to the first connection that the other pod answers."""
    wanted = {"api": cluster.API, "netns": lab.api.netns, "cert": os.path.join(lab.tmp, "cert.pem"),
              "key": os.path.join(lab.tmp, "key.pem"), "path": f"{SLICES}/web-x", "vip": ip, "count": CHANGES, "pause_s": 0.005,
              "choices": [[p.name, json.dumps({"endpoints": [endpoint(p.ips[4], p.node.name)]})] for p in pods[1:]]}
    path = os.path.join(lab.tmp, "changes.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(wanted, file)

    def measure(name):
        times = json.loads(pods[0].run([*PROBE, "changes", path], timeout_s=120))
        say(f"change_to_first_packet_{name}_p50_ms", quantile(times, 0.5), "ms")
        say(f"change_to_first_packet_{name}_p99_ms", quantile(times, 0.99), "ms")

    measure("alone")
    over = threading.Event()

    def others():
        round_ = 0
        while not over.is_set():
            lab.change(round_ % 8, 9 - round_ // 8 % 2, CHANGE_RATE)
            round_ += 1

    thread = threading.Thread(target=others)
    thread.start()
    time.sleep(0.5)
    try:
        measure(f"among_{CHANGE_RATE}_per_s")
    finally:
        over.set()
        thread.join()


# ---- connections, latency, throughput

def connections(limit, nodes):
    """nodes: {suffix: (client, server, direct address, services address)} of the pods."""
    settings = {"routed": (limit[0], limit[1], limit[1].ip)}
    settings["direct"] = (*nodes["socket_10000"][:2], nodes["socket_10000"][1].ip)
    settings |= {name: (pods[0], pods[1], ip) for name, (*pods, ip) in nodes.items()}

    def measure(near, far, ip):
        pid = far.server.process.pid
        port = PORT if ip == far.ip else 80
        before = cpu_ns(pid)
        result, used = client(near, 0, NETLOAD, "connect", "--concurrency", "32", "--bytes", "64", "--duration", str(ROUND_S),
                              f"{ip}:{port}")
        return result["rate"], (cpu_ns(pid) - before + used) / result["ok"] / 1000, result["answer_us"]["p50"]

    results = rounds(settings, measure)
    columns = {name: list(zip(*rows)) for name, rows in results.items()}
    for name, (rate, used, answer) in columns.items():
        median(f"connect_{name}_per_s", rate, "1/s")
        median(f"connect_{name}_cpu_us", used, "us")
        median(f"connect_{name}_p50_us", answer, "us")
    for name in columns:
        if name != "routed":
            quotient(f"connect_{name}_to_routed", columns[name][0], columns["routed"][0])
    quotient("connect_socket_10000_to_10", columns["socket_10000"][0], columns["socket_10"][0])


def latency(near, far):
    result, _ = client(near, 1, NETLOAD, "hold", "--bytes", "16", "--duration", str(ROUND_S * 0.6), f"{far.ip}:{PORT}")
    return result["seconds"] * 1e6 / result["ok"]


def throughput(near, far):
    result, _ = client(near, 0, "/usr/bin/iperf3", "-J", "-t", "1", "-c", far.ip)
    return result["end"]["sum_received"]["bits_per_second"] / 1e9


COMPARED = (("node_fairlead", "node_routed"), ("node_fairlead", "node_bridge"), ("nodes_vxlan", "nodes_bridge_vxlan"),
            ("nodes_native", "nodes_routed"), ("nodes_native", "nodes_bridge_vxlan"))


def between_pods(pairs):
    for name, unit, measure, count in (("round_trip", "us", latency, ROUNDS), ("throughput", "Gbit/s", throughput, 2)):
        results = rounds(pairs, measure, count)
        for pair, values in results.items():
            median(f"{pair}_{name}" + ("_us" if unit == "us" else ""), values, unit)
        for ours, peer in COMPARED:
            a, b = results[ours], results[peer]
            quotient(f"{ours}_{name}_to_{peer.partition('_')[2]}", *((b, a) if unit == "us" else (a, b)))


def serve(end):
    end.server = Server(end, NETLOAD, "serve", "--name", "bench", "--tcp", str(PORT))
    Server(end, "/usr/bin/stdbuf", "-oL", "/usr/bin/iperf3", "-s")


def note(what, began=time.monotonic()):
    print(f"# {time.monotonic() - began:6.1f} s: {what}", flush=True)


def first_node(lab):
    """n1 with all services, of which one has pods; (pods, the service's address)."""
    node = lab.nodes["n1"]
    open(node.log, "ab").close()
    node.start_agent()
    wait_ready(node, 0)
    pods = [lab.pod("n1", name) for name in ("client", "one", "two")]
    for pod in pods[1:]:
        pod.start_program([NETLOAD, "serve", "--name", pod.name, "--tcp", str(PORT)], stdout=subprocess.DEVNULL)
    web = lab.web("web", pods[1:2])
    first_answer(pods[0], web, 0)
    return pods, web


def all_ends(lab):
    """{node: its two pods}, {kind: two ends of a peer}; all serve."""
    others = [lab.nodes[name] for name in ("n2", "n3", "n4")]
    for node in others:
        node.start_agent()
    for node in others:
        wait_ready(node, 0)
    ends = {node: [lab.pod_end(node, f"{node}-{n}") for n in (1, 2)] for node in lab.nodes}
    peers = {"routed": lab.routed(), "bridge": lab.bridged(), "vxlan": lab.bridged_vxlan(), "hosts": lab.routed_hosts()}
    for pair in (*ends.values(), *peers.values()):
        serve(pair[1])
    return ends, peers


def services_of(lab, ends):
    """A service on each node: {its name in the figures: (client, server, address)}."""
    nodes = {}
    for node, name in (("n1", "socket_10000"), ("n2", "packet_10000"), ("n3", "socket_10"), ("n4", "packet_10")):
        ip = lab.web(f"web-{node}", [ends[node][1].pod], FEW_LABEL if name.endswith("_10") else None)
        nodes[name] = (*ends[node], ip)
        first_answer(ends[node][0].pod, ip, 0)
    return nodes


def pairs_of(ends, peers):
    return {"node_routed": peers["routed"], "node_bridge": peers["bridge"], "node_fairlead": ends["n1"],
            "nodes_bridge_vxlan": peers["vxlan"], "nodes_vxlan": (ends["n1"][0], ends["n2"][1]),
            "nodes_routed": peers["hosts"], "nodes_native": (ends["n3"][0], ends["n4"][1])}


def main():
    """Of the parts (start, change, connect, pods) those that are named, or all."""
    parts = sys.argv[1:] or ["start", "change", "connect", "pods"]
    with BenchLab() as lab:
        lab.fill()
        note("the API is filled")
        pods, web = first_node(lab)
        note("n1 serves")
        if "start" in parts:
            starts(lab.nodes["n1"], pods[0], web)
            note("starts are measured")
        if "change" in parts:
            changes(lab, pods, web)
            note("changes are measured")
        if not {"connect", "pods"} & set(parts):
            return
        ends, peers = all_ends(lab)
        note("all nodes serve")
        if "connect" in parts:
            connections(peers["routed"], services_of(lab, ends))
            note("connections are measured")
        if "pods" in parts:
            between_pods(pairs_of(ends, peers))
            note("pods are measured")


if __name__ == "__main__":
    main()
