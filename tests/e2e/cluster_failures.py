#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=300
"""What fails in a whole cluster while it is asked: every program of it is killed, one by one and all at once, and a node is
cut off and comes back. Requests are counted: none may fail where the way of the packets is untouched."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness")]

import tap  # noqa: E402
from apiserver import TOP  # noqa: E402
from fleet import Fleet, has_kubelet, requirements, until  # noqa: E402
from fleet_load import Load  # noqa: E402

EXAMPLES = os.path.join(TOP, "examples")
NODES, PORT, REPLICAS = 3, 30080, 3
LOST_S = 12  # without a sign of life a node is lost (docs/clusters.md)
TIMEOUT_S = 5  # of a request: a machine that has much else to do is slow, and a lost packet comes again
PROGRAMS = (("control-plane", "apiserver"), ("control-plane", "controller-manager"), ("control-plane", "scheduler"),
            ("control-plane", "relay"), ("node-1", "kubelet"), ("node-2", "agent"))


def urls(*numbers):
    return [f"http://node-{n}:{PORT}/cgi-bin/name" for n in numbers]


def ready_pods(fleet, app="front"):
    """Ready ones, that are not about to go."""
    return [p for p in fleet.get("pods")["items"] if p["metadata"]["labels"].get("app") == app
            and "deletionTimestamp" not in p["metadata"]
            and any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", ()))]


def restarts(fleet):
    """Of the shop's servers: the Job tries until the back end is there."""
    return sum(s["restartCount"] for p in fleet.get("pods")["items"] if "app" in p["metadata"]["labels"]
               for s in p["status"].get("containerStatuses", ()))


def deploy(fleet):
    folder = os.path.join(fleet.tmp, "shop")
    subprocess.run([os.path.join(EXAMPLES, "images", "make.sh"), folder], check=True, stdout=subprocess.DEVNULL)
    for image, name in (("front-1", "shop/front:1"), ("back-1", "shop/back:1")):
        fleet.load_image(os.path.join(folder, image), name)
    fleet.kubectl(f"apply -f {os.path.join(EXAMPLES, 'shop.yaml')}")
    tap.ok(until(lambda: len(ready_pods(fleet)) == REPLICAS, 40), "the shop is open", fleet.kubectl("get pods -o wide"))
    for number in range(1, NODES + 1):
        until(lambda url=urls(number)[0]: fleet.client.run(["curl", "-s", "-m", "1", url], check=False)[1], 20)


def kill(machine, name):
    """kill -9 from inside; how often it had been started before."""
    program = machine.program(name)
    machine.run(["kill", "-9", str(program["pid"])], check=False)
    return program["starts"]


def is_back(fleet, machine, name, starts):
    rows = [row for row in fleet.status() if row["machine"] == machine]
    return any(p["name"] == name and p["pid"] and p["starts"] > starts for row in rows for p in row["programs"])


def dies_alone(fleet):
    load, before = Load(fleet.client, urls(1, 2, 3), threads=2, timeout_s=TIMEOUT_S), restarts(fleet)
    for machine, name in PROGRAMS:
        failed, start = load.failed, time.monotonic()
        starts = kill(fleet.machine(machine), name)
        back = until(lambda m=machine, n=name, s=starts: is_back(fleet, m, n, s), 15)
        tap.ok(back and load.failed == failed, f"{name} is killed: it is started again, and no request fails",
               f"{fleet.status()}, {load.errors}")
        tap.diag(f"it was back {time.monotonic() - start:.1f} s later")
    code = until(lambda: fleet.kubectl("get --raw /readyz", check=False)[0] == 0, 20)
    tap.ok(code, "the API answers")
    load.end()
    tap.ok(load.ok and not load.failed, f"{load.ok} requests were answered meanwhile, {load.failed} failed", dict(load.errors))
    tap.is_(restarts(fleet), before, "and no container was started again")


def die_together(fleet):
    load, before = Load(fleet.client, urls(1, 2, 3), threads=2, timeout_s=TIMEOUT_S), restarts(fleet)
    fleet.kubectl("create configmap acknowledged --from-literal=a=b")
    rows = [(row["machine"], [str(p["pid"]) for p in row["programs"]]) for row in fleet.status() if row["programs"]]
    start = time.monotonic()
    with ThreadPoolExecutor(len(rows)) as pool:
        list(pool.map(lambda row: fleet.machine(row[0]).run(["kill", "-9", *row[1]], check=False), rows))
    tap.is_(until(lambda: fleet.kubectl("get configmap acknowledged -o jsonpath={.data.a}", check=False)[1], 20), "b",
            f"all {sum(len(pids) for _, pids in rows)} programs of all machines are killed: what was acknowledged is there")
    tap.diag(f"the API answered again {time.monotonic() - start:.1f} s later")
    fleet.kubectl(f"scale deployment front --replicas={REPLICAS + 1}")
    grown = until(lambda: len(ready_pods(fleet)) == REPLICAS + 1, 30)
    tap.ok(grown, "the cluster works: one more pod gets Ready", fleet.kubectl("get pods -o wide"))
    tap.diag(f"it was Ready {time.monotonic() - start:.1f} s after the kill")
    load.end()
    tap.ok(load.ok and not load.failed, f"{load.ok} requests were answered meanwhile, {load.failed} failed", dict(load.errors))
    tap.is_(restarts(fleet), before, "and no container was started again")


def is_cut_off(fleet):
    """The cable of node-3 is pulled, and plugged in again."""
    load = Load(fleet.client, urls(1, 2), threads=2, timeout_s=TIMEOUT_S)
    start, begun = time.monotonic(), load.moments[-1]["t"]
    fleet.machine("fabric").run("ip link set node-3 down")
    lost = until(lambda: fleet.nodes_ready() == NODES - 1, LOST_S + 10)
    lost_s = time.monotonic() - start
    tap.ok(lost, f"a node without a cable is not Ready any more after {lost_s:.1f} s")
    moved = until(lambda: len([p for p in ready_pods(fleet) if p["spec"]["nodeName"] != "node-3"]) == REPLICAS + 1, 40)
    tap.ok(moved, "its pods are replaced on the others", fleet.kubectl("get pods -o wide"))
    time.sleep(1)
    failed = [m["t"] - begun for m in load.moments if m["failed"]]
    tap.ok(max(failed, default=0) < lost_s + 5, f"{load.failed} requests failed, the last {max(failed, default=0):.1f} s after "
           "the cut", dict(load.errors))
    failed = load.failed
    fleet.machine("fabric").run("ip link set node-3 up")
    tap.ok(until(lambda: fleet.nodes_ready() == NODES, 40), "with its cable it is Ready again")
    gone = until(lambda: len([p for p in fleet.get("pods")["items"] if p["metadata"]["labels"].get("app") == "front"])
                 == REPLICAS + 1, 40)
    tap.ok(gone, "and ends what was replaced meanwhile", fleet.kubectl("get pods -o wide"))
    time.sleep(1)
    load.end()
    tap.is_(load.failed, failed, "no request fails while it comes back")


def main():
    requirements()
    if not has_kubelet():
        tap.skip_all("fairlead-kubelet has not been built")
    with Fleet(nodes=NODES) as fleet:
        for story in (deploy, dies_alone, die_together, is_cut_off):
            story(fleet)
    tap.done()


main()
