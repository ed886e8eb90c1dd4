#!/usr/bin/python3 -B
# SPDX-License-Identifier: Apache-2.0
# runner: timeout=240
"""The dataplane without what a kernel or NIC may lack: no XDP, no TCX, no translation at the socket; VXLAN, whose
header is the device's alone."""

import os
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), where) for where in ("stories", "../harness")]

import cluster_ip  # noqa: E402
import coexist  # noqa: E402
import node_port  # noqa: E402
import own_node  # noqa: E402
import pods  # noqa: E402
from play import play  # noqa: E402

play((cluster_ip, node_port, own_node, pods, coexist), sys.argv[1:], socket_path=False, xdp=False, tcx=False, vxlan_direct=False,
     non_masquerade_cidrs=pods.UNMASQUERADED)
