#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""The scheduler and an API server that answers badly: refusals, 5xx, answers that do not come although the pod was bound, a watch
that shows nothing. The server is a fake of one node and a few pods; what counts is which bindings it is asked for, and when: never
a second one for a place that may be taken."""

import http.server
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import cluster  # noqa: E402
import tap  # noqa: E402
from client import eventually, run_story  # noqa: E402

PODS = "/api/v1/namespaces/default/pods/"


def node():
    return {"kind": "Node", "metadata": {"name": "n", "resourceVersion": "1"},
            "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "10"}}}


class Fake:
    """Attributes: bindings, [(seconds, pod)] that were asked for; rules: {pod: function(fake, pod) -> (status, body) or None, which
    breaks the connection}; reads: the same for GET of a pod."""

    def __init__(self):
        self.lock, self.version, self.watches, self.pods = threading.RLock(), 1, [], {}
        self.bindings, self.rules, self.reads, self.begin, self.quiet = [], {}, {}, time.monotonic(), set()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def body(self):
                return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

            def do_GET(self):
                url = urllib.parse.urlparse(self.path)
                query = urllib.parse.parse_qs(url.query)
                if "sendInitialEvents" in query:
                    self.answer(422, {"kind": "Status", "code": 422, "reason": "Invalid", "message": "no WatchList here"})
                elif "watch" in query:
                    fake.stream(self, url.path)
                elif url.path.startswith(PODS):
                    fake.read(self, url.path[len(PODS):])
                else:
                    self.answer(200, fake.collection(url.path))

            def do_POST(self):
                self.body()
                if self.path.endswith("/binding"):
                    fake.bind(self, self.path.split("/")[-2])
                else:
                    self.answer(201, {"kind": "Event", "metadata": {"name": "e", "namespace": "default"}})

            def do_PATCH(self):
                self.body()
                self.answer(200, {})

            def do_DELETE(self):
                self.body()
                self.answer(200, {})

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def end(self):
        self.server.shutdown()
        self.server.server_close()

    # -- what the scheduler asks --

    def collection(self, path):
        items = [node()] if path == "/api/v1/nodes" else list(self.pods.values()) if path == "/api/v1/pods" else []
        return {"kind": "List", "metadata": {"resourceVersion": str(self.version)}, "items": items}

    def stream(self, handler, path):
        events = queue.Queue()
        with self.lock:
            self.watches.append((path, events))
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            while True:
                line = json.dumps(events.get()).encode() + b"\n"
                handler.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                handler.wfile.flush()
        except OSError:
            handler.close_connection = True

    def settle(self, handler, result):
        if result is None:
            handler.close_connection = True
            handler.connection.close()
        else:
            handler.answer(*result)

    def bind(self, handler, name):
        with self.lock:
            self.bindings.append((time.monotonic() - self.begin, name))
            rule = self.rules.get(name, Fake.do_bind)
        self.settle(handler, rule(self, name))

    def read(self, handler, name):
        with self.lock:
            rule = self.reads.get(name, Fake.do_read)
        self.settle(handler, rule(self, name))

    # -- what happens --

    def do_bind(self, name):
        with self.lock:
            pod = self.pods.get(name)
            if not pod:
                return refusal(404, "NotFound")
            if pod["spec"].get("nodeName"):
                return refusal(409, "Conflict")
            self.pods[name] = {**pod, "spec": {**pod["spec"], "nodeName": "n"}}
            self.tell("MODIFIED", name)
        return 201, {"kind": "Status", "status": "Success", "code": 201}

    def do_read(self, name):
        with self.lock:
            return (200, self.pods[name]) if name in self.pods else refusal(404, "NotFound")

    def tell(self, kind, name):
        self.version += 1
        self.pods[name]["metadata"]["resourceVersion"] = str(self.version)
        if name in self.quiet:
            return
        for path, events in self.watches:
            if path == "/api/v1/pods":
                events.put({"type": kind, "object": self.pods[name]})

    def add(self, name):
        with self.lock:
            self.pods[name] = {"kind": "Pod", "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
                               "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}}
            self.tell("ADDED", name)

    def remove(self, name):
        with self.lock:
            self.quiet.discard(name)
            self.tell("DELETED", name)
            del self.pods[name]

    def count(self, name):
        return sum(pod == name for _, pod in self.bindings)

    def times(self, name):
        return [at for at, pod in self.bindings if pod == name]


def refusal(code, reason):
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": f"{reason}, says the test"}


def first(rule, then=Fake.do_bind):
    """The rule for the first request, and another for those that follow."""
    seen = []

    def choose(fake, name):
        seen.append(name)
        return (rule if len(seen) == 1 else then)(fake, name)

    return choose


def bound(fake, name):
    return lambda: fake.pods[name]["spec"].get("nodeName") == "n"


def refused(fake):
    for code, reason in ((409, "Conflict"), (404, "NotFound"), (403, "Forbidden"), (429, "TooManyRequests")):
        name = f"refused-{code}"
        fake.rules[name] = first(lambda fake, name, code=code, reason=reason: refusal(code, reason))
        fake.add(name)
        tap.ok(eventually(bound(fake, name), 5), f"{code}: the pod is tried again")
        at = fake.times(name)
        tap.ok(len(at) == 2 and at[1] - at[0] > 0.9, f"{code}: once more, after a second", at)
        fake.remove(name)


def failed(fake):
    fake.rules["failed"] = first(lambda fake, name: refusal(500, "InternalError"))
    fake.add("failed")
    tap.ok(eventually(bound(fake, "failed"), 5), "500, and the pod has no node: tried again")
    tap.is_(fake.count("failed"), 2, "once more")
    fake.remove("failed")


def done_but_failed(fake):
    def do_and_fail(fake, name):
        fake.do_bind(name)
        return refusal(500, "InternalError")

    fake.rules["done"] = do_and_fail
    fake.add("done")
    eventually(bound(fake, "done"), 5)
    time.sleep(1.5)
    tap.is_(fake.count("done"), 1, "500, but it was done: not bound again")
    fake.remove("done")


def no_answer(fake):
    def do_and_break(fake, name):
        fake.do_bind(name)

    fake.rules["lost"] = do_and_break
    fake.add("lost")
    eventually(bound(fake, "lost"), 5)
    fake.add("next")
    time.sleep(2.5)
    tap.is_(fake.count("next"), 0, "the answer is lost, but it was done: nobody else gets the place")
    tap.ok(fake.count("lost") <= 2, "and it is not bound again, but for what curl sends twice", fake.times("lost"))
    fake.remove("lost")
    tap.ok(eventually(bound(fake, "next"), 5), "when it is gone, the next one gets the place")
    fake.remove("next")


def nobody_knows(fake):
    """A 500, and the pod cannot be read for a while: its place is kept."""
    fake.rules["dark"] = first(lambda fake, name: refusal(500, "InternalError"))
    fake.reads["dark"] = lambda fake, name: refusal(503, "ServiceUnavailable")
    fake.add("dark")
    eventually(lambda: fake.count("dark") == 1, 5)
    fake.add("other")
    time.sleep(2)
    tap.is_((fake.count("dark"), fake.count("other")), (1, 0), "as long as nobody knows whether it was bound, its place is kept")
    del fake.reads["dark"]
    tap.ok(eventually(lambda: bound(fake, "dark")() or bound(fake, "other")(), 8), "when it is known that it was not, the place is free")
    time.sleep(1.5)
    tap.is_(bound(fake, "dark")() + bound(fake, "other")(), 1, "for one of them")
    for name in ("dark", "other"):
        fake.remove(name)


def unseen(fake):
    """Bound, and the answer says so, but the watch shows nothing."""
    reads = []

    def read(fake, name):
        reads.append(name)
        return fake.do_read(name)

    def bind_quietly(fake, name):
        fake.quiet.add(name)
        return fake.do_bind(name)

    fake.reads["unseen"], fake.rules["unseen"] = read, bind_quietly
    fake.add("unseen")
    tap.ok(eventually(lambda: len(reads) >= 2, 5), "a binding that the watch does not show is asked after, again and again")
    fake.add("behind")
    time.sleep(1.2)
    tap.is_((fake.count("unseen"), fake.count("behind")), (1, 0), "and keeps its place")
    fake.remove("unseen")
    tap.ok(eventually(bound(fake, "behind"), 5), "until it is gone")
    fake.remove("behind")


def vanished(fake):
    """Accepted, but the pod has no node after all (a server that was restored from a backup)."""
    fake.rules["undone"] = first(lambda fake, name: (201, {"kind": "Status", "status": "Success"}))
    fake.add("undone")
    tap.ok(eventually(bound(fake, "undone"), 8), "an accepted binding that is not there when it is asked after is made again")
    tap.is_(fake.count("undone"), 2, "once more")
    fake.remove("undone")


def main():
    fake = Fake()
    folder = tempfile.TemporaryDirectory(prefix="fairlead-test.")
    config = os.path.join(folder.name, "kubeconfig")
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                   "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                   "clusters": [{"name": "c", "cluster": {"server": fake.url()}}], "users": [{"name": "u", "user": {}}]}, file)
    scheduler = cluster.Component(folder.name, "scheduler", [os.path.join(apiserver.BUILD, "fairlead-scheduler"), "--kubeconfig", config,
                                                             "--leader-elect=false", "--binding-confirm-timeout=300ms"])
    try:
        scheduler.start()
        for story in (refused, failed, done_but_failed, no_answer, nobody_knows, unseen, vanished):
            run_story(story, fake)
        scheduler.check()
        tap.is_(scheduler.stop(), 0, "it ends well")
    finally:
        scheduler.kill()
        fake.end()
        folder.cleanup()
    tap.done()


main()
