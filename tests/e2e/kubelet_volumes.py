#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""Volumes and variables on a real node: what reaches containers, what changes while they run, what hostile pods try, and
that nothing of it is left. All pods run side by side."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import kubelab
import tap
from kubelab import container, pod

SHELL = ("sh", "-c")
STAY = "trap exit TERM; sleep 3600 & wait"


def sh(script, name="c", **fields):
    return container(name, (*SHELL, script), **fields)


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def mount(name, path, **fields):
    return {"name": name, "mountPath": path, **fields}


def change(k, name, **data):
    k.api().patch(f"/api/v1/namespaces/default/configmaps/{name}", {"data": data}, "merge")


def files(k):
    """What comes as files, and how it changes."""
    k.apply(config("live", number="1"), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hidden"}, "stringData": {"key": "word"}})
    projected = {"sources": [{"configMap": {"name": "live"}}, {"secret": {"name": "hidden", "items": [{"key": "key", "path": "in/key", "mode": 0o400}]}},
                             {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}
    k.apply(pod("files", sh(STAY, volumeMounts=[mount("all", "/all"), mount("one", "/number", subPath="number"), mount("mem", "/mem"),
                                                mount("disk", "/disk"), mount("disk", "/part", subPathExpr="of/$(ME)")],
                            env=[{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
                securityContext={"fsGroup": 2000},
                volumes=[{"name": "all", "projected": projected}, {"name": "one", "configMap": {"name": "live"}},
                         {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, {"name": "disk", "emptyDir": {}}]))
    k.wait(lambda: k.is_ready("files"), 10, "a pod with volumes of all kinds gets ready")

    def see(*argv):
        return k.in_container("files", *argv)

    tap.is_(see("cat", "/all/number", "/all/in/key"), "1word", "files can be read")
    tap.is_(see("cat", "/all/labels"), 'app="files"', "a projected volume has labels")
    tap.is_(see("stat", "-L", "-c", "%a %g", "/all/in/key"), "440 2000", "fsGroup may read a secret")
    tap.is_(see("stat", "-c", "%a %g", "/disk"), "2777 2000", "and owns an emptyDir")
    tap.is_(see("stat", "-f", "-c", "%T", "/all"), "tmpfs", "secrets lie in memory")
    see("sh", "-c", "head -c 2m /dev/zero > /mem/x")
    tap.is_(see("stat", "-c", "%s", "/mem/x"), "1048576", "an emptyDir in memory is as large as it says")
    tap.ok("Read-only file system" in see("sh", "-c", "{ echo x > /all/number; } 2>&1"), "what comes from the API cannot be written")
    see("touch", "/part/mine")
    tap.is_(see("ls", "/disk/of/files"), "mine", "subPathExpr names a folder by a variable")
    begin = time.monotonic()
    change(k, "live", number="2")
    k.until(lambda: see("cat", "/all/number") == "2", 10)
    took = time.monotonic() - begin
    tap.ok(took < 1, "a change of a ConfigMap is seen within a second", f"{took:.3f} s")
    tap.diag(f"a ConfigMap's change is seen after {took * 1000:.0f} ms (polled every 50)")
    tap.is_(see("cat", "/number"), "1", "but not through a subPath")


def token(k):
    """The token that every pod gets."""
    k.apply(pod("who", sh(STAY, volumeMounts=[mount("t", "/t")]), serviceAccountName="default",
                volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]}}]))
    k.wait(lambda: k.is_ready("who"), 10, "a pod with a service account's token gets ready")
    text = k.in_container("who", "cat", "/t/token")
    tap.is_(text.count("."), 2, "its token is a JWT")
    answer = k.api().post("/apis/authentication.k8s.io/v1/tokenreviews", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                                                                         "spec": {"token": text}})
    tap.is_(json.loads(answer.body)["status"].get("user", {}).get("username"), "system:serviceaccount:default:default", "which the API server knows")


def missing(k):
    """What is not there is waited for, and named."""
    k.apply(pod("waits", sh(STAY, volumeMounts=[mount("c", "/c")]), volumes=[{"name": "c", "configMap": {"name": "later"}}]),
            pod("asks", sh(STAY, env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "x"}}}])),
            pod("claims", sh(STAY), volumes=[{"name": "c", "hostPath": {"path": "/no/such", "type": "Directory"}}]))
    k.wait(lambda: ("FailedMount", 'MountVolume.SetUp failed for volume "c" : configmap "later" not found') in k.events("waits"), 10,
           "a missing ConfigMap is a FailedMount")
    k.wait(lambda: k.reason("asks") == "CreateContainerConfigError", 10, "a missing variable is a CreateContainerConfigError")
    k.wait(lambda: any("hostPath type check failed: /no/such is not a directory" in m for _, m in k.events("claims")), 10,
           "a hostPath of another type is named")
    k.apply(config("later", x="y"))
    k.wait(lambda: k.is_ready("waits") and k.is_ready("asks"), 15, "both run as soon as it is there")


