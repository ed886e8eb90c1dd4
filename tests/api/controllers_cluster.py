#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The controllers that look after the cluster itself, as a user meets them: garbage collection by kubectl's --cascade, the end of
namespaces, their ServiceAccount and certificate, nodes that fall silent and come back, pods that leave by taints, addresses
of nodes; and what the manager says to wrong flags."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

UNREACHABLE = "node.kubernetes.io/unreachable"
GRACE = ("--node-monitor-grace-period=2s", "--node-monitor-period=500ms", "--node-eviction-rate=10")


def web(k, name, replicas=2):
    k.run(f"create deployment {name} --image=nginx --replicas={replicas}")
    k.run(f"rollout status deployment/{name} --timeout=20s")


def names(c, kind, selector):
    group = "/apis/apps/v1" if kind == "replicasets" else "/api/v1"
    return [o["metadata"]["name"] for o in c.items(f"{group}/namespaces/default/{kind}?labelSelector={selector}")]


def garbage(c):
    k = c.kubectl()
    for name in ("back", "fore", "orphan"):
        web(k, name)
    k.run("delete deployment back")
    c.wait(lambda: not names(c, "replicasets", "app=back") and not names(c, "pods", "app=back"), 10,
           "the ReplicaSet and the pods of a deleted Deployment go")
    code, _, errors = k.run("delete deployment fore --cascade=foreground --timeout=20s")
    tap.is_((code, errors), (0, ""), "kubectl waits for a deletion in the foreground")
    tap.is_(names(c, "pods", "app=fore") + names(c, "replicasets", "app=fore"), [],
            "and when it says so, nothing of the Deployment is left")
    k.run("delete deployment orphan --cascade=orphan")
    left = names(c, "replicasets", "app=orphan")
    tap.is_(len(left), 1, "an orphaned ReplicaSet stays")
    c.wait(lambda: not c.get(f"/apis/apps/v1/namespaces/default/replicasets/{left[0]}")["metadata"].get("ownerReferences"), 5,
           "and forgets its owner")
    tap.is_(len(names(c, "pods", "app=orphan")), 2, "its pods run on")
    k.run("delete replicaset --all")
    c.wait(lambda: not c.pods(), 10, "until it is deleted, too")


def namespaces(c):
    k = c.kubectl()
    k.run("create namespace shop")
    c.wait(lambda: c.get("/api/v1/namespaces/shop/serviceaccounts/default"), 5, "a namespace gets its ServiceAccount")
    ca = c.wait(lambda: c.get("/api/v1/namespaces/shop/configmaps/kube-root-ca.crt"), 5, "and its certificate")
    tap.ok(ca["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----"), "which is one")
    k.run("-n shop create deployment web --image=nginx --replicas=3")
    k.run("-n shop create configmap held")
    c.api().patch("/api/v1/namespaces/shop/configmaps/held", {"metadata": {"finalizers": ["example.com/hold"]}})
    k.run("delete namespace shop --wait=false")

    def told():
        shop = c.get("/api/v1/namespaces/shop")
        return next((x["message"] for x in shop["status"].get("conditions", [])
                     if x["type"] == "NamespaceFinalizersRemaining" and x["status"] == "True"), None)

    message = c.wait(told, 10, "a namespace that cannot end says why")
    tap.is_(message, "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
            "and names the finalizer")
    c.wait(lambda: not c.pods("shop"), 10, "everything else in it goes")
    c.api().patch("/api/v1/namespaces/shop/configmaps/held", {"metadata": {"finalizers": None}})
    c.wait(lambda: c.get("/api/v1/namespaces/shop") is None, 10, "with the finalizer the namespace goes")


def taints_of(c, node):
    return {(t["key"], t["effect"]) for t in c.get(f"/api/v1/nodes/{node}")["spec"].get("taints", [])}


