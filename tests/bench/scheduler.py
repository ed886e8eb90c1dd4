#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The scheduler with the API server: pods bound a second, how long a pod waits, memory. Default plugins; the pods are a
Deployment's (a ReplicaSet selects them, so they are spread by default), nodes are in three zones. The nodes are objects alone:
what a kubelet would do costs nothing here. Everything shares the machine. Prints name=number lines."""

import json
import os
import subprocess
import sys
import time

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import apiserver  # noqa: E402
import cluster  # noqa: E402

PODS = "/api/v1/namespaces/default/pods"
SIZES = ((1000, 10000), (5000, 10000))
QUICK = "--quick" in sys.argv or bool(os.environ.get("FL_QUICK"))
RATE = 500  # pods a second, when it is asked how long one waits


def node(zone):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": f"node-{zone}-{{n}}",
                         "labels": {"kubernetes.io/hostname": f"node-{zone}-{{n}}", "topology.kubernetes.io/zone": f"zone-{zone}"}},
            "status": {"capacity": {"cpu": "32", "memory": "128Gi", "pods": "110"},
                       "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def replica_set():
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}},
                                  "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}}


def pod(uid):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web-{n}", "labels": {"app": "web"}, "namespace": "default",
                         "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid,
                                              "controller": True}]},
            "spec": {"terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "c", "image": "nginx",
                                     "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]}}


def with_rules(body):
    """Spread over zones strictly, not beside a sibling if possible, and named: as a StatefulSet's, each one of its own shape."""
    selector = {"matchLabels": {"app": "web"}}
    body["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = body["metadata"]["name"]
    body["spec"]["topologySpreadConstraints"] = [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                                                  "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]
    body["spec"]["affinity"] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}}]}}
    return body


def say(name, value):
    print(f"{name}={value:.6g}", flush=True)


class Bench:
    def __init__(self, c):
        self.c, self.next = c, 0
        c.server.context()  # writes the client's certificate and key beside the data
        self.cert, self.key = (os.path.join(c.server.tmp, f"client-{name}.pem") for name in ("certificate", "key"))

    def load(self, name, path, body, count, *more):
        file_name = os.path.join(self.c.server.tmp, name + ".json")
        with open(file_name, "w", encoding="utf-8") as file:
            json.dump(body, file)
        out = subprocess.run([os.path.join(apiserver.BUILD, "load"), "--server", f"127.0.0.1:{self.c.server.port}", "--cert",
                              self.cert, "--key", self.key, "--connections", "16", "--count", str(count), "--method", "POST",
                              "--path", path, "--body", file_name, "--first", str(self.next), *more], check=True,
                             capture_output=True, text=True).stdout
        result = json.loads(out.splitlines()[-1])
        if result["errors"]:
            sys.exit(f"{result['errors']} requests failed, the first with status {result['first_error']}")
        self.next += count

    def make_nodes(self, count):
        for zone in range(3):
            self.load("node", "/api/v1/nodes", node(zone), count // 3 + (zone < count % 3))
            self.untaint(zone)

    def untaint(self, zone):
        """The admission of nodes gives new ones the taint not-ready, which a node controller would take off."""
        for item in self.c.items("/api/v1/nodes"):
            if item["spec"].get("taints"):
                self.c.api().patch("/api/v1/nodes/" + item["metadata"]["name"], {"spec": {"taints": None}})

    def make_pods(self, count, *more, change=lambda body: body):
        self.load("pod", PODS, change(pod(self.uid)), count, *more)

    def make_owner(self):
        self.uid = self.c.api().post("/apis/apps/v1/namespaces/default/replicasets", replica_set()).json()["metadata"]["uid"]

    def wait_bound(self, count, seconds=120):
        """The scheduler's own count: a list of the pods would cost more than what is measured."""
        name = 'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"}'
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.c.scheduler.metrics().get(name, 0) >= count:
                return
            time.sleep(0.01)
        sys.exit(f"the pods were not bound within {seconds} s")

    def bound(self):
        return sum(bool(item["spec"].get("nodeName")) for item in self.c.items(PODS))


def percentile(metrics, name, q, labels=""):
    """The upper bound of the bucket that it is in, interpolated within, as Prometheus does it."""
    buckets = []
    for key, value in metrics.items():
        if key.startswith(name + "_bucket{") and labels in key and "+Inf" not in key:
            buckets.append((float(key.rpartition('le="')[2].split('"')[0]), value))
    buckets.sort()
    rank, last_bound, last = q * buckets[-1][1], 0.0, 0.0
    for bound, value in buckets:
        if value >= rank:
            return last_bound + (bound - last_bound) * (rank - last) / max(value - last, 1)
        last_bound, last = bound, value
    return buckets[-1][0]


def backlog(bench, name, pods, change=lambda body: body):
    """Pods wait already when the scheduler starts."""
    c = bench.c
    c.scheduler.stop()
    bench.make_pods(pods, change=change)
    c.scheduler.start()  # ready: it has seen the cluster, and begins
    begin, cpu = time.monotonic(), c.scheduler.cpu_s()
    done = c.scheduler.metrics().get('scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"}', 0)
    bench.wait_bound(pods)
    took = time.monotonic() - begin
    metrics = c.scheduler.metrics()
    say(f"bound_{name}_per_s", (pods - done) / took)
    say(f"cpu_{name}_us", (c.scheduler.cpu_s() - cpu) / (pods - done) * 1e6)
    for q in (50, 99):
        cycle = sum(percentile(metrics, "scheduler_framework_extension_point_duration_seconds", q / 100, f'"{point}"')
                    for point in ("Filter", "Score"))
        say(f"cycle_p{q}_{name}_us", cycle * 1e6)
    say(f"rss_{name}_mb", c.scheduler.rss_mb())
    if bench.bound() != pods:
        sys.exit("not every pod has a node")


def steady(bench, nodes, pods):
    """Pods come one after the other, at a rate: how long until a pod is bound, from when the scheduler saw it."""
    c = bench.c
    c.scheduler.stop()
    c.scheduler.start()
    bench.make_pods(pods, "--rate", str(RATE))
    bench.wait_bound(pods)
    metrics = c.scheduler.metrics()
    for q in (50, 99):
        value = percentile(metrics, "scheduler_pod_scheduling_sli_duration_seconds", q / 100, 'attempts="1"')
        say(f"wait_p{q}_{nodes}_ms", value * 1e3)


def on_nodes(count, work):
    with cluster.Cluster(nodes=0, manager=False) as c:
        bench = Bench(c)
        bench.make_owner()
        bench.make_nodes(count)
        work(bench)


def main():
    for nodes, pods in SIZES:
        if QUICK:
            pods //= 4

        def plain(bench, nodes=nodes, pods=pods):
            backlog(bench, f"{nodes}", pods)
            steady(bench, nodes, RATE * 4)

        on_nodes(nodes, plain)
        on_nodes(nodes, lambda bench, nodes=nodes, pods=pods: backlog(bench, f"rules_{nodes}", pods // 2, with_rules))


if __name__ == "__main__":
    main()
