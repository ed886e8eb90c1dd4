#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The agent among 10,000 services of ten endpoints: its start, its memory, and the time from a change in the API to the
first connection that it decides."""

import json
import os
import subprocess
import sys
import threading
import time

TOP = os.environ.get("FL_TOP", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.environ.get("FL_BUILD", os.path.join(TOP, "build"))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import lab as cluster  # noqa: E402
from dataplane_lab import SLICES, BenchLab, endpoint, memory_mb, wait_ready  # noqa: E402
from figures import cpu_ns, median, note, quantile, say  # noqa: E402

ROUNDS_OF_ITS_OWN = True
SERVICES, STARTS, CHANGES, CHANGE_RATE = int(os.environ.get("COUNT", "10000")), 3, 200, 100
NETLOAD = os.path.join(BUILD, "netload")
PROBE = ["/usr/bin/python3", "-B", os.path.join(TOP, "tests", "bench", "dataplane_probe.py")]
PORT = 9000


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


def first_node(lab):
    """n1 with all services, of which one has pods; (pods, the service's address)."""
    node = lab.nodes["n1"]
    open(node.log, "ab").close()
    node.start_agent()
    wait_ready(node, 0)
    pods = [lab.pod("n1", name) for name in ("client", "one", "two")]
    for pod in pods[1:]:
        pod.start_program([NETLOAD, "serve", "--name", pod.name, "--tcp", str(PORT)], stdout=subprocess.DEVNULL)
    web = lab.web("web", pods[1:2])["clusterIP"]
    first_answer(pods[0], web, 0)
    return pods, web


def main():
    with BenchLab({"n1": {}}) as lab:
        lab.fill(SERVICES)
        note("the API is filled")
        pods, web = first_node(lab)
        note("n1 serves")
        starts(lab.nodes["n1"], pods[0], web)
        note("starts are measured")
        changes(lab, pods, web)
        note("changes are measured")


if __name__ == "__main__":
    main()
