#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=200
"""No pod is forgotten. Pods with all kinds of rules come and go, nodes and labels change at random. When it is quiet and no pod is
to be tried any more, a scheduler that is started anew must not find a place for any of those that are left: or the old one had
missed what would have helped it. (It would have been tried after five minutes anyway; nothing here lasts so long.) First much
happens at once, then one thing at a time, so that nothing else wakes the pods that it concerns."""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import Client, eventually, run_story  # noqa: E402

PODS = "/api/v1/namespaces/default/pods"
NODES = "/api/v1/nodes"
SEEDS = [int(word) for word in sys.argv[1:]] or [11]  # others: as arguments
STEPS, ROUNDS = 150, 6


def terms(rng, kind):
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": rng.choice(("zone", "kubernetes.io/hostname")), "labelSelector": {"matchLabels": {"app": rng.choice("abc")}}}]}}


def random_pod(rng, name):
    spec = {"terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": f"{rng.randrange(1, 16)}00m"}}}]}
    if rng.random() < .25:
        spec["affinity"] = terms(rng, rng.choice(("podAffinity", "podAntiAffinity", "podAntiAffinity")))
    if rng.random() < .25:
        spec["topologySpreadConstraints"] = [{"maxSkew": rng.randrange(1, 3), "topologyKey": "zone", "whenUnsatisfiable":
                                              "DoNotSchedule", "labelSelector": {"matchLabels": {"app": rng.choice("abc")}}}]
    if rng.random() < .2:
        spec["nodeSelector"] = {"disk": rng.choice("xyz")}
    if rng.random() < .2:
        spec["tolerations"] = [{"key": rng.choice("tu"), "operator": "Exists"}]
    if rng.random() < .15:
        spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8000 + rng.randrange(2)}]
    if rng.random() < .15:
        spec["priorityClassName"] = "high"
    if rng.random() < .1:
        spec["schedulingGates"] = [{"name": "example.com/gate"}]
    return {"metadata": {"name": name, "labels": {"app": rng.choice("abc")}}, "spec": spec}


class Chaos:
    def __init__(self, c, seed):
        self.c, self.rng, self.api, self.next, self.pods, self.nodes = c, random.Random(seed), Client(c.server), 0, [], []

    def add_node(self):
        name, self.next = f"n{self.next}", self.next + 1
        self.api.post(NODES, {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": self.rng.choice("123")}},
                              "status": {"allocatable": {"cpu": self.rng.choice("246"), "memory": "8Gi", "pods": "12"}}})
        self.api.patch(f"{NODES}/{name}", {"spec": {"taints": None}})
        self.nodes.append(name)

    def add_pod(self):
        name, self.next = f"p{self.next}", self.next + 1
        answer = self.api.post(PODS, random_pod(self.rng, name))
        assert answer.status == 201, answer.body
        self.pods.append(name)

    def delete_pod(self):
        self.api.delete(f"{PODS}/{self.pods.pop(self.rng.randrange(len(self.pods)))}")

    def delete_node(self):
        self.api.delete(f"{NODES}/{self.nodes.pop(self.rng.randrange(len(self.nodes)))}")

    def change_node(self):
        rng, path = self.rng, f"{NODES}/{self.rng.choice(self.nodes)}"
        what = rng.randrange(4)
        if what == 0:
            self.api.patch(path, {"metadata": {"labels": {"disk": rng.choice("xyz"), "zone": rng.choice(("1", "2", "3", None))}}})
        elif what == 1:
            self.api.patch(path, {"spec": {"taints": [{"key": rng.choice("tu"), "effect": "NoSchedule"}] if rng.random() < .5 else None}})
        elif what == 2:
            self.api.patch(path, {"spec": {"unschedulable": rng.random() < .5}})
        else:
            self.api.patch(path + "/status", {"status": {"allocatable": {"cpu": rng.choice("2468")}}})

    def change_pod(self):
        path = f"{PODS}/{self.rng.choice(self.pods)}"
        if self.rng.random() < .5:
            self.api.patch(path, {"metadata": {"labels": {"app": self.rng.choice("abc")}}})
        else:
            self.api.patch(path, {"spec": {"schedulingGates": None}})

    def step(self):
        self.pods = [name for name in self.pods if self.rng.random() < .2 or self.c.get(f"{PODS}/{name}")] or self.pods
        what = self.rng.random()
        if what < .45 or len(self.pods) < 20:
            self.add_pod()
        elif what < .7:
            self.delete_pod()
        elif what < .85 and self.nodes:
            self.change_node()
        elif what < .92:
            self.change_pod()
        elif what < .96 and len(self.nodes) > 4:
            self.delete_node()
        elif len(self.nodes) < 12:
            self.add_node()


def is_quiet(c):
    metrics = c.scheduler.metrics()
    return not sum(metrics.get(f'scheduler_pending_pods{{queue="{q}"}}', 1) for q in ("active", "backoff"))


def wait_quiet(c):
    """A backoff takes 10 s at most, but pods that go for others may wake further ones in turn."""
    def still_quiet():
        for _ in range(5):
            if not is_quiet(c):
                return False
            time.sleep(0.1)
        return True

    if eventually(still_quiet, 60):
        return True
    for _ in range(3):
        tap.diag({k: v for k, v in c.scheduler.metrics().items() if "queue" in k or "attempts_total" in k or "victims_count" in k})
        time.sleep(2)
    return False


def homes(c):
    return {p["metadata"]["name"]: p["spec"].get("nodeName") for p in c.items(PODS)}


def check(c, what):
    """Nothing is left that another scheduler would place."""
    quiet = wait_quiet(c)
    before = homes(c)
    c.scheduler.stop()
    c.scheduler.start()
    quiet = wait_quiet(c) and quiet
    after = homes(c)
    late = {name: (after[name], c.get(f"{PODS}/{name}")["spec"]) for name in after if after[name] and not before.get(name)}
    tap.ok(quiet and not late, f"{what}: {list(before.values()).count(None)} of {len(before)} pods are left, none was forgotten", late)


def one_change(chaos):
    """Something that may help somebody, and nothing else."""
    what = chaos.rng.choice((chaos.change_node, chaos.change_node, chaos.change_node, chaos.change_pod, chaos.delete_pod, chaos.add_node,
                             chaos.delete_node))
    chaos.pods = [name for name in chaos.pods if chaos.c.get(f"{PODS}/{name}")]
    what()
    return what.__name__


def history(c, seed):
    chaos = Chaos(c, seed)
    for _ in range(6):
        chaos.add_node()
    for _ in range(STEPS):
        chaos.step()
        time.sleep(chaos.rng.random() * .03)
    check(c, f"seed {seed}")
    for i in range(ROUNDS):
        time.sleep(1.1)  # the backoff of those that the new scheduler has tried
        check(c, f"seed {seed}, {i}: {one_change(chaos)}")
    for path in (PODS, NODES):
        chaos.api.delete(path + "?gracePeriodSeconds=0")
    eventually(lambda: not c.items(PODS) and not c.items(NODES), 10)


def main():
    with cluster.Cluster(nodes=0, manager=False) as c:
        c.api().post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "high"}, "value": 1000})
        for seed in SEEDS:
            run_story(history, c, seed)
    tap.done()


main()
