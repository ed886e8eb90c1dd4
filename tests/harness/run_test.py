#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""tests/run and tests/bench/run, on small trees of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import tap

GOOD = "#!/bin/sh\necho ok 1 - a\necho 1..1\n"
BAD = "#!/bin/sh\necho not ok 1 - b\necho the reason\necho 1..1\nexit 1\n"
SKIPPED = "#!/bin/sh\necho '1..0 # SKIP no kubectl'\n"
SLOW = "#!/bin/sh\n# runner: timeout=0.5\necho ok 1 - a\nsleep 60\n"
HANGS = "#!/bin/sh\nsleep 300 &\necho $! >child\nwait\n"
BUILDS = "%:\n\t@true\n"

# name, Makefile, scripts of tests/api, arguments, exit code, last line, what else is in the output
CASES = [
    ("all is well", BUILDS, {"a.sh": GOOD}, [], 0, "2 passed, 0 failed, 0 skipped", "api/a.sh"),
    ("a failure shows its output", BUILDS, {"a.sh": GOOD, "b.sh": BAD}, [], 1, "2 passed, 1 failed, 0 skipped", "| the reason"),
    ("a skip gives its reason", BUILDS, {"a.sh": GOOD, "s.sh": SKIPPED}, [], 0, "2 passed, 0 failed, 1 skipped",
     "s.sh: the whole program: no kubectl"),
    ("a script may set its timeout", BUILDS, {"a.sh": SLOW}, [], 1, "2 passed, 2 failed, 0 skipped", "no end after 0 s"),
    ("a filter chooses", BUILDS, {"a.sh": GOOD, "b.sh": BAD}, ["api/a"], 0, "2 passed, 0 failed, 0 skipped", "api/a.sh"),
    ("a filter that matches nothing fails", BUILDS, {"a.sh": GOOD}, ["nosuch"], 1, "1 passed, 1 failed, 0 skipped", "nothing ran"),
    ("no tests at all fail", BUILDS, {}, [], 1, "1 passed, 1 failed, 0 skipped", "nothing ran"),
    ("a build that breaks ends it", "%:\n\t@echo no good; false\n", {"a.sh": GOOD}, [], 1, "0 passed, 1 failed, 0 skipped", "no good"),
    ("a script that cannot be started", BUILDS, {"a.sh": "#!/no/such/shell\n"}, [], 1, "1 passed, 2 failed, 0 skipped",
     "cannot be started"),
]