def refused(k):
    """What cannot be done is said."""
    k.apply(config("odd", **{"3k": "x", "FINE": "y"}), pod("odd", sh(STAY, envFrom=[{"configMapRef": {"name": "odd"}}])))
    k.wait(lambda: "InvalidEnvironmentVariableNames" in [r for r, _ in k.events("odd")], 10, "keys that are no variables are told in an Event")
    large = [{"name": "LARGE", "value": "x" * 200000}]
    many = [{"name": f"V{i}", "value": "x" * 10000} for i in range(100)]
    k.apply(pod("large", sh(STAY, env=large)), pod("many", sh("env | wc -c; " + STAY, env=many)),
            pod("root", sh(STAY, securityContext={"runAsNonRoot": True})),
            pod("huge", sh(STAY), volumes=[{"name": "h", "emptyDir": {"medium": "HugePages"}}]))
    k.wait(lambda: "argument list too long" in ((k.container_status("large") or {}).get("state", {}).get("waiting", {}).get("message") or ""), 10,
           "a variable of 200 kB is refused with words")
    k.wait(lambda: k.is_ready("many"), 10, "1 MB of variables is no problem")
    k.wait(lambda: int(k.log("many") or 0) > 1000000, 5, "all of it is there")
    k.wait(lambda: "image will run as root" in str(k.container_status("root")), 10, "runAsNonRoot is checked")
    k.wait(lambda: any("medium" in m for _, m in k.events("huge")), 10, "huge pages are refused by name")


def hostile(k):
    """Links, races and mounts of a container do not lead out of its volume, while it runs and when it is removed."""
    os.makedirs(k.path("precious/folder"))
    with open(k.path("precious/file"), "w", encoding="utf-8") as file:
        file.write("precious")
    tricks = (f"ln -s {k.path('precious')} /v/absolute; ln -s ../../../../../../precious /v/up; ln -s /proc/1/root /v/proc; "
              "i=0; while [ $i -lt 150 ]; do mkdir d && cd d; i=$((i+1)); done")
    for name, sub in (("absolute", "absolute"), ("up", "up"), ("proc", "proc/etc"), ("below", "up/new")):
        k.apply(pod(f"evil-{name}", sh(STAY, volumeMounts=[mount("v", "/x", subPath=sub)]),
                    initContainers=[sh("cd /v; " + tricks, "i", volumeMounts=[mount("v", "/v")])], volumes=[{"name": "v", "emptyDir": {}}]))
    for name in ("absolute", "up", "proc", "below"):
        k.wait(lambda name=name: "failed to prepare subPath" in str(k.container_status(f"evil-{name}")), 15, f"a subPath that leads out by {name} is refused")
    k.apply(pod("leaves", sh("mkdir -p /v/a; " + STAY, volumeMounts=[mount("v", "/v")]), volumes=[{"name": "v", "emptyDir": {}}]))
    k.wait(lambda: k.is_ready("leaves"), 10, "a pod with a volume gets ready")
    folder = f"{k.path('kubelet')}/pods/{k.pod('leaves')['metadata']['uid']}/volumes/emptyDir/v/a"
    k.until(lambda: os.path.isdir(folder), 5)
    subprocess.run(["mount", "--bind", k.path("precious"), folder], check=True)  # as somebody's Bidirectional mount stays behind
    tap.ok(os.path.exists(f"{folder}/file"), "something of the node is mounted in it")


def main(k):
    for story in (files, token, missing, refused, hostile):
        tap.diag(story.__name__)
        story(k)
    names = [p["metadata"]["name"] for p in k.pods()]
    for name in names:
        k.delete(name, gracePeriodSeconds=0)
    k.wait(lambda: not k.pods(), 15, "all pods go")
    k.wait(lambda: not os.path.exists(k.path("kubelet/pods")) or not os.listdir(k.path("kubelet/pods")), 15, "and their volumes")
    k.wait(lambda: not k.left(), 10, "nothing of them is left on the node")
    with open(k.path("precious/file"), encoding="utf-8") as file:
        tap.is_(file.read(), "precious", "what was not theirs is untouched")
    tap.is_(sorted(os.listdir(k.path("precious"))), ["file", "folder"], "and nothing was added to it")


if __name__ == "__main__":
    kubelab.main(main)
