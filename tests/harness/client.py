# SPDX-License-Identifier: Apache-2.0
"""What a test of the API over HTTPS needs besides a server: a connection that is kept, a watch, threads, memory.

    client = Client(server)
    answer = client.post("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
    with Watch(server, "/api/v1/configmaps?watch=true") as watch:
        event = watch.next(5)
"""

import http.client
import json
import re
import socket
import ssl
import threading
import time
import traceback

import tap
from apiserver import Answer

PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


_lock = threading.Lock()


def context_of(server):
    """The admin's TLS context, made once a server."""
    with _lock:
        if not hasattr(server, "admin_context"):
            server.admin_context = server.context()
        return server.admin_context


class Client:
    """One kept connection; not for several threads at once."""

    def __init__(self, server, timeout_s=20):
        self.server, self.timeout_s = server, timeout_s
        self.context = context_of(server)
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, path, body=None, content_type="application/json", headers=None):
        names = dict(headers or {})
        if body is not None:
            if not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            names.setdefault("Content-Type", content_type)
        if not self.connection:
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=self.timeout_s,
                                                          context=self.context)
        try:
            self.connection.request(method, path, body.encode() if isinstance(body, str) else body, names)
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise

    def get(self, path, accept=None):
        return self.request("GET", path, headers={"Accept": accept} if accept else None)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body, **more):
        return self.request("PUT", path, body, **more)

    def patch(self, path, body, kind="merge", **more):
        return self.request("PATCH", path, body, PATCH_TYPES[kind], **more)

    def delete(self, path, body=None, **more):
        return self.request("DELETE", path, body, **more)


class Watch:
    """An open watch. Attributes: status, headers. Its events are parsed lines; `raw` gives the lines."""

    def __init__(self, server, path, accept=None):
        self.connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10,
                                                      context=context_of(server))
        self.connection.request("GET", path, headers={"Accept": accept} if accept else {})
        self.sock = self.connection.sock
        self.answer = self.connection.getresponse()
        self.status, self.headers = self.answer.status, self.answer.headers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.connection.close()

    def line(self, timeout_s=5):
        """The next line, b"" at the end of the stream; TimeoutError when none comes."""
        self.sock.settimeout(timeout_s)
        return self.answer.readline()

    def next(self, timeout_s=5):
        """An event; None at the end of the stream; of type TIMEOUT when none comes."""
        try:
            line = self.line(timeout_s)
        except OSError:
            return {"type": "TIMEOUT", "object": {}}
        return json.loads(line) if line else None

    def take(self, count, timeout_s=5):
        return [self.next(timeout_s) for _ in range(count)]

    def quiet(self, seconds=0.3):
        """True when nothing comes for so long. The watch is of no use afterwards."""
        try:
            return self.line(seconds) is None
        except (TimeoutError, socket.timeout, ssl.SSLWantReadError):
            return True


def brief(event):
    """TYPE name, or TYPE alone for a bookmark."""
    if event is None:
        return "END"
    name = event["object"].get("metadata", {}).get("name")
    return f"{event['type']} {name}" if name else event["type"]


def said(answer):
    """code reason: message of a Status; for other answers the code and kind."""
    try:
        body = answer.json()
    except ValueError:
        return f"{answer.status} {answer.body[:200]!r}"
    if body.get("kind") != "Status":
        return f"{answer.status} {body.get('kind')}"
    return f"{answer.status} {body.get('reason', '')}: {body.get('message', '')}"


def causes(answer):
    return [(c.get("reason"), c.get("field"), c.get("message")) for c in
            answer.json().get("details", {}).get("causes", [])]


def is_status(answer, code, reason, pattern, name):
    """The answer is a whole Status object with this code and reason, and a message like the pattern."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    good = (answer.status == code and body.get("kind") == "Status" and body.get("apiVersion") == "v1" and
            body.get("status") == "Failure" and body.get("code") == code and body.get("reason") == reason and
            re.search(pattern, body.get("message", "")))
    return tap.ok(good, name, f"got:  {said(answer)}\nwant: {code} {reason}: like /{pattern}/")


def rss_kb(server):
    with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def together(count, work):
    """Runs work(i) in `count` threads; their results, an exception in the place of one that failed."""
    results = [None] * count

    def run(i):
        try:
            results[i] = work(i)
        except Exception as error:  # pylint: disable=broad-except
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def eventually(condition, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    return condition()


def run_story(story, *arguments):
    """A story that breaks off is one failure, and the others go on."""
    try:
        story(*arguments)
    except Exception:  # pylint: disable=broad-except
        tap.not_ok(f"{story.__name__}: goes to its end", traceback.format_exc())


def pod(name, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec}}


def config_map(name, labels=None, **data):
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **({"data": data} if data else {})}
