/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first, cheap look before alloc_repair: reads the objects' bytes where they are, without making trees, and says
 * whether anything could be wrong at all. With 10,000 Services that is milliseconds and no memory to speak of; the
 * repair proper is for when there is something to repair.
 */
#pragma once

#include "apiserver/alloc/repair.h"
#include "apiserver/cache.h"

struct screen_input {
        struct alloc *alloc; /* for the ranges only */
        const struct object_list *services;
        const struct object_list *ips; /* IPAddress objects */
        const struct repair_port *ports;
        size_t nports;
};

/* False when alloc_repair has nothing to do or to tell: every address and port of every Service has its record, and
 * every record its Service. */
bool alloc_needs_repair(const struct screen_input *in);
