# SPDX-License-Identifier: Apache-2.0
"""What the checks of the house rules share: which files are ours."""

import argparse
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
C_FOLDERS = ("bpf", "vmlinux", "userspace", "cni", "agent", "control", "tests", "tools")
SKIPPED = {".git", "build", "__pycache__", "corpus"}


def files(top):
    """Every file of the tree, as paths relative to top, in order."""
    paths = []
    for parent, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in SKIPPED]
        paths += [os.path.relpath(os.path.join(parent, name), top) for name in names]
    return sorted(paths)


def c_files(top):
    return [p for p in files(top) if p.endswith((".c", ".h")) and p.split(os.sep)[0] in C_FOLDERS]


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--top", default=TOP, help="the tree to look at (default: the one this file is in)")
    return parser.parse_args()


def verdict(complaints, praise):
    """Prints what is wrong, or that nothing is. Returns the exit code."""
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints" if complaints else praise)
    return 1 if complaints else 0
