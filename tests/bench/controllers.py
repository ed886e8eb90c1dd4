#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Controllers and scheduler from the outside, with hollow nodes on the same machine (API server, controller manager, scheduler,
hollow nodes and this script share its CPUs):

    deployment   10,000 replicas on 1,000 nodes from the create until all are ready, and what of it was waiting for what;
                 memory and CPU of each process; then the namespace is deleted
    rollout      a rolling update of 1,000 replicas
    slices       from the PATCH of a pod's readiness to the EndpointSlice's event at a watcher, among 10,000 services

    tests/bench/controllers.py slices      one of them alone; FL_QUICK=1: a tenth of the size

Pods come and go through the API like anybody's. The phases are read where that costs least: pods that exist by the
remainingItemCount of a list of one, bound and ready ones by the counters of the hollow nodes."""

import json
import os
import random
import sys
import threading
import time

TOP = os.environ.get("FL_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import cluster  # noqa: E402
from client import Client, Watch  # noqa: E402
from figures import QUICK, check, median, note, quantile, say  # noqa: E402

ROUNDS_OF_ITS_OWN = True
SCALE = 10 if QUICK else 1
NODES, REPLICAS, ROLLED, SERVICES, SAMPLES = 1000 // SCALE, 10000 // SCALE, 1000 // SCALE, 10000 // SCALE, 1000 // SCALE
ROUNDS = int(os.environ.get("ROUNDS", "1" if QUICK else "3"))
POLL_S, PATIENCE_S = 0.05, 300
APPS = "/apis/apps/v1/namespaces/{}/deployments"
# Nodes that do not beat while the machine is busy must not count as dead: this is about speed.
MANAGER = ("--node-monitor-grace-period=10m",)


def template(app, image="web:1"):
    return {"metadata": {"labels": {"app": app}},
            "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}],
                                     "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]}}


def deployment(name, replicas, **spec):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name), **spec}}


def create(client, path, body):
    answer = client.post(path, body)
    check(answer.status == 201, f"POST {path}: {answer.status} {answer.body[:300]!r}")
    return answer.json()


def namespace(client, name):
    create(client, "/api/v1/namespaces", {"metadata": {"name": name}})


def count_of(client, path):
    """How many objects are there, by a list of one."""
    answer = client.get(path + "?limit=1").json()
    return len(answer["items"]) + int(answer["metadata"].get("remainingItemCount", 0))


def until(c, condition, what):
    """Seconds until it is true."""
    began = time.monotonic()
    while not condition():
        c.check()
        check(time.monotonic() - began < PATIENCE_S, f"{what}: not within {PATIENCE_S} s")
        time.sleep(POLL_S)
    return time.monotonic() - began


class Usage:
    """CPU seconds of each process since it was made."""

    def __init__(self, c):
        self.children = {"apiserver": c.apiserver, "manager": c.manager, "scheduler": c.scheduler, "hollow": c.hollow}
        self.before = {name: child.cpu_s() for name, child in self.children.items()}

    def taken(self):
        return {name: child.cpu_s() - self.before[name] for name, child in self.children.items()}


# ---- a Deployment ----


class Progress:
    """When the first and the last of `wanted` pods reached each phase, in seconds from the start."""

    PHASES = ("created", "bound", "ready")

    def __init__(self, c, path, wanted):
        self.c, self.path, self.wanted = c, path, wanted
        self.began = time.monotonic()
        self.last = {}

    def look(self, client):
        stats = self.c.hollow.stats()
        counts = {"bound": stats["pods"], "ready": stats["ready_pods"]}
        if "created" not in self.last:
            counts["created"] = count_of(client, self.path)
        for phase in self.PHASES:
            if counts.get(phase, 0) >= self.wanted:
                self.last.setdefault(phase, time.monotonic() - self.began)

    def wait(self, client):
        until(self.c, lambda: self.look(client) or len(self.last) == len(self.PHASES), f"{self.wanted} ready pods")


def deploy(c, client, name):
    """{figure: seconds} of a Deployment in a namespace of its own, CPU of the processes."""
    usage = Usage(c)
    namespace(client, name)
    progress = Progress(c, f"/api/v1/namespaces/{name}/pods", REPLICAS)
    create(client, APPS.format(name), deployment("web", REPLICAS))
    progress.wait(client)
    path = APPS.format(name) + "/web"
    until(c, lambda: c.get(path)["status"].get("availableReplicas") == REPLICAS, "the Deployment's status")
    return {**progress.last, "status": time.monotonic() - progress.began}, usage.taken()


def delete_namespace(c, client, name):
    began = time.monotonic()
    check(client.delete(f"/api/v1/namespaces/{name}").status == 200, "the namespace is deleted")
    until(c, lambda: client.get(f"/api/v1/namespaces/{name}").status == 404, f"end of namespace {name}")
    return time.monotonic() - began


def spread_of(c, name):
    """Pods on each node: a check that the pods were spread by the scheduler."""
    per_node = {}
    for pod in c.items(f"/api/v1/namespaces/{name}/pods"):
        per_node[pod["spec"]["nodeName"]] = per_node.get(pod["spec"]["nodeName"], 0) + 1
    return per_node


def bench_deployment():
    times, cpu, ends = [], [], []
    with cluster.Cluster(nodes=NODES, manager_args=MANAGER) as c:
        client = Client(c.server, timeout_s=60)
        for i in range(ROUNDS):
            taken, usage = deploy(c, client, f"bench-{i}")
            times.append(taken)
            cpu.append(usage)
            note(f"{REPLICAS} pods: " + ", ".join(f"{what} {s:.2f} s" for what, s in taken.items()) + "; CPU: " +
                 ", ".join(f"{what} {s:.2f} s" for what, s in usage.items()))
            if i == 0:
                per_node = spread_of(c, "bench-0")
                check(sum(per_node.values()) == REPLICAS and len(per_node) == NODES, f"pods lie on {len(per_node)} nodes of {NODES}")
                say("most_pods_of_a_node", max(per_node.values()), "pods")
                memory(c)
            ends.append(delete_namespace(c, client, f"bench-{i}"))
            note(f"namespace with {REPLICAS} pods deleted in {ends[-1]:.2f} s")
    names = {"created": "deployment_created_s", "bound": "deployment_bound_s", "ready": "deployment_ready_s",
             "status": "deployment_status_s"}
    for phase, name in names.items():
        median(name, [t[phase] for t in times], "s")
    for process in cpu[0]:
        median(f"deployment_cpu_{process}_s", [u[process] for u in cpu], "s")
    median("namespace_deletion_s", ends, "s")


def memory(c):
    for name, child in (("manager", c.manager), ("scheduler", c.scheduler), ("hollow", c.hollow), ("apiserver", c.apiserver)):
        say(f"rss_{name}_mb", child.rss_mb(), "MB")
        say(f"peak_{name}_mb", child.peak_mb(), "MB")


# ---- a rolling update ----


def bench_rollout():
    seconds = []
    with cluster.Cluster(nodes=NODES, manager_args=MANAGER) as c:
        client, path = Client(c.server, timeout_s=60), APPS.format("default") + "/web"
        create(client, APPS.format("default"), deployment("web", ROLLED))
        until(c, lambda: c.get(path)["status"].get("availableReplicas") == ROLLED, "the first rollout")
        for i in range(ROUNDS):
            began = time.monotonic()
            answer = client.patch(path, {"spec": {"template": template("web", f"web:{i + 2}")}})
            generation = answer.json()["metadata"]["generation"]
            until(c, lambda wanted=generation: rolled(c.get(path), wanted), "a rolling update")
            seconds.append(time.monotonic() - began)
            note(f"rolling update of {ROLLED} replicas: {seconds[-1]:.2f} s")
    median("rollout_s", seconds, "s")


def rolled(found, generation):
    status = found["status"]
    return status.get("observedGeneration", 0) >= generation and \
        all(status.get(count) == ROLLED for count in ("replicas", "updatedReplicas", "availableReplicas"))


# ---- EndpointSlices ----


def service(i):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"svc-{i}"},
            "spec": {"selector": {"app": f"svc-{i}"}, "ports": [{"port": 80, "targetPort": 8080}]}}


def pod(i):
    made = template(f"svc-{i}")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{i}", **made["metadata"]},
            "spec": {**made["spec"], "nodeName": f"hollow-{i % NODES}"}}


def fill(c, work, threads=4):
    errors = []

    def run(first):
        client = Client(c.server, timeout_s=60)
        try:
            for i in range(first, SERVICES, threads):
                work(client, i)
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    workers = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check(not errors, f"{errors}")


class SliceWatcher(threading.Thread):
    """The time at which a slice with a given readiness of its only endpoint was seen: seen[(service, ready)]."""

    def __init__(self, c, version):
        super().__init__(daemon=True)
        self.watch = Watch(c.server, f"/apis/discovery.k8s.io/v1/endpointslices?watch=true&resourceVersion={version}")
        self.seen, self.changed, self.ended = {}, threading.Condition(), False

    def run(self):
        while True:
            try:
                line = self.watch.line(PATIENCE_S)
            except (OSError, ValueError):
                return
            now = time.monotonic()
            if not line:
                return
            self.take(json.loads(line), now)

    def take(self, event, now):
        labels = event["object"]["metadata"].get("labels", {})
        for endpoint in event["object"].get("endpoints") or []:
            with self.changed:
                self.seen[labels.get("kubernetes.io/service-name"), endpoint["conditions"].get("ready")] = now
                self.changed.notify_all()

    def forget(self, key):
        with self.changed:
            self.seen.pop(key, None)

    def wait(self, key, seconds):
        with self.changed:
            self.changed.wait_for(lambda: key in self.seen, seconds)
            return self.seen.get(key)


def readiness(ready):
    return {"status": {"conditions": [{"type": kind, "status": "True" if ready else "False"}
                                      for kind in ("Ready", "ContainersReady")]}}


def flip(client, watcher, i, ready):
    """ms from before the PATCH to the slice's event."""
    key = (f"svc-{i}", ready)
    watcher.forget(key)
    began = time.monotonic()
    answer = client.patch(f"/api/v1/namespaces/default/pods/pod-{i}/status", readiness(ready), kind="strategic")
    check(answer.status == 200, f"PATCH of a status: {answer.status} {answer.body[:200]!r}")
    seen = watcher.wait(key, 10)
    check(seen, f"no EndpointSlice of svc-{i} within 10 s")
    return (seen - began) * 1000


