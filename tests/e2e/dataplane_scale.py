#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=600
"""10,000 Services of 10 endpoints, beside them one of 5,000, and 50,000 Services of 5: that all of it is in the tables after
a start, that changes come there, that a restart takes over what is there, how much memory and CPU time the agent needs.

What is asserted about time is CPU time, or only tells slow from hung: the machine may be busy. Latencies are for `make
bench` (tests/bench/dataplane_agent.py). COUNT=n and HUGE=n take other numbers."""

import os
import sys
import time

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tests", "harness"), os.path.join(TOP, "tests", "bench")]

import tap  # noqa: E402
from dataplane_lab import GROUP, BenchLab, filler_slice  # noqa: E402
from lab import API, requirements, until  # noqa: E402
from lab_api import SERVICES, SLICES, Api  # noqa: E402

COUNT, ENDPOINTS, CHANGES = int(os.environ.get("COUNT", "10000")), 10, 400
HUGE, HUGE_ENDPOINTS = int(os.environ.get("HUGE", "50000")), 5
LARGE, LARGE_SLICE = 5000, 100
HANG_S = 60
BACKENDS = 'fairlead_map_entries{map="backends"}'


def memory_kib(pid):
    """Now, and at most."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0])


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def start(node, what, most_cpu_s, most_mib):
    """Starts the agent and waits until it says that all is in the tables."""
    begin = time.monotonic()
    size = os.path.getsize(node.log) if os.path.exists(node.log) else 0
    node.start_agent()

    def ready():
        with open(node.log, encoding="utf-8") as file:
            file.seek(size)
            return any("msg=ready" in line for line in file)

    tap.ok(until(ready, HANG_S), what)
    used, (now, peak) = cpu_s(node.agent.pid), memory_kib(node.agent.pid)
    tap.diag(f"it took {time.monotonic() - begin:.2f} s, {used:.2f} s of CPU, and {now} KiB of memory, {peak} KiB at most")
    tap.ok(used < most_cpu_s, f"in less than {most_cpu_s} s of CPU", f"{used:.2f} s")
    tap.ok(now < most_mib << 10, f"and {most_mib} MiB of memory", f"{now} KiB")


def quantile(node, name, q):
    """An upper bound of it, out of the histogram, and of how many."""
    metrics = node.metrics()
    count = metrics[f"{name}_count"]
    rows = sorted((float(key.split('"')[1].replace("+Inf", "inf")), value) for key, value in metrics.items()
                  if key.startswith(f"{name}_bucket"))
    return next(bound for bound, value in rows if value >= q * count), int(count)


def stamp():
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"


def change(client, number, endpoints, gone):
    """Lets a slice have fewer endpoints, the first ones being gone."""
    group, n = divmod(number, GROUP)
    body = filler_slice(group, endpoints)
    name = body["metadata"]["name"].format(n=n)
    body["metadata"] = {"name": name, "labels": {"kubernetes.io/service-name": name[:-2]},
                        "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": stamp()}}
    body["endpoints"] = [{**e, "addresses": [e["addresses"][0].format(n=n)]} for e in body["endpoints"]][gone:]
    client.send("PUT", f"{SLICES}/{name}", body)


def settles_at(node, backends, what):
    tap.is_(until(lambda: int(node.metrics()[BACKENDS]) == backends, HANG_S) and backends, backends, what)


def story_changes(lab, node, backends):
    client = Api(lab, API)
    for n in range(CHANGES):
        change(client, n * 23 % COUNT, ENDPOINTS, 1 + n % (ENDPOINTS - 1))
    gone = sum({n * 23 % COUNT: 1 + n % (ENDPOINTS - 1) for n in range(CHANGES)}.values())
    settles_at(node, backends - gone, "endpoints that went are gone from the tables")
    p50, _ = quantile(node, "kubeproxy_network_programming_duration_seconds", 0.5)
    p99, count = quantile(node, "kubeproxy_network_programming_duration_seconds", 0.99)
    tap.diag(f"from a change's time until it is in the tables: p50 <= {p50 * 1000:g} ms, p99 <= {p99 * 1000:g} ms, of {count}")
    tap.ok(count >= CHANGES * 0.95, "the time of each change was taken", f"{count} of {CHANGES}")
    return backends - gone


def restart(node, what, most_cpu_s, most_mib, backends):
    node.kill_agent()
    start(node, what, most_cpu_s, most_mib)
    tap.is_(int(node.metrics()[BACKENDS]), backends, "with every endpoint")
    tap.ok(node.metrics()["fairlead_map_writes_total"] < 20, "and writes nothing anew",
           f"{node.metrics()['fairlead_map_writes_total']:.0f} writes")


def large_slice(number, ready):
    """One of the slices that Kubernetes' controller makes of a Service with many endpoints."""
    ends = [{"addresses": [f"10.220.{k // 250}.{1 + k % 250}"], "nodeName": f"n{2 + k % 3}",
             "conditions": {"ready": k >= number * LARGE_SLICE + LARGE_SLICE - ready, "serving": False, "terminating": False}}
            for k in range(number * LARGE_SLICE, (number + 1) * LARGE_SLICE)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"large-{number}", "labels": {"kubernetes.io/service-name": "large"}},
            "endpoints": ends, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}


