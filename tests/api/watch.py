#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""Watches: what they show, in which order, how they begin and end; a thousand at once, and one that never reads."""

import json
import os
import selectors
import socket
import sys
import time
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import (PARTIAL, TABLE, Client, Watch, brief, config_map, context_of, is_status, pod,  # noqa: E402
                    rss_kb, run_story, together)

NS = "/api/v1/namespaces/default"
CM, PODS = NS + "/configmaps", NS + "/pods"
WATCHERS, CHANGES = 1000, 50


def revision(answer):
    return answer.json()["metadata"]["resourceVersion"]


def version_of(event):
    return int(event["object"]["metadata"]["resourceVersion"])


def plain(server, c):
    start = revision(c.get(CM))
    with Watch(server, f"{CM}?watch=true&resourceVersion={start}") as w:
        tap.is_((w.status, w.headers.get("Content-Type"), w.headers.get("Transfer-Encoding")),
                (200, "application/json", "chunked"), "a watch is a chunked stream of JSON")
        made = c.post(CM, config_map("a", n="1"))
        c.patch(CM + "/a", {"data": {"n": "2"}})
        c.delete(CM + "/a")
        events = w.take(3)
        tap.is_([brief(e) for e in events], ["ADDED a", "MODIFIED a", "DELETED a"], "ADDED, MODIFIED, DELETED")
        tap.is_(events[0]["object"], made.json(), "an event carries the object as a GET does")
        tap.ok(version_of(events[0]) < version_of(events[1]) < version_of(events[2]), "revisions grow, also at DELETED")
        tap.is_(events[2]["object"]["data"], {"n": "2"}, "DELETED carries the last state")
        middle = version_of(events[0])
    with Watch(server, f"{CM}?watch=1&resourceVersion={middle}") as w:
        tap.is_([brief(e) for e in w.take(2)], ["MODIFIED a", "DELETED a"], "a watch resumes behind a revision")
        tap.ok(w.quiet(), "and then waits")
    with Watch(server, f"{NS}/pods?watch=True&fieldSelector=metadata.name%3Dx&resourceVersion={start}") as w:
        c.post(PODS, pod("y"))
        c.post(PODS, pod("x"))
        tap.is_(brief(w.next()), "ADDED x", "one object by fieldSelector, watch=True as python writes it")
    with Watch(server, f"/api/v1/watch/namespaces/default/configmaps?resourceVersion={middle}") as w:
        tap.is_(brief(w.next()), "MODIFIED a", "the old /watch/ path")
    with Watch(server, f"/api/v1/configmaps?watch=true&resourceVersion={revision(c.get(CM))}") as w:
        c.post("/api/v1/namespaces/kube-public/configmaps", config_map("pub"))
        tap.is_(brief(w.next()), "ADDED pub", "over all namespaces")


def transitions(server, c):
    start = revision(c.get(CM))
    with Watch(server, f"{CM}?watch=true&labelSelector=tier%3Dweb&resourceVersion={start}") as w, \
            Watch(server, f"{CM}?watch=true&labelSelector=!tier&resourceVersion={start}") as without:
        c.post(CM, config_map("t", {"tier": "db"}))
        c.patch(CM + "/t", {"metadata": {"labels": {"tier": "web"}}})
        c.patch(CM + "/t", {"data": {"k": "v"}})
        last = c.patch(CM + "/t", {"metadata": {"labels": {"tier": None}}})
        c.delete(CM + "/t")
        events = w.take(3)
        tap.is_([brief(e) for e in events], ["ADDED t", "MODIFIED t", "DELETED t"], "labels: coming in is ADDED, leaving DELETED")
        tap.is_(events[2]["object"]["metadata"].get("labels"), {"tier": "web"}, "labels: what leaves is shown as it was inside")
        tap.is_(version_of(events[2]), int(revision(last)), "labels: at the revision of the change")
        tap.is_([brief(e) for e in without.take(2)], ["ADDED t", "DELETED t"], "labels: the other side sees the opposite")
    start = revision(c.get(PODS))
    with Watch(server, f"/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1&resourceVersion={start}") as w:
        c.post(PODS, pod("sched"))
        c.post(PODS + "/sched/binding", {"metadata": {"name": "sched"}, "target": {"kind": "Node", "name": "n1"}})
        tap.is_(brief(w.next()), "ADDED sched", "fields: binding a pod shows it to its node")
    with Watch(server, f"{PODS}?watch=true&fieldSelector=status.phase%3DPending&resourceVersion={revision(c.get(PODS))}") as w:
        c.patch(PODS + "/sched/status", {"status": {"phase": "Running"}})
        tap.is_(brief(w.next()), "DELETED sched", "fields: a changed phase takes it away")


