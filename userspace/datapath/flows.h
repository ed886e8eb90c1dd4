/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flow table for who only looks: mapped into memory, so that an entry costs no system call. Programs write it
 * meanwhile; what is given out was whole at one moment. Whoever reads flows in userspace does it by this (but for
 * migrate.h, which copies tables): the layout of bpf/abi/maps.h is known here alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/abi/config.h"
#include "bpf/abi/maps.h"
#include "datapath/map.h"

struct flow_reader {
        const struct flow_set *sets;
        uint32_t count; /* of sets */
};

#define FLOW_READER_NULL ((struct flow_reader){0})

struct flow_entry {
        struct tuple key;             /* as the packets of this direction come */
        struct addr new_src, new_dst; /* and what they become */
        __be16 new_sport, new_dport;
        uint32_t backend, service; /* ids; 0: none */
        uint32_t peer;             /* index of the other direction's entry */
        uint32_t seen, created;    /* seconds, by flow_now; seen: a packet of either direction */
        uint8_t flags, state;      /* enum flow_flags, enum flow_state */
        uint32_t packets;
        uint64_t bytes;
};

/* 0 or negative errno. The map may be closed afterwards. */
int flow_reader_open(struct flow_reader *ret, const struct map *flows, struct err *reterr);
void flow_reader_close(struct flow_reader *r);

/* Entries that there is room for: indexes are below. */
static inline uint32_t flow_reader_size(const struct flow_reader *r)
{
        return r->count * FLOW_WAYS;
}

/* The first live entry at or behind that index, copied; its index is *index then. False: there is none. One that
 * programs write all the time while it is read is passed over. */
bool flow_reader_next(const struct flow_reader *r, uint32_t *index, struct flow_entry *ret);
/* The entry of that index. False: it is not live. */
bool flow_reader_get(const struct flow_reader *r, uint32_t index, struct flow_entry *ret);
/* The entry of the other direction, if it is that still. */
bool flow_reader_peer(const struct flow_reader *r, uint32_t index, const struct flow_entry *e, struct flow_entry *ret);

/* When a packet of either direction came last, for entry `index` and a copy of it: each direction's are noted in an
 * entry of its own. */
uint32_t flow_last_seen(const struct flow_set *sets, uint32_t count, uint32_t index, const struct flow *f);

/* The clock of seen and created: seconds since boot. */
uint32_t flow_now(void);
/* Seconds that an entry of that protocol and state lives after it was seen. */
uint32_t flow_timeout(const struct flow_timeouts *t, uint8_t proto, uint8_t state);

/* Whether it has timed out: such an entry stays until another needs its place, and is no connection any more. */
static inline bool flow_is_over(const struct flow_entry *e, const struct flow_timeouts *t, uint32_t now)
{
        return now > e->seen && now - e->seen > flow_timeout(t, e->key.proto, e->state);
}

struct flow_census {
        uint32_t size;        /* entries that there is room for */
        uint32_t used;        /* not timed out; two for each connection */
        uint32_t over;        /* timed out, not replaced yet */
        uint32_t sets;        /* of FLOW_WAYS entries */
        uint32_t full_sets;   /* in which all are in use: the next one there takes the place of another */
        uint32_t connections; /* in use: entries of the forward direction */
};

void flow_census(const struct flow_reader *r, const struct flow_timeouts *t, uint32_t now, struct flow_census *ret);
