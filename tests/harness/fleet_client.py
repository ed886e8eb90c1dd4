# SPDX-License-Identifier: Apache-2.0
"""Asks URLs as fast as so many threads can, each time by a new connection, until its input ends. Every quarter of a second
one line of JSON on standard output: {"t": seconds, "ok": n, "failed": n, "answers": {first two words: n}, "errors": {..}}.

    fleet_client.py THREADS TIMEOUT_S URL...

It is handed to a machine of a cluster as text, so it needs nothing but Python's own modules (fleet_load.py)."""

import collections
import http.client
import json
import os
import select
import sys
import threading
import time
import urllib.parse

EVERY_S = 0.25


class Load:
    def __init__(self, timeout_s, urls):
        self.timeout_s = timeout_s
        self.urls = [urllib.parse.urlsplit(u) for u in urls]
        self.lock, self.on = threading.Lock(), True
        self.clear()

    def clear(self):
        self.counts, self.answers, self.errors = collections.Counter(), collections.Counter(), collections.Counter()

    def note(self, answer=None, error=None):
        with self.lock:
            self.counts["failed" if error else "ok"] += 1
            if error:
                self.errors[error] += 1
            else:
                self.answers[answer] += 1

    def ask(self, url):
        connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=self.timeout_s)
        try:
            connection.request("GET", url.path)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
            if answer.status == 200:
                self.note(answer=" ".join(body.split()[:2]))
            else:
                self.note(error=f"HTTP {answer.status}")
        except OSError as error:
            self.note(error=type(error).__name__)
        except http.client.HTTPException as error:
            self.note(error=type(error).__name__)
        finally:
            connection.close()

    def run(self, first):
        number = first
        while self.on:
            self.ask(self.urls[number % len(self.urls)])
            number += 1

    def tell(self, start):
        with self.lock:
            said = {"t": round(time.monotonic() - start, 2), "ok": self.counts["ok"], "failed": self.counts["failed"],
                    "answers": dict(self.answers), "errors": dict(self.errors)}
            self.clear()
        print(json.dumps(said), flush=True)


def main():
    load = Load(float(sys.argv[2]), sys.argv[3:])
    threads = [threading.Thread(target=load.run, args=(i,), daemon=True) for i in range(int(sys.argv[1]))]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        load.tell(start)
    load.on = False
    for thread in threads:
        thread.join(2 * load.timeout_s)
    load.tell(start)
    os._exit(0)


main()
