# SPDX-License-Identifier: Apache-2.0
"""Watchers that check what must hold at every moment of a rollout, from the stream of changes, all along and whatever is killed
meanwhile:

    with observe.Rollout(c.server, "default", "app=web") as seen:
        seen.promise(available=8, replicas=13)   # from now on: at least so many available pods; at most so many wanted ones
        ...
    tap.is_(seen.violations(), [], "...")

A watcher sees its collection at each revision, in order. When the API server has gone, it watches on from where it was, or lists
anew."""

import contextlib
import http.client
import json
import os
import socket
import threading
import time

from client import Client, Watch

KEPT = 20  # violations


class Follower:
    """A collection at its latest revision: objects by uid. judge(what) is called after each change, with the lock held."""

    def __init__(self, server, path, selector):
        self.server, self.path = server, path
        self.query = f"labelSelector={selector.replace('=', '%3D')}" if selector else ""
        self.lock, self.objects, self.version = threading.Lock(), {}, None
        self.violations, self.events = [], 0
        self.ending, self.watch, self.thread = False, None, threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.list()
        self.thread.start()

    def stop(self):
        self.ending = True
        if self.watch:  # close() would wait for the reading thread
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.watch.sock.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)

    def complain(self, what):
        if len(self.violations) < KEPT:
            self.violations.append(what)

    def compare(self, was, now):
        """Two states of one object."""

    def judge(self, when):
        """All objects."""

    def list(self):
        found = Client(self.server).get(f"{self.path}?{self.query}").json()
        with self.lock:
            now = {item["metadata"]["uid"]: item for item in found["items"]}
            for uid, item in now.items():
                self.compare(self.objects.get(uid), item)
            self.objects, self.version = now, found["metadata"]["resourceVersion"]
            self.judge("in a list")

    def take(self, event):
        item = event["object"]
        if event["type"] == "ERROR":
            self.list()
            return
        with self.lock:
            self.version = item["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                return
            self.events += 1
            uid = item["metadata"]["uid"]
            if event["type"] == "DELETED":
                self.objects.pop(uid, None)
            else:
                self.compare(self.objects.get(uid), item)
                self.objects[uid] = item
            self.judge(f"{event['type']} {item['metadata']['name']} at {self.version}")

    def follow(self):
        self.watch = Watch(self.server,
                           f"{self.path}?{self.query}&watch=true&allowWatchBookmarks=true&resourceVersion={self.version}")
        if self.watch.status == 410:
            self.list()
            return
        if self.watch.status != 200:
            raise OSError(f"HTTP {self.watch.status}")
        while not self.ending:
            line = self.watch.line(60)
            if not line:
                return
            self.take(json.loads(line))

    def run(self):
        while not self.ending:
            try:
                self.follow()
            except (OSError, ValueError, AttributeError, http.client.HTTPException):  # the server is being started again
                time.sleep(0.05)


def controller(item):
    return next((ref["uid"] for ref in item["metadata"].get("ownerReferences", []) if ref.get("controller")), None)


def is_available(pod):
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def counts(pod):
    """Whether a ReplicaSet counts it."""
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ("Succeeded", "Failed")


class Pods(Follower):
    """least: the fewest available pods since promise(). total: the most pods that were not ending. most: the same by
    controller, of all time. made: names of all that were seen before their end."""

    def __init__(self, server, namespace, selector):
        super().__init__(server, f"/api/v1/namespaces/{namespace}/pods", selector)
        self.promised, self.wanted, self.least, self.total, self.most, self.made = None, None, None, 0, {}, set()

    def promise(self, available, wanted):
        with self.lock:
            self.promised, self.wanted, self.least, self.total = available, wanted, None, 0
            self.judge("at first")

    def judge(self, when):
        available, by_controller = 0, {}
        for pod in self.objects.values():
            available += is_available(pod)
            if counts(pod):
                by_controller[controller(pod)] = by_controller.get(controller(pod), 0) + 1
        for owner, count in by_controller.items():
            self.most[owner] = max(count, self.most.get(owner, 0))
        self.least = available if self.least is None else min(self.least, available)
        self.total = max(self.total, sum(by_controller.values()))
        if self.wanted is not None and sum(by_controller.values()) > self.wanted:
            self.complain(f"{when}: {sum(by_controller.values())} pods, at most {self.wanted} were wanted")
        if self.promised is not None and available < self.promised:
            self.complain(f"{when}: {available} available pods, at least {self.promised} were promised")

    def compare(self, was, now):
        name = now["metadata"]["name"]
        if not was:
            self.made |= {name} if counts(now) else set()
            return
        before, node = was["spec"].get("nodeName"), now["spec"].get("nodeName")
        if before and before != node:
            self.complain(f"{name} was bound to {before}, then to {node}")
        if controller(was) and controller(now) and controller(was) != controller(now):
            self.complain(f"{name} changed its controller")
        if "deletionTimestamp" in was["metadata"] and "deletionTimestamp" not in now["metadata"]:
            self.complain(f"{name} came back from its deletion")


class ReplicaSets(Follower):
    """asked: by uid, the most replicas that it was ever asked for. most: of all, at any moment since promise()."""

    def __init__(self, server, namespace, selector):
        super().__init__(server, f"/apis/apps/v1/namespaces/{namespace}/replicasets", selector)
        self.promised, self.most, self.asked = None, 0, {}

    def promise(self, replicas):
        with self.lock:
            self.promised, self.most = replicas, 0
            self.judge("at first")

    def judge(self, when):
        replicas = sum(item["spec"]["replicas"] for item in self.objects.values())
        self.most = max(replicas, self.most)
        for uid, item in self.objects.items():
            self.asked[uid] = max(item["spec"]["replicas"], self.asked.get(uid, 0))
        if self.promised is not None and replicas > self.promised:
            self.complain(f"{when}: ReplicaSets of {replicas} replicas together, at most {self.promised} were wanted")


class Rollout:
    """The pods and ReplicaSets of a Deployment. That no more pods exist than replicas are wanted is more than upstream promises."""

    def __init__(self, server, namespace="default", selector=""):
        self.pods, self.sets = Pods(server, namespace, selector), ReplicaSets(server, namespace, selector)

    def __enter__(self):
        self.sets.start()
        self.pods.start()
        return self

    def __exit__(self, *_):
        self.pods.stop()
        self.sets.stop()

    def promise(self, available=0, replicas=None):
        self.pods.promise(available, replicas)
        self.sets.promise(replicas)

    def violations(self):
        """Sentences. A ReplicaSet with more pods than it was ever asked for has made some twice."""
        with self.pods.lock, self.sets.lock:
            twice = [f"a ReplicaSet had {count} pods, and was never asked for more than {self.sets.asked[uid]}"
                     for uid, count in self.pods.most.items() if uid in self.sets.asked and count > self.sets.asked[uid]]
            blind = [f"the watcher of {f.path} has ended" for f in (self.pods, self.sets) if not f.thread.is_alive()]
            return self.pods.violations + self.sets.violations + twice + blind
