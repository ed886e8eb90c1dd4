/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the service tables that are with those that should be, by what they mean: ids and places of slots may
 * differ, who is reached by which address may not. Pure: reads maps, changes nothing.
 */
#pragma once

#include "agent/check/findings.h"
#include "datapath/map.h"

struct check_counts { /* of what should be */
        size_t frontends, endpoints, routes, pods;
};

/* 0 or negative errno when a map cannot be read. */
int check_services(const struct maps *have, const struct maps *want, struct findings *ret, struct check_counts *counts);
