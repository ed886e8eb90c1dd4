/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sizes that both sides compile in. Sizes of maps that the user may choose are defaults here, and set before loading.
 */
#pragma once

#define FLOW_WAYS         8      /* entries of one set of the flow table */
#define SLOT_LINE         16     /* backend ids of one element of the slot map: a cache line */
#define POD_SLOTS         65536  /* elements of the pod map, indexed by the low bits of an interface index */
#define ADDRESS_BITS      524288 /* of the filter of addresses: with 10,000 services 2 of 100 other addresses meet one */
#define PORT_BITS         65536  /* of the filters of ports */
#define UPLINKS_MAX       8      /* NICs of a node */
#define SERVICE_NAME_SIZE 160    /* "namespace/name:port" with its NUL: 63 + 1 + 63 + 1 + 15 + 1, rounded up */
#define DROP_BYTES        64     /* of the packet, in a drop's event */

/* Defaults of what is configurable (elements of the map). */
#define SERVICES_DEFAULT   262144 /* frontends: address, port, protocol; memory for those that are there */
#define SERVICE_IDS        65536  /* service ports: statistics, names */
#define BACKENDS_DEFAULT   262144
#define SLOT_LINES_DEFAULT 262144 /* 4 Mi slots */
#define FLOW_SETS_DEFAULT  16384  /* x FLOW_WAYS entries, two for each connection */
#define ROUTES_DEFAULT     16384
#define RANGES_DEFAULT     16384 /* loadBalancerSourceRanges */
#define AFFINITY_DEFAULT   65536
#define FRAGMENTS_DEFAULT  8192
#define SOCK_ORIG_DEFAULT  65536 /* unconnected UDP sockets' peers */
#define EVENTS_BYTES       (256 * 1024)
