/* SPDX-License-Identifier: Apache-2.0 */
/* A pod whose spec names its node is bound already: there is nothing left to filter. The name stands for rejections
 * without any node, which only a new node ends. */
#include "scheduler/plugins/plugin.h"

const struct plugin plugin_node_name = {.name = "NodeName", .events = EVENT_NODE_ADD};
