#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""A whole cluster on this machine at work: `make demo`. Every figure that it prints is counted while it runs, and whatever
does not come out as it should ends it with exit status 1.

    demo.py [--keep] [--name NAME]      --keep leaves the cluster up; its name is demo"""

import argparse
import collections
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "harness"))

import lab_kernel  # noqa: E402
from fleet import FAIRCTL, Fleet, until  # noqa: E402
from fleet_load import Load  # noqa: E402

EXAMPLES = os.path.join(TOP, "examples")
TTY = sys.stdout.isatty()
BOLD, DIM, OFF = ("\033[1m", "\033[2m", "\033[0m") if TTY else ("", "", "")
NODES, PORT, REQUESTS = 3, 30080, 60
NETWORKS = (("10.64.0.0", 10), ("10.128.0.0", 10))  # pods and services of any cluster of this machine
COMPONENTS = ("fairlead-apiserver", "fairlead-controller-manager", "fairlead-scheduler", "fairlead-agent", "fairlead-kubelet")


class Failed(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failed(what)


def say(text):
    print(f"\n{BOLD}{text}{OFF}", flush=True)


def shown(text):
    """A command, before it is run."""
    print(f"{DIM}$ {text}{OFF}", flush=True)


def live(text, last=False):
    """A line that is written over by the next one; only the last one where there is no terminal."""
    if TTY:
        print(f"\r\033[K  {text}", end="\n" if last else "", flush=True)
    elif last:
        print(f"  {text}", flush=True)


def counts_text(counts):
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))


# ---- what there is

def pods_of(fleet, app):
    return [p for p in fleet.get("pods")["items"] if p["metadata"]["labels"].get("app") == app]


def is_ready(pod):
    return "deletionTimestamp" not in pod["metadata"] and any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))


def front_on(fleet):
    """{node: name of a front-end pod that is Ready there}"""
    return {p["spec"]["nodeName"]: p["metadata"]["name"] for p in pods_of(fleet, "front") if is_ready(p)}


def kubectl(fleet, words, echo=True):
    if echo:
        shown(f"kubectl {words}")
    out = fleet.kubectl(words)
    if echo and out.strip():
        print(out.rstrip(), flush=True)
    return out


# ---- the story

def cluster(fleet):
    print(f"  {NODES} nodes are Ready {fleet.up_s:.2f} s after `fairctl up` was called")
    kubectl(fleet, "get nodes -o wide")


def deploy(fleet):
    say("2. Images without a registry, and a shop: a front end, a back end, a Job, a NodePort")
    folder = os.path.join(fleet.tmp, "shop")
    shown("examples/images/make.sh; fairctl image load ... (three times)")
    subprocess.run([os.path.join(EXAMPLES, "images", "make.sh"), folder], check=True, stdout=subprocess.DEVNULL)
    for image in ("front-1", "front-2", "back-1"):
        name, _, version = image.partition("-")
        fleet.load_image(os.path.join(folder, image), f"shop/{name}:{version}")
    start = time.monotonic()
    kubectl(fleet, f"apply -f {os.path.join(EXAMPLES, 'shop.yaml')}")

    def ready():
        pods = fleet.get("pods")["items"]
        done = sum(is_ready(p) or p["status"].get("phase") == "Succeeded" for p in pods)
        live(f"{done} of 6 pods are Ready or done after {time.monotonic() - start:.1f} s")
        return len(pods) >= 6 and done == len(pods)

    expect(until(ready, 40), "the pods of the shop do not get Ready")
    live(f"all of them, {time.monotonic() - start:.1f} s after the command", last=True)
    kubectl(fleet, "get pods -o wide")
    expect(len(front_on(fleet)) == NODES, "the front end is not on all nodes")
    kubectl(fleet, "logs job/ask")


def by_cluster_ip(fleet):
    say("3. By ClusterIP, from a pod on each node: translated once, when the socket connects")
    address = fleet.get("service front")["spec"]["clusterIP"]
    for node, pod in sorted(front_on(fleet).items()):
        out = kubectl(fleet, f"exec {pod} -- wget -q -O - http://{address}/cgi-bin/who", echo=False)
        expect("was asked" in out, f"no answer from {address}: {out}")
        print(f"  from {node}: {out.rstrip()}", flush=True)


def by_node_port(fleet):
    say(f"4. By NodePort {PORT}, from a host outside of the cluster, {REQUESTS} requests to each node")
    for number in range(1, NODES + 1):
        command = f"for i in $(seq {REQUESTS}); do curl -s -m 3 http://node-{number}:{PORT}/cgi-bin/name; done"
        answers = fleet.client.run(["sh", "-c", command]).split("\n")
        counts = collections.Counter(line.split()[0] for line in answers if line)
        print(f"  node-{number}: {counts_text(counts)}", flush=True)
        expect(sum(counts.values()) == REQUESTS and len(counts) == NODES, f"not all requests, or not all pods: {counts}")


def over_vxlan(fleet):
    say("5. Pod to pod across nodes, by VXLAN: the packets as the fabric sees them")
    fronts = {p["spec"]["nodeName"]: p for p in pods_of(fleet, "front") if is_ready(p)}
    there = fronts["node-2"]["status"]["podIP"]
    watch = fleet.machine("fabric").start(["timeout", "5", "tcpdump", "-c", "2", "-nti", "br0", "udp port 8472"],
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    time.sleep(0.5)
    out = kubectl(fleet, f"exec {fronts['node-1']['metadata']['name']} -- wget -q -O - http://{there}:8080/cgi-bin/name")
    expect(fronts["node-2"]["metadata"]["name"] in out, f"another one answers: {out}")
    for line in watch.communicate(timeout=10)[0].splitlines():
        print(f"  {line.strip()}")


def rolls(fleet):
    say("6. A rolling update under load: version 1 becomes 2")
    load = Load(fleet.client, [f"http://node-{n}:{PORT}/cgi-bin/name" for n in range(1, NODES + 1)])
    kubectl(fleet, "set image deployment/front front=shop/front:2")
    start = time.monotonic()

    def done():
        live(f"{time.monotonic() - start:4.1f} s: {load.now()}; {counts_text(load.versions())}")
        status = fleet.get("deployment front")["status"]
        return status.get("observedGeneration") == 2 and status.get("updatedReplicas") == 3 and status.get(
            "availableReplicas") == 3 and status.get("replicas") == 3

    expect(until(done, 60), "the rolling update does not end")
    took = time.monotonic() - start
    time.sleep(1)
    load.end()
    live(f"{took:.1f} s: {load.ok} requests answered, {load.failed} failed; {counts_text(load.versions())}", last=True)
    expect(load.failed == 0, f"requests failed during the rolling update: {dict(load.errors)}")
    expect(set(load.versions()) == {"version 1", "version 2"}, f"not both versions answered: {load.versions()}")


def loses_power(fleet):
    fronts = front_on(fleet)
    number = max(int(node.removeprefix("node-")) for node in fronts)
    others = [n for n in range(1, NODES + 1) if n != number]
    say(f"7. node-{number} loses its power; who asks the other nodes is moved to other pods")
    load = Load(fleet.client, [f"http://node-{n}:{PORT}/cgi-bin/name" for n in others])
    start, cut_at, gone = time.monotonic(), load.moments[-1]["t"], fronts[f"node-{number}"]
    shown(f"fairctl node kill node-{number}")
    fleet.kill_node(number)

    def moved():
        live(f"{time.monotonic() - start:4.1f} s: {load.now()}")
        slices = fleet.get("endpointslices -l kubernetes.io/service-name=front")["items"]
        return gone not in [e["targetRef"]["name"] for s in slices for e in s["endpoints"] or () if e["conditions"]["ready"]]

    expect(until(moved, 40), "the endpoint of the lost node stays")
    moved_s = time.monotonic() - start
    time.sleep(3)
    load.end()
    bad = [m["t"] - cut_at for m in load.moments if m["failed"]]
    live(f"{load.ok} answered, {load.failed} failed, the last {max(bad, default=0):.1f} s after the cut; its endpoint was "
         f"taken out after {moved_s:.1f} s (a node is lost after 12 s without a sign of life)", last=True)
    expect(load.ok and max(bad, default=0) < moved_s + 3, "requests fail although the endpoint is gone")
    shown(f"fairctl node restart node-{number}")
    start = time.monotonic()
    fleet.restart_node(number)
    print(f"  it is Ready again after {time.monotonic() - start:.1f} s")


def explains(fleet):
    say("8. What becomes of a packet: the loaded programs are asked")
    node, pod = min(front_on(fleet).items())
    address = fleet.get("service front")["spec"]["clusterIP"]
    words = ["fairctl", "trace", f"default/{pod}", f"{address}:80"]
    shown(f"fairctl shell {node} -- " + " ".join(words))
    print("\n".join("  " + line for line in fleet.machine(node).run(words).rstrip().split("\n")))


def memory_of(cluster_name, name):
    """Megabytes of all processes of that name in the cluster: each shared page is divided among those who have it."""
    total, count = 0, 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                if os.path.basename(file.read().split("\0")[0]) != name:
                    continue
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                if f"/fairlead+{cluster_name}/" not in file.read():
                    continue
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1024
                count += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total, count


def rate(fleet, address):
    load = Load(fleet.node(1), [f"http://{address}/healthz"])
    time.sleep(1.5)
    load.end()
    expect(load.failed == 0 and load.ok, f"requests to {address} fail: {dict(load.errors)}")
    return load.ok / load.moments[-1]["t"]


def figures(fleet):
    say("9. Figures of this run, on this machine")
    print(f"  {'ready after the command':32} {fleet.up_s:8.2f} s")
    for name in COMPONENTS:
        total, count = memory_of(fleet.name, name)
        expect(count, f"{name} does not run")
        print(f"  {'memory of ' + name:42} {total / count:6.1f} MB each of {count}" if count > 1 else
              f"  {'memory of ' + name:42} {total:6.1f} MB")
    pod = next(p for p in pods_of(fleet, "front") if is_ready(p) and p["spec"]["nodeName"] != "node-1")
    fleet.kubectl(f"expose pod {pod['metadata']['name']} --name one --port 80 --target-port 8080")
    one = fleet.get("service one")["spec"]["clusterIP"]
    until(lambda: fleet.node(1).run(["curl", "-s", "-m", "1", f"http://{one}/healthz"], check=False)[1], 10)
    direct, service = [], []
    for _ in range(3):  # in turns, so that what else the machine does falls on both
        direct.append(rate(fleet, f"{pod['status']['podIP']}:8080"))
        service.append(rate(fleet, one))
    print(f"  {'connections by ClusterIP / direct':32} {sorted(service)[1]:8.0f} /s beside {sorted(direct)[1]:.0f} /s, to a pod of "
          "another node (the script and busybox are what limits; make bench measures)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    parser.add_argument("--name", default="demo", help="of the cluster (demo)")
    given = parser.parse_args()
    keep, name = given.keep, given.name
    start = time.monotonic()
    witness = lab_kernel.Witness(NETWORKS)
    subprocess.run([FAIRCTL, "down", "--name", name], capture_output=True, check=False)  # of a demo that was kept
    say("1. A control plane, three nodes and a client, in namespaces without a way out")
    shown(f"fairctl up --name {name}")
    try:
        with Fleet(nodes=NODES, name=name, keep=keep, show=True) as fleet:
            for scene in (cluster, deploy, by_cluster_ip, by_node_port, over_vxlan, rolls, loses_power, explains, figures):
                scene(fleet)
            say("10. And now" if keep else "10. The end")
            if not keep:
                fleet.keeper.kill()
                shown(f"fairctl down --name {name}")
                print(fleet.fairctl("down")[1].rstrip())
        private = witness.count()
        expect(not private, f"private packets left the namespaces: {private}")
    except (Failed, RuntimeError, subprocess.SubprocessError) as error:
        print(f"\ndemo: that went wrong: {error}", file=sys.stderr)
        sys.exit(1)
    print("no packet of the cluster passed a network device of this machine")
    print(f"the demo took {time.monotonic() - start:.0f} s")
    if keep:
        print(f"the cluster is up:\n  export KUBECONFIG=$({os.path.relpath(FAIRCTL)} kubeconfig --path --name {name})\n"
              f"  kubectl get pods -A -o wide\n  {os.path.relpath(FAIRCTL)} shell --name {name} node-1\n"
              f"  {os.path.relpath(FAIRCTL)} down --name {name}")
    else:
        print("try next: fairctl up; kubectl apply -f examples/shop.yaml; docs/clusters.md says more")


main()
