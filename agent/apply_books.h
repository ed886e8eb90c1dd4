/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of apply.c and apply_service.c: what is given out, and what is on its way to the maps. */
#pragma once

#include "agent/apply.h"
#include "agent/apply_stage.h"
#include "base/hashmap.h"
#include "datapath/slots.h"

struct frontend_owner {
        struct service_state *state;
        uint16_t frontend;
};

struct grave {
        uint32_t id;
        uint64_t due_ms;
};

struct apply {
        struct apply_opts opts;
        struct maps *maps;
        uint64_t (*now_ms)(void);

        /* Slots are given out by whole lines: no two ranges share one, and a small service costs one cache line. */
        struct slots *lines_books;
        struct ids *backend_ids, *service_ids;
        uint32_t highest_service_id;   /* ever given out, in maps that are fresh */
        uint32_t *generations;         /* by backend id */
        uint32_t generation;           /* the last that was given out */
        struct hashmap present;        /* frontends in the map: by struct service_key */
        struct hashmap present_ranges; /* by struct range_key */
        struct filter_books filters;

        struct stage names, backends, lines, ranges, frontend_dels, frontends, range_dels, name_dels;
        struct frontend_owner *owners; /* of frontends */
        struct service_state **range_owners;
        size_t nowners, owners_cap, range_owners_cap;

        struct slot_range *freed_ranges; /* in lines */
        uint32_t *freed_ids;
        struct grave *graves; /* in the order of due_ms; the undated ones wait for the commit */
        size_t nfreed_ranges, freed_ranges_cap, nfreed_ids, freed_ids_cap, ngraves, graves_cap, ngraves_dated;

        struct apply_stats stats;
};

/* The lines that a range of slots takes. */
struct slot_range apply_lines_of(struct slot_range slots);
/* The frontend is in the map, or on its way there; and no more. */
void apply_note_frontend(struct apply *a, const struct service_key *key);
void apply_forget_frontend(struct apply *a, const struct service_key *key);
