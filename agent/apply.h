/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only writer of the maps services, slots, backends, filters, source_ranges and service_names. Steps of many
 * services are gathered and then written map by map, so that whoever runs in between finds either a service's old or
 * its new endpoints, and never a slot without its backend. What was freed rests before it is given out again.
 *
 * No room in a map is no failure: what fits is there, and the rest is tried again when its service is applied again.
 */
#pragma once

#include "agent/diff.h"
#include "datapath/map.h"

struct apply;

struct apply_opts {
        struct maps *maps;        /* borrowed */
        uint64_t grace_ms;        /* 0: 1000 */
        uint64_t (*now_ms)(void); /* NULL: the monotonic clock */
        /* A frontend found no room: its service is to be applied again some time. During apply_commit. */
        void (*full)(void *userdata, const char *key, enum map_id map);
        void *userdata;
};

int apply_new(const struct apply_opts *opts, struct apply **ret, struct err *reterr);
void apply_free(struct apply *a);
DEFINE_CLEANUP(struct apply *, apply_free)

/*
 * Gathers the steps from old (freed here; NULL: nothing) to now, and returns the state to be remembered: a block with
 * all ids. Tells by `full` what found no room. doubt: see diff.h.
 */
struct service_state *apply_service(struct apply *a, struct service_state *old, struct service_state *now, bool doubt);
/* Writes what was gathered. 0, or negative errno: then what the maps hold of these services is in doubt. */
int apply_commit(struct apply *a);

/* Clears backends that nothing leads to any more, once no program can still be on its way to them. Returns in how many
 * milliseconds to call again; 0: nothing waits. */
uint64_t apply_tidy(struct apply *a);

/* ---- for who takes over what is pinned (adopt.c), before anything is applied */
int apply_adopt_service_id(struct apply *a, uint32_t id);
int apply_adopt_backend(struct apply *a, uint32_t id, uint32_t generation);
void apply_adopt_generation(struct apply *a, uint32_t generation);
int apply_adopt_range(struct apply *a, struct slot_range range);
void apply_adopt_frontend(struct apply *a, const struct service_key *key);
void apply_adopt_source_range(struct apply *a, const struct range_key *key);
/* Gathers the removal of what nothing explains. */
void apply_remove_frontend(struct apply *a, const struct service_key *key);
void apply_free_backend(struct apply *a, uint32_t id);
/* Writes the filters, whole. */
int apply_adopted(struct apply *a);
/* Removes from the maps what the books do not know, and writes the filters: for maps that somebody else has written to.
 * What is known and not there, services in doubt put back. 0 or negative errno. */
int apply_sweep(struct apply *a);

struct apply_stats {
        uint32_t frontends, service_ids, backends, slot_lines, source_ranges; /* in use */
        uint32_t max_frontends, max_service_ids, max_backends, max_slot_lines, max_source_ranges;
        uint64_t writes, commits, failures; /* map operations; commits; commits that failed */
};

void apply_stats(const struct apply *a, struct apply_stats *ret);
