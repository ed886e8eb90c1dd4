/* SPDX-License-Identifier: Apache-2.0 */
/* What the maps routes, pods and node should hold, by the API's Nodes, the records of pods and the kernel; changes
 * nothing but those maps, and them only in net_check_repair. */
#pragma once

#include "agent/check/tables.h"
#include "agent/network.h"

struct net_check;

/* maps: the pinned ones. informers as of network_opts; borrowed. 0 or negative errno. */
int net_check_new(const struct agent_config *config, struct informer *nodes, struct informer *service_cidrs,
                  const struct maps *maps, struct net_check **ret, struct err *reterr);
void net_check_free(struct net_check *c);
DEFINE_CLEANUP(struct net_check *, net_check_free)

/* Looks at everything anew. After the Nodes informer has synced. 0 or negative errno. */
int net_check_look(struct net_check *c, struct err *reterr);
/* Of the last look. */
const struct node_view *net_check_node(const struct net_check *c);
size_t net_check_host_ports(const struct net_check *c, const struct host_port **ret);
void net_check_compare(const struct net_check *c, struct findings *ret, struct check_counts *counts);
/* Writes what differed. While no agent runs. 0 or negative errno. */
int net_check_repair(const struct net_check *c, struct err *reterr);
