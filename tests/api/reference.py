#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""docs/reference.md says what the programs say of their flags and commands."""

import difflib
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import apiserver
import tap


def main():
    made = subprocess.run([os.path.join(apiserver.TOP, "tools/dev/reference.py"), apiserver.BUILD], capture_output=True, text=True, check=False)
    tap.is_(made.returncode, 0, "every program prints its help")
    with open(os.path.join(apiserver.TOP, "docs/reference.md"), encoding="utf-8") as file:
        there = file.read()
    difference = list(difflib.unified_diff(there.splitlines(), made.stdout.splitlines(), "docs/reference.md", "the programs", lineterm="", n=1))
    tap.ok(not difference, "docs/reference.md is what they print (else: make reference)", made.stderr + "\n".join(difference[:40]))
    tap.done()


if __name__ == "__main__":
    main()
