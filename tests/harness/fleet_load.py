# SPDX-License-Identifier: Apache-2.0
"""Load on a cluster of `fairctl up`: fleet_client.py on one of its machines, and what it counts.

    load = Load(fleet.client, ["http://node-1:30080/"])
    ...
    load.end()
    tap.is_(load.failed, 0, "no request failed")"""

import collections
import json
import os
import subprocess
import threading

from fleet import until

HERE = os.path.dirname(os.path.abspath(__file__))


class Load:
    """Attributes, sums of what it has said so far: ok, failed, answers and errors (counts by text), moments (its lines)."""

    def __init__(self, machine, urls, threads=4, timeout_s=1):
        with open(os.path.join(HERE, "fleet_client.py"), encoding="utf-8") as file:
            program = file.read()
        self.process = machine.start(["/usr/bin/python3", "-c", program, str(threads), str(timeout_s), *urls], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.ok, self.failed, self.moments = 0, 0, []
        self.answers, self.errors = collections.Counter(), collections.Counter()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        if not until(lambda: self.moments):
            raise RuntimeError("the load does not begin")

    def read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            self.ok, self.failed = self.ok + said["ok"], self.failed + said["failed"]
            self.answers.update(said["answers"])
            self.errors.update(said["errors"])
            self.moments.append(said)

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.thread.join(5)
        return self

    def versions(self):
        counts = collections.Counter()
        for answer, n in self.answers.items():
            counts["version " + answer.split()[-1]] += n
        return counts

    def pods(self):
        return collections.Counter({answer.split()[0]: n for answer, n in self.answers.items()})

    def now(self):
        last = self.moments[-1] if self.moments else {"ok": 0, "failed": 0}
        return f"{self.ok} answered, {self.failed} failed ({4 * last['ok']}/s)"
