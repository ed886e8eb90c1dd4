#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=300
"""10,000 Services of 10 endpoints: how long a start takes, how soon a change is in the tables, how much memory it needs.
The figures are in the output; what is asserted leaves room for a busy machine. COUNT=n takes another number."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import tap  # noqa: E402
from lab import API, Lab, requirements, until  # noqa: E402
from lab_api import SERVICES, SLICES, Api  # noqa: E402

COUNT, ENDPOINTS, WRITERS = int(os.environ.get("COUNT", "10000")), 10, 4


def service(i):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{i}"},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def endpoint_slice(i):
    ends = [{"addresses": [f"10.244.{2 + (i + k) % 250}.{1 + i % 250}"], "nodeName": f"n{2 + k % 3}",
             "conditions": {"ready": True, "serving": True, "terminating": False},
             "targetRef": {"kind": "Pod", "name": f"s{i}-6b7f9c8d5-abcd{k}", "namespace": "default"}} for k in range(ENDPOINTS)]
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"s{i}-x1", "labels": {"kubernetes.io/service-name": f"s{i}"}},
            "endpoints": ends, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}


def fill(lab):
    def write(first):
        client = Api(lab, API)
        for i in range(first, COUNT, WRITERS):
            client.send("POST", SERVICES, service(i))
            client.send("POST", SLICES, endpoint_slice(i))

    writers = [threading.Thread(target=write, args=(i,)) for i in range(WRITERS)]
    for w in writers:
        w.start()
    for w in writers:
        w.join()


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0])


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def start(node):
    """Starts the agent; seconds until it says that all is in the tables, and its own word for it."""
    begin = time.monotonic()
    size = os.path.getsize(node.log) if os.path.exists(node.log) else 0
    node.start_agent()

    def ready():
        with open(node.log, encoding="utf-8") as file:
            file.seek(size)
            return next((line for line in file if "msg=ready" in line), None)

    line = until(ready, 30)
    return time.monotonic() - begin, f"{cpu_s(node.agent.pid):.2f} s of CPU; {line or 'never ready'}"


def quantile(node, name, q):
    """An upper bound of it, out of the histogram."""
    metrics = node.metrics()
    count = metrics[f"{name}_count"]
    rows = sorted((float(key.split('"')[1].replace("+Inf", "inf")), value) for key, value in metrics.items()
                  if key.startswith(f"{name}_bucket"))
    return next(bound for bound, value in rows if value >= q * count), int(count)


def change(lab, client, i, k):
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
    body = endpoint_slice(i)
    body["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": stamp}
    body["endpoints"] = body["endpoints"][k % ENDPOINTS:]
    client.send("PUT", f"{SLICES}/s{i}-x1", body)


def story(lab):
    node = lab.nodes["n1"]
    begin = time.monotonic()
    fill(lab)
    tap.diag(f"{COUNT} Services and slices were written in {time.monotonic() - begin:.1f} s")
    took, said = start(node)
    tap.diag(f"a start with empty tables: {took:.2f} s; {said.strip()}")
    tap.ok(took < 6, f"the agent serves {COUNT} Services soon after a cold start", f"{took:.2f} s")
    tap.is_(int(node.metrics()['fairlead_map_entries{map="backends"}']) >= COUNT * ENDPOINTS, True, "every endpoint is there")
    now, peak = resident_kib(node.agent.pid)
    tap.diag(f"memory: {now} KiB, {peak} KiB at most")
    tap.ok(now < 60 * 1024, "in less than 60 MB of memory", f"{now} KiB")
    client = Api(lab, API)
    for n in range(400):
        change(lab, client, n * 23 % COUNT, n)
    p50, _ = quantile(node, "kubeproxy_network_programming_duration_seconds", 0.5)
    p99, count = quantile(node, "kubeproxy_network_programming_duration_seconds", 0.99)
    tap.diag(f"from the change's time until it is in the tables: p50 <= {p50 * 1000:g} ms, p99 <= {p99 * 1000:g} ms, of {count}")
    tap.ok(count >= 380 and p99 <= 0.25, "a change is in the tables at once", f"p99 {p99} s of {count}")
    writes = node.metrics()["fairlead_map_writes_total"]
    node.kill_agent()
    took, said = start(node)
    tap.diag(f"a start with full tables: {took:.2f} s; {said.strip()}")
    tap.ok(took < 6, "a restart takes over what is there", f"{took:.2f} s")
    tap.is_(node.metrics()["fairlead_map_writes_total"] < 20, True, f"and writes nothing anew (before: {writes:.0f} writes)")
    now, peak = resident_kib(node.agent.pid)
    tap.diag(f"memory: {now} KiB, {peak} KiB at most")


def main():
    requirements()
    with Lab(nodes=("n1",), agents=False) as lab:
        story(lab)
    tap.done()


main()
