#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""The scheduler as users meet it: where pods go, what is said of those that go nowhere, what makes them go after all."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import eventually, run_story  # noqa: E402

NS = "/api/v1/namespaces/default"
PODS = NS + "/pods"


def node(name, cpu="4", pods="110", labels=None, taints=None, **spec):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
            "spec": {"taints": taints or [], **spec},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": pods}, "capacity": {"cpu": cpu, "memory": "8Gi"}}}


def pod(name, cpu=None, labels=None, **spec):
    resources = {"resources": {"requests": {"cpu": cpu}}} if cpu else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "nginx", **resources}], **spec}}


class World:
    """Nodes without kubelets, and pods."""

    def __init__(self, c):
        self.c, self.api = c, c.api()

    def node(self, name, **more):
        """Without the taint that the admission gives to new ones."""
        wanted = node(name, **more)
        answer = self.api.post("/api/v1/nodes", wanted)
        assert answer.status == 201, answer.body
        taints = wanted["spec"]["taints"]
        self.api.patch("/api/v1/nodes/" + name, {"spec": {"taints": taints or None}})

    def pod(self, name, *more, **spec):
        answer = self.api.post(PODS, pod(name, *more, **spec))
        assert answer.status == 201, answer.body

    def get(self, name):
        return self.c.get(f"{PODS}/{name}")

    def node_of(self, name):
        return (self.get(name) or {"spec": {}})["spec"].get("nodeName")

    def delete(self, name):
        self.api.delete(f"{PODS}/{name}")

    def condition(self, name):
        found = [c for c in self.get(name)["status"].get("conditions", []) if c["type"] == "PodScheduled"]
        return found[0] if found else {}

    def events(self, name, reason):
        return [e for e in self.c.items(NS + "/events") if e["involvedObject"]["name"] == name and e["reason"] == reason]

    def goes_to(self, name, wanted, what, seconds=5):
        got = eventually(lambda: self.node_of(name), seconds)
        return tap.ok(got == wanted if isinstance(wanted, str) else got in wanted, what, f"it is on {got}; {self.condition(name)}")

    def waits(self, name, message, what, reason="Unschedulable"):
        eventually(lambda: self.condition(name).get("message") == message, 5)
        condition = self.condition(name)
        return tap.is_((condition.get("status"), condition.get("reason"), condition.get("message")),
                       ("False", reason, message), what)

    def clear(self):
        for kind in (NS + "/pods", "/api/v1/nodes", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"):
            self.api.delete(kind + "?gracePeriodSeconds=0")
        eventually(lambda: not self.c.items(PODS) and not self.c.items("/api/v1/nodes"), 5)


NOT_HELPFUL = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


def binding(c):
    w = World(c)
    w.pod("early")
    w.waits("early", "no nodes available to schedule pods", "without nodes a pod waits, and says so")
    w.node("a")
    w.goes_to("early", "a", "and goes to the first node that comes")
    tap.is_(w.condition("early")["status"], "True", "PodScheduled is True then")
    events = eventually(lambda: w.events("early", "Scheduled"))
    tap.is_([(e["message"], e["source"]["component"], e["type"]) for e in events],
            [("Successfully assigned default/early to a", "default-scheduler", "Normal")], "an Event says where it went")
    w.pod("other", schedulerName="somebody-else")
    time.sleep(0.3)
    tap.is_(w.node_of("other"), None, "a pod of another scheduler is left alone")


def messages(c):
    w = World(c)
    w.node("a", taints=[{"key": "dedicated", "value": "db", "effect": "NoSchedule"}])
    w.node("b", cpu="1")
    w.node("c", cpu="1")
    w.pod("big", cpu="2")
    w.waits("big", "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, 2 Insufficient cpu. " + NOT_HELPFUL,
            "why a pod fits nowhere is said in its condition")
    events = eventually(lambda: w.events("big", "FailedScheduling"))
    tap.is_((events[0]["message"], events[0]["type"]), (w.condition("big")["message"], "Warning"), "and in an Event")
    w.pod("picky", nodeSelector={"disk": "ssd"})
    w.waits("picky", "0/3 nodes are available: 1 node(s) had untolerated taint {dedicated: db}, 2 node(s) didn't match Pod's "
            "node affinity/selector. " + NOT_HELPFUL, "a selector that no node matches")
    w.pod("stateful", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    w.waits("stateful", '0/3 nodes are available: persistentvolumeclaim "data" not found. ' + NOT_HELPFUL, "a claim that is not there")


def wakes(c):
    """Each waits for one thing, and goes soon when it happens."""
    w = World(c)
    w.node("a", cpu="2", taints=[{"key": "t", "effect": "NoSchedule"}])
    w.node("b", cpu="2")
    w.pod("filler", cpu="2")
    w.goes_to("filler", "b", "a pod fills a node")
    w.pod("cpu", cpu="1", nodeSelector={"kubernetes.io/hostname": "b"})
    w.pod("label", nodeSelector={"disk": "ssd"})
    w.pod("taint", nodeSelector={"kubernetes.io/hostname": "a"})
    w.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    w.pod("friend", affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "host"}}}]}})
    for name in ("cpu", "label", "taint", "friend"):
        tap.ok(eventually(lambda name=name: w.condition(name).get("reason") == "Unschedulable"), f"{name}: waits")
    tap.is_(w.condition("gated").get("reason"), "SchedulingGated", "gated: waits")
    time.sleep(1.1)  # the backoff of the first failure
    w.delete("filler")
    w.goes_to("cpu", "b", "cpu: a pod that ends makes room")
    w.api.patch("/api/v1/nodes/b", {"metadata": {"labels": {"disk": "ssd"}}})
    w.goes_to("label", "b", "label: a node gets it")
    w.api.patch("/api/v1/nodes/a", {"spec": {"taints": None}})
    w.goes_to("taint", "a", "taint: it is taken off")
    w.api.patch(PODS + "/gated", {"spec": {"schedulingGates": None}})
    w.goes_to("gated", ("a", "b"), "gated: the gate is removed")
    w.pod("host", labels={"app": "host"})
    w.goes_to("friend", w.node_of("host") or eventually(lambda: w.node_of("host")), "friend: one that it wants to be with comes")


