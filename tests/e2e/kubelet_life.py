#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What a kubelet's death, a silent API server and broken pods do to the pods of a node: nothing that is not theirs. And a
thousand pods leave nothing behind."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubelab import container, pod

STAY = ("sh", "-c", "trap exit TERM; sleep 3600 & wait")
MANIFEST = """apiVersion: v1
kind: Pod
metadata: {name: fixed}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: c, image: %s, command: [sleep, "3600"], env: [{name: A, value: "%s"}]}
"""


def pids(k, names):
    return {name: k.pid(name) for name in names}


def adoption(k):
    names = [f"kept-{i}" for i in range(5)]
    k.apply(*[pod(name, argv=STAY) for name in names])
    k.wait(lambda: all(k.is_ready(n) for n in names), 15, "five pods run")
    before = pids(k, names)
    k.kubelet.kill()
    k.delete(names[0])
    k.apply(pod("new", argv=STAY))
    os.kill(before[names[1]], 9)
    k.kubelet.start()
    k.wait(lambda: k.gone(names[0]), 10, "a pod that was deleted while the kubelet was dead is ended by the next one")
    k.wait(lambda: k.is_ready("new"), 10, "one that was made meanwhile is started")
    k.wait(lambda: (k.container_status(names[1]) or {}).get("restartCount") == 1 and k.is_ready(names[1]), 20,
           "one whose process has died meanwhile is started again")
    tap.is_(pids(k, names[2:]), {n: before[n] for n in names[2:]}, "and the others are the same processes")
    tap.is_([k.container_status(n)["restartCount"] for n in names[2:]], [0] * 3, "that count no restart")


def killed_in_the_middle(k):
    """kill -9 again and again while pods are made and ended: it converges, and starts nothing twice."""
    names = [f"mid-{i}" for i in range(12)]
    k.apply(*[pod(name, argv=STAY) for name in names])
    for _ in range(6):
        time.sleep(0.12)
        k.kubelet.kill()
        k.kubelet.start()
    k.wait(lambda: all(k.is_ready(n) for n in names), 30, "twelve pods get ready though the kubelet was killed six times")
    tap.is_(sum(k.container_status(n)["restartCount"] for n in names), 0, "without a restart of any of them")
    for name in names:
        k.delete(name)
    for _ in range(4):
        time.sleep(0.1)
        k.kubelet.kill()
        k.kubelet.start()
    k.wait(lambda: all(k.gone(n) for n in names), 30, "and end though it was killed four times")


def without_api(k):
    k.apply(pod("lonely", argv=STAY))
    k.wait(lambda: k.is_ready("lonely"), 10, "a pod runs")
    pid = k.pid("lonely")
    k.server.kill()
    os.kill(pid, 9)
    time.sleep(1.5)
    k.server.start()
    k.wait(lambda: k.container_status("lonely")["restartCount"] == 1 and k.is_ready("lonely"), 20,
           "a container that ended while the API server was away was started again, and the API hears of it")


def static_pods(k):
    os.makedirs(k.path("manifests"), exist_ok=True)
    with open(k.path("manifests/fixed.yaml"), "w", encoding="utf-8") as file:
        file.write(MANIFEST % (kubelab.IMAGE, "1"))
    name = f"fixed-{kubelab.NODE}"
    k.wait(lambda: k.is_ready(name), 15, "a static pod is ready under its mirror's name")
    pid = k.pid(name)
    k.delete(name, gracePeriodSeconds=0)
    k.wait(lambda: k.is_ready(name), 10, "its mirror comes back when somebody deletes it")
    tap.is_(k.pid(name), pid, "and the pod was never touched")
    with open(k.path("manifests/fixed.yaml"), "w", encoding="utf-8") as file:
        file.write(MANIFEST % (kubelab.IMAGE, "2"))
    k.wait(lambda: k.is_ready(name) and k.pod(name)["spec"]["containers"][0]["env"][0]["value"] == "2" and k.pid(name) != pid, 15,
           "a changed file is another pod")
    os.unlink(k.path("manifests/fixed.yaml"))
    k.wait(lambda: k.gone(name), 10, "and a removed one is none")


def bad_pods(k):
    """Each with the reason that users know, and the others unharmed."""
    k.apply(pod("good", argv=STAY))
    missing = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "nowhere", "key": "x"}}}
    k.apply(pod("no-config", container(env=[missing])),
            pod("no-image", container(image="docker.io/library/nowhere:1", imagePullPolicy="Never")),
            pod("no-command", container(argv=["/nowhere"])),
            pod("no-volume", container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                volumes=[{"name": "v", "configMap": {"name": "nowhere"}}]),
            pod("no-folder", container(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
                volumes=[{"name": "v", "hostPath": {"path": "/nowhere", "type": "Directory"}}]),
            pod("root", container(securityContext={"runAsNonRoot": True})),
            pod("registry", container(image="127.0.0.9:1/x:1")),
            pod("large", container(env=[{"name": "BIG", "value": "x" * 900_000}])),
            pod("nfs", container(), volumes=[{"name": "v", "nfs": {"server": "a", "path": "/b"}}]))
    for name, reasons in {"no-config": {"CreateContainerConfigError"}, "no-image": {"ErrImageNeverPull"},
                          "no-command": {"CreateContainerError", "RunContainerError", "CrashLoopBackOff"},
                          "root": {"CreateContainerConfigError"}, "registry": {"ErrImagePull", "ImagePullBackOff"}}.items():
        k.wait(lambda n=name, r=reasons: k.reason(n) in r, 20, f"{name}: {' or '.join(sorted(reasons))}")
    for name in ("no-volume", "no-folder"):
        k.wait(lambda n=name: "FailedMount" in [r for r, _ in k.events(n)], 20, f"{name}: an Event FailedMount")
    k.wait(lambda: any("nfs" in m for _, m in k.events("nfs")), 10, "nfs: what is not supported is named by an Event")
    k.wait(lambda: k.reason("large") not in (None, "ContainerCreating"), 20, "large: an environment of 900 kB has an end")
    tap.diag(f"large: {k.container_status('large')['state']}")
    tap.ok(k.is_ready("good"), "good: runs on")
    k.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nowhere"}, "data": {"x": "y"}})
    k.wait(lambda: k.is_ready("no-config") and k.is_ready("no-volume"), 20, "what was missing comes, and the pods run")


def many(k, rounds, each):
    begin = time.monotonic()
    for i in range(rounds):
        names = [f"many-{i}-{j}" for j in range(each)]
        k.apply(*[pod(name, argv=STAY, restartPolicy="Never") for name in names])
        k.until(lambda n=names: sum(p["status"]["phase"] == "Running" for p in k.pods() if p["metadata"]["name"] in n) == each)
        for name in names:
            k.delete(name, gracePeriodSeconds=0)
        k.until(lambda n=names: not any(p["metadata"]["name"] in n for p in k.pods()))
    tap.ok(True, f"{rounds * each} pods have come and gone")
    tap.diag(f"in {time.monotonic() - begin:.1f} s; the kubelet has {k.kubelet.rss_mb():.1f} MB")


def end_all(k):
    for p in k.pods():
        k.delete(p["metadata"]["name"], gracePeriodSeconds=0)
    k.wait(lambda: not k.pods(), 20, "all pods end")
    k.wait(lambda: k.left() == [], 15, "and nothing of them is left on the node")
    if k.left():
        tap.diag(k.left()[:20])


def main(k):
    for story in (adoption, killed_in_the_middle, without_api, static_pods, bad_pods):
        story(k)
        end_all(k)
    many(k, 10, 100)
    end_all(k)


if __name__ == "__main__":
    kubelab.main(main)
