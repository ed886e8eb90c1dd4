#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The agent by itself, among 10, 1,000 and 10,000 services of ten endpoints and 50,000 of five, and with one service of
5,000 endpoints: its start, its memory, and the time from a change in the API to the first connection that it decides, alone
and under 100 other updates a second.

A cold start is one without pinned maps and programs, as after a reboot, but with the pods still there; it is measured from
the process's start to a connection, once those that the removed programs still served have ended: they go some time after
their pins, when the kernel's grace period is over."""

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
from dataplane_lab import GROUP, SLICES, BenchLab, endpoint, memory_mb, wait_ready  # noqa: E402
from figures import QUICK, check, median, note, quantile, say  # noqa: E402

ROUNDS_OF_ITS_OWN = True
STARTS, CHANGES, CHANGE_RATE = (3, 50, 100) if QUICK else (7, 200, 100)
# (services, endpoints of each): those of one lab, which grows, and those of another.
LABS = (((10, 10), (1000, 10)),) if QUICK else (((10, 10), (1000, 10), (10000, 10)), ((50000, 5),))
LARGE, LARGE_SLICES = 5000, (100, 1000)  # endpoints, and of one slice
NETLOAD = os.path.join(BUILD, "netload")
PROBE = ["/usr/bin/python3", "-B", os.path.join(TOP, "tests", "bench", "dataplane_probe.py")]
PORT = 9000


def cpu_s(pid):
    """Of all its threads, those that have ended too."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


# ---- start, memory

class FirstAnswer:
    """Waits in a pod for the first answer of a service that does not answer yet."""

    def __init__(self, pod, ip):
        self.probe = pod.start_program([*PROBE, "first", ip, "80"], stdout=subprocess.PIPE, text=True)
        check(self.probe.stdout.readline(), "the service of an agent whose programs are gone still answers")

    def after(self, began_ns):
        """Seconds from then on."""
        out = self.probe.stdout.read()
        check(not self.probe.wait(), "the service does not answer")
        return (int(out) - began_ns) / 1e9


def start(node, waiting=None):
    """Starts the agent; seconds until the service answers, until all is in the tables, and CPU seconds of the agent."""
    since = os.path.getsize(node.log)
    begin = time.monotonic_ns()
    node.start_agent()
    first = waiting.after(begin) if waiting else 0
    wait_ready(node, since)
    return first, (time.monotonic_ns() - begin) / 1e9, cpu_s(node.agent.pid)


def starts(node, pod, ip, services):
    cold, warm, memory = [], [], []
    for _ in range(STARTS):
        node.kill_agent()
        node.run(["rm", "-r", "/sys/fs/bpf/fairlead"])
        cold.append(start(node, FirstAnswer(pod, ip)))
        memory.append(memory_mb(node.agent.pid))
        node.kill_agent()
        warm.append(start(node))
        memory.append(memory_mb(node.agent.pid))
    median(f"cold_start_{services}_s", [c[0] for c in cold], "s")
    median(f"cold_start_{services}_cpu_s", [c[2] for c in cold], "s")
    median(f"warm_start_{services}_s", [w[1] for w in warm], "s")
    say(f"agent_{services}_rss_mb", max(m[0] for m in memory), "MB")
    say(f"agent_{services}_pss_mb", max(m[1] for m in memory), "MB")


# ---- changes

class Others:
    """Changes other services all the while."""

    def __init__(self, lab, groups, endpoints):
        self.lab, self.groups, self.endpoints = lab, groups, endpoints
        self.over, self.error = threading.Event(), None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        round_ = 0
        try:
            while not self.over.is_set():
                turn, at = divmod(round_, len(self.groups))
                group, count = self.groups[at]
                self.lab.change(group, self.endpoints - 1 + turn % 2, CHANGE_RATE, count)
                round_ += 1
        except RuntimeError as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        time.sleep(0.5)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        check(not self.error, f"the other updates: {self.error}")


def ask_probe(place, lab, what, **wanted):
    wanted |= {"api": cluster.API, "netns": lab.api.netns, "cert": os.path.join(lab.tmp, "cert.pem"),
               "key": os.path.join(lab.tmp, "key.pem"), "count": CHANGES, "pause_s": 0.005}
    path = os.path.join(lab.tmp, "changes.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(wanted, file)
    return json.loads(place.run([*PROBE, what, path], timeout_s=240))


def changes(lab, pods, ip, services, groups, endpoints):
    """From a PATCH to the first connection that the other pod answers."""
    choices = [[p.name, json.dumps({"endpoints": [endpoint(p.ips[4], p.node.name)]})] for p in pods[1:]]

    def measure(name):
        times = ask_probe(pods[0], lab, "changes", path=f"{SLICES}/web-x", vip=ip, choices=choices)
        for q in (50, 99):
            say(f"change_to_first_packet_{services}_{name}_p{q}_ms", quantile(times, q / 100), "ms")

    measure("alone")
    with Others(lab, groups, endpoints):
        measure("busy")


def large_slice(number, size):
    """One of those that Kubernetes' controller makes of a service with many endpoints."""
    ends = [endpoint(f"10.{208 + k // 65000}.{k // 250 % 250}.{1 + k % 250}", f"n{2 + k % 3}")
            for k in range(number * size, (number + 1) * size)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"large-{number}", "namespace": "default", "labels": {"kubernetes.io/service-name": "large"}},
            "endpoints": ends, "ports": [{"name": "tcp-80", "port": PORT, "protocol": "TCP"}]}