def spreads(c):
    w = World(c)
    for i, zone in enumerate("xxyyzz"):
        w.node(f"n{i}", labels={"topology.kubernetes.io/zone": zone})
    for i in range(9):
        w.pod(f"p{i}", labels={"app": "p"}, topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": {"matchLabels": {"app": "p"}}}])
    eventually(lambda: all(w.node_of(f"p{i}") for i in range(9)))
    zones = [w.node_of(f"p{i}") for i in range(9)]
    counts = [sum(node in pair for node in zones) for pair in (("n0", "n1"), ("n2", "n3"), ("n4", "n5"))]
    tap.is_(counts, [3, 3, 3], "nine pods are spread over three zones")
    for i in range(7):
        w.pod(f"q{i}", labels={"app": "q"}, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "q"}}}]}})
    eventually(lambda: sum(bool(w.node_of(f"q{i}")) for i in range(7)) == 6)
    homes = [w.node_of(f"q{i}") for i in range(7) if w.node_of(f"q{i}")]
    tap.is_(sorted(homes), [f"n{i}" for i in range(6)], "six of seven pods that avoid each other have a node each")
    left = next(f"q{i}" for i in range(7) if not w.node_of(f"q{i}"))
    w.waits(left, "0/6 nodes are available: 6 node(s) didn't match pod anti-affinity rules. preemption: 0/6 nodes are available: "
            "6 No preemption victims found for incoming pod.", "and the seventh says why not")


def overcommit(c):
    """Many at once: no node gets more than it has."""
    w = World(c)
    for i in range(5):
        w.node(f"n{i}", cpu="1", pods="110")
    for i in range(60):
        w.pod(f"p{i}", cpu="100m")
    eventually(lambda: sum(bool(p["spec"].get("nodeName")) for p in c.items(PODS)) == 50, 10)
    time.sleep(0.3)
    homes = [p["spec"].get("nodeName") for p in c.items(PODS)]
    tap.is_(sorted(homes.count(f"n{i}") for i in range(5)), [10] * 5, "60 pods on room for 50: each node is full, none more")
    tap.is_(homes.count(None), 10, "ten wait")
    metrics = c.scheduler.metrics()
    tap.is_(sum(v for k, v in metrics.items() if k.startswith("scheduler_pending_pods")), 10, "the metrics say so, too")


