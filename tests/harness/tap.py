# SPDX-License-Identifier: Apache-2.0
"""TAP for test scripts in Python: each check prints a line, a failed one also says what came and what was wanted.

    import tap
    tap.is_(answer.status, 200, "a Service is created")
    tap.done()            # last; prints the plan and exits with 1 when anything failed
"""

import re
import sys

_count = 0
_failed = 0


def _line(good, name, note=""):
    global _count, _failed
    _count += 1
    _failed += not good
    print(f"{'ok' if good else 'not ok'} {_count} - {name}{note}", flush=True)
    return good


def diag(text):
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def ok(condition, name, why=""):
    if not _line(bool(condition), name) and why != "":
        diag(why)
    return bool(condition)


def not_ok(name, why=""):
    return ok(False, name, why)


def is_(got, want, name):
    return ok(got == want, name, f"got:  {got!r}\nwant: {want!r}")


def like(text, pattern, name):
    return ok(re.search(pattern, text, re.M), name, f"got:  {text!r}\nwant: something like /{pattern}/")


def skip(name, reason):
    _line(True, name, f" # SKIP {reason}")


def skip_all(reason):
    print(f"1..0 # SKIP {reason}", flush=True)
    sys.exit(0)


def done():
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed else 0)
