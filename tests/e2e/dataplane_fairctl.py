#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=180
"""fairctl and what else shows the tables, against what the lab really has: on a node, by people and by programs, with the
agent and without."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import fairctl  # noqa: E402
from play import play  # noqa: E402

play((fairctl,), sys.argv[1:])
