#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""What a pod costs the kubelet's built-in runtime: sandbox with network (fairlead-cni), container created and started, a command
in it, its end; memory; a hundred pods at once. Beside it containerd's CRI (with runc, overlayfs, and the same plugin), when it is
installed, in rounds in which both take turns. Times are the caller's, from request to answer: a JSON line by a pipe here, gRPC from
Python there (about 0.5 ms of each of its calls). The plugin's agent is a stand-in that answers at once; files are in memory."""

import ctypes
import json
import os
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cni  # noqa: E402
import figures  # noqa: E402
import podlab  # noqa: E402

ROUNDS_OF_ITS_OWN = True
ROUNDS = 10 if figures.QUICK else 40
PODS = 100
PEER_PODS = 10  # each takes 20 MB and more
STEPS = ("sandbox", "create", "start", "exec", "remove")


def conflist(lab):
    return {"cniVersion": "1.0.0", "name": "bench", "plugins": [{"type": "fairlead-cni", "runDir": f"{lab.folder}/fairlead",
                                                                   "capabilities": {"portMappings": True}}]}


def network(lab):
    os.makedirs(f"{lab.folder}/fairlead")
    with open(f"{lab.folder}/fairlead/node.json", "w", encoding="utf-8") as file:
        json.dump({"version": 1, "nodeName": "n1", "podCIDRs": ["10.244.1.0/24"], "mtu": 1450,
                   "gateways": ["169.254.1.1", "fe80::1"], "hostAddresses": ["192.0.2.1"]}, file)
    os.symlink(os.path.join(podlab.BUILD, "fairlead-cni"), f"{lab.folder}/plugins/fairlead-cni")
    lab.network(conflist(lab))
    return cni.Agent(f"{lab.folder}/fairlead")


def mount_other_controllers():
    """runc wants all of v1's controllers; the lab has those that the kubelet uses."""
    with open("/proc/self/cgroup", encoding="ascii") as file:
        names = [line.split(":")[1] for line in file]
    for name in names:
        folder = f"/sys/fs/cgroup/{name.removeprefix('name=')}"
        if not name or os.path.isdir(folder) or any(os.path.isdir(f"/sys/fs/cgroup/{one}") for one in name.split(",")):
            continue
        os.mkdir(folder)
        if ctypes.CDLL(None).mount(b"cgroup", folder.encode(), b"cgroup", 0, name.replace("name=", "none,name=").encode()):
            os.rmdir(folder)


class Clock:
    """Milliseconds of the steps of one pod."""

    def __init__(self):
        self.took, self.last = {}, time.perf_counter()

    def step(self, name):
        now = time.perf_counter()
        self.took[name], self.last = (now - self.last) * 1e3, now


def own_pod(lab, driver):
    clock = Clock()
    sandbox = driver.pod(1)
    clock.step("sandbox")
    container = driver.container(sandbox, ["/bin/busybox", "sleep", "3600"])
    clock.step("create")
    driver.good("start", id=container)
    clock.step("start")
    figures.check(driver.good("exec_sync", id=container, argv=["/bin/busybox", "true"])["code"] == 0, "the command failed")
    clock.step("exec")
    driver.good("sandbox_stop", id=sandbox)
    driver.good("sandbox_remove", id=sandbox)
    clock.step("remove")
    return clock.took


def peer_pod(cri):
    clock = Clock()
    sandbox = cri.run_pod("one")
    clock.step("sandbox")
    container = cri.create(sandbox, "one")
    clock.step("create")
    cri.start(container)
    clock.step("start")
    figures.check(cri.exec_sync(container, ["/busybox", "true"]) == 0, "containerd's command failed")
    clock.step("exec")
    cri.stop_pod(sandbox)
    cri.remove_pod(sandbox)
    clock.step("remove")
    return clock.took


def tell_times(own, peer):
    for took in own + peer:
        took["pod"] = took["sandbox"] + took["create"] + took["start"]
    for step in ("pod", *STEPS):
        peers = None
        if peer:
            figures.median(f"containerd_{step}_ms", [took[step] for took in peer], "ms")
            peers = {"containerd": f"containerd_{step}_ms"}
        figures.median(f"{step}_ms", [took[step] for took in own], "ms", peers)


def pss(wanted):
    """KiB of all processes whose (comm, words) are wanted."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as comm, open(f"/proc/{pid}/cmdline", "rb") as words:
                if not wanted(comm.read().strip(), words.read()):
                    continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as maps:
                total += next(int(line.split()[1]) for line in maps if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError, StopIteration):
            continue
    return total


def own_memory(lab, driver, peers):
    began = time.perf_counter()
    sandboxes = [driver.wait(tag)["id"] for tag in [driver.send("run", **lab.pod(100 + i)) for i in range(PODS)]]
    made = [driver.wait(tag)["id"] for tag in [driver.send("create", sandbox=s, image=lab.image, argv=["/bin/busybox", "sleep", "3600"])
                                               for s in sandboxes]]
    results = [driver.wait(tag)["result"] for tag in [driver.send("start", id=c) for c in made]]
    figures.check(results == [0] * PODS, "a hundred pods do not run")
    figures.say("hundred_pods_s", time.perf_counter() - began, "s")
    figures.say("pod_memory_kib", pss(lambda comm, _: comm == "fairlead-shim") / PODS, "KiB", peers=peers)
    figures.say("driver_rss_kib", lab.rss(driver.process.pid), "KiB")
    for tag in [driver.send("sandbox_remove", id=s) for s in sandboxes]:
        figures.check(driver.wait(tag, 60)["result"] == 0, "a pod cannot be removed")


def peer_memory(cri):
    """What stays beside a container: containerd's shim, and the process of the sandbox, which is the image's own here."""
    before = pss(lambda comm, words: comm.startswith("containerd-shim"))
    sandboxes = [cri.run_pod(f"pod-{i}") for i in range(PEER_PODS)]
    for i, sandbox in enumerate(sandboxes):
        cri.start(cri.create(sandbox, f"pod-{i}"))
    figures.say("containerd_pod_memory_kib", (pss(lambda comm, words: comm.startswith("containerd-shim")) - before) / PEER_PODS, "KiB")
    for sandbox in sandboxes:
        cri.stop_pod(sandbox)
        cri.remove_pod(sandbox)


def compare(lab, driver, cri):
    own, peer = [], []
    for i in range(ROUNDS + 1):
        own.append(own_pod(lab, driver))
        if cri:
            peer.append(peer_pod(cri))
        if i == 0:  # files that are read for the first time
            own, peer = [], []
    tell_times(own, peer)


def story(lab):
    agent = network(lab)
    driver = podlab.Driver(lab)
    if shutil.which("containerd") and shutil.which("runc"):
        import containerd  # pylint: disable=import-outside-toplevel
        mount_other_controllers()
        with containerd.Containerd(conflist(lab), os.path.join(podlab.BUILD, "fairlead-cni"), "overlayfs", lab.folder) as cri:
            compare(lab, driver, cri)
            peer_memory(cri)
        peers = {"containerd": "containerd_pod_memory_kib"}
    else:
        print("# containerd or runc is not installed: nothing is put beside", flush=True)
        compare(lab, driver, None)
        peers = None
    own_memory(lab, driver, peers)
    driver.end()
    agent.close()


if __name__ == "__main__":
    podlab.main(story)
