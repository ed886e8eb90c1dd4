#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The scheduler and what may go wrong: kill -9 in the middle, two replicas, an API server that comes and goes. Whatever happens,
every pod gets one node, no node gets more than it has, and no pod is ever bound a second time."""

import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import Client, Watch, eventually, run_story, together  # noqa: E402

PODS = "/api/v1/namespaces/default/pods"
NODES, ROOM, COUNT = 30, 20, 600  # as many pods as there is room for, exactly


def make_nodes(c):
    for i in range(NODES):
        c.api().post("/api/v1/nodes", {
            "metadata": {"name": f"n{i}", "labels": {"kubernetes.io/hostname": f"n{i}", "topology.kubernetes.io/zone": f"z{i % 3}"}},
            "status": {"allocatable": {"cpu": str(ROOM), "memory": "8Gi", "pods": "110"}}})
        c.api().patch(f"/api/v1/nodes/n{i}", {"spec": {"taints": None}})


def make_pods(c, count, prefix="p"):
    def some(k):
        client = Client(c.server)
        for i in range(k, count, 4):
            answer = client.post(PODS, {"metadata": {"name": f"{prefix}{i}"}, "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}})
            if answer.status != 201:
                raise RuntimeError(answer.body)
        client.close()

    for result in together(4, some):
        if isinstance(result, Exception):
            raise result


class Witness:
    """Watches all pods, and remembers each node that a pod was seen on."""

    def __init__(self, server):
        self.homes, self.server, self.ended = {}, server, False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ended:
            try:
                with Watch(self.server, PODS + "?watch=true") as stream:
                    while not self.ended:
                        event = stream.next(1)
                        if event is None:
                            break
                        if event["type"] in ("ADDED", "MODIFIED"):
                            self.see(event["object"])
            except OSError:
                time.sleep(0.1)

    def see(self, pod):
        home = pod["spec"].get("nodeName")
        if home:
            self.homes.setdefault(pod["metadata"]["uid"], set()).add(home)

    def end(self):
        self.ended = True
        self.thread.join(5)


def bound(c):
    return [p["spec"]["nodeName"] for p in c.items(PODS) if p["spec"].get("nodeName")]


def check_all(c, witness, what):
    c.wait(lambda: len(bound(c)) == COUNT, 60, f"{what}: every pod gets a node")
    homes = bound(c)
    tap.is_(max(homes.count(f"n{i}") for i in range(NODES)), ROOM, f"{what}: no node has more than it can take")
    time.sleep(0.5)
    witness.end()
    tap.is_([h for h in witness.homes.values() if len(h) > 1], [], f"{what}: no pod was ever on two nodes")


def clear(c):
    c.api().delete(PODS + "?gracePeriodSeconds=0")
    eventually(lambda: not c.items(PODS), 20)


def killed_again_and_again(c):
    witness = Witness(c.server)
    maker = threading.Thread(target=make_pods, args=(c, COUNT))
    maker.start()
    kills = 0
    for n in (40, 120, 200, 280, 360, 440, 520):
        eventually(lambda n=n: len(bound(c)) >= n, 20)
        before = len(bound(c))
        c.scheduler.kill()
        kills += before < COUNT
        c.scheduler.start()
    maker.join()
    tap.ok(kills >= 3, "the scheduler is killed in the middle of its work", f"{kills} times")
    check_all(c, witness, f"killed {kills} times")
    clear(c)


def api_server_restarts(c):
    witness = Witness(c.server)
    maker = threading.Thread(target=make_pods, args=(c, COUNT // 2))
    maker.start()
    maker.join()
    eventually(lambda: len(bound(c)) >= 30, 10)
    c.server.kill()
    time.sleep(0.5)
    c.server.start()
    make_pods(c, COUNT - COUNT // 2, "q")
    check_all(c, witness, "the API server is killed and comes back")
    tap.ok(c.scheduler.alive(), "the scheduler lived through it")
    clear(c)


def pods_vanish(c):
    """Pods that are deleted while they are being scheduled leave nothing behind: the room is free again."""
    for _ in range(3):
        make_pods(c, 200, "gone")
        clear(c)
    eventually(lambda: c.scheduler.metrics().get('scheduler_cache_size{type="pods"}') == 0, 5)
    metrics = c.scheduler.metrics()
    tap.is_([metrics.get(f'scheduler_cache_size{{type="{kind}"}}') for kind in ("pods", "assumed_pods")], [0, 0],
            "nothing is left of 600 pods that were deleted meanwhile")
    witness = Witness(c.server)
    make_pods(c, COUNT)
    check_all(c, witness, "afterwards")
    clear(c)


def others_bind_too(c):
    """Somebody else binds half of the pods meanwhile: 409 for the scheduler, and it goes on."""
    witness, answers = Witness(c.server), []

    def bind(client, i):
        return client.post(f"{PODS}/p{i}/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": f"p{i}"},
                                                    "target": {"kind": "Node", "name": f"n{i % NODES}"}}).status

    def bind_some(k):
        client = Client(c.server)
        for i in range(k, COUNT, 8):
            while (status := bind(client, i)) == 404:  # not made yet
                pass
            answers.append(status)
        client.close()

    maker = threading.Thread(target=make_pods, args=(c, COUNT))
    maker.start()
    together(2, bind_some)
    maker.join()
    tap.ok(answers.count(201) > 5 and set(answers) <= {201, 409}, "another binds pods, too, and is the first at times",
           {status: answers.count(status) for status in answers})
    c.wait(lambda: len(bound(c)) >= COUNT - NODES, 60, "the others get nodes")
    witness.end()
    tap.is_([h for h in witness.homes.values() if len(h) > 1], [], "no pod was ever on two nodes")
    clear(c)


def two_replicas(c):
    leader = c.wait(lambda: c.leader(c.schedulers), 20, "one of two replicas leads")
    follower = next(s for s in c.schedulers if s is not leader)
    tap.ok(not follower.leads(), "the other one does not")
    witness = Witness(c.server)
    maker = threading.Thread(target=make_pods, args=(c, COUNT))
    maker.start()
    eventually(lambda: len(bound(c)) >= 50, 20)
    leader.kill()
    c.wait(follower.leads, 20, "the leader is killed: the other one leads")
    leader.start()
    maker.join()
    check_all(c, witness, "two replicas")
    tap.is_([s.leads() for s in (leader, follower)], [False, True], "who comes back does not lead")
    follower.stop()
    c.wait(leader.leads, 5, "a leader that ends gives the Lease back: the other one leads soon")


def main():
    with cluster.Cluster(nodes=0, manager=False) as c:
        make_nodes(c)
        for story in (killed_again_and_again, api_server_restarts, pods_vanish, others_bind_too):
            run_story(story, c)
    with cluster.Cluster(nodes=0, manager=False, schedulers=2) as c:
        make_nodes(c)
        run_story(two_replicas, c)
    tap.done()


main()
