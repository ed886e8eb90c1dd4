/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that a node is reached at: one of each family, the one that reaches the API server first. */
#pragma once

#include <stddef.h>

#include "base/err.h"

#define NODE_IPS_MAX 2
#define NODE_IP_SIZE 46 /* INET6_ADDRSTRLEN */

struct node_ips {
        char text[NODE_IPS_MAX][NODE_IP_SIZE]; /* "" behind the last */
};

/*
 * wanted: --node-ip, NULL-terminated, each of a family of its own, or NULL. Otherwise they are found: what the
 * connection to the API server (a URL; NULL: unknown) comes from, what the default route gives, the first address of an
 * interface that is up; a loopback address only when there is nothing else. The other family is looked for on the same
 * interface first. Sends nothing and asks no name server. 0, -EINVAL (wanted: which one and why), -EADDRNOTAVAIL.
 */
int addresses_find(const char *const *wanted, const char *api_server, struct node_ips *ret, struct err *reterr);
