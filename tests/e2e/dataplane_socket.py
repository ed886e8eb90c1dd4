#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The dataplane as it comes: VXLAN, translation at the socket, XDP."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import cluster_ip  # noqa: E402
import coexist  # noqa: E402
import look  # noqa: E402
import node_port  # noqa: E402
import own_node_off  # noqa: E402
import pods  # noqa: E402
import selection  # noqa: E402
from play import play  # noqa: E402

play((cluster_ip, node_port, own_node_off, pods, selection, look, coexist), sys.argv[1:], non_masquerade_cidrs=pods.UNMASQUERADED)