class Tree:
    """A tree with the runner, a Makefile and scripts; gone at the end."""

    def __init__(self, makefile, scripts, folder="api"):
        self.top = tempfile.mkdtemp(prefix="fairlead-run.")
        shutil.copytree(HERE, f"{self.top}/tests/harness")
        shutil.copy(f"{HERE}/../run", f"{self.top}/tests/run")
        os.mkdir(f"{self.top}/tests/bench")
        for name in ("run", "plots", "svg.py"):
            shutil.copy(f"{HERE}/../bench/{name}", f"{self.top}/tests/bench/{name}")
        self.write("Makefile", makefile)
        for name, text in scripts.items():
            self.write(f"tests/{folder}/{name}", text, 0o755)

    def write(self, path, text, mode=0o644):
        path = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def run(self, program, *words):
        done = subprocess.run([f"{self.top}/tests/{program}", *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + ("\n" + done.stderr if done.returncode not in (0, 1) else "")


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().split(")")[-1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def interrupt_ends_children():
    with Tree(BUILDS, {"a.sh": HANGS}) as tree:
        runner = subprocess.Popen([f"{tree.top}/tests/run", "--only", "api"], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + 10
        while not os.path.exists(f"{tree.top}/child") and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.1)
        with open(f"{tree.top}/child", encoding="utf-8") as file:
            child = int(file.read())
        runner.send_signal(signal.SIGTERM)
        output, _ = runner.communicate(timeout=20)
        tap.ok(runner.returncode == 1 and "interrupted" in output, "an interrupted run has failed", output)
        tap.ok(gone(child), "an interrupted run leaves no process behind")


def bench():
    script = "#!/bin/sh\necho for people\necho creates_per_s_16=1000\necho p50_us=2.5\necho their_p50_us=5\n" \
             "echo '{\"name\": \"idle\", \"value\": 12, \"unit\": \"MB\"}'\n"
    rounds = "#!/bin/sh\n# \nROUNDS_OF_ITS_OWN = True\necho their_p50_us=$((4 + ${FL_QUICK:-0}))\n" \
             "echo '{\"name\": \"p50_us\", \"value\": 2, \"min\": 1, \"max\": 3, \"rounds\": 5, " \
             "\"peers\": {\"them\": \"their_p50_us\"}}'\n"
    known = {"b.creates_per_s_16": {"reference": 500, "of": "another", "target": 2000}, "b.idle": {"target": 15}}
    with Tree("", {"b.py": script, "r.py": rounds}, "bench") as tree:
        tree.write("tests/bench/references.json", json.dumps(known))
        os.mkdir(f"{tree.top}/build")
        code, output = tree.run("bench/run", "--runs", "2", "--quick")
        tap.ok(code == 0 and "MISSED  recorded: 500, another (2x)" in output, "bench: a table with what was recorded", output)
        tap.ok("them 5 (2.5x)" in output, "bench: and what was measured beside it; --quick reaches the benchmark", output)
        rows = read_rows(tree, "b")
        tap.is_(rows["p50_us"]["unit"], "us", "bench: the unit is read off the name")
        tap.is_(rows["idle"]["met"], True, "bench: less memory than the target meets it")
        tap.is_(rows["idle"]["runs"], 2, "bench: runs are repeated")
        row = read_rows(tree, "r")["p50_us"]
        tap.is_((row["runs"], row["min"], row["max"]), (5, 1, 3), "bench: but not of a benchmark that has rounds of its own")
        tree.write("tests/bench/b.py", "#!/bin/sh\necho p50_us=1\nexit 1\n", 0o755)
        tap.is_(tree.run("bench/run")[0], 1, "bench: a benchmark that fails fails the run")


def charts():
    figures = [{"name": f"connect_{who}{size}{end}", "median": 100.0 * k, "min": 90.0 * k, "max": 110.0 * k}
               for k, who in enumerate(("socket_", "packet_", "nftables_", "iptables_"), 1) for size in (10, 1000, 10000)
               for end in ("_per_s", "_to_limit")]
    figures += [{"name": "connect_limit_per_s", "median": 500.0, "min": 400.0, "max": 600.0}]
    report = {"benchmark": "dataplane_services", "commit": "a<b", "time": "2026-01-02T03:04:05Z", "kernel": "6.1.0-9", "cpus": 2,
              "quick": True, "figures": figures}
    with Tree("", {}, "bench") as tree:
        tree.write("build/bench/dataplane_services.json", json.dumps(report))
        code, output = tree.run("bench/plots", f"{tree.top}/build/bench")
        tap.ok(code == 0 and "no programs.svg" in output, "charts: those without figures are left out, and named", output)
        chart = xml.etree.ElementTree.parse(f"{tree.top}/build/bench/plots/connect-rate.svg").getroot()
        lines = chart.findall("{http://www.w3.org/2000/svg}polyline")
        words = " ".join(t.text for t in chart.findall("{http://www.w3.org/2000/svg}text"))
        tap.is_(len(lines), 5, "charts: a line for each series")
        tap.ok("connections a second" in words and "a<b; a quick run" in words, "charts: units, and what kind of run it was", words)
        places = [tuple(map(float, p.split(","))) for line in lines for p in line.get("points").split()]
        width, height = (float(chart.get(key)) for key in ("width", "height"))
        tap.ok(all(0 < x < width and 0 < y < height for x, y in places), "charts: all points are inside", places)


def read_rows(tree, name):
    with open(f"{tree.top}/build/bench/{name}.json", encoding="utf-8") as file:
        return {row["name"]: row for row in json.load(file)["figures"]}


def main():
    for name, makefile, scripts, words, want, last, says in CASES:
        with Tree(makefile, scripts) as tree:
            code, output = tree.run("run", "--only", "api", *words)
            good = code == want and output.splitlines()[-1] == last and says in output
            tap.ok(good, name, f"exit code {code}, want {want}, {last!r} and {says!r}\n{output}")
    interrupt_ends_children()
    bench()
    charts()
    tap.done()


main()
