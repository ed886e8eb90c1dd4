# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in Python share: rounds in which everything that is compared takes its turn, and the lines that
tests/bench/run reads. With FL_QUICK=1 in the environment there are fewer rounds."""

import json
import os
import statistics
import time

QUICK = os.environ.get("FL_QUICK") == "1"
ROUNDS = int(os.environ.get("ROUNDS", "3" if QUICK else "5"))
ROUND_S = float(os.environ.get("ROUND_S", "0.25" if QUICK else "0.5"))


class Broken(Exception):
    """What is measured is not what it should be: no figure is better than a wrong one."""


def check(true, what):
    if not true:
        raise Broken(what)


def say(name, value, unit, values=None, peers=None):
    """One figure; values: those of the rounds, of which it is the median. peers: {who: figure that it is put beside}."""
    line = {"name": name, "value": float(f"{value:.5g}"), "unit": unit}
    if values:
        line |= {"min": float(f"{min(values):.5g}"), "max": float(f"{max(values):.5g}"), "rounds": len(values)}
    if peers:
        line["peers"] = peers
    print(json.dumps(line), flush=True)


def median(name, values, unit, peers=None):
    say(name, statistics.median(values), unit, values, peers)


def quotient(name, ours, peers):
    """Ours to a peer's of the same round; more than 1 is better where more of it is."""
    median(name, [a / b for a, b in zip(ours, peers)], "x")


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def cpu_ns(pid):
    """CPU time of a process, of its first thread."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def client(end, cpu, *argv):
    """(result, ns of CPU that it took) of a client's run."""
    process = end.start(argv, cpu)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    check(not status, f"{' '.join(argv)}: exit status {status}: {out}")
    return json.loads(out), (usage.ru_utime + usage.ru_stime) * 1e9


def iperf(end, ip, port=5201):
    """Gbit/s of one connection in a second. The server may still be busy with the end of the test before."""
    for _ in range(20):
        process = end.start(["/usr/bin/iperf3", "-J", "-t", "1", "-c", ip, "-p", str(port)], 0)
        said = json.loads(process.stdout.read())
        process.wait()
        if "error" not in said:
            return said["end"]["sum_received"]["bits_per_second"] / 1e9
        time.sleep(0.1)
    raise Broken(f"iperf3 to {ip}: {said['error']}")


def rounds(settings, measure, count=ROUNDS, base=None, every=4):
    """{name: results}: every setting once a round, in alternating order. With a base (the name of one of them) that one has
    its turn before and after each group of `every` others, and results are pairs (result, [the base's before and after])."""
    results = {name: [] for name in settings}
    others = [name for name in settings if name != base]
    for i in range(count):
        order = others if i % 2 else others[::-1]
        if base is None:
            for name in order:
                results[name].append(measure(*settings[name]))
            continue
        before = measure(*settings[base])
        for at in range(0, len(order), every):
            group = [(name, measure(*settings[name])) for name in order[at:at + every]]
            after = measure(*settings[base])
            for name, result in group:
                results[name].append((result, [before, after]))
            results[base].append((before, [before, after]))
            before = after
    return results


def note(what, began=time.monotonic()):
    print(f"# {time.monotonic() - began:6.1f} s: {what}", flush=True)
