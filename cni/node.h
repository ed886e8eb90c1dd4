/* SPDX-License-Identifier: Apache-2.0 */
/* node.json: what the agent says about its node (agent/README.md). */
#pragma once

#include "cni/address.h"
#include "cni/conf.h"

#define NODE_RANGES_MAX 16

/* In every pod, the same: gateways that answer everywhere and exist nowhere. */
#define GATEWAY_V4 "169.254.1.1"
#define GATEWAY_V6 "fe80::1"

struct node {
        struct ip_range ranges[NODE_RANGES_MAX];
        size_t nranges;
        uint32_t mtu;
};

/* 0; CNI_TRY_LATER: the agent has not written it (yet); or CNI_IO: it makes no sense. */
int node_read(const char *run_dir, struct node *ret, struct err *reterr);
int node_parse(const char *text, size_t len, struct node *ret, struct err *reterr);
