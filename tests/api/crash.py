#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""What survives: power cuts in a write storm, a full disk, a second server, signals, snapshots."""

import os
import random
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import Client, Watch, config_map, eventually, run_story, said  # noqa: E402

NS = "/api/v1/namespaces/default"
CM = NS + "/configmaps"
PROGRAM = os.path.join(apiserver.BUILD, "fairlead-apiserver")
ROUNDS, WRITERS = 4, 8


def revision(answer):
    return int(answer.json()["metadata"]["resourceVersion"])


class Writer(threading.Thread):
    """Creates, updates and deletes ConfigMaps of its own until the server is gone, and notes what was acknowledged."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.client, self.name_, self.random = Client(server), name, random.Random(name)
        self.known, self.doubt, self.revisions = {}, None, []

    def run(self):
        count = 0
        try:
            while True:
                count += 1
                self.step(count)
        except (OSError, ValueError, socket.timeout):
            return
        except Exception:  # http.client's own exceptions of a connection that broke
            return

    def step(self, count):
        deed = self.random.choice(("create", "create", "update", "delete")) if self.known else "create"
        name = f"{self.name_}-{count}" if deed == "create" else self.random.choice(sorted(self.known))
        self.doubt = (deed, name, str(count))
        if deed == "create":
            answer = self.client.post(CM, config_map(name, n=str(count)))
        elif deed == "update":
            answer = self.client.put(f"{CM}/{name}", config_map(name, n=str(count)))
        else:
            answer = self.client.delete(f"{CM}/{name}")
        if answer.status not in (200, 201):
            return
        if deed == "delete":
            del self.known[name]
        else:
            self.known[name] = str(count)
            self.revisions.append(revision(answer))
        self.doubt = None


def agrees(writer, found):
    """The state found is the acknowledged one, but for the one write that was under way."""
    want = dict(writer.known)
    if found == want:
        return True
    if not writer.doubt:
        return False
    deed, name, n = writer.doubt
    if deed == "delete":
        want.pop(name, None)
    else:
        want[name] = n
    return found == want


def storm(server):
    last, writes = 0, 0
    for round_ in range(ROUNDS):
        writers = [Writer(server, f"r{round_}w{i}") for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(0.5 + 0.3 * round_)
        server.kill()
        for writer in writers:
            writer.join(10)
        begin = time.monotonic()
        server.start()
        seconds = time.monotonic() - begin
        listed = Client(server).get(CM).json()
        states = {}
        for item in listed["items"]:
            name = item["metadata"]["name"]
            states.setdefault(name.split("-")[0], {})[name] = item.get("data", {}).get("n")
        bad = [w.name_ for w in writers if not agrees(w, states.get(w.name_, {}))]
        revisions = sorted(sum((w.revisions for w in writers), []))
        writes += len(revisions)
        tap.ok(not bad and len(revisions) > 50, f"round {round_ + 1}: every acknowledged write is there after kill -9",
               f"{len(revisions)} writes; not as acknowledged: {bad}")
        tap.ok(len(set(revisions)) == len(revisions) and revisions[0] > last, f"round {round_ + 1}: no revision twice or back")
        names = [i["metadata"]["name"] for i in listed["items"]]
        tap.is_(len(names), len(set(names)), f"round {round_ + 1}: no object twice")
        tap.ok(int(listed["metadata"]["resourceVersion"]) >= revisions[-1], f"round {round_ + 1}: the revision did not go back")
        last = revisions[-1]
        next_ = revision(Client(server).post(CM, config_map(f"after-{round_}")))
        tap.ok(next_ > int(listed["metadata"]["resourceVersion"]), f"round {round_ + 1}: and goes on growing")
        tap.diag(f"{len(revisions)} acknowledged writes, ready again after {seconds:.2f} s with {len(names)} objects")
    uids = [i["metadata"]["uid"] for i in Client(server).get(CM).json()["items"]]
    tap.is_(len(uids), len(set(uids)), "no uid twice")


def full(server, c, make_room):
    """Fills the store until it refuses, frees space, and goes on without a restart."""
    kept, answer = [], None
    for i in range(400):
        answer = c.post(CM, config_map(f"fill-{i}", k="x" * 100000))
        if answer.status != 201:
            break
        kept.append(f"fill-{i}")
    tap.ok(answer.status == 507 and answer.json()["kind"] == "Status" and "space" in answer.json()["message"],
               "full: a write is refused with a Status of 507", said(answer))
    tap.is_(c.get(f"{CM}/{kept[-1]}").status, 200, "full: reads go on")
    tap.is_(len([i for i in c.get(CM).json()["items"] if i["metadata"]["name"].startswith("fill-")]), len(kept),
            "full: all that was acknowledged is there, nothing else")
    tap.is_(c.get("/livez").status, 200, "full: the server lives")
    with Watch(server, f"{CM}?watch=true&resourceVersion=0") as w:
        tap.is_(w.next()["type"], "ADDED", "full: watches go on")
    make_room(c, kept)
    tap.ok(eventually(lambda: c.post(CM, config_map(f"room-{time.monotonic()}".replace(".", "-"), k="y" * 1000)).status == 201, 30),
           "full: it recovers without a restart when there is room")
    server.kill()
    server.start()
    c.close()
    names = {i["metadata"]["name"] for i in c.get(CM).json()["items"]}
    tap.ok(any(n.startswith("room-") for n in names), "full: and what was written then is there after kill -9")


def full_by_limit():
    with apiserver.Server("--store-max-size", "8", "--history", "2s") as server:
        def delete_most(c, kept):
            for name in kept[:-1]:
                answer = c.delete(f"{CM}/{name}")
                if answer.status not in (200, 507):
                    tap.not_ok("full: a delete is done or refused", said(answer))
                    return

        full(server, Client(server), delete_most)


def full_disk():
    if os.geteuid() != 0:
        tap.skip("a disk that is full", "not root: no tmpfs")
        return
    server = apiserver.Server()
    os.mkdir(server.data, 0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", server.data], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        tap.skip("a disk that is full", f"no tmpfs can be mounted here: {done.stderr.strip()}")
        server.cleanup()
        return
    try:
        hog = os.path.join(server.data, "hog")
        with open(hog, "wb") as file:
            file.write(b"x" * (4 << 20))
        server.port = apiserver.free_port()
        server.spawn()
        tap.ok(server.wait_ready(), "disk: it starts on a small one")
        full(server, Client(server), lambda c, kept: os.unlink(hog))
    finally:
        server.process.terminate()
        server.process.wait(10)
        subprocess.run(["umount", server.data], check=False)
        server.cleanup()


def two_servers(server):
    second = subprocess.run([PROGRAM, "--data-dir", server.data, "--bind-address", "127.0.0.1", "--secure-port", "0"],
                            capture_output=True, text=True, timeout=20, check=False)
    tap.ok(second.returncode not in (0, -9), "a second server on the same folder is refused", second)
    tap.like(second.stderr, "another|in use|lock", "and says why")
    tap.is_(Client(server).get("/readyz").status, 200, "and the first one goes on")


def ends(server):
    watches = [Watch(server, f"{CM}?watch=true&resourceVersion=0") for _ in range(20)]
    begin = time.monotonic()
    code = server.stop()
    seconds = time.monotonic() - begin
    tap.ok(code == 0 and seconds < 2, "SIGTERM ends it within 2 s though watches are open, with exit code 0",
           f"code {code} after {seconds:.2f} s")
    for watch in watches:
        watch.close()
    server.start()


def snapshots(server):
    c = Client(server)
    c.post(CM, config_map("kept", a="1"))
    before = {i["metadata"]["name"]: i["metadata"]["uid"] for i in c.get(CM).json()["items"]}
    now = int(c.get(CM).json()["metadata"]["resourceVersion"])
    file = os.path.join(server.tmp, "snap.db")
    saved = subprocess.run([PROGRAM, "snapshot", "save", server.data, file], capture_output=True, text=True, check=False)
    tap.is_(saved.returncode, 0, "snapshot save of a running server")
    c.post(CM, config_map("later"))
    other = os.path.join(server.tmp, "restored")
    done = subprocess.run([PROGRAM, "snapshot", "restore", file, other], capture_output=True, text=True, check=False)
    tap.ok(done.returncode == 0, "snapshot restore into a new folder", done)
    busy = subprocess.run([PROGRAM, "snapshot", "restore", file, server.data, "--force"], capture_output=True, text=True,
                          check=False)
    tap.ok(busy.returncode != 0, "snapshot restore under a running server is refused", busy)
    again = subprocess.run([PROGRAM, "snapshot", "restore", file, other], capture_output=True, text=True, check=False)
    tap.ok(again.returncode != 0 and "--force" in again.stderr, "snapshot restore over a store wants --force", again)
    server.stop()
    done = subprocess.run([PROGRAM, "snapshot", "restore", file, server.data, "--force"], capture_output=True, text=True,
                          check=False)
    tap.ok(done.returncode == 0, "snapshot restore --force over a stopped server's", done)
    server.start()
    c.close()
    after = {i["metadata"]["name"]: i["metadata"]["uid"] for i in c.get(CM).json()["items"]}
    tap.is_(after, before, "what was saved is there, what came later is not")
    tap.ok(revision(c.post(CM, config_map("new"))) > now, "and the revision goes on from the snapshot's")
    with open(file, "r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * 8192)
    bad = subprocess.run([PROGRAM, "snapshot", "restore", file, os.path.join(server.tmp, "bad")], capture_output=True, text=True,
                         check=False)
    tap.ok(bad.returncode != 0 and bad.stderr, "a damaged snapshot is refused", bad)


def notify():
    with apiserver.Server() as server:
        server.stop()
        path = os.path.join(server.tmp, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(path)
            sock.settimeout(10)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                server.start()
                tap.like(sock.recv(4096).decode(), "^READY=1$", "Type=notify: READY=1")
                server.process.terminate()
                tap.like(sock.recv(4096).decode(), "^STOPPING=1$", "Type=notify: STOPPING=1")
            finally:
                del os.environ["NOTIFY_SOCKET"]


def flags():
    folder = "/nonexistent/fairlead"  # flags are judged before the folder is touched
    for words, says in (
            (["--no-such-flag"], "no-such-flag"), ([], "--data-dir"),
            (["--data-dir", folder, "--secure-port", "99999"], "secure-port.*99999|99999.*port"),
            (["--data-dir", folder, "--secure-port", "http"], "secure-port"),
            (["--data-dir", folder, "--bind-address", "localhost"], "bind-address"),
            (["--data-dir", folder, "--service-cluster-ip-range", "10.96.0.0"], "service-cluster-ip-range"),
            (["--data-dir", folder, "--service-cluster-ip-range", "10.96.0.0/16,10.97.0.0/16"], "service-cluster-ip-range|family"),
            (["--data-dir", folder, "--service-node-port-range", "9-1"], "service-node-port-range"),
            (["--data-dir", folder, "--event-ttl", "soon"], "event-ttl"),
            (["--data-dir", folder, "--history", "-5s"], "history"),
            (["--data-dir", folder, "--log-level", "loud"], "log-level"),
            (["--data-dir", folder, "--tls-cert-file", "/nope"], "tls-private-key-file|client-ca-file"),
            (["snapshot"], "save|restore"), (["snapshot", "dance"], "save|restore"), (["--data-dir", folder, "stray"], "stray")):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=10, check=False)
        tap.is_(done.returncode, 2, f"flags: exit code 2: {' '.join(words) or '(none)'}")
        tap.like(done.stderr, says, f"flags: says what is wrong: {' '.join(words) or '(none)'}")
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=10, check=False)
    tap.ok(done.returncode == 0 and "--data-dir DIR" in done.stdout, "flags: --help")
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=10, check=False)
    tap.ok(done.returncode == 0 and "fairlead" in done.stdout, "flags: --version")


def main():
    run_story(flags)
    with apiserver.Server() as server:
        for story in (storm, two_servers, ends, snapshots):
            run_story(story, server)
    for story in (notify, full_by_limit, full_disk):
        run_story(story)
    tap.done()


main()
