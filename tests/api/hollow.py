#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The hollow nodes, which other tests and benchmarks rely on: registration, heartbeats, pods that become what their annotations
say, deletion, readiness that changes, nodes that stop and come back, kill -9 in between. API server and hollow nodes only: the
pods are bound by their nodeName. An example of tests/harness/cluster.py, too."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

PODS = "/api/v1/namespaces/default/pods"


def pod(name, node="hollow-0", annotations=None, containers=("c",), inits=(), **spec):
    made = [{"name": c, "image": f"{c}:1"} for c in containers]
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "annotations": {f"hollow.fairlead.dev/{k}": v for k, v in (annotations or {}).items()}},
            "spec": {"nodeName": node, "containers": made, **({"initContainers": list(inits)} if inits else {}), **spec}}


def create(c, *pods):
    for body in pods:
        answer = c.api().post(PODS, body)
        if answer.status != 201:
            raise RuntimeError(f"{answer.status} {answer.body!r}")


def get(c, name):
    return c.get(f"{PODS}/{name}")


def phase(c, name):
    found = get(c, name)
    return found and found["status"]["phase"]


def ready(c, name):
    found = get(c, name)
    return found and cluster.condition(found, "Ready")


def container(c, name):
    return get(c, name)["status"]["containerStatuses"][0]


