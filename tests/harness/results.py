# SPDX-License-Identifier: Apache-2.0
"""What the output of a test program says: pure functions from text and exit code to an Outcome."""

import re
from dataclasses import dataclass, field

CMOCKA_RUN = re.compile(r"\[ RUN      \] (\S+)")
CMOCKA_OK = re.compile(r"\[       OK \] (\S+)")
CMOCKA_SKIP = re.compile(r"\[  SKIPPED \] (\S+)\s*$", re.M)
TAP_LINE = re.compile(r"^(not )?ok\b(?:[ \t]+(\d+))?[ \t]*-?[ \t]*(.*?)[ \t]*$")
TAP_PLAN = re.compile(r"^1\.\.(\d+)(?:[ \t]*#[ \t]*SKIP\b[ \t]*(.*))?", re.I)
TAP_DIRECTIVE = re.compile(r"(?:^|[ \t])#[ \t]*(SKIP|TODO)\b[ \t]*(.*)$", re.I)


@dataclass
class Outcome:
    """passed counts; failed and skipped name what failed or was skipped, and why."""

    passed: int = 0
    failed: list = field(default_factory=list)
    skipped: list = field(default_factory=list)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def ran(self):
        return self.passed + len(self.failed) + len(self.skipped)


def describe_exit(code):
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def settle(outcome, code, nothing):
    """A program that says all is well but ends badly, or that says nothing, has failed."""
    if code != 0 and not outcome.failed:
        outcome.failed.append(describe_exit(code))
    elif outcome.ran() == 0:
        outcome.failed.append(nothing)
    return outcome


def from_cmocka(text, code):
    """A test that was started and is neither ok nor skipped has failed, also when the program died in it."""
    outcome = Outcome()
    ok = CMOCKA_OK.findall(text)
    skipped = CMOCKA_SKIP.findall(text)
    outcome.passed = len(ok)
    for name in CMOCKA_RUN.findall(text):
        if name in ok:
            ok.remove(name)
        elif name in skipped:
            outcome.skipped.append((name, "skipped by the test"))
        else:
            outcome.failed.append(name)
    return settle(outcome, code, "ran no test")


def from_packets(text, code):
    """cmocka; exit code 77 before any test: the kernel loads no BPF for us, and the last line says what is missing."""
    lines = text.strip().splitlines()
    if code == 77 and not CMOCKA_RUN.search(text):
        return Outcome(skipped=[("the whole program", lines[-1] if lines else "no reason given")])
    return from_cmocka(text, code)


def tap_test(outcome, match):
    """Counts one ok / not ok line."""
    negated, number, rest = match.groups()
    directive = TAP_DIRECTIVE.search(rest)
    kind = directive.group(1).upper() if directive else ""
    name = (rest[: directive.start()] if directive else rest).strip() or f"test {number or '?'}"
    if kind == "SKIP" and not negated:
        outcome.skipped.append((name, directive.group(2) or "no reason given"))
    elif negated or kind == "TODO":
        outcome.failed.append(name)
    else:
        outcome.passed += 1


def from_tap(text, code):
    """TAP, with a plan before or after the tests: without one, a script that stopped half-way would look complete."""
    outcome, plan = Outcome(), None
    for line in text.splitlines():
        plan_match = TAP_PLAN.match(line)
        test_match = TAP_LINE.match(line)
        if plan_match:
            plan = int(plan_match.group(1))
            if plan == 0:
                outcome.skipped.append(("the whole program", plan_match.group(2) or "no reason given"))
                plan = 1
        elif test_match:
            tap_test(outcome, test_match)
        elif line.startswith("Bail out!"):
            outcome.failed.append(line)
    if plan is None and not outcome.failed:
        outcome.failed.append(f"no plan: it stopped half-way ({describe_exit(code)}), or done_testing is missing")
    elif plan is not None and plan != outcome.ran():
        outcome.failed.append(f"planned {plan} tests, ran {outcome.ran()}")
    return settle(outcome, code, "ran no test")


def from_exit(name, code):
    """A step that is one test by itself: a build, a check, a fuzz run."""
    return Outcome(passed=1) if code == 0 else Outcome(failed=[f"{name}: {describe_exit(code)}"])


def from_model(name, text, code):
    """One test by itself, or exit code 77 as in from_packets."""
    if code == 77:
        return from_packets(text, code)
    return from_exit(name, code)


def excerpt(text, most):
    """What tells people why it failed, in at most so many lines: of TAP each failed test and what is said about it, and the end
    if it has no plan; of anything else the end."""
    lines, told, in_failure, planned = text.rstrip().splitlines(), [], False, False
    for line in lines:
        match, plan = TAP_LINE.match(line), TAP_PLAN.match(line)
        planned = planned or bool(plan)
        if match or plan:
            in_failure = bool(match and match.group(1))
        if in_failure or line.startswith("Bail out!"):
            told.append(line)
    if not told:
        return lines[-most:]
    end = [] if planned else ["..."] + lines[-(most // 3):]
    return told[:most - len(end)] + end