def story_large(lab, node, backends):
    """With a NodePort there is a permutation table besides the list."""
    client = Api(lab, API)
    for number in range(LARGE // LARGE_SLICE):
        client.send("POST", SLICES, large_slice(number, LARGE_SLICE))
    client.send("POST", SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "large"}, "spec": {
        "type": "NodePort", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
    settles_at(node, backends + LARGE, f"a Service has {LARGE} endpoints in {LARGE // LARGE_SLICE} slices")
    before = cpu_s(node.agent.pid)
    for n in range(20):
        client.send("PUT", f"{SLICES}/large-7", large_slice(7, LARGE_SLICE - 1 - n % 2))
    settles_at(node, backends + LARGE - 2, "of which one and another become unready")
    used = (cpu_s(node.agent.pid) - before) / 20
    tap.diag(f"each change took {used * 1000:.1f} ms of the agent's CPU time")
    tap.ok(used < 0.1, "each change in less than 100 ms of CPU")
    client.send("DELETE", f"{SERVICES}/large")
    settles_at(node, backends, "and all go with it")
    for number in range(LARGE // LARGE_SLICE):
        client.send("DELETE", f"{SLICES}/large-{number}")


def story_many():
    with BenchLab({"n1": {}}) as lab:
        node = lab.nodes["n1"]
        lab.fill(COUNT, None, 0, ENDPOINTS)
        start(node, f"an agent with empty tables serves {COUNT} Services", 6, 45)
        backends = int(node.metrics()[BACKENDS])
        tap.ok(backends >= COUNT * ENDPOINTS, "every endpoint is there", str(backends))
        backends = story_changes(lab, node, backends)
        story_large(lab, node, backends)
        restart(node, "a restart takes over what is there", 6, 45, backends)


def story_huge():
    with BenchLab({"n1": {}}) as lab:
        node = lab.nodes["n1"]
        lab.fill(HUGE, None, 0, HUGE_ENDPOINTS)
        start(node, f"an agent with empty tables serves {HUGE} Services", 15, 140)
        backends = int(node.metrics()[BACKENDS])
        tap.ok(backends >= HUGE * HUGE_ENDPOINTS, "every endpoint is there", str(backends))
        full = {name: value for name, value in node.metrics().items() if name.startswith("fairlead_map_full") and value}
        tap.is_(full, {}, "no table is full")
        change(Api(lab, API), HUGE - 1, HUGE_ENDPOINTS, 2)
        settles_at(node, backends - 2, "a change comes there")
        restart(node, "a restart takes over what is there", 15, 140, backends - 2)


def main():
    requirements("fairlead-agent", "fairlead-cni", "fairlead-apiserver", "load")
    story_many()
    story_huge()
    tap.done()


main()
