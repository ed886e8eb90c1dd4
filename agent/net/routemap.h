/* SPDX-License-Identifier: Apache-2.0 */
/* The map `routes` and what is known to be in it: its only writer. */
#pragma once

#include "agent/net/lpm.h"
#include "datapath/map.h"

struct routemap {
        struct map *map, *epoch; /* borrowed: routes, route_epoch */
        struct lpm_table known;
};

/* Reads what a former life has left. epoch: the map route_epoch. 0 or negative errno. */
int routemap_init(struct routemap *r, struct map *map, struct map *epoch, struct err *reterr);
void routemap_deinit(struct routemap *r);

/* What is not wanted may be wanted all the same while not everything is known. */
enum routemap_keep {
        KEEP_NOTHING,
        KEEP_PODS,
        KEEP_ALL,
};

/* Writes the difference; new ones first. Returns how many writes were made; adds to problems what failed: that is tried
 * again the next time. */
uint32_t routemap_apply(struct routemap *r, const struct lpm_table *want, enum routemap_keep keep,
                        struct problems *problems);
/* One exact address. 0 or negative errno. */
int routemap_set(struct routemap *r, const struct addr *a, const struct route *value, struct err *reterr);
/* Removes it if it is of type POD and leads to that device. */
void routemap_forget_pod(struct routemap *r, const struct addr *a, uint32_t ifindex);
