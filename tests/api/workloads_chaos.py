#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""Several Deployments and Services are changed, paused, undone, deleted, orphaned and made again at random, while processes are
killed at random moments. When that ends, all comes to rest where it should: every pod has its owner, every Deployment its pods,
every Service the addresses of its ready pods, nothing is left over, and nobody writes any more.

    SEED=7 ROUNDS=100 tests/api/workloads_chaos.py"""

import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import cluster  # noqa: E402
import tap  # noqa: E402
from client import run_story  # noqa: E402

SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
ROUNDS = int(os.environ.get("ROUNDS", "40"))
NAMESPACES, NAMES = ("red", "blue"), ("a", "b", "c")
NODES = 5


def path(kind, ns, name=""):
    group = {"pods": "/api/v1", "services": "/api/v1", "endpointslices": "/apis/discovery.k8s.io/v1"}.get(kind, "/apis/apps/v1")
    return f"{group}/namespaces/{ns}/{kind}" + (f"/{name}" if name else "")


def deployment(name, replicas, image):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "progressDeadlineSeconds": 600,
                     "template": template(name, image)}}


def template(name, image, ready=True):
    notes = {"hollow.fairlead.dev/ready-after": "50ms", "hollow.fairlead.dev/stop-after": "100ms",
             "hollow.fairlead.dev/never-ready": "false" if ready else "true"}
    return {"metadata": {"labels": {"app": name}, "annotations": notes}, "spec": {"containers": [{"name": "c", "image": image}]}}


def service(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}}


class World:
    """What is done at random. Answers of the API do not matter here: an object may be gone, or the server."""

    def __init__(self, c):
        self.c, self.chance, self.image = c, random.Random(SEED), 0
        self.told = []

    def ask(self, method, where, body=None, **more):
        try:
            return self.c.api().request(method, where, body, **more)
        except Exception:  # pylint: disable=broad-except
            return None

    def merge(self, ns, name, body):
        return self.ask("PATCH", path("deployments", ns, name), body, content_type="application/merge-patch+json")

    def next_image(self):
        self.image += 1
        return f"app:{self.image}"

    # -- what users do --

    def make(self, ns, name):
        self.ask("POST", path("deployments", ns), deployment(name, self.chance.randint(0, 8), self.next_image()))

    def scale(self, ns, name):
        self.merge(ns, name, {"spec": {"replicas": self.chance.randint(0, 10)}})

    def update(self, ns, name):
        self.merge(ns, name, {"spec": {"template": template(name, self.next_image())}})

    def break_it(self, ns, name):
        self.merge(ns, name, {"spec": {"template": template(name, self.next_image(), ready=False)}})

    def pause(self, ns, name):
        self.merge(ns, name, {"spec": {"paused": self.chance.random() < 0.5}})

    def strategy(self, ns, name):
        kind = self.chance.choice(({"type": "Recreate", "rollingUpdate": None},
                                   {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
                                   {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}))
        self.merge(ns, name, {"spec": {"strategy": kind}})

    def delete(self, ns, name):
        policy = self.chance.choice(("Background", "Foreground", "Orphan"))
        self.ask("DELETE", path("deployments", ns, name), {"propagationPolicy": policy})
        if self.chance.random() < 0.7:
            self.make(ns, name)

    def delete_some(self, ns, name):
        kind = self.chance.choice(("pods", "replicasets"))
        answer = self.ask("GET", path(kind, ns) + f"?labelSelector=app%3D{name}")
        items = answer.json().get("items", []) if answer and answer.status == 200 else []
        for item in self.chance.sample(items, min(len(items), 2)):
            self.ask("DELETE", path(kind, ns, item["metadata"]["name"]))

    # -- what goes wrong --

    def kill(self, *_):
        child = self.chance.choice((self.c.manager, self.c.manager, self.c.scheduler, self.c.hollow))
        child.kill()
        time.sleep(self.chance.uniform(0, 0.2))
        child.start(wait=False)

    def kill_server(self, *_):
        self.c.server.kill()
        self.c.server.start()

    def step(self):
        users = (self.scale, self.update, self.break_it, self.pause, self.strategy, self.delete, self.delete_some, self.make)
        what = self.chance.choice(users * 3 + (self.kill,) * 4 + (self.kill_server,))
        ns, name = self.chance.choice(NAMESPACES), self.chance.choice(NAMES)
        self.told.append(f"{what.__name__} {ns}/{name}")
        what(ns, name)
        time.sleep(self.chance.choice((0, 0, 0.02, 0.1, 0.4)))


# ---- rest ----


def orphans_are_adopted(world):
    """Every Deployment is there again, unpaused and with a good template: what was orphaned finds its owner by that, or goes."""
    for ns in NAMESPACES:
        for name in NAMES:
            if not world.c.get(path("deployments", ns, name)):
                world.c.api().post(path("deployments", ns), deployment(name, 3, world.next_image()))
            answer = world.merge(ns, name, {"spec": {"paused": False, "replicas": world.chance.randint(1, 6),
                                                     "template": template(name, world.next_image())}})
            if answer is None or answer.status != 200:
                raise RuntimeError(f"{ns}/{name}: {answer and answer.body!r}")


def owner(item):
    return next((ref["uid"] for ref in item["metadata"].get("ownerReferences", []) if ref.get("controller")), None)


def complaints(c):
    """What is not as it should be; sentences."""
    out = []
    for ns in NAMESPACES:
        deployments, sets, pods = (c.items(path(kind, ns)) for kind in ("deployments", "replicasets", "pods"))
        uids = {item["metadata"]["uid"] for item in deployments + sets}
        out += [f"{ns}/{item['metadata']['name']} has no owner" for item in sets + pods if owner(item) not in uids]
        out += [f"{ns}/{pod['metadata']['name']} is still ending" for pod in pods if "deletionTimestamp" in pod["metadata"]]
        for d in deployments:
            out += of_deployment(ns, d, [p for p in pods if p["metadata"]["labels"]["app"] == d["metadata"]["name"]], sets)
            out += of_service(c, ns, d["metadata"]["name"], pods)
    ips = [pod["status"].get("podIP") for ns in NAMESPACES for pod in c.pods(ns)]
    return out + ([] if len(set(ips)) == len(ips) else [f"two pods have one address: {sorted(map(str, ips))}"])


def of_deployment(ns, d, pods, sets):
    name, wanted, status = d["metadata"]["name"], d["spec"]["replicas"], d["status"]
    image = d["spec"]["template"]["spec"]["containers"][0]["image"]
    good = [p for p in pods if cluster.is_ready(p) and p["spec"]["containers"][0]["image"] == image]
    out = [] if len(good) == len(pods) == wanted else [f"{ns}/{name}: {len(pods)} pods, {len(good)} good ones, {wanted} wanted"]
    told = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    if told != [wanted] * 4 or status.get("observedGeneration") != d["metadata"]["generation"]:
        out.append(f"{ns}/{name}: its status says {status}")
    live = sum(s["spec"]["replicas"] > 0 for s in sets if owner(s) == d["metadata"]["uid"])
    return out + ([] if live == 1 else [f"{ns}/{name}: {live} ReplicaSets want pods"])


def of_service(c, ns, name, pods):
    slices = c.items(path("endpointslices", ns) + f"?labelSelector=kubernetes.io/service-name%3D{name}")
    listed = sorted((e["targetRef"]["uid"], e["addresses"][0], e["conditions"]["ready"])
                    for s in slices for e in s.get("endpoints") or [])
    wanted = sorted((p["metadata"]["uid"], p["status"].get("podIP"), cluster.is_ready(p)) for p in pods
                    if p["metadata"]["labels"]["app"] == name)
    return [] if listed == wanted else [f"Service {ns}/{name}: endpoints {listed}, pods {wanted}"]


def versions(c):
    return {(kind, ns, item["metadata"]["name"]): item["metadata"]["resourceVersion"] for ns in NAMESPACES
            for kind in ("deployments", "replicasets", "pods", "endpointslices") for item in c.items(path(kind, ns))}


def chaos(c):
    for ns in NAMESPACES:
        c.api().post("/api/v1/namespaces", {"metadata": {"name": ns}})
    world = World(c)
    for ns in NAMESPACES:
        for name in NAMES:
            world.make(ns, name)
            c.api().post(path("services", ns), service(name))
    for _ in range(ROUNDS):
        world.step()
    for child in c.children():
        child.wait_ready()
    tap.diag(f"seed {SEED}: " + ", ".join(world.told))
    c.check()
    # Foreground deletions end first: what is being deleted cannot be changed into what is wanted.
    c.wait(lambda: all("deletionTimestamp" not in d["metadata"] for ns in NAMESPACES for d in c.items(path("deployments", ns))), 20,
           "deletions come to their end")
    orphans_are_adopted(world)
    rest = c.wait(lambda: complaints(c) == [], 30, "everything is as it should be")
    if not rest:
        tap.diag("\n".join(complaints(c)))
    before = versions(c)
    time.sleep(1.5)
    after = versions(c)
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    tap.is_(changed, [], "and nobody writes any more")


def main():
    with cluster.Cluster(nodes=NODES) as c:
        run_story(chaos, c)
    tap.done()


if __name__ == "__main__":
    main()
