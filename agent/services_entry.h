/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of services.c and services_sync.c. */
#pragma once

#include "agent/claims.h"
#include "agent/services.h"
#include "base/hashmap.h"
#include "kube/events.h"

/* One service: what the API says of it, and what the tables hold. */
struct entry {
        struct claimant claimant; /* first */
        const struct svc_view *svc;
        union {
                const struct slice_view *only; /* slices_cap 0: most services have one slice */
                const struct slice_view **slices;
        };
        uint32_t nslices, slices_cap;
        struct service_state *state; /* NULL: nothing is applied */
        struct entry *next_dirty;
        uint64_t problems_hash; /* of those that were told as an Event */
        uint32_t health_endpoints;
        uint32_t full; /* bits by enum map_id: what found no room */
        bool dirty, doubt;
        char key[];
};

static inline const struct slice_view **entry_slices(struct entry *e)
{
        return e->slices_cap ? e->slices : &e->only;
}

struct services {
        struct services_opts opts;
        struct services_api *api;
        struct apply *apply;
        struct claims claims;
        struct hashmap entries; /* key -> struct entry */
        struct entry *first_dirty, **last_dirty;
        size_t ndirty;
        struct loop_timer *sync_timer, *tidy_timer, *retry_timer;
        uint64_t due_ms;       /* of the batch that waits; 0: none */
        uint64_t took_ms;      /* CPU time of the last one */
        uint64_t retry_ms;     /* after a failed commit */
        uint64_t node_wait_ms; /* so long may the node be unknown; monotonic */

        struct node_view node;
        struct host_port *host_ports; /* sorted by key, port, protocol */
        size_t nhost_ports;

        bool initial, synced; /* the API's state is known; it is in the tables */
        struct services_observer observer;
        struct services_stats stats;
        uint64_t full_told_ms[MAP_COUNT];
        uint32_t full_counts[MAP_COUNT]; /* services that found no room there */
        int64_t start_ns, *triggers;     /* last-change-trigger-times that wait for the tables */
        size_t ntriggers, triggers_cap;
};

struct entry *services_entry(struct services *s, const char *key);
void services_entry_free(struct entry *e);
void services_mark(struct services *s, struct entry *e);
/* Arms the timer for what is dirty. */
void services_schedule(struct services *s);
/* ---- services_sync.c */
void services_on_sync_timer(void *userdata);
void services_on_tidy_timer(void *userdata);
void services_on_retry_timer(void *userdata);
void services_on_full(void *userdata, const char *key, enum map_id map);
void services_on_lost(void *userdata, struct claimant *who, const struct service_key *key);
void services_on_won(void *userdata, struct claimant *who, const struct service_key *key);
/* The hostPorts of that key. */
size_t services_host_ports(const struct services *s, const char *key, const struct host_port **ret);
