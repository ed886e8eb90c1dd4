#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""fairctl up: whole clusters come, stand side by side, lose machines, and go without a trace."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness")]

import lab_kernel  # noqa: E402
import tap  # noqa: E402
from fleet import CLUSTERS, FAIRCTL, Fleet, fairctl, has_kubelet, requirements, until  # noqa: E402
from lab_place import alive, cgroup2  # noqa: E402

# Pods and services of every number that a cluster may have (docs/clusters.md).
NETWORKS = (("10.64.0.0", 10), ("10.128.0.0", 10))


MAKE_IMAGE = """
layout=$1
umoci init --layout "$layout" && umoci new --image "$layout:1"
mkdir "$layout.root" && cp /bin/busybox "$layout.root/"
umoci insert --image "$layout:1" "$layout.root" /bin
skopeo --insecure-policy copy "oci:$layout:1" "docker-archive:$2:example.test/other:2"
"""

# ---- what there is on this machine

def lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def groups(name):
    """cgroups of that cluster, in all hierarchies."""
    mounts = [line.split()[1] for line in lines("/proc/self/mounts") if line.split()[2] in ("cgroup", "cgroup2")]
    return [folder for mount in mounts for folder, _, _ in os.walk(f"{mount}/fairlead+{name}")]


def processes(name):
    """Of that cluster: by their group, or by what they were started with. Ended ones, that only wait for the machine's first
    process to see it, do not count."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if not alive(int(pid)):
                continue
            if any(f"/fairlead+{name}/" in line for line in lines(f"/proc/{pid}/cgroup")):
                found.append(pid)
            elif f"{CLUSTERS}/{name}/" in " ".join(lines(f"/proc/{pid}/cmdline")):
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def left(name):
    """Everything that there is of a cluster on this machine."""
    return {"groups": groups(name), "processes": processes(name), "folder": os.path.exists(f"{CLUSTERS}/{name}"),
            "mounts": [line for line in lines("/proc/self/mountinfo") if f"/{name}" in line],
            "pins": [f for f in os.listdir("/sys/fs/bpf") if "fairlead" in f] if os.path.isdir("/sys/fs/bpf") else []}


def links():
    return sorted(os.listdir("/sys/class/net"))


def check_gone(name, what):
    nothing = {"groups": [], "processes": [], "folder": False, "mounts": [], "pins": left("no-such")["pins"]}
    tap.is_(left(name), nothing, f"{what}: no group, process, folder, mount or pin is left")


# ---- stories

def comes_up(fleet):
    tap.ok(True, "fairctl up says that the cluster is there")
    tap.diag(f"{fleet.nodes} nodes were up {fleet.up_s:.2f} s after the command")
    names = fleet.kubectl("get namespaces -o name").split()
    tap.ok("namespace/kube-system" in names, "kubectl reaches it from the host, by 127.0.0.1")
    _, text, _ = fairctl("kubeconfig", "--name", fleet.name)
    tap.like(text, r"server: \"https://127\.0\.0\.1:\d+", "the kubeconfig names that address")


def says_no(fleet):
    code, out, _ = fleet.fairctl("up")
    tap.ok(code == 0 and "all machines run already" in out, "up again changes nothing, and says so", out)
    for words, text in ((("--nodes", "7"), "with 3 nodes"), (("--dual-stack",), "another IP family"),
                        (("--routing", "native"), "another routing")):
        code, _, errors = fleet.fairctl("up", *words, check=False)
        tap.ok(code == 1 and text in errors, f"{' '.join(words)} is refused for a cluster that is there", errors)
    for words, text in ((("up", "--name", "Not_a_name"), "a name is made of"), (("up", "--nodes", "x"), "use a number"),
                        (("logs", "--name", fleet.name, "nobody"), "there are: apiserver"),
                        (("shell", "--name", fleet.name, "node-9"), "it has fabric, control-plane, client, node-1"),
                        (("status", "--name", "no-such"), "no-such")):
        code, _, errors = fairctl(*words, check=False)
        tap.ok(code and text in errors, f"fairctl {words[0]} says what is wrong with {words[-1]}", errors)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", FAIRCTL, "up", "--name", "nobody"]
    done = subprocess.run(nobody, capture_output=True, text=True, check=False)
    tap.ok(done.returncode == 1 and "root" in done.stderr, "up asks for root", done.stderr)


def is_a_network(fleet):
    """Without a kubelet: nodes by hand, so that agents have something to do."""
    node = fleet.node(1)
    answer = until(lambda: node.run(["sh", "-c", "curl -sk --max-time 2 https://control-plane:6443/readyz"], check=False)[1])
    tap.is_(answer, "ok", "a node reaches the API server by the fabric")
    address = fleet.get("service kubernetes")["spec"]["clusterIP"]
    answer = until(lambda: node.run(["curl", "-sk", "--max-time", "2", f"https://{address}/readyz"], check=False)[1])
    tap.is_(answer, "ok", "and by the ClusterIP of the service `kubernetes`")
    answer = fleet.client.run(["curl", "-sk", "--max-time", "5", "https://control-plane:6443/readyz"], check=False)[1]
    tap.is_(answer, "ok", "the client reaches the fabric through its router")
    code, _, _ = node.run(["curl", "-s", "--max-time", "1", "http://192.0.2.1/"], check=False)
    tap.ok(code, "nothing reaches the world")


def has_a_disk(fleet):
    """What a node writes is its own."""
    node = fleet.node(1)
    code, _, errors = node.run(["touch", "/usr/nothing"], check=False)
    tap.ok(code and "Read-only" in errors, "a node sees the machine's files read-only", errors)
    node.run(["sh", "-c", "echo mine >/etc/fl-test-of-mine; echo mine >/var/lib/fairlead/kept; echo mine >/run/lost"])
    tap.ok(not os.path.exists("/etc/fl-test-of-mine") and not os.path.exists("/run/lost"), "its /etc and /run are its own")
    code, _, _ = fleet.node(2).run(["cat", "/etc/fl-test-of-mine"], check=False)
    tap.ok(code, "and no other node's")
    tap.is_(node.run("hostname"), "node-1\n", "it has a name of its own")
    tap.like(node.run("ps -o pid,args -p 1"), r"1 fairctl __machine", "and a first process of its own")


def loses_power(fleet):
    node, before = fleet.node(1), fleet.node(1).pid
    start = time.monotonic()
    fleet.kill_node(1)
    tap.diag(f"a power cut takes {1000 * (time.monotonic() - start):.0f} ms")
    tap.is_(node.status()["on"], False, "a node without power is off")
    tap.is_(processes(fleet.name + "/node-1"), [], "none of its processes is left")
    code, _, errors = fleet.fairctl("shell", "node-1", check=False)
    tap.ok(code == 1 and "is off" in errors, "who wants to enter it is told so", errors)
    fleet.restart_node(1)
    tap.ok(node.status()["on"] and node.pid != before, "it comes back")
    tap.is_(node.run("cat /etc/fl-test-of-mine /var/lib/fairlead/kept"), "mine\nmine\n", "with its disk")
    tap.ok(node.run("ls /run/lost", check=False)[0], "but not with its /run")
    answer = until(lambda: node.run(["curl", "-sk", "--max-time", "2", "https://control-plane:6443/readyz"], check=False)[1])
    tap.is_(answer, "ok", "and on the network")


def looks_after_programs(fleet):
    plane = fleet.control_plane
    fleet.kubectl("create configmap kept --from-literal=a=b")
    plane.run(["kill", "-9", str(plane.program("apiserver")["pid"])])
    again = until(lambda: plane.program("apiserver")["starts"] == 2)
    tap.ok(again, "an API server that is killed is started again", plane.status())
    tap.is_(plane.program("apiserver")["last"], "killed by signal 9", "how it ended is known")
    kept = until(lambda: fleet.kubectl("get configmap kept -o jsonpath={.data.a}", check=False)[1])
    tap.is_(kept, "b", "with what it had acknowledged")
    tap.like(fleet.logs("init@control-plane"), r"msg=ended name=apiserver how=\"killed by signal 9\"", "its end is in a log")
    fleet.fairctl("node", "restart", "control-plane")
    tap.is_(fleet.kubectl("get configmap kept -o jsonpath={.data.a}"), "b", "the control plane survives a power cut, too")


def changes_size(fleet):
    fleet.fairctl("node", "add")
    tap.is_(fleet.node(4).run("hostname"), "node-4\n", "a node is added")
    fleet.fairctl("node", "remove", "node-4")
    machines = [row["machine"] for row in fleet.status()]
    tap.ok("node-4" not in machines and "node-3" in machines, "and removed", machines)
    tap.ok(not groups(fleet.name + "/node-4") and not os.path.exists(f"{fleet.folder}/machines/node-4"), "nothing of it is left")
    code, _, errors = fleet.fairctl("node", "remove", "control-plane", check=False)
    tap.ok(code == 1 and "is no node" in errors, "the control plane cannot be removed", errors)


def takes_images(fleet):
    """What each node finds in its image folder's load/, when there is no kubelet that takes it at once."""
    layout, archive = f"{fleet.tmp}/layout", f"{fleet.tmp}/busybox.tar"
    subprocess.run(["sh", "-ec", MAKE_IMAGE, "sh", layout, archive], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    code, _, errors = fleet.fairctl("image", "load", layout, check=False)
    tap.ok(code == 1 and "give its name" in errors, "an image without a name needs one", errors)
    _, out, _ = fleet.fairctl("image", "load", layout, "example.test/box:1")
    tap.like(out, r"^example\.test/box:1 is on", "a layout is loaded under a name")
    _, out, _ = fleet.fairctl("image", "load", archive)
    tap.like(out, r"^example\.test/other:2 is on", "an archive under its own")
    if not has_kubelet():
        load = f"{fleet.folder}/machines/node-3/disk/var/lib/fairlead/images/load"
        tap.is_(sorted(os.listdir(load)), ["example.test%2Fbox%3A1.oci", "example.test%2Fother%3A2.tar"], "it is on the disks")
    for path, text in (("/etc/passwd", "is no image"), ("/nowhere", "No such file")):
        code, _, errors = fleet.fairctl("image", "load", path, check=False)
        tap.ok(code == 1 and text in errors, f"{path} is refused", errors)


def runs_pods(fleet):
    if not has_kubelet():
        tap.skip("nodes are Ready", "fairlead-kubelet has not been built")
        return
    tap.is_(fleet.nodes_ready(), fleet.nodes, "all nodes are Ready")
    fleet.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "box"},
                 "spec": {"type": "NodePort", "selector": {"app": "box"}, "ports": [{"port": 80, "nodePort": 30081}]}},
                {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "box"}, "spec": {
                    "selector": {"matchLabels": {"app": "box"}}, "template": {
                        "metadata": {"labels": {"app": "box"}}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                            "name": "box", "image": "example.test/box:1",
                            "command": ["/bin/busybox", "sh", "-c", "/bin/busybox hostname >/name; exec /bin/busybox httpd -f -p 80"],
                            "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}]}}}})
    ready = until(lambda: fleet.get("daemonset box")["status"].get("numberReady") == fleet.nodes, 30)
    tap.ok(ready, "a pod on each node runs the image that was loaded", fleet.kubectl("get pods -o wide"))
    names = {p["metadata"]["name"] for p in fleet.get("pods")["items"]}
    for number in range(1, fleet.nodes + 1):
        got = {fleet.client.run(["curl", "-s", "--max-time", "5", f"http://node-{number}:30081/name"], check=False)[1].strip()
               for _ in range(8)}
        tap.ok(got and got <= names, f"the client reaches pods by the NodePort at node-{number}", f"{got}, of {names}")


def stand_side_by_side(fleet):
    with Fleet(nodes=1, words="--dual-stack --routing native") as other:
        numbers = [json.loads("".join(lines(f"{f.folder}/cluster.json")))["number"] for f in (fleet, other)]
        tap.ok(numbers[0] != numbers[1], "a second cluster has networks of its own", numbers)
        other.kubectl("create configmap other --from-literal=a=b")
        tap.ok(fleet.kubectl("get configmap other", check=False)[0], "and an API of its own")
        tap.is_(len(other.node(1).addresses), 2, "with both families")
        plane = other.control_plane.addresses[1]
        answer = until(lambda: other.node(1).run(["curl", "-gsk", "--max-time", "2", f"https://[{plane}]:6443/readyz"],
                                                 check=False)[1])
        tap.is_(answer, "ok", "its node reaches its API server by IPv6")
        code, _, _ = other.node(1).run(["curl", "-sk", "--max-time", "1", f"https://{fleet.control_plane.addresses[0]}:6443/"],
                                       check=False)
        tap.ok(code, "and the other cluster not at all")
        keeps_state(other)
    check_gone(other.name, "a cluster that was taken down")


def keeps_state(fleet):
    _, text, _ = fleet.fairctl("down", "--keep-state")
    tap.like(text, "its disks are kept", "down --keep-state says what it keeps")
    tap.is_((processes(fleet.name), groups(fleet.name)), ([], []), "nothing runs any more")
    fleet.fairctl("up")
    tap.is_(fleet.kubectl("get configmap other -o jsonpath={.data.a}"), "b", "up goes on with it")


def is_killed_half_way(file):
    """When that file of its folder is there."""
    name = f"fl-test-{os.getpid()}-half"
    with subprocess.Popen([FAIRCTL, "up", "--name", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        while not os.path.exists(f"{CLUSTERS}/{name}/{file}") and up.poll() is None:
            time.sleep(0.0005)
        up.send_signal(signal.SIGKILL)
    had, whole = len(processes(name)), up.returncode == 0
    code, out, errors = fairctl("down", "--name", name, check=False)
    tap.ok(code == 0 and not whole, f"down after up was killed at {file or 'once'}; {had} processes were there", out + errors)
    check_gone(name, "after that")


def main():
    requirements()
    before = links()
    witness = lab_kernel.Witness(NETWORKS)
    tap.ok(cgroup2(), "cgroup v2 is there")
    with Fleet(nodes=3) as fleet:
        for story in (comes_up, says_no, takes_images, runs_pods, is_a_network, has_a_disk, loses_power, looks_after_programs,
                      changes_size, stand_side_by_side):
            story(fleet)
    check_gone(fleet.name, "down")
    for file in ("", "cluster.json", "machines/fabric/pid", "machines/control-plane/pid", "machines/node-1/lock",
                 "machines/node-2/pid", "machines/control-plane/status.json"):
        is_killed_half_way(file)
    code, _, errors = fairctl("down", "--name", fleet.name, check=False)
    tap.ok(code == 1 and "there is no" in errors, "down says when there is nothing", errors)
    tap.is_(links(), before, "the machine's own network devices are as they were")
    tap.is_(witness.count(), {}, "no packet of the clusters passed one of them")
    witness.close()
    tap.done()


main()