def one_after_the_other(client, watcher):
    chosen = random.Random(1).sample(range(SERVICES), min(SERVICES, SAMPLES // 2))
    return [flip(client, watcher, i, ready) for i in chosen for ready in (False, True)]


def at_a_rate(c, watcher, per_s):
    """The PATCHes are sent when they are due, by several threads."""
    chosen = random.Random(2).sample(range(SERVICES), min(SERVICES, SAMPLES))
    results, began = [], time.monotonic()

    def run(first, count):
        client = Client(c.server)
        for n in range(first, len(chosen), count):
            time.sleep(max(0, began + n / per_s - time.monotonic()))
            results.append(flip(client, watcher, chosen[n], False))

    workers = [threading.Thread(target=run, args=(i, 4)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check(len(results) == len(chosen), "all flips were seen")
    return results


def patch_times(client):
    """ms of the PATCH alone, which is a part of what is measured."""
    out = []
    for i in range(min(200, SERVICES)):
        began = time.monotonic()
        client.patch(f"/api/v1/namespaces/default/pods/pod-{i}/status", {"status": {"message": f"{began}"}}, kind="strategic")
        out.append((time.monotonic() - began) * 1000)
    return out


def bench_slices():
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    with cluster.Cluster(nodes=NODES, scheduler=False, manager_args=MANAGER) as c:
        client = Client(c.server, timeout_s=60)
        began = time.monotonic()
        fill(c, lambda kept, i: create(kept, "/api/v1/namespaces/default/services", service(i)))
        fill(c, lambda kept, i: create(kept, "/api/v1/namespaces/default/pods", pod(i)))
        until(c, lambda: c.hollow.stats()["ready_pods"] == SERVICES, "ready pods")
        until(c, lambda: count_of(client, path) >= SERVICES, "EndpointSlices")
        note(f"{SERVICES} services, pods and slices in {time.monotonic() - began:.1f} s")
        c.hollow.tell("kill *")  # from now on this script says what is ready
        time.sleep(3)
        version = client.get(path + "?limit=1").json()["metadata"]["resourceVersion"]
        watcher = SliceWatcher(c, version)
        watcher.start()
        tell("slice_patch", patch_times(client))
        tell("slice", one_after_the_other(client, watcher), "slice_patch")
        tell("slice_at_100_per_s", at_a_rate(c, watcher, 100), "slice_patch")
        say("slice_rss_manager_mb", c.manager.rss_mb(), "MB")


def tell(name, values, part=None):
    """part: the figure of a step that is in it."""
    for q, label in ((0.5, "p50"), (0.99, "p99")):
        peers = {"the PATCH alone": f"{part}_{label}_ms"} if part else None
        say(f"{name}_{label}_ms", quantile(values, q), "ms", values, peers)


BENCHES = {"deployment": bench_deployment, "rollout": bench_rollout, "slices": bench_slices}


def main():
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()


if __name__ == "__main__":
    main()