def large(lab, node):
    """One service whose endpoints are in slices of one size, and then of another."""
    for size in LARGE_SLICES:
        for number in range(LARGE // size):
            lab.load("POST", SLICES, large_slice(number, size), 1)
        spec = lab.web("large", [], ports=())
        cluster.until(lambda: node.metrics()['fairlead_map_entries{map="backends"}'] >= LARGE, 20)
        ends = large_slice(1, size)["endpoints"]
        gone = [{**ends[0], "conditions": {"ready": False, "serving": False, "terminating": False}}, *ends[1:]]
        times = ask_probe(node, lab, "tables", path=f"{SLICES}/large-1", vip=spec["clusterIP"],
                          choices=[["", json.dumps({"endpoints": e})] for e in (gone, ends)])
        for q in (50, 99):
            say(f"change_to_tables_large_{LARGE // size}x{size}_p{q}_ms", quantile(times, q / 100), "ms")
        lab.delete("service", "large")
        lab.delete("endpointslices", *(f"large-{n}" for n in range(LARGE // size)))
        cluster.until(lambda: node.metrics()['fairlead_map_entries{map="backends"}'] < LARGE, 20)


# ---- all of it

def first_node(lab):
    """(pods, the address of a service that the second of them answers for)."""
    lab.start_nodes("n1")
    pods = [lab.pod("n1", name) for name in ("client", "one", "two")]
    for pod in pods[1:]:
        pod.start_program([NETLOAD, "serve", "--name", pod.name, "--tcp", str(PORT)], stdout=subprocess.DEVNULL)
    return pods, lab.web("web", pods[1:2])["clusterIP"]


def run(sizes):
    with BenchLab({"n1": {}}) as lab:
        pods, web = first_node(lab)
        if sizes == LABS[0]:
            large(lab, lab.nodes["n1"])
            note("a large service is measured")
        groups, there = [], 0
        for services, endpoints in sizes:
            missing, first = services - there, len(groups)
            lab.fill(missing, None, first, endpoints)
            groups += [(first + g, min(GROUP, missing - g * GROUP)) for g in range(-(-missing // GROUP))]
            there = services
            note(f"the API has {services} services")
            starts(lab.nodes["n1"], pods[0], web, services)
            note("starts are measured")
            changes(lab, pods, web, services, groups[:8], endpoints)
            note("changes are measured")


def main():
    for sizes in LABS:
        run(sizes)


if __name__ == "__main__":
    main()