def beginnings(server, c):
    for name in ("b1", "b2"):
        c.post(NS + "/secrets", {"metadata": {"name": name}})
    url, now = NS + "/secrets", int(revision(c.get(NS + "/secrets")))
    for query in ("", "&resourceVersion=", "&resourceVersion=0"):
        with Watch(server, url + "?watch=true" + query) as w:
            tap.is_(sorted(brief(e) for e in w.take(2)), ["ADDED b1", "ADDED b2"], f"{query[1:] or 'no resourceVersion'}: "
                    "what is there comes as ADDED")
            tap.ok(w.quiet(0.2), "and nothing else")
    for i, query in enumerate(("resourceVersion=", "resourceVersion=0", f"resourceVersion={now}", "")):
        more = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&" + query
        with Watch(server, f"{url}?{more}") as w:
            events = w.take(3)
            tap.is_([brief(e) for e in events[:2]] + [events[2]["type"]], ["ADDED b1", "ADDED b2", "BOOKMARK"],
                    f"WatchList {query}: ADDED, then a BOOKMARK")
            mark = events[2]["object"]
            tap.is_(mark["metadata"].get("annotations"), {"k8s.io/initial-events-end": "true"}, "WatchList: which says so")
            tap.is_((mark["kind"], mark["apiVersion"]), ("Secret", "v1"), "WatchList: it is of the watched kind")
            tap.ok(int(mark["metadata"]["resourceVersion"]) >= now, "WatchList: and carries the revision", mark)
            c.patch(url + "/b1", {"metadata": {"labels": {"query": str(i)}}})
            later = w.next()
            tap.is_(brief(later), "MODIFIED b1", "WatchList: then what happens")
            tap.ok(version_of(later) > int(mark["metadata"]["resourceVersion"]), "WatchList: behind the bookmark")
    with Watch(server, f"{url}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                       "allowWatchBookmarks=true&labelSelector=none%3Dat-all") as w:
        tap.is_(w.next()["type"], "BOOKMARK", "WatchList: of nothing is a BOOKMARK")
    with Watch(server, f"{url}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&"
                       f"resourceVersion={now}") as w:
        tap.is_(w.status, 200, "sendInitialEvents=false")
    invalid = 'ListOptions.meta.k8s.io "" is invalid: '
    for query, says in (
            ("watch=true&sendInitialEvents=true", "resourceVersionMatch: Forbidden|resourceVersionMatch"),
            ("watch=true&sendInitialEvents=true&resourceVersionMatch=Exact", "resourceVersionMatch"),
            ("watch=true&resourceVersionMatch=NotOlderThan", "resourceVersionMatch: Forbidden"),
            ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=1", "sendInitialEvents: Forbidden")):
        is_status(c.get(f"{url}?{query}"), 422, "Invalid", f"^{invalid}.*({says})", f"422: {query}")
    for query in ("watch=true&resourceVersion=abc", "watch=perhaps", "watch=true&timeoutSeconds=x", "watch=true&labelSelector=a b"):
        is_status(c.get(f"{url}?{quote(query, safe='=&')}"), 400, "BadRequest", ".", f"400: {query}")

def endings(server, c):
    start = revision(c.get(CM))
    begin = time.monotonic()
    with Watch(server, f"{CM}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={start}") as w:
        lines = []
        while True:
            line = w.line(10)
            if not line:
                break
            lines.append(json.loads(line))
        seconds = time.monotonic() - begin
        tap.ok(0.9 <= seconds < 4, "timeoutSeconds=1 ends the watch", seconds)
        tap.ok(w.answer.isclosed(), "with the last chunk: a clean end")
        tap.ok(all(e["type"] == "BOOKMARK" for e in lines), "nothing but bookmarks came", lines)
    with Watch(server, f"{CM}?watch=true&resourceVersion={start}", TABLE) as w:
        c.post(CM, config_map("row"))
        c.patch(CM + "/row", {"data": {"a": "b"}})
        first, second = w.take(2)
        tap.is_((first["object"]["kind"], first["object"]["rows"][0]["cells"][0]), ("Table", "row"), "Table-wrapped events")
        tap.ok(first["object"].get("columnDefinitions"), "the first one has the columns")
        tap.is_(second["object"].get("columnDefinitions"), None, "the others have not")
        tap.is_(second["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata", "rows carry metadata")
    with Watch(server, f"{CM}?watch=true&resourceVersion={start}", PARTIAL) as w:
        tap.is_(w.next()["object"]["kind"], "PartialObjectMetadata", "PartialObjectMetadata in events")


def too_old(server, c):
    """128 MiB of changes have gone by: more than a ring keeps in memory."""
    with Watch(server, f"{CM}?watch=true&resourceVersion=1") as w:
        body = json.loads(w.line(5)) if w.status == 200 else json.loads(w.answer.read())
    status = body.get("object", body)
    tap.is_((status.get("kind"), status.get("code"), status.get("reason"), status.get("status")),
            ("Status", 410, "Expired", "Failure"), "a revision too old is 410 Expired")
    tap.like(status.get("message", ""), r"too old resource version: 1 \(\d+\)", "and says how old")
    with Watch(server, f"{CM}?watch=true&resourceVersion={revision(c.get(CM))}") as w:
        c.post(CM, config_map("fresh"))
        tap.is_(brief(w.next()), "ADDED fresh", "after listing again all is well")


def writers(server):
    """8 writers, one watcher: all changes, each once, in revision order."""
    c = Client(server)
    start = revision(c.get(NS + "/serviceaccounts"))
    with Watch(server, f"{NS}/serviceaccounts?watch=true&resourceVersion={start}") as w:
        def write(i):
            mine, seen = Client(server), []
            for k in range(25):
                name = f"w{i}-{k}"
                seen.append(int(revision(mine.post(NS + "/serviceaccounts", {"metadata": {"name": name}}))))
                seen.append(int(revision(mine.patch(f"{NS}/serviceaccounts/{name}", {"metadata": {"labels": {"a": "b"}}}))))
            return seen

        written = sorted(sum(together(8, write), []))
        events = w.take(len(written))
        got = [version_of(e) for e in events]
        tap.is_(got == sorted(got), True, "8 writers: events come in the order of their revisions")
        tap.is_(got, written, "8 writers: every write is seen exactly once")
        tap.is_(len(set(written)), 400, "8 writers: no revision twice")


class Raw:
    """A watch read by a selector loop: a TLS socket whose stream is cut into events."""

    def __init__(self, server, context, path):
        self.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)), server_hostname="127.0.0.1")
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.sock.setblocking(False)
        self.data, self.seen = b"", []

    def read(self):
        try:
            while True:
                more = self.sock.recv(65536)
                if not more:
                    break
                self.data += more
        except (BlockingIOError, OSError):
            pass
        lines = self.data.split(b"\n")
        self.data = lines.pop()
        for line in lines:
            if line.startswith(b'{"type"'):
                self.seen.append(int(line.split(b'"resourceVersion":"', 1)[1].split(b'"', 1)[0]))


