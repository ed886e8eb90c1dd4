#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""A node as the cluster sees it: its Node and Lease, what it takes and refuses, what it lets go when it runs short, and that
it bears an API server that is away. One real kubelet with the whole control plane."""

import datetime
import glob
import json
import os
import signal
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import podlab
import tap
from cluster import condition
from kubelab import NODE, NODE_IP, container, pod

DISK = 64 << 20  # of the disk that pods write to, a tmpfs
IMAGE_DISK = 272 << 20  # pulls leave 256 MiB of it alone
LOG_SIZE, LOG_FILES = 256 << 10, 3
ARGS = ("--eviction-hard", "nodefs.available<10%", "--eviction-pressure-transition-period", "1s", "--node-lease-duration", "4s",
        "--node-labels", "lab.example/rack=r1", "--register-with-taints", "lab.example/odd=yes:PreferNoSchedule",
        "--system-reserved", "cpu=100m,memory=64Mi", "--max-pods", "20",
        "--container-log-max-size", str(LOG_SIZE), "--container-log-max-files", str(LOG_FILES))
STAY = "trap exit TERM; sleep 3600 & wait"


class NodeLab(kubelab.KubeLab):
    def furnish(self):
        os.makedirs(self.path("kubelet"))
        podlab.mount("tmpfs", self.path("kubelet"), "tmpfs", f"size={DISK}")
        os.makedirs(self.path("images"))
        podlab.mount("tmpfs", self.path("images"), "tmpfs", f"size={IMAGE_DISK}")
        super().furnish()

    def node(self):
        return self.get(f"/api/v1/nodes/{NODE}")

    def lease(self):
        return self.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}")

    def restart(self, *more):
        self.kubelet.stop()
        self.kubelet.argv = [*self.kubelet_argv(), *more]
        self.kubelet.start()

    def status(self, name):
        return (self.pod(name) or {}).get("status", {})


def sh(script, name="c", **fields):
    return container(name, ("sh", "-c", script), **fields)


def bound(name, *containers, **spec):
    """A pod that no scheduler looks at."""
    return pod(name, *containers, nodeName=NODE, tolerations=[{"operator": "Exists"}], **spec)


def asks(requests, script="sleep 3600", name="c", **fields):
    return sh(script, name, resources={"requests": requests}, **fields)


def seconds_of(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def the_node(k):
    node = k.node()
    labels, status = node["metadata"]["labels"], node["status"]
    tap.is_({key: labels.get(key) for key in ("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "lab.example/rack")},
            {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "lab.example/rack": "r1"},
            "the Node has its labels, and those of --node-labels")
    tap.ok({"key": "lab.example/odd", "value": "yes", "effect": "PreferNoSchedule"} in node["spec"]["taints"], "and its taint")
    tap.is_(status["addresses"], [{"type": "InternalIP", "address": NODE_IP}, {"type": "Hostname", "address": NODE}], "its addresses")
    tap.is_((status["capacity"]["pods"], status["capacity"]["ephemeral-storage"]), ("20", "64Mi"), "what it has")
    cores = os.cpu_count()
    tap.is_((status["capacity"]["cpu"], status["allocatable"]["cpu"]), (str(cores), f"{cores * 1000 - 100}m"),
            "and what of it is for pods")
    tap.ok(status["nodeInfo"]["kubeletVersion"].startswith("v1.36.0+fairlead."), "it tells what it is", status["nodeInfo"])
    tap.is_({c["type"]: c["status"] for c in status["conditions"]},
            {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}, "and how it is")
    kubectl = k.kubectl()
    out = kubectl.run("get nodes -o wide")[1]
    tap.ok(NODE in out and "Ready" in out and NODE_IP in out, "kubectl get nodes shows it", out)
    out = kubectl.run(f"describe node {NODE}")[1]
    tap.ok("KubeletReady" in out and "RenewTime" in out and "Starting kubelet." in out, "kubectl describe: conditions, Lease, Events", out)


def the_lease(k):
    lease = k.lease()
    tap.is_((lease["metadata"]["ownerReferences"][0]["uid"], lease["spec"]["holderIdentity"]),
            (k.node()["metadata"]["uid"], NODE), "the Lease belongs to the Node")
    k.wait(lambda: k.lease()["spec"]["renewTime"] != lease["spec"]["renewTime"], 3, "and is renewed")
    between = seconds_of(k.lease()["spec"]["renewTime"]) - seconds_of(lease["spec"]["renewTime"])
    tap.ok(0.8 < between < 1.6, "every quarter of its duration", f"{between:.2f} s of 4")


def a_deleted_node(k):
    k.apply(bound("stays", sh(STAY)))
    k.wait(lambda: k.is_ready("stays"), 10, "a pod runs")
    pid, uid = k.pid("stays"), k.node()["metadata"]["uid"]
    k.api().delete(f"/api/v1/nodes/{NODE}")
    k.wait(lambda: (k.node() or {"metadata": {"uid": uid}})["metadata"]["uid"] != uid and condition(k.node(), "Ready") == "True", 3,
           "a Node that somebody deletes registers again")
    k.wait(lambda: (k.lease() or {"metadata": {}})["metadata"].get("ownerReferences", [{}])[0].get("uid") == k.node()["metadata"]["uid"],
           3, "and its Lease with it")
    tap.ok(os.path.exists(f"/proc/{pid}"), "its pod runs on")


def the_api_is_away(k):
    pid = k.pid("stays")
    before = k.lease()["spec"]["renewTime"]
    k.server.kill()
    time.sleep(4)
    tap.ok(os.path.exists(f"/proc/{pid}") and k.kubelet.alive(), "while the API is away, pods and the kubelet go on")
    k.server.start()
    begin = time.monotonic()
    k.wait(lambda: k.lease()["spec"]["renewTime"] != before, 5, "once it is back, the node is")
    took = time.monotonic() - begin
    tap.ok(took < 1.5, "within a second or so", f"{took:.2f} s")
    tap.is_(condition(k.node(), "Ready"), "True", "and Ready")
    os.kill(k.apiserver.pid, signal.SIGSTOP)
    time.sleep(3)
    before = time.time()
    os.kill(k.apiserver.pid, signal.SIGCONT)
    k.wait(lambda: seconds_of(k.lease()["spec"]["renewTime"]) > before, 4, "one that hung is told again, too")


def who_is_refused(k):
    many = {"cpu": "100"}
    k.apply(bound("big", asks(many)),
            bound("elsewhere", sh(STAY), nodeSelector={"disk": "none"}),
            bound("port", sh(STAY, ports=[{"containerPort": 80, "hostPort": 8099}])))
    k.wait(lambda: k.is_ready("port"), 10, "one with a host port runs")
    k.apply(bound("port-too", sh(STAY, ports=[{"containerPort": 80, "hostPort": 8099}])))
    k.wait(lambda: all(k.phase(p) == "Failed" for p in ("big", "elsewhere", "port-too")), 5, "who does not fit fails")
    tap.is_({p: k.status(p).get("reason") for p in ("big", "elsewhere", "port-too")},
            {"big": "OutOfcpu", "elsewhere": "NodeAffinity", "port-too": "NodePorts"}, "with upstream's reasons")
    tap.ok("Node didn't have enough resource: cpu, requested: 100000, used: 0, capacity: " in k.status("big")["message"],
           "and what is missing", k.status("big")["message"])
    tap.ok("OutOfcpu" in [r for r, _ in k.events("big")], "an Event tells it, too", k.events("big"))
    out = k.kubectl().run("get pods")[1]
    tap.ok("OutOfcpu" in out and "NodeAffinity" in out, "kubectl get pods shows it", out)
    for name in ("big", "elsewhere", "port-too", "port"):
        k.delete(name)


def what_others_gave_the_node(k):
    k.kubectl().run(f"label node {NODE} lab.example/disk=fast")
    k.wait(lambda: k.node()["metadata"]["labels"].get("lab.example/disk") == "fast", 3, "somebody labels the node")
    for more in (), ("--register-node=false",):
        k.kubelet.kill()
        k.apply(bound("wants-fast", sh(STAY), nodeSelector={"lab.example/disk": "fast"}))
        k.kubelet.argv = [*k.kubelet_argv(), *more]
        k.kubelet.start()
        k.wait(lambda: k.phase("wants-fast") in ("Running", "Failed"), 10, "a pod is bound by that label while the kubelet is dead")
        tap.ok(k.phase("wants-fast") == "Running", f"the next kubelet reads its Node before it judges pods {' '.join(more)}",
               k.status("wants-fast"))
        k.delete("wants-fast")
        k.wait(lambda: k.pod("wants-fast") is None, 10, "it goes")
    k.restart()


def room_for_the_critical(k):
    free = os.cpu_count() * 1000 - 100
    k.apply(bound("small", asks({"cpu": "100m"}, STAY)), bound("large", asks({"cpu": f"{free - 200}m"}, STAY)))
    k.wait(lambda: k.is_ready("small") and k.is_ready("large"), 10, "two pods fill the node")
    k.apply(bound("critical", asks({"cpu": "500m"}, STAY), priorityClassName="system-node-critical", priority=2000001000),
            namespace="default")
    k.wait(lambda: k.is_ready("critical"), 10, "a critical pod runs all the same")
    k.wait(lambda: k.status("large").get("reason") == "Preempting", 5, "since another made room")
    tap.is_(k.phase("small"), "Running", "and no more than one")
    for name in ("small", "large", "critical"):
        k.delete(name)
    k.until(lambda: all(k.gone(n) for n in ("small", "large", "critical")), 10)


def a_full_disk(k):
    k.apply(bound("innocent", sh(STAY)),
            bound("writer", sh("dd if=/dev/zero of=/v/fill bs=1M count=62; " + STAY, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                  volumes=[{"name": "v", "emptyDir": {}}]))
    k.wait(lambda: condition(k.node(), "DiskPressure") == "True", 15, "a pod fills the disk: DiskPressure")
    k.wait(lambda: k.status("writer").get("reason") == "Evicted", 10, "it is evicted")
    tap.ok("The node was low on resource: ephemeral-storage. Threshold quantity: " in k.status("writer").get("message", ""),
           "with what was short", k.status("writer"))
    k.wait(lambda: condition(k.node(), "DiskPressure") == "False", 15, "then there is room again")
    tap.is_((k.phase("innocent"), k.phase("writer")), ("Running", "Failed"), "its neighbour stays, and it can be looked at")
    k.delete("writer")
    events = [r for r, _ in k.events(NODE)]
    tap.ok({"NodeHasDiskPressure", "NodeHasNoDiskPressure", "EvictionThresholdMet"} <= set(events), "Events of the node tell it", events)
    k.delete("innocent")


def who_writes_too_much(k):
    k.apply(bound("greedy", sh("dd if=/dev/zero of=/v/fill bs=1M count=3; " + STAY, volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                  volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]),
            bound("loud", sh("dd if=/dev/zero of=/tmp/fill bs=1M count=3; " + STAY, resources={"limits": {"ephemeral-storage": "2Mi"}})))


def they_go(k):
    k.wait(lambda: all(k.status(p).get("reason") == "Evicted" for p in ("greedy", "loud")), 30, "who writes more than he may goes")
    tap.is_(k.status("greedy").get("message"), 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ', "an emptyDir")
    tap.ok("ephemeral" in k.status("loud").get("message", ""), "and a container's own files", k.status("loud").get("message"))


def a_flood(k):
    k.apply(bound("flood", sh("yes 'a line that is written again and again'")))
    k.until(lambda: glob.glob(k.path("log/default_flood_*/c/0.log.*")), 10)
    sizes = []
    for _ in range(40):
        folder = glob.glob(k.path("log/default_flood_*/c"))[0]
        found = {}
        for name in os.listdir(folder):
            try:
                found[name] = os.stat(f"{folder}/{name}").st_size
            except FileNotFoundError:  # rotated away meanwhile
                continue
        sizes.append((len(found), max(found.values()), sum(found.values())))
        time.sleep(0.05)
    tap.ok(max(n for n, _, _ in sizes) <= LOG_FILES + 1, "a flood of lines stays within its files", sizes[-1])
    tap.ok(max(m for _, m, _ in sizes) <= LOG_SIZE, "each within its size", max(m for _, m, _ in sizes))
    tap.ok(len(glob.glob(k.path("containers/flood_default_c-*.log"))) == 1, "log collectors find it", os.listdir(k.path("containers")))
    k.delete("flood")


def memory_is_short(k):
    k.apply(bound("asked", asks({"memory": "64Mi"}, STAY)), bound("careless", sh(STAY)))
    k.until(lambda: k.is_ready("asked") and k.is_ready("careless"), 10)
    k.delete("stays")
    k.until(lambda: k.gone("stays"), 10)
    k.restart("--eviction-hard", "memory.available<1Ti")
    k.wait(lambda: k.status("careless").get("reason") == "Evicted", 10, "when memory is short, who asked for none goes first")
    tap.ok("The node was low on resource: memory. Threshold quantity: 1Ti, available: " in k.status("careless")["message"],
           "with what was short", k.status("careless"))
    k.wait(lambda: condition(k.node(), "MemoryPressure") == "True", 5, "MemoryPressure is told")
    k.wait(lambda: "node.kubernetes.io/memory-pressure" in [t["key"] for t in k.node()["spec"].get("taints", [])], 10,
           "and keeps new pods away")
    k.apply({**bound("late", sh(STAY)), "spec": {**bound("late", sh(STAY))["spec"], "tolerations": []}})
    k.wait(lambda: k.status("late").get("reason") == "Evicted", 5, "one that comes all the same is sent away")
    tap.ok("The node had condition: [MemoryPressure]. " in k.status("late").get("message", ""), "and told why", k.status("late"))


def what_is_left(k):
    folder = k.path("log/default_gone_0000-dead")
    group = next(g for g in glob.glob("/sys/fs/cgroup/**/kubepods", recursive=True)) + "/besteffort/pod0000-dead/c"
    link = k.path("containers/gone_default_c-1.log")
    k.kubelet.stop()
    os.makedirs(f"{folder}/c")
    os.makedirs(group, exist_ok=True)
    os.symlink(f"{folder}/c/0.log", link)
    k.kubelet.argv = k.kubelet_argv()
    k.kubelet.start()
    k.wait(lambda: not os.path.exists(folder) and not os.path.exists(group) and not os.path.lexists(link), 10,
           "logs, groups and links of pods that nobody knows are collected")


def images_go(k):
    for p in k.pods():
        k.delete(p["metadata"]["name"])
    k.until(lambda: not k.pods() and not glob.glob(k.path("run/pods/*")), 10)
    tap.ok(k.node()["status"]["images"], "an image is there, though no pod has it any more")
    with open(k.path("images/full"), "wb") as file:
        file.write(bytes(IMAGE_DISK // 20))
    k.restart("--image-gc-high-threshold", "4", "--image-gc-low-threshold", "1", "--minimum-image-ttl-duration", "1s")
    k.wait(lambda: not k.node()["status"].get("images"), 10, "when their disk is full, images that nobody uses are collected")


def metrics():
    with urllib.request.urlopen("http://127.0.0.1:10248/metrics", timeout=5) as answer:
        lines = (line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}


def what_is_counted():
    counted = metrics()
    tap.is_(counted['kubelet_evictions{eviction_signal="nodefs.available"}'], 1.0, "metrics count the eviction")
    patches = counted["fairlead_kubelet_node_patches_total"]
    tap.ok(patches < 40, "and the node's status is told when it changes, not all the time", f"{patches:.0f} patches")


def story(k):
    the_node(k)
    the_lease(k)
    a_deleted_node(k)
    who_writes_too_much(k)
    the_api_is_away(k)
    who_is_refused(k)
    what_others_gave_the_node(k)
    room_for_the_critical(k)
    they_go(k)
    a_flood(k)
    a_full_disk(k)
    what_is_counted()
    memory_is_short(k)
    what_is_left(k)
    images_go(k)


def main():
    def inside(lab):
        with NodeLab(lab, kubelet_args=ARGS) as k:
            begin = time.monotonic()
            k.wait(lambda: condition(k.node() or {}, "Ready") == "True", 10, "the node is ready")
            tap.diag(f"after {time.monotonic() - begin:.2f} s; RSS {k.kubelet.rss_mb():.1f} MB")
            story(k)

    podlab.need(os.path.exists("/usr/lib/cni/bridge"), "needs containernetworking-plugins")
    podlab.main(inside, make=False)


main()
