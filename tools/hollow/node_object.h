/* SPDX-License-Identifier: Apache-2.0 */
/* A node and its Lease as a kubelet would write them. Pure; the caller owns what is returned. */
#pragma once

#include "base/json.h"
#include "hollow/config.h"

#define NODE_NAME_MAX 64

void node_name(const struct hollow_config *c, uint32_t index, char ret[NODE_NAME_MAX]);
/* The index of the node of that name; -1: it is none of ours. */
int64_t node_index(const struct hollow_config *c, const char *name);

struct json_object *hollow_node_object(const struct hollow_config *c, uint32_t index, int64_t now_s);
/* A strategic merge patch of the status. was_ready: the Ready condition does not change, and keeps its time. */
struct json_object *node_status_patch(const struct hollow_config *c, uint32_t index, int64_t now_s, bool was_ready);
/* A merge patch that leaves the taints of the command line. */
struct json_object *node_untaint_patch(const struct hollow_config *c);
/* uid: of the node, which owns the Lease. */
struct json_object *node_lease(const struct hollow_config *c, uint32_t index, const char *uid, int64_t now_ns);
/* A merge patch. */
struct json_object *node_lease_renewal(const char *name, int64_t now_ns);