def thousand(server, c):
    context = context_of(server)
    path = f"{NS}/endpoints?watch=true&resourceVersion={revision(c.get(NS + '/endpoints'))}"
    before = rss_kb(server)
    loop, watchers = selectors.DefaultSelector(), []
    for _ in range(WATCHERS):
        watcher = Raw(server, context, path)
        watchers.append(watcher)
        loop.register(watcher.sock, selectors.EVENT_READ, watcher)
    open_kb = rss_kb(server) - before
    c.post(NS + "/endpoints", {"metadata": {"name": "busy"}})
    wrote = [int(revision(c.get(NS + "/endpoints/busy")))]
    for i in range(CHANGES - 1):
        wrote.append(int(revision(c.patch(NS + "/endpoints/busy", {"metadata": {"labels": {"n": str(i)}}}))))
    end = time.monotonic() + 30
    while time.monotonic() < end and any(len(w.seen) < CHANGES for w in watchers):
        for key, _ in loop.select(1):
            key.data.read()
    bad = [w.seen for w in watchers if w.seen != wrote]
    tap.ok(not bad, f"{WATCHERS} watchers see {CHANGES} changes, each once and in order",
           f"{len(bad)} do not; the first: {bad[0] if bad else ''}\nwant: {wrote}")
    tap.diag(f"{WATCHERS} watchers: {open_kb / WATCHERS:.1f} KiB each, {rss_kb(server)} KiB in all")
    tap.ok(rss_kb(server) - before < 100 * 1024, f"{WATCHERS} watchers need less than 100 MiB", rss_kb(server) - before)
    for watcher in watchers:
        watcher.sock.close()


