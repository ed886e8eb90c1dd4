#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=120
"""The project's own informer on the real server: 10,000 ConfigMaps in flat memory, a kill -9 in the middle, convergence."""

import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

import apiserver  # noqa: E402
import tap  # noqa: E402
from client import Client, config_map, eventually, run_story, together  # noqa: E402

CM = "/api/v1/namespaces/default/configmaps"
COUNT, WRITERS, FILL = 10000, 8, "x" * 2000


class Follower:
    """The program, and the last line it said."""

    def __init__(self, server):
        self.process = subprocess.Popen([os.path.join(apiserver.BUILD, "informer_follow"), server.kubeconfig],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count, self.sum, self.rss, self.synced, self.lists, self.watchlists, self.peak = (0,) * 7
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.count, self.sum, self.rss, self.synced, self.lists, self.watchlists = map(int, line.split())
            self.peak = max(self.peak, self.rss)

    def has(self, count, total, seconds):
        return eventually(lambda: (self.count, self.sum) == (count, total), seconds)

    def end(self):
        self.process.stdin.close()
        return self.process.wait(10)


def fill(server):
    def write(i):
        c = Client(server)
        for k in range(i, COUNT, WRITERS):
            c.post(CM, config_map(f"c{k}", n="1", fill=FILL))
        c.close()

    together(WRITERS, write)


def story(server):
    c = Client(server)
    begin = Follower(server)
    tap.ok(eventually(lambda: begin.synced and begin.count == 0, 10), "an informer is synced with an empty collection")
    base = begin.rss
    fill(server)
    tap.ok(begin.has(COUNT, COUNT, 20), f"{COUNT} ConfigMaps come as events", (begin.count, begin.sum))
    late = Follower(server)
    tap.ok(late.has(COUNT, COUNT, 20), f"{COUNT} ConfigMaps come as an initial state", (late.count, late.sum))
    tap.is_((late.lists, late.watchlists), (0, 1), "streamed by WatchList, without a LIST")
    tap.diag(f"empty {base} KiB, peak {late.peak} KiB while {COUNT * len(FILL) // 1024} KiB of data streamed in")
    tap.ok(late.peak - base < 6 * 1024, "memory stays flat: what is kept, not what is streamed", f"{late.peak - base} KiB more")
    for k in range(100):
        c.put(f"{CM}/c{k}", config_map(f"c{k}", n="3", fill=FILL))
    server.kill()
    time.sleep(0.3)
    server.start()
    c.close()
    for k in range(100, 150):
        c.delete(f"{CM}/c{k}")
    c.post(CM, config_map("after", n="7"))
    want = (COUNT - 50 + 1, COUNT + 200 - 50 + 7)
    for name, follower in (("the first", begin), ("the second", late)):
        tap.ok(follower.has(*want, 20), f"after kill -9 {name} informer has what the server has",
               f"got {(follower.count, follower.sum)}, want {want}")
        tap.is_(follower.end(), 0, f"{name} informer ends well")


def main():
    build = os.path.relpath(apiserver.BUILD, apiserver.TOP)  # as it was built: another spelling would build all anew
    subprocess.run(["make", "-s", "-C", apiserver.TOP, f"O={build}", f"{build}/informer_follow"], stdout=subprocess.DEVNULL, check=True)
    with apiserver.Server() as server:
        run_story(story, server)
    tap.done()


main()
