#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
"""tools/dev/deps.sh on pretended machines: dpkg, apt-get and the compiler are small scripts that know some packages."""

import os
import subprocess
import sys
import tempfile

DEV = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(DEV, "..", "..", "tests", "harness"))

import tap

DPKG_QUERY = """#!/bin/sh
for package; do :; done
grep -qx "$package" "$STATE/installed" && printf installed || exit 1
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$STATE/calls"
case "$*" in
*download*) exit 100 ;;
*install*) for word; do case $word in -*|*::*|install) ;; *) echo "$word" >>"$STATE/installed" ;; esac; done ;;
esac
"""
COMPILER = """#!/bin/sh
header=$(sed -n 's/^#include //p' | tail -n 1)
grep -qxF "$header" "$STATE/headers"
"""
ID = "#!/bin/sh\necho \"$PRETENDED_UID\"\n"
TOOLS = ("sh", "cat", "dirname", "basename", "grep", "sed", "tail", "mkdir", "mktemp", "rm", "ln", "touch")


class Machine:
    def __init__(self, installed=(), headers=(), commands=(), uid=0):
        self.folder = tempfile.TemporaryDirectory()
        self.top = self.folder.name
        os.makedirs(f"{self.top}/tree/tools/dev")
        os.symlink(f"{DEV}/deps.sh", f"{self.top}/tree/tools/dev/deps.sh")
        os.mkdir(f"{self.top}/bin")
        for tool in TOOLS:
            os.symlink(subprocess.check_output(["which", tool], text=True).strip(), f"{self.top}/bin/{tool}")
        scripts = {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET, "fakecc": COMPILER, "id": ID}
        scripts.update({command: "#!/bin/sh\n" for command in commands})
        for name, text in scripts.items():
            self.write(f"bin/{name}", text)
            os.chmod(f"{self.top}/bin/{name}", 0o755)
        self.write("installed", "".join(p + "\n" for p in installed))
        self.write("headers", "".join(f"{h}\n" for h in headers))
        self.write("calls", "")
        self.env = {"PATH": f"{self.top}/bin", "STATE": self.top, "CC": "fakecc", "PRETENDED_UID": str(uid)}

    def write(self, name, text):
        with open(f"{self.top}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(f"{self.top}/{name}", encoding="utf-8") as file:
            return file.read()

    def run(self, *words):
        done = subprocess.run(["tools/dev/deps.sh", *words], cwd=f"{self.top}/tree", env=self.env, capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def all_packages():
    with open(f"{DEV}/deps.sh", encoding="utf-8") as file:
        rows = [line.split() for line in file if line.startswith(("build ", "check ", "test "))]
    return [row[1] for row in rows]


def main():
    packages = all_packages()
    machine = Machine(packages)
    code, output = machine.run()
    tap.ok(code == 0 and " missing" not in output, "nothing is missing", output)
    tap.ok("install" not in machine.read("calls") and "update" not in machine.read("calls"), "then apt changes nothing",
           machine.read("calls"))
    tap.is_(machine.run("--check")[0], 0, "and --check agrees")

    rest = [p for p in packages if p not in ("libyaml-dev", "clang-tidy")]
    machine = Machine(rest)
    code, output = machine.run("--check")
    tap.ok(code == 1 and "libyaml-dev clang-tidy" in output and "make deps" in output, "--check names what is missing", output)
    tap.is_(machine.read("calls"), "", "--check never calls apt")
    code, output = machine.run("--check", "test")
    tap.is_(code, 0, "--check of a use looks at that use only")
    code, output = machine.run()
    tap.is_(code, 0, "what is missing is installed")
    calls = machine.read("calls").splitlines()
    tap.ok("update" in calls[0] and calls[1].endswith("libyaml-dev clang-tidy"), "after one update, and nothing else", calls)

    machine = Machine(rest, uid=1000)
    code, output = machine.run()
    tap.ok(code == 1 and "sudo apt-get install libyaml-dev clang-tidy" in output, "without root it says what to run", output)
    tap.ok("install" not in machine.read("calls"), "and does not try", machine.read("calls"))

    machine = Machine(rest, headers=["<yaml.h>"], commands=["clang-tidy"])
    tap.is_(machine.run("--check")[0], 0, "a header or command from elsewhere counts")

    machine = Machine([p for p in packages if p != "kubernetes-client"], commands=["kubectl"])
    tap.is_(machine.run()[0], 0, "a kubectl that exists is kept")
    tap.ok("install" not in machine.read("calls"), "and none is installed beside it", machine.read("calls"))
    tap.done()


main()
