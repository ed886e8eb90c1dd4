# SPDX-License-Identifier: Apache-2.0
"""What the dataplane's stories share: the cast of pods, and checks of many cases that make one line."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "harness"))

import tap  # noqa: E402
from lab import Lab, until  # noqa: E402

FAMILIES = (4, 6)
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
AT_ONCE_MS = 900  # a refusal must not wait for a timer, which is a second at least; the machine may be busy


class Cast:
    """Pods a and b on n1, c on n2, d on n3, and h, with n2's own network."""

    def __init__(self, lab):
        self.a, self.b, self.c, self.d, self.h = lab.pods(("n1", "a"), ("n1", "b"), ("n2", "c"), ("n3", "d"),
                                                          ("n2", "h", {"host_network": True}))


def name_of(answer):
    return answer.get("name") or answer.get("error")


def all_of(title, cases):
    """cases: (label, got, want); a callable `want` judges."""
    cases = list(cases)
    wrong = [f"{label}: got {got}, want {getattr(want, '__name__', want)}" for label, got, want in cases
             if not (want(got) if callable(want) else got == want)]
    return tap.ok(cases and not wrong, title, "\n".join(wrong) or "there is no case")


def reached(lab, place, to, port, names, **options):
    """Waits until one of the names answers; returns the last answer's name or error."""
    return name_of(lab.settled(place, to, port, lambda answer: answer.get("name") in names, **options))


def spread(place, to, port, count=24, proto="tcp", **options):
    """The names that answer `count` calls; errors are among them."""
    return set(place.peer.many(to, port, count, proto=proto, **options).get("found", {"nobody": 1}))


def refused(answer):
    """At once, and as a refusal."""
    return answer.get("error") == "ECONNREFUSED" and answer["ms"] < AT_ONCE_MS


def unanswered(answer):
    return answer.get("error") == "TIMEOUT"


def translates_at_sockets(lab):
    """Else every packet is translated on its way."""
    return lab.settings.get("socket-path") != "false"


__all__ = ["AT_ONCE_MS", "Cast", "FAMILIES", "LOOPBACK", "Lab", "all_of", "name_of", "reached", "refused", "spread",
           "tap", "translates_at_sockets", "unanswered", "until"]