def nodes(c):
    k = c.kubectl()
    c.wait(lambda: not any(taints_of(c, f"hollow-{i}") for i in range(3)), 10, "ready nodes lose the taint that they came with")
    cidrs = [c.get(f"/api/v1/nodes/hollow-{i}")["spec"]["podCIDRs"] for i in range(3)]
    tap.is_(sorted({len(both) for both in cidrs}), [2], "each node has addresses of both families")
    tap.is_(len({text for both in cidrs for text in both}), 6, "of its own")
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "quick"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "quick"}}, "template": {
                "metadata": {"labels": {"app": "quick"}}, "spec": {
                    "containers": [{"name": "c", "image": "i"}],
                    "tolerations": [{"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]}}}}
    k.run("apply -f -", stdin=json.dumps(body))
    c.wait(lambda: c.ready_pods(selector="app=quick") == 3, 10, "three pods are ready")
    c.hollow.tell("kill hollow-1")
    c.wait(lambda: cluster.condition(c.get("/api/v1/nodes/hollow-1"), "Ready") == "Unknown", 15, "a silent node is Unknown")
    code, out, _ = k.run("get node hollow-1")
    tap.like(out, "hollow-1 +NotReady", "kubectl shows it as NotReady")
    c.wait(lambda: {(UNREACHABLE, "NoSchedule"), (UNREACHABLE, "NoExecute")} <= taints_of(c, "hollow-1"), 10, "it is tainted")
    c.wait(lambda: sum(p["spec"].get("nodeName") != "hollow-1" and cluster.is_ready(p) for p in c.pods(selector="app=quick")) == 3,
           15, "its pods are replaced on other nodes when the time that they tolerate is over")
    c.wait(lambda: "NodeNotReady" in k.run("get events")[1] and "TaintManagerEviction" in k.run("get events")[1], 10,
           "Events tell of it")
    c.hollow.tell("revive hollow-1")
    c.wait(lambda: cluster.condition(c.get("/api/v1/nodes/hollow-1"), "Ready") == "True" and not taints_of(c, "hollow-1"), 15,
           "a node that comes back is ready and has no taint")
    k.run("delete deployment quick")


def pods_of_deleted_nodes(c):
    """A Lease and a taint's victim, too: what a node owned goes with it."""
    c.hollow.tell("kill hollow-2")
    c.kubectl().run("delete node hollow-2")
    c.wait(lambda: c.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/hollow-2") is None, 10,
           "the Lease of a deleted node goes")


def leaders():
    with cluster.Cluster(nodes=2, managers=2, scheduler=True) as c:
        k = c.kubectl()
        web(k, "web", 3)
        first = c.wait(lambda: c.leader(c.managers), 10, "one of two managers leads")
        first.kill()
        k.run("scale deployment web --replicas=5")
        c.wait(lambda: c.ready_pods(selector="app=web") == 5, 15, "after kill -9 of the leader the other one goes on")
        other = c.leader(c.managers)
        tap.ok(other is not None and other is not first, "which leads now")
        first.start()
        other.freeze()  # a partition: it believes that it leads
        k.run("scale deployment web --replicas=8")
        c.wait(lambda: c.ready_pods(selector="app=web") == 8, 20, "a leader that stands still is replaced")
        other.wanted = False  # it ends when it finds out
        other.thaw()
        end = time.monotonic() + 10
        while other.alive() and time.monotonic() < end:
            time.sleep(0.05)
        tap.is_(other.alive(), False, "and ends when it finds out")
        time.sleep(0.5)
        tap.is_(len(c.pods(selector="app=web")), 8, "there are as many pods as were asked for, and no more")


def flags():
    def ask(*words):
        done = subprocess.run([cluster.program("fairlead-controller-manager"), *words], capture_output=True, text=True, check=False,
                              env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
        return done.returncode, done.stderr.strip()

    name = "fairlead-controller-manager: "
    tap.like(ask("--controllers=*,-cronjobs")[1], "there is no controller cronjobs; use .*deployment", "a wrong controller is named")
    tap.is_(ask("--allocate-node-cidrs"), (2, name + "--allocate-node-cidrs needs --cluster-cidr, such as 10.244.0.0/16"),
            "ranges are asked for")
    tap.is_(ask("--allocate-node-cidrs", "--cluster-cidr=10.244.0.0"),
            (2, name + "--cluster-cidr: 10.244.0.0 is no range of addresses; use 10.244.0.0/16 or fd00::/48"), "and read")
    tap.is_(ask("--node-monitor-period=soon"),
            (2, name + "--node-monitor-period=soon: use a duration such as 500ms, 40s or 5m"), "durations are read")
    tap.is_(ask("--nodes"), (2, name + "--nodes: there is no such flag; --help lists them"), "an unknown flag is named")
    tap.like(ask()[1], "no way to the API", "without a kubeconfig it says so")


def main():
    flags()
    with cluster.Cluster(nodes=3, untaint=False, hollow_args=("--lease-period", "500ms"),
                         manager_args=(*GRACE, "--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16,fd00:244::/56")) as c:
        for story in (garbage, namespaces, nodes, pods_of_deleted_nodes):
            story(c)
    leaders()
    tap.done()


if __name__ == "__main__":
    run_story(main)
