/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of the configuration that concern the network, understood. */
#pragma once

#include "agent/config.h"
#include "agent/net/nodes.h"

struct prefix_list {
        struct net_prefix *items;
        size_t count;
};

struct net_settings {
        enum routing_mode routing;
        struct addr *node_ips;
        size_t node_ips_n;
        struct prefix_list nodeport, direct, service; /* empty nodeport: every address */
};

#define NET_SETTINGS_NULL ((struct net_settings){0})

/* 0, or -EINVAL with the setting and the item that is no address or prefix. */
int net_settings_read(const struct agent_config *config, struct net_settings *ret, struct err *reterr);
void net_settings_deinit(struct net_settings *s);

bool prefix_list_has(const struct prefix_list *l, const struct addr *a);
/* Whether NodePorts are served at that address. */
bool net_settings_nodeport(const struct net_settings *s, const struct addr *a);
