#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""docs/reference.md: every program's flags and every fairctl command, as --help prints them from the programs' own tables.

    tools/dev/reference.py BUILD            # prints it
    make reference                          # writes it
"""

import os
import re
import subprocess
import sys

PROGRAMS = ("fairlead-apiserver", "fairlead-controller-manager", "fairlead-scheduler", "fairlead-kubelet", "fairlead-agent",
            "fairlead-hollow")
HEAD = """# Flags and commands

Made by `make reference` from what the programs print; a test compares the two.
"""


def page(build, *words):
    done = subprocess.run([os.path.join(build, words[0]), *words[1:], "--help"], capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "COLUMNS": "120"})
    return "\n".join("    " + line if line else "" for line in done.stdout.rstrip().splitlines())


def commands(build):
    """fairctl's, as its own help lists them."""
    listed = subprocess.run([os.path.join(build, "fairctl"), "--help"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?=  | [A-Z])", listed.split("Each explains")[0], re.M)
    return [words.split() for words in dict.fromkeys(found)]


def reference(build):
    parts = [HEAD]
    for name in PROGRAMS:
        parts.append(f"## {name}\n\n{page(build, name)}\n")
    parts.append(f"## fairctl\n\n{page(build, 'fairctl')}\n")
    for words in commands(build):
        parts.append(f"### fairctl {' '.join(words)}\n\n{page(build, 'fairctl', *words)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference(sys.argv[1] if len(sys.argv) > 1 else "build"))
