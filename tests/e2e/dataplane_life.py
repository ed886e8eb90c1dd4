#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
# runner: alone
"""Agents die, are replaced, are worked against, and go."""

import os
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import life  # noqa: E402
import tap  # noqa: E402
from apiserver import BUILD, TOP  # noqa: E402
from lab import Lab, requirements  # noqa: E402
from play import prepare, tell_all  # noqa: E402


def main(only):
    requirements()
    subprocess.run(["make", "-s", "-C", TOP, f"O={BUILD}", f"{BUILD}/netload"], stdout=subprocess.DEVNULL, check=True)
    with Lab(agents=False) as lab:
        before = {name: life.state_of(node) for name, node in lab.nodes.items()}
        lab.start_agents()
        cast, made = prepare(lab, (life,))
        life.serve_held(cast)
        tell_all(lab, life.STORIES, only, cast, made)
        lab.check_no_packet_filter()
        for pod in (cast.a, cast.b, cast.c, cast.d):
            pod.remove()
        lab.story(life.cleanup, before)
        lab.check_no_way_out()
    tap.done()


main(sys.argv[1:])