def slow(server, c):
    """It asks for everything and reads nothing, while 128 MiB go by."""
    context = context_of(server)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", server.port))
    sock = context.wrap_socket(raw, server_hostname="127.0.0.1")
    start = revision(c.get(CM))
    sock.sendall(f"GET {CM}?watch=true&resourceVersion={start} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    c.post(CM, config_map("fat", k="x"))
    peak, seen = 0, 0
    with Watch(server, f"{CM}?watch=true&resourceVersion={start}") as w:
        for i in range(256):
            wrote = c.put(CM + "/fat", config_map("fat", k=str(i) + "x" * 500000))
            if wrote.status != 200:
                break
            while seen < int(revision(wrote)):
                event = w.next(10)
                if event is None or event["type"] == "ERROR":
                    break
                seen = version_of(event)
            peak = max(peak, rss_kb(server))
        tap.is_((wrote.status, seen), (200, int(revision(wrote))), "a watcher that reads keeps up beside one that does not")
    tap.diag(f"peak {peak} KiB while 128 MiB passed a watcher that does not read")
    tap.ok(peak < 160 * 1024, "memory stays bounded with a watcher that never reads", f"{peak} KiB")
    sock.settimeout(5)
    got = b""
    try:
        while len(got) < 256 << 20:
            more = sock.recv(1 << 20)
            if not more:
                break
            got += more
    except OSError:
        pass
    tail = got[-3000:].decode(errors="replace")
    tap.ok(len(got) < 100 << 20 and ('"code":410' in tail or "Expired" in tail or got.endswith(b"0\r\n\r\n") or tail),
           "it is cut off, not served late", f"{len(got)} bytes, ending {tail[-200:]}")
    tap.like(tail, '"type":"ERROR".*"reason":"Expired"', "and told that its revision expired")
    sock.close()


def bookmarks(server, c):
    """Asked for, one comes within about a minute; here only that none comes unasked and they carry a revision."""
    now = int(revision(c.get(CM)))
    with Watch(server, f"{CM}?watch=true&allowWatchBookmarks=true&timeoutSeconds=2&resourceVersion={now}") as w:
        c.post(NS + "/secrets", {"metadata": {"name": "elsewhere"}})
        last = None
        while True:
            event = w.next(10)
            if event is None:
                break
            last = event
        if last is None:
            tap.ok(True, "no bookmark in a short watch is fine too")
        else:
            tap.is_((last["type"], last["object"]["kind"], version_of(last) >= now), ("BOOKMARK", "ConfigMap", True),
                    "a bookmark before the timeout carries kind and revision")


def main():
    with apiserver.Server() as server:
        c = Client(server)
        for story in (plain, transitions, beginnings, endings, bookmarks):
            run_story(story, server, c)
        run_story(writers, server)
        run_story(thousand, server, c)
        run_story(slow, server, c)
        run_story(too_old, server, c)
    tap.done()


main()