def annotate(c, name, **annotations):
    c.api().patch(f"{PODS}/{name}", {"metadata": {"annotations": {
        f"hollow.fairlead.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}}})


def nodes_are_registered(c):
    nodes = c.items("/api/v1/nodes")
    tap.is_([n["metadata"]["name"] for n in nodes], ["hollow-0", "hollow-1", "hollow-2"], "three nodes are registered")
    tap.is_({cluster.condition(n, "Ready") for n in nodes}, {"True"}, "they are ready")
    tap.is_([n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in nodes], ["zone-0", "zone-1", "zone-0"],
            "they take turns in the zones")
    c.wait(lambda: c.items("/api/v1/nodes")[2]["spec"]["taints"] == [{"key": "dedicated", "value": "tests",
                                                                      "effect": "PreferNoSchedule"}],
           5, "they have the taint of the command line only")
    tap.is_((nodes[0]["status"]["allocatable"]["cpu"], nodes[0]["status"]["allocatable"]["pods"]), ("8", "110"),
            "capacity is as the flags say, or the default")
    tap.is_(nodes[0]["status"].get("images"), [{"names": ["nginx:1.27"], "sizeBytes": 192000000}], "they have the image")
    lease = c.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/hollow-1")
    tap.is_((lease["spec"]["holderIdentity"], lease["metadata"]["ownerReferences"][0]["uid"]),
            ("hollow-1", nodes[1]["metadata"]["uid"]), "a Lease belongs to its node")
    before = lease["spec"]["renewTime"]
    c.wait(lambda: c.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/hollow-1")["spec"]["renewTime"] > before,
           5, "the Lease is renewed")


def a_pod_becomes_ready(c):
    sidecar = {"name": "side", "image": "side:1", "restartPolicy": "Always"}
    create(c, pod("web", containers=("a", "b"), inits=({"name": "init", "image": "init:1"}, sidecar)))
    c.wait(lambda: ready(c, "web") == "True", 5, "a pod becomes ready")
    status = get(c, "web")["status"]
    tap.is_({x["type"]: x["status"] for x in status["conditions"]},
            {kind: "True" for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")},
            "all its conditions are true")
    tap.ok(status["podIPs"] == [{"ip": status["podIP"]}] and status["podIP"].startswith("100.64.0."),
           "it has a made-up address, for the node has no podCIDR", status.get("podIP"))
    tap.is_([(s["name"], s["ready"], s["started"], list(s["state"])) for s in status["containerStatuses"]],
            [("a", True, True, ["running"]), ("b", True, True, ["running"])], "both containers run")
    tap.is_([(s["name"], s["ready"], list(s["state"])) for s in status["initContainerStatuses"]],
            [("init", True, ["terminated"]), ("side", True, ["running"])], "the init container has ended, the sidecar runs")
    statuses = c.hollow.stats()["statuses"]
    tap.is_(statuses, 1, "one write did it")


def addresses_come_from_the_pod_cidrs(c):
    c.api().patch("/api/v1/nodes/hollow-2", {"spec": {"podCIDR": "10.1.2.0/24", "podCIDRs": ["10.1.2.0/24", "fd00:1:2::/64"]}})
    create(c, *(pod(f"dual-{i}", "hollow-2") for i in range(3)), pod("host", "hollow-2", hostNetwork=True))
    c.wait(lambda: all(ready(c, f"dual-{i}") == "True" for i in range(3)), 5, "pods of a node with two podCIDRs are ready")
    ips = [tuple(ip["ip"] for ip in get(c, f"dual-{i}")["status"]["podIPs"]) for i in range(3)]
    tap.is_(sorted(ips), [(f"10.1.2.{i}", f"fd00:1:2::{i}") for i in (2, 3, 4)], "they have an address of each, all different")
    c.wait(lambda: ready(c, "host") == "True", 5, "a pod of the host's network is ready")
    tap.is_(get(c, "host")["status"]["podIP"], "198.18.0.2", "its address is the node's")


def annotations_steer(c):
    create(c, pod("late", annotations={"ready-after": "2s"}),
           pod("never", annotations={"never-ready": "true"}),
           pod("done", annotations={"run-for": "300ms"}, restartPolicy="Never"),
           pod("bad", annotations={"fail": "true", "exit-code": "3"}, restartPolicy="Never"),
           pod("again", annotations={"restarts": "2", "restart-after": "200ms"}),
           pod("crash", annotations={"run-for": "100ms", "exit-code": "2", "restart-after": "1h"}),
           pod("slow", annotations={"start-after": "1h"}),
           pod("wrong", annotations={"run-for": "soon"}))
    c.wait(lambda: phase(c, "late") == "Running", 5, "a pod with ready-after runs")
    tap.is_(ready(c, "late"), "False", "... and is not ready yet")
    c.wait(lambda: ready(c, "late") == "True", 5, "... but later")
    c.wait(lambda: phase(c, "done") == "Succeeded", 5, "a pod with run-for ends")
    ended = container(c, "done")["state"]["terminated"]
    tap.is_((ended["exitCode"], ended["reason"]), (0, "Completed"), "... with exit code 0")
    c.wait(lambda: phase(c, "bad") == "Failed", 5, "a pod that is to fail fails")
    tap.is_(container(c, "bad")["state"]["terminated"]["exitCode"], 3, "... with its exit code")
    c.wait(lambda: container(c, "again")["restartCount"] == 2 and ready(c, "again") == "True", 5,
           "a container that is to fail twice runs for the third time")
    tap.is_(container(c, "again")["lastState"]["terminated"]["reason"], "Error", "... and its last state tells why")
    c.wait(lambda: container(c, "crash")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff", 5,
           "a container that crashes waits")
    tap.is_((phase(c, "never"), ready(c, "never")), ("Running", "False"), "a pod that is never ready runs")
    tap.is_((phase(c, "slow"), container(c, "slow")["state"]["waiting"]["reason"]), ("Pending", "ContainerCreating"),
            "a pod with start-after is pending")
    c.wait(lambda: ready(c, "wrong") == "True", 5, "an annotation that cannot be read is left out")
    tap.like(c.hollow.log_tail(), r'run-for: ..soon.. is no duration like', "... and the log says what is wrong")


def readiness_changes(c):
    annotate(c, "web", ready="false")
    c.wait(lambda: ready(c, "web") == "False", 5, "a pod becomes unready by its annotation")
    found = next(x for x in get(c, "web")["status"]["conditions"] if x["type"] == "Ready")
    tap.is_((found["reason"], found["message"]), ("ContainersNotReady", "containers with unready status: [a b]"),
            "... and says which containers are not")
    annotate(c, "web", ready="true")
    c.wait(lambda: ready(c, "web") == "True", 5, "and ready again")
    found = next(x for x in get(c, "web")["status"]["conditions"] if x["type"] == "Ready")
    tap.is_(("reason" in found, "message" in found), (False, False), "... without a reason")


def pods_are_deleted(c):
    create(c, pod("quick"), pod("lazy", annotations={"stop-after": "3s"}),
           pod("stubborn", annotations={"stop-after": "grace"}, terminationGracePeriodSeconds=1))
    c.wait(lambda: all(ready(c, name) == "True" for name in ("quick", "lazy", "stubborn")), 5, "three pods are ready")
    started = time.monotonic()
    for name in ("quick", "lazy", "stubborn"):
        c.api().delete(f"{PODS}/{name}")
    c.wait(lambda: get(c, "quick") is None, 5, "a deleted pod goes")
    tap.ok("deletionTimestamp" in get(c, "lazy")["metadata"], "one that takes its time is still there")
    c.wait(lambda: get(c, "lazy") is None, 10, "... and goes later")
    tap.ok(time.monotonic() - started > 2.9, "... after its stop-after", time.monotonic() - started)
    c.wait(lambda: get(c, "stubborn") is None, 5, "one that does not stop is gone after the grace period")
    create(c, {**pod("held"), "metadata": {"name": "held", "finalizers": ["example.com/wait"]}})
    c.wait(lambda: ready(c, "held") == "True", 5, "a pod with a finalizer is ready")
    c.api().delete(f"{PODS}/held")
    c.wait(lambda: phase(c, "held") == "Failed", 5, "when it is deleted, its end is told")
    tap.is_(container(c, "held")["state"]["terminated"]["exitCode"], 143, "... by SIGTERM")
    c.api().patch(f"{PODS}/held", {"metadata": {"finalizers": None}})
    c.wait(lambda: get(c, "held") is None, 5, "it goes with its finalizer")


def nodes_stop_and_come_back(c):
    create(c, pod("there", "hollow-1"))
    c.wait(lambda: ready(c, "there") == "True", 5, "a pod on the second node is ready")
    c.hollow.tell("kill hollow-1")
    create(c, pod("stuck", "hollow-1"))
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/hollow-1"
    time.sleep(0.6)  # what was on its way
    before = c.get(lease)["spec"]["renewTime"]
    time.sleep(1.5)
    tap.is_((phase(c, "stuck"), c.get(lease)["spec"]["renewTime"]), ("Pending", before), "a killed node is silent")
    c.hollow.tell("revive hollow-1")
    c.wait(lambda: ready(c, "stuck") == "True", 5, "revived it starts what was waiting")
    c.hollow.tell("restart hollow-1")
    c.wait(lambda: container(c, "there")["restartCount"] == 1 and ready(c, "there") == "True", 5,
           "after a restart of its machine the containers run again")
    try:
        c.hollow.tell("kill hollow-77")
        tap.not_ok("a wrong name is refused")
    except RuntimeError as error:
        tap.like(str(error), "hollow-77: there is no such node here", "a wrong name is refused")


def it_goes_on_after_a_kill(c):
    before = {p["metadata"]["name"]: p["status"] for p in c.pods()}
    c.hollow.kill()
    create(c, pod("a-new-one", "hollow-2"))  # first in a list
    c.api().delete(f"{PODS}/late")
    c.hollow.start()
    c.wait(lambda: ready(c, "a-new-one") == "True", 5, "after kill -9 it starts what came meanwhile")
    c.wait(lambda: get(c, "late") is None, 5, "... and ends what was deleted")
    after = {p["metadata"]["name"]: p["status"] for p in c.pods()}
    before.pop("late")
    after.pop("a-new-one")
    tap.is_(after, before, "... and leaves all others as they are")
    tap.is_(c.hollow.stats()["statuses"], 2, "... with two writes")
    create(c, pod("fourth", "hollow-2"))
    c.wait(lambda: ready(c, "fourth") == "True", 5, "a new pod of the node with podCIDRs is ready")
    ips = [p["status"]["podIP"] for p in c.pods() if p["spec"]["nodeName"] == "hollow-2"]
    tap.is_(len(ips), len(set(ips)), "all pods of that node have addresses of their own")


def the_server_starts_again(c):
    c.server.kill()
    c.server.start()
    c.wait(lambda: get(c, "web") is not None, 10, "the API server is back")
    create(c, pod("later"))
    c.wait(lambda: ready(c, "later") == "True", 10, "a pod that is made after a restart of the API server becomes ready")
    tap.ok(c.hollow.stop() == 0, "it ends well when it is told to", c.hollow.log_tail(60))


def main():
    arguments = ("--zones", 2, "--lease-period", "500ms", "--taint", "dedicated=tests:PreferNoSchedule", "--capacity", "cpu=8",
                 "--image", "nginx:1.27=192000000")
    with cluster.Cluster(nodes=3, manager=False, scheduler=False, hollow_args=arguments) as c:
        for story in (nodes_are_registered, a_pod_becomes_ready, addresses_come_from_the_pod_cidrs, annotations_steer,
                      readiness_changes, pods_are_deleted, nodes_stop_and_come_back, it_goes_on_after_a_kill,
                      the_server_starts_again):
            run_story(story, c)
    tap.done()


if __name__ == "__main__":
    main()
