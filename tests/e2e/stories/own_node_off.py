# SPDX-License-Identifier: Apache-2.0
"""What own_node is about costs nothing where sockets are served."""

import own_node


def services():
    return []


def endpoints(cast):
    return {}


STORIES = (own_node.costs_nothing,)
