/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table for who makes programs run on packets that nobody sent (fairctl trace), and takes away again what they
 * remember of those. By the rules of bpf/lib/flow.h: an entry is only freed by a compare-and-swap of its control word.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "datapath/map.h"

struct flow_undo {
        struct flow_set *sets;
        uint32_t count; /* of sets: a power of two */
};

#define FLOW_UNDO_NULL ((struct flow_undo){0})

/* flows: opened for writing. 0 or negative errno. */
int flow_undo_open(struct flow_undo *ret, const struct map *flows);
void flow_undo_close(struct flow_undo *u);

struct flow_found {
        uint32_t index;   /* of the entry */
        uint32_t control; /* its word when it was read */
        struct flow flow; /* a copy */
};

/* The entry that programs would use for a packet of that tuple (which is aligned to 8): live and not timed out. */
bool flow_undo_find(const struct flow_undo *u, const struct tuple *key, const struct flow_timeouts *t, uint32_t now,
                    struct flow_found *ret);
/* Is there room for an entry of that tuple, so that none that is in use has to go? */
bool flow_undo_has_room(const struct flow_undo *u, const struct tuple *key, const struct flow_timeouts *t,
                        uint32_t now);
/* Frees the entry and its other half, if they still are those. How many were freed. */
int flow_undo_remove(const struct flow_undo *u, const struct flow_found *found);
