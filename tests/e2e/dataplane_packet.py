#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The dataplane by native routing, every packet translated on its way, XDP."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import cluster_ip  # noqa: E402
import look  # noqa: E402
import node_port  # noqa: E402
import own_node  # noqa: E402
import pods  # noqa: E402
import selection  # noqa: E402
import trace  # noqa: E402
from play import play  # noqa: E402

play((cluster_ip, node_port, own_node, pods, selection, look, trace), sys.argv[1:], routing="native", socket_path=False,
     non_masquerade_cidrs=pods.UNMASQUERADED)