def preemption(c):
    w = World(c)
    for name, value in (("high", 1000), ("less", -1), ("low", -5), ("meek", -10)):
        c.api().post("/apis/scheduling.k8s.io/v1/priorityclasses",
                     {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value})
    c.api().post("/apis/scheduling.k8s.io/v1/priorityclasses",
                 {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "polite"}, "value": 1000,
                  "preemptionPolicy": "Never"})
    w.node("a", cpu="2")
    w.node("b", cpu="2")
    w.pod("guarded", "2", {"app": "guarded"}, priorityClassName="low", nodeSelector={"kubernetes.io/hostname": "a"})
    w.pod("small", "1", priorityClassName="less", nodeSelector={"kubernetes.io/hostname": "b"}, terminationGracePeriodSeconds=30)
    w.pod("usual", "1", nodeSelector={"kubernetes.io/hostname": "b"})
    for name, home in (("guarded", "a"), ("small", "b"), ("usual", "b")):
        w.goes_to(name, home, f"{name} is on {home}")
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "g"},
              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}}
    c.api().post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", budget)
    w.pod("patient", cpu="1", priorityClassName="polite")
    w.waits("patient", "0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never.",
            "preemptionPolicy Never: it waits")
    w.delete("patient")
    w.pod("vip", cpu="1", priorityClassName="high")
    tap.ok(eventually(lambda: w.get("small")["metadata"].get("deletionTimestamp")),
           "the victim is the one of the lowest priority whose disruption breaks no budget")
    condition = next((x for x in w.get("small")["status"].get("conditions", []) if x["type"] == "DisruptionTarget"), {})
    tap.is_((condition.get("status"), condition.get("reason"), condition.get("message")),
            ("True", "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
            "it has the condition DisruptionTarget")
    tap.is_(w.get("small")["metadata"].get("deletionGracePeriodSeconds"), 30, "and its own grace period")
    tap.ok(eventually(lambda: w.get("vip")["status"].get("nominatedNodeName") == "b"), "the pod is nominated for the node")
    events = eventually(lambda: w.events("small", "Preempted"))
    tap.is_(events and events[0]["message"], f"Preempted by pod {w.get('vip')['metadata']['uid']} on node b", "an Event says by whom")
    w.pod("thief", cpu="1", priorityClassName="meek")
    time.sleep(1.5)
    tap.is_(w.node_of("thief"), None, "meanwhile a pod of less priority does not take the place")
    tap.is_((w.node_of("guarded"), w.node_of("usual")), ("a", "b"), "and nobody else is a victim")
    w.api.delete(PODS + "/small?gracePeriodSeconds=0")  # as the kubelet does when it has ended
    w.goes_to("vip", "b", "when the victim has ended, the pod goes there")
    metrics = c.scheduler.metrics()
    tap.is_(metrics.get("scheduler_preemption_victims_count{}"), 1, "one preemption is counted")


def nomination_ends(c):
    """A pod that waits for its victim keeps others off; when it is deleted, these go at once."""
    w = World(c)
    w.node("n", cpu="3")
    w.pod("victim", cpu="1", priorityClassName="low", terminationGracePeriodSeconds=30)
    w.pod("usual", cpu="1")
    for name in ("victim", "usual"):
        w.goes_to(name, "n", f"{name} is there")
    w.pod("vip", cpu="2", priorityClassName="high")
    tap.ok(eventually(lambda: w.get("vip")["status"].get("nominatedNodeName") == "n"), "the pod is nominated, and waits")
    w.pod("meek", cpu="1", priorityClassName="meek")
    w.waits("meek", "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims "
            "found for incoming pod.", "room that is free is kept for it")
    time.sleep(1.1)
    w.delete("vip")
    w.goes_to("meek", "n", "it is deleted: the other one goes there")


def main():
    with cluster.Cluster(nodes=0, manager=False) as c:
        for story in (binding, messages, wakes, spreads, overcommit, preemption, nomination_ends):
            run_story(story, c)
            World(c).clear()
    tap.done()


main()
