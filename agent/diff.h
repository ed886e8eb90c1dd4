/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what the tables hold of a service to what they are to hold: the steps, in the only order in which no client ever
 * meets a slot without its backend. Pure.
 */
#pragma once

#include "agent/state.h"
#include "base/arena.h"

/* In this order. The first half makes the new, then frontends turn to it, and what nobody can reach goes last. */
enum op_kind {
        OP_PORT_NEW,     /* give the port an id and its name */
        OP_PORT_RENAME,  /* its number, which is in its name, changed */
        OP_BACKEND_SET,  /* give it an id if it has none; write it */
        OP_POOL_SET,     /* a new range */
        OP_RANGE_SET,    /* a source range of a port */
        OP_FRONTEND_DEL, /* before the next, as another service of the same batch may get the key */
        OP_FRONTEND_SET, /* the one write that a client sees */
        OP_RANGE_DEL,
        OP_POOL_FREE,
        OP_BACKEND_FREE,
        OP_PORT_FREE,
};

struct op {
        enum op_kind kind;
        uint16_t port;  /* of the new state for what is set, of the old one for what goes */
        uint32_t index; /* of backend, pool, range or frontend */
};

struct op_list {
        struct op *ops;
        size_t n, cap;
        struct arena *arena;
};

/* Takes over into now what stays of old (NULL: nothing): ids, slot ranges, what found no room; and appends the steps.
 * doubt: what the maps hold of this service is not known for sure; everything that stays is written again. */
void diff_service(const struct service_state *old, struct service_state *now, bool doubt, struct op_list *ret);
