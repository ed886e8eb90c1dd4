#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""docs/clusters.md: each of its commands is run, in order, on a cluster of another name."""

import os
import re
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../harness")]

import tap  # noqa: E402
from apiserver import BUILD, TOP  # noqa: E402
from fleet import CLUSTERS, fairctl, has_kubelet, requirements, sweep  # noqa: E402

NAME = f"fl-test-{os.getpid()}-doc"
COMMAND = re.compile(r"^    ((?:fairctl|kubectl|export|examples/)\S*.*?)(?:\s{2,}#.*)?$", re.M)


def commands():
    with open(os.path.join(TOP, "docs", "clusters.md"), encoding="utf-8") as file:
        return COMMAND.findall(file.read())


def run(command, env):
    """`export X=...` stays for the following ones."""
    text = command.replace("/tmp/shop", os.path.join(env["HOME"], "shop")).replace("--name fairlead", f"--name {NAME}")
    script = f"set -e\n{text}\nenv -0 >$HOME/env"
    done = subprocess.run(["bash", "-c", script], env=env, cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=120)
    tap.ok(done.returncode == 0, command, f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    if command.startswith("export") and done.returncode == 0:
        with open(os.path.join(env["HOME"], "env"), encoding="utf-8") as file:
            env.update(pair.split("=", 1) for pair in file.read().split("\0") if pair)
    return done.stdout


def main():
    requirements()
    if not has_kubelet():
        tap.skip_all("fairlead-kubelet has not been built")
    sweep()
    home = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip()
    env = {**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": home, "FAIRLEAD_CLUSTER": NAME, "FL_BUILD": BUILD}
    found = commands()
    try:
        for command in found:
            if command != "fairctl down":
                said = run(command, env)
                if command.endswith("/who"):
                    tap.like(said, r"^front-\S+ version 1 on node-\d; back end: back-\d was asked \d+ times", "and the shop answers")
        tap.ok(len(found) >= 20, "the document has its commands", found)
        run("fairctl down", env)
        tap.ok(not os.path.exists(f"{CLUSTERS}/{NAME}"), "and the cluster is gone")
    finally:
        fairctl("down", "--name", NAME, check=False)
        subprocess.run(["rm", "-rf", home], check=False)
    tap.done()


main()
