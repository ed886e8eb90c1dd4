#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The test runner reads what test programs print; when it misreads, a failure goes unseen."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import process
import results
import tap

CMOCKA_GOOD = """[==========] Running 2 test(s).
[ RUN      ] adds
[       OK ] adds
[ RUN      ] printsnoise
noise without a newline[       OK ] printsnoise
[==========] 2 test(s) run.
[  PASSED  ] 2 test(s).
"""
CMOCKA_NEWER = """[==========] arena: Running 3 test(s).
[ RUN      ] adds
[       OK ] adds
[ RUN      ] later
[  SKIPPED ] later
[ RUN      ] breaks
[  ERROR   ] --- 0x1 != 0x2
[   LINE   ] --- x_test.c:16: error: Failure!
[  FAILED  ] breaks
[==========] arena: 3 test(s) run.
[  PASSED  ] 1 test(s).
[  SKIPPED ] arena: 1 test(s), listed below:
[  SKIPPED ] later
[  FAILED  ] arena: 1 test(s), listed below:
[  FAILED  ] breaks

 1 FAILED TEST(S)
"""
CMOCKA_CRASH = "[==========] Running 2 test(s).\n[ RUN      ] adds\n[       OK ] adds\n[ RUN      ] dies\n"

# text, exit code -> passed, failed, skipped
CMOCKA = [
    ("all pass", CMOCKA_GOOD, 0, (2, 0, 0)),
    ("pass, skip and fail", CMOCKA_NEWER, 1, (1, 1, 1)),
    ("a crash fails the test that ran", CMOCKA_CRASH, -11, (1, 1, 0)),
    ("a leak found at exit fails the program", CMOCKA_GOOD, 23, (2, 1, 0)),
    ("nothing ran", "", 0, (0, 1, 0)),
    ("cannot even start", "", 127, (0, 1, 0)),
]
TAP = [
    ("all pass", "ok 1 - a\nok 2 - b\n1..2\n", 0, (2, 0, 0)),
    ("the plan may come first", "1..2\nok\nok - b\n", 0, (2, 0, 0)),
    ("a failure", "ok 1 - a\nnot ok 2 - b\n# got: 1\n1..2\n", 1, (1, 1, 0)),
    ("a failure with exit code 0", "not ok 1 - b\n1..1\n", 0, (0, 1, 0)),
    ("a skip with its reason", "ok 1 - a # SKIP no kubectl\nok 2 - b\n1..2\n", 0, (1, 0, 1)),
    ("a skipped program", "1..0 # SKIP not root\n", 0, (0, 0, 1)),
    ("not ok with a skip is a failure", "not ok 1 - a # SKIP x\n1..1\n", 0, (0, 1, 0)),
    ("todo is a failure", "ok 1 - a # TODO later\n1..1\n", 0, (0, 1, 0)),
    ("no plan: stopped half-way", "ok 1 - a\n", 0, (1, 1, 0)),
    ("fewer tests than planned", "1..3\nok 1 - a\n", 0, (1, 1, 0)),
    ("bail out", "ok 1 - a\nBail out! no server\n", 1, (1, 1, 0)),
    ("all ok, but a bad end", "ok 1 - a\n1..1\n", 3, (1, 1, 0)),
    ("silent", "", 0, (0, 1, 0)),
    ("words that only begin like it", "okay then\nok 1 - a\n1..1\n", 0, (1, 0, 0)),
]


def counts(outcome):
    return outcome.passed, len(outcome.failed), len(outcome.skipped)


def run(script, timeout_s=10):
    return process.run(["sh", "-c", script], "build/log/results_test.log", timeout_s)


def main():
    for name, text, code, want in CMOCKA:
        tap.is_(counts(results.from_cmocka(text, code)), want, f"cmocka: {name}")
    for name, text, code, want in CMOCKA:
        tap.is_(counts(results.from_packets(text, code)), want, f"packets: {name}")
    tap.is_(results.from_packets("tests/bpf: BPF maps cannot be made\n", 77).skipped,
            [("the whole program", "tests/bpf: BPF maps cannot be made")], "packets: no BPF here, and why")
    tap.is_(counts(results.from_packets("[ RUN      ] a\n", 77)), (0, 1, 0), "packets: 77 in the middle of a test")
    for name, text, code, want in TAP:
        tap.is_(counts(results.from_tap(text, code)), want, f"tap: {name}")
    tap.is_(results.from_tap("ok 1 - a # SKIP no kubectl\n1..1\n", 0).skipped, [("a", "no kubectl")], "tap: skip reason")

    broken = "ok 1 - a\nnot ok 2 - b\n# got: 1\nok 3 - c\n# c took 1 s\n1..3\n"
    tap.is_(results.excerpt(broken, 9), ["not ok 2 - b", "# got: 1"], "of TAP what failed is shown, and why")
    tap.is_(results.excerpt("not ok 1 - a\nok 2 - b\nTraceback\nError: x\n", 6),
            ["not ok 1 - a", "...", "Traceback", "Error: x"], "and how it ended half-way")
    tap.is_(results.excerpt("1\n2\n3\n", 2), ["2", "3"], "of all else the end is shown")

    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    tap.is_(run("exit 3"), (3, None), "the exit code is reported")
    tap.is_(run("kill -SEGV $$"), (-11, None), "death by a signal is reported")
    code, complaint = run("sleep 60 & wait", 0.3)
    tap.ok(code != 0 and "no end" in complaint, "a program that does not end is ended", (code, complaint))
    tap.is_(run("sleep 60 & echo $!"), (0, "left processes running"), "a child left running is a complaint")
    with open("build/log/results_test.log", encoding="utf-8") as file:
        left = int(file.read())
    tap.ok(not os.path.exists(f"/proc/{left}") or "Z" in open(f"/proc/{left}/stat").read().split()[2],
           "and the child is ended")
    tap.done()


main()
