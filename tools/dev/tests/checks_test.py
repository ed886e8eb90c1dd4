#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""The checks of the house rules, each against small trees that keep and that break its rule."""

import os
import subprocess
import sys
import tempfile

DEV = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(DEV, "..", "..", "tests", "harness"))

import tap

HEADERS = {name: "" for name in ("bpf/abi/maps.h", "userspace/base/err.h", "userspace/kube/schema.h",
                                 "userspace/datapath/slots.h", "control/store/store.h", "control/apiserver/kind.h",
                                 "control/controllers/queue.h", "agent/desired.h", "cni/conf.h", "tools/ctl/cmd.h",
                                 "tests/unit/help.h")}


def includes(path, *names):
    return {**HEADERS, path: "".join(f'#include "{name}"\n' for name in names)}


def function(lines, head="static int f(int a,\n             int b)"):
    """A function of so many lines, its two-line signature included."""
    return head + "\n{\n" + "        a++;\n" * (lines - 4) + "}\n"


SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SPDX_BPF = "/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */\n"

# check, name, tree, exit code, what the output says
CASES = [
    ("deps", "base may see the abi", includes("userspace/base/x.c", "base/err.h", "bpf/abi/maps.h"), 0, "2 includes"),
    ("deps", "kube may see base", includes("userspace/kube/x.c", "base/err.h"), 0, "keep"),
    ("deps", "base may not see kube", includes("userspace/base/x.c", "kube/schema.h"), 1, "x.c:1: includes"),
    ("deps", "apiserver may see the store", includes("control/apiserver/x.c", "store/store.h"), 0, "keep"),
    ("deps", "the store may not see the apiserver", includes("control/store/x.c", "apiserver/kind.h"), 1,
     "may not include control/apiserver"),
    ("deps", "controllers may not see the apiserver", includes("control/controllers/x.c", "apiserver/kind.h"), 1, "may not"),
    ("deps", "control may not see the agent", includes("control/apiserver/x.c", "agent/desired.h"), 1, "may not"),
    ("deps", "cni may not see the agent", includes("cni/x.c", "agent/desired.h"), 1, "may not"),
    ("deps", "cni may not see the datapath", includes("cni/x.c", "datapath/slots.h"), 1, "may not"),
    ("deps", "the agent may see the datapath", includes("agent/x.c", "datapath/slots.h", "kube/schema.h"), 0, "keep"),
    ("deps", "kube and datapath are siblings", includes("userspace/kube/x.c", "datapath/slots.h"), 1, "may not"),
    ("deps", "no way round by ..", includes("cni/x.c", "../agent/desired.h"), 1, "may not include agent"),
    ("deps", "programs do not see tests", includes("agent/x.c", "unit/help.h"), 1, "may not include tests"),
    ("deps", "a tool sees its own headers", includes("tools/ctl/x.c", "ctl/cmd.h", "kube/schema.h"), 0, "keep"),
    ("deps", "a tool may not see the store", includes("tools/ctl/x.c", "store/store.h"), 1, "may not"),
    ("deps", "tests see all", includes("tests/unit/x.c", "apiserver/kind.h", "store/store.h", "unit/help.h"), 0, "keep"),
    ("deps", "a header that is nowhere", includes("agent/x.c", "nowhere.h"), 1, "not in the tree"),
    ("deps", "ours in angle brackets", {**HEADERS, "agent/x.c": "#include <base/err.h>\n"}, 1, "go in quotes"),
    ("deps", "the line is named", {**HEADERS, "cni/x.c": "\n\n#include \"agent/desired.h\"\n"}, 1, "cni/x.c:3:"),
    ("deps", "a folder without a law", includes("userspace/other/x.c", "base/err.h"), 1, "no room"),
    ("sizes", "a function at the wall", {"cni/x.c": function(100)}, 0, "longest 100"),
    ("sizes", "a function over the wall", {"cni/x.c": "int a;\n\n" + function(101)}, 1, "cni/x.c:3: f: 101 lines"),
    ("sizes", "a large function is listed", {"cni/x.c": function(61)}, 0, "large: cni/x.c:1: f: 61 lines"),
    ("sizes", "functions are counted apart", {"cni/x.c": "\n".join([function(10), function(20), function(30)])}, 0,
     "3 functions: median 20 lines, 95% within 30, longest 30"),
    ("sizes", "a table is no function", {"cni/x.c": "static int t[] = {\n" + "        1,\n" * 200 + "};\n"}, 0, "0 functions"),
    ("sizes", "a comment is not part of it", {"cni/x.c": "/* Why.\n * Because. */\n" + function(20)}, 0, "longest 20"),
    ("sizes", "a file at the wall", {"cni/x.c": "int a;\n" * 1200}, 0, "large: cni/x.c: 1200 lines"),
    ("sizes", "a file over the wall", {"cni/x.c": "int a;\n" * 1201}, 1, "the wall is 1200"),
    ("sizes", "what is built is not looked at", {"build/x.c": "int a;\n" * 1300, "cni/x.c": ""}, 0, "1 files"),
    ("spdx", "each its own licence", {"cni/x.c": SPDX, "bpf/x.bpf.c": SPDX_BPF,
                                      "tests/api/x.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"}, 0, "3 files"),
    ("spdx", "none", {"cni/x.c": "int a;\n"}, 1, "cni/x.c:1: no"),
    ("spdx", "too far down", {"cni/x.c": "\n\n" + SPDX}, 1, "cni/x.c:1: no"),
    ("spdx", "another one", {"cni/x.c": "/* SPDX-License-Identifier: MIT */\n"}, 1, "licence is MIT"),
    ("spdx", "bpf must be dual", {"bpf/x.bpf.c": SPDX}, 1, "want (GPL-2.0-only OR BSD-2-Clause)"),
]


def run_check(check, tree):
    with tempfile.TemporaryDirectory() as top:
        for path, text in tree.items():
            os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
            with open(os.path.join(top, path), "w", encoding="utf-8") as file:
                file.write(text)
        argv = [os.path.join(DEV, f"check_{check}"), "--top", top]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    for check, name, tree, want, says in CASES:
        code, output = run_check(check, tree)
        tap.ok(code == want and says in output, f"{check}: {name}", f"exit code {code}, want {want} and {says!r}\n{output}")
    tap.done()


main()
