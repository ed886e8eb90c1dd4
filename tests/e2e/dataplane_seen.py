#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""Looking inside the dataplane as it comes: packets live, packets traced."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import trace  # noqa: E402
import watch  # noqa: E402
from play import play  # noqa: E402

play((watch, trace), sys.argv[1:])
