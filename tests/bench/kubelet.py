#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""A pod from its assignment to a node (it is created with a nodeName) until its container runs, until the API says Ready, and
until it is gone; a hundred at once; memory. A cluster of `fairctl up` with one node: API server, controllers, fairlead-agent and its
CNI plugin, all on this machine's processors. The image is there. A container's beginning is the time of its first line in its
log, which the shim writes; Ready is a watch event. containerd's figures are recorded ones: kubelet_runtime measures it beside ours."""

import json
import os
import re
import sys
import time
import types
from datetime import datetime

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import figures  # noqa: E402
import image  # noqa: E402
from client import Client, Watch  # noqa: E402
from fleet import Fleet  # noqa: E402

IMAGE = "docker.io/library/bench:1"
PODS = "/api/v1/namespaces/default/pods"
ALONE = 10 if figures.QUICK else 40
MANY = 100


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "node-1", "terminationGracePeriodSeconds": 1, "containers": [
                {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                 "command": ["sh", "-c", "echo up; trap exit TERM; sleep 3600 & wait"]}]}}


def connect(fleet):
    """What client.py asks of a server, for the API server of the fleet as the host reaches it."""
    with open(fleet.kubeconfig, encoding="utf-8") as file:
        url = yaml.safe_load(file)["clusters"][0]["cluster"]["server"]
    server = types.SimpleNamespace(kubeconfig=fleet.kubeconfig, tmp=fleet.tmp, port=int(url.rpartition(":")[2]))
    server.context = lambda: apiserver.Server.context(server)
    return server


def is_ready(o):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in o.get("status", {}).get("conditions", []))


def follow(watch, what):
    """The time of the first event that what is true of."""
    while True:
        event = watch.next(20)
        figures.check(event and event["type"] != "TIMEOUT", "an event that never came")
        if what(event):
            return time.time()


def first_line_s(fleet, name, uid):
    path = fleet.node(1).inside(f"/var/log/pods/default_{name}_{uid}/c/0.log")
    end = time.monotonic() + 5
    while not os.path.exists(path) or not os.path.getsize(path):
        figures.check(time.monotonic() < end, "a log that nobody wrote")
        time.sleep(0.005)
    with open(path, encoding="ascii") as file:
        text = file.readline().split()[0]
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float("0." + re.match(r"\d+", fraction).group(0))


def one_by_one(fleet, server, client):
    running, ready, gone = [], [], []
    with Watch(server, f"{PODS}?watch=true") as watch:
        for i in range(ALONE):
            name, begin = f"alone-{i}", time.time()
            answer = client.post(PODS, pod(name))
            figures.check(answer.status == 201, f"the pod was not made: {answer.body[:300]}")
            ready.append((follow(watch, lambda e, n=name: e["object"]["metadata"]["name"] == n and is_ready(e["object"])) - begin) * 1e3)
            running.append((first_line_s(fleet, name, answer.json()["metadata"]["uid"]) - begin) * 1e3)
            begin = time.time()
            client.delete(f"{PODS}/{name}")
            gone.append((follow(watch, lambda e, n=name: e["type"] == "DELETED" and e["object"]["metadata"]["name"] == n) - begin) * 1e3)
    figures.median("running_ms", running, "ms")
    figures.median("ready_ms", ready, "ms")
    figures.median("gone_ms", gone, "ms")
    figures.say("running_p99_ms", sorted(running)[len(running) * 99 // 100], "ms")


def kubelet_status(fleet):
    """Of /proc: of the kubelet in the node."""
    for pid in fleet.node(1).run("pidof fairlead-kubelet").split():
        return fleet.node(1).run(["cat", f"/proc/{pid}/status"])
    raise figures.Broken("there is no kubelet")


def kb(status, key):
    return int(re.search(rf"^{key}:\s+(\d+)", status, re.M).group(1))


def shim_kb(fleet):
    """PSS of all shims and holders of the node."""
    script = "for p in $(pidof fairlead-shim); do grep ^Pss: /proc/$p/smaps_rollup; done"
    return sum(int(line.split()[1]) for line in fleet.node(1).run(["sh", "-c", script]).splitlines())


def together(fleet, server, client):
    idle = kubelet_status(fleet)
    figures.say("idle_rss_mb", kb(idle, "VmRSS") / 1024, "MB")
    figures.say("libraries_rss_mb", kb(idle, "RssFile") / 1024, "MB")
    names, waiting = [f"many-{i}" for i in range(MANY)], set()
    with Watch(server, f"{PODS}?watch=true") as watch:
        begin = time.time()
        for name in names:
            client.post(PODS, pod(name))
        made = time.time() - begin
        waiting.update(names)

        def one_less(event):
            if is_ready(event["object"]):
                waiting.discard(event["object"]["metadata"]["name"])
            return not waiting

        ready = follow(watch, one_less) - begin
    figures.say("hundred_created_s", made, "s")
    figures.say("hundred_ready_s", ready, "s")
    time.sleep(12)  # what a burst took has been given back
    full = kubelet_status(fleet)
    figures.say("rss_mb", kb(full, "VmRSS") / 1024, "MB")
    figures.say("own_memory_mb", kb(full, "RssAnon") / 1024, "MB")
    figures.say("shims_mb_per_pod", shim_kb(fleet) / 1024 / MANY, "MB")
    begin = time.time()
    for name in names:
        client.delete(f"{PODS}/{name}")
    while client.get(PODS).json()["items"]:
        figures.check(time.time() - begin < 60, "pods that do not end")
        time.sleep(0.02)
    figures.say("hundred_gone_s", time.time() - begin, "s")


def main():
    with Fleet(nodes=1) as fleet:
        image.busybox(f"{fleet.tmp}/layout", "1")
        fleet.load_image(f"{fleet.tmp}/layout", IMAGE)
        server = connect(fleet)
        client = Client(server)
        end = time.monotonic() + 20
        while IMAGE not in json.dumps(client.get("/api/v1/nodes/node-1").json()["status"].get("images", [])):
            figures.check(time.monotonic() < end, "the image was not loaded")
            time.sleep(0.05)
        one_by_one(fleet, server, client)
        together(fleet, server, client)
        client.close()


if __name__ == "__main__":
    main()
