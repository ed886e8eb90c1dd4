/* SPDX-License-Identifier: Apache-2.0 */
/* From the dirty set into the tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/desired.h"
#include "agent/services_entry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "datapath/address.h"

#define BATCH         256  /* services of one commit */
#define SLICE_MS      20   /* then other work of the loop gets its turn */
#define RETRY_FULL_MS 2000 /* what found no room looks for some again */
#define RETRY_MIN_MS  100
#define RETRY_MAX_MS  10000
#define FULL_TELL_MS  300000

/* ---- claims ---- */

/* The new one writes over the entry in the same batch or a later one: from now on it is not ours to remove. */
void services_on_lost(void *userdata, struct claimant *who, const struct service_key *key)
{
        struct entry *e = (struct entry *)who;

        for (size_t i = 0; e->state && i < e->state->nfrontends; i++)
                if (!service_key_compare(&e->state->frontends[i].key, key))
                        e->state->frontends[i].absent = true;
        services_mark(userdata, e);
}

void services_on_won(void *userdata, struct claimant *who, const struct service_key *key)
{
        services_mark(userdata, (struct entry *)who);
        (void)key;
}

/* A service that went and came again is a younger one. */
static void set_age(struct services *s, struct entry *e)
{
        int64_t created_s = e->svc ? e->svc->created_s : INT64_MAX;

        if (e->claimant.created_s == created_s)
                return;
        for (size_t i = 0; e->state && i < e->state->nfrontends; i++)
                claims_drop(&s->claims, &e->state->frontends[i].key, &e->claimant);
        e->claimant.created_s = created_s;
}

static void tell_lost(struct service_state *now, const struct frontend_state *f, const char *winner,
                      struct arena *arena)
{
        char text[ADDRESS_TEXT];

        if (f->flags & SERVICE_ADDRESS || now->nproblems > 8)
                return;
        ((const char **)now->problems)[now->nproblems++] =
                arena_printf(arena, "%s/%s already belongs to %s, which is older",
                             address_port_text(&f->key.addr, f->key.port, text), protocol_text(f->key.proto), winner);
}

static void claim(struct services *s, struct entry *e, struct service_state *now, struct arena *arena)
{
        for (size_t i = 0; i < now->nfrontends; i++) {
                struct frontend_state *f = &now->frontends[i];
                const struct claimant *owner = claims_put(&s->claims, &f->key, &e->claimant);

                f->lost = f->absent = owner != &e->claimant;
                if (f->lost)
                        tell_lost(now, f, owner->key, arena);
        }
}

/* Both lists are sorted. */
static void unclaim(struct services *s, struct entry *e, const struct service_state *old,
                    const struct service_state *now)
{
        size_t k = 0;

        for (size_t i = 0; old && i < old->nfrontends; i++) {
                const struct service_key *key = &old->frontends[i].key;

                while (k < now->nfrontends && service_key_compare(&now->frontends[k].key, key) < 0)
                        k++;
                if (k == now->nfrontends || service_key_compare(&now->frontends[k].key, key) != 0)
                        claims_drop(&s->claims, key, &e->claimant);
        }
}

/* ---- Events ---- */

static uint64_t problems_hash(const struct service_state *now)
{
        static const uint64_t seed[2] = {0x66616972, 0x6c656164};
        uint64_t h = 0;

        for (size_t i = 0; i < now->nproblems; i++)
                h = h * 31 + hash_bytes(seed, now->problems[i], strlen(now->problems[i]));
        return h;
}

static void tell_problems(struct services *s, struct entry *e, const struct service_state *now)
{
        uint64_t h = problems_hash(now);

        if (h == e->problems_hash)
                return;
        e->problems_hash = h;
        for (size_t i = 0; i < now->nproblems; i++) {
                log_limited(LOG_LEVEL_WARN, 1000, "part of a service is skipped", "service=%s reason=%s",
                            e->claimant.key, now->problems[i]);
                if (s->opts.events && e->svc)
                        events_record(s->opts.events,
                                      &(struct event_object){.api_version = "v1",
                                                             .kind = "Service",
                                                             .ns = e->svc->ns,
                                                             .name = e->svc->name,
                                                             .uid = e->svc->uid},
                                      true, "Skipped", "node %s: %s", s->opts.config->node_name, now->problems[i]);
        }
}

static void set_full(struct services *s, struct entry *e, uint32_t full)
{
        s->stats.degraded += (size_t)(full && !e->full) - (size_t)(!full && e->full);
        for (unsigned map = 0; map < MAP_COUNT; map++)
                s->full_counts[map] += (full >> map & 1U) - (e->full >> map & 1U);
        e->full = full;
}

/* At most one in five minutes for a map: the Event is about the node, not about each service. */
void services_on_full(void *userdata, const char *key, enum map_id map)
{
        struct services *s = userdata;
        struct entry *e = services_entry(s, key);
        uint64_t now = clock_mono_ms();
        const char *name = map_info(s->opts.maps->m[map])->name;

        set_full(s, e, e->full | 1U << map);
        if (map == MAP_SOURCE_RANGES)
                e->doubt = true; /* which are there is not remembered one by one */
        if (s->full_told_ms[map] && now - s->full_told_ms[map] < FULL_TELL_MS)
                return;
        s->full_told_ms[map] = now;
        log_warn("a table is full", "map=%s entries=%u service=%s", name, map_info(s->opts.maps->m[map])->max_entries,
                 key);
        if (s->opts.events)
                events_record(s->opts.events,
                              &(struct event_object){.api_version = "v1",
                                                     .kind = "Node",
                                                     .name = s->opts.config->node_name,
                                                     .uid = s->opts.config->node_name},
                              true, "ServiceTableFull",
                              "the table %s is full (%u entries): Service %s and perhaps others are not served in "
                              "whole; give fairlead-agent more room (see its --help)",
                              name, map_info(s->opts.maps->m[map])->max_entries, key);
}

/* ---- one service ---- */

/* Addresses of one family, whatever number of ports and families they have: what load balancers weigh nodes by. */
static uint32_t count_local(const struct service_state *now)
{
        uint32_t most = 0;

        for (size_t i = 0; i < now->nports; i++) {
                const struct port_state *p = &now->ports[i];
                uint32_t n[2] = {0};

                for (uint32_t k = 0; k < p->nbackends; k++) {
                        const struct backend_state *b = &p->backends[k];
                        bool again = k && address_equal(&b->addr, &p->backends[k - 1].addr);

                        if (b->scopes & SCOPE_LOCAL && !again)
                                n[address_is_v4(&b->addr)]++;
                }
                most = MAX(most, MAX(n[0], n[1]));
        }
        return most;
}

static void count_ports(struct services *s, const struct service_state *state, size_t sign)
{
        for (size_t i = 0; state && i < state->nports; i++) {
                s->stats.no_local_internal += state->ports[i].flags & PORT_NO_LOCAL_INTERNAL ? sign : 0;
                s->stats.no_local_external += state->ports[i].flags & PORT_NO_LOCAL_EXTERNAL ? sign : 0;
        }
        s->stats.skipped += state ? state->nproblems * sign : 0;
}

static void make_desired(struct services *s, struct entry *e, struct arena *arena, struct service_state *ret)
{
        struct desired_env env = {.zone = s->node.zone, .node_v4 = s->node.v4, .node_v6 = s->node.v6};
        const struct host_port *ports;
        size_t n;

        if (e->svc) {
                desired_service(e->svc, entry_slices(e), e->nslices, &env, arena, ret);
        } else if (str_has_prefix(e->claimant.key, HOST_PORT_PREFIX) &&
                   (n = services_host_ports(s, e->claimant.key, &ports)) > 0) {
                desired_host_ports(ports, n, arena, ret);
        } else {
                *ret = (struct service_state){.key = e->claimant.key};
        }
}

static void sync_entry(struct services *s, struct entry *e)
{
        struct arena arena = ARENA_NULL;
        struct service_state now;
        bool doubt = e->doubt;

        make_desired(s, e, &arena, &now);
        set_age(s, e);
        claim(s, e, &now, &arena);
        unclaim(s, e, e->state, &now);
        tell_problems(s, e, &now);
        count_ports(s, e->state, (size_t)-1);
        count_ports(s, &now, 1);
        e->health_endpoints = count_local(&now);
        set_full(s, e, 0);
        e->doubt = false;
        e->state = apply_service(s->apply, e->state, &now, doubt);
        arena_deinit(&arena);
}

/* ---- batches ---- */

struct batch {
        struct entry *entries[BATCH];
        size_t n;
};

static struct entry *take_dirty(struct services *s)
{
        struct entry *e = s->first_dirty;

        s->first_dirty = e->next_dirty;
        if (!s->first_dirty)
                s->last_dirty = &s->first_dirty;
        e->dirty = false;
        s->ndirty--;
        return e;
}

static bool is_gone(const struct services *s, const struct entry *e)
{
        const struct host_port *ports;

        return !e->svc && !e->nslices && !e->dirty && (!e->state || !e->state->nports) &&
               (!str_has_prefix(e->claimant.key, HOST_PORT_PREFIX) || !services_host_ports(s, e->claimant.key, &ports));
}

static void free_gone(struct services *s, struct entry *e)
{
        if (!is_gone(s, e))
                return;
        hashmap_del(&s->entries, e->claimant.key);
        services_entry_free(e);
}

static int commit(struct services *s, struct batch *b)
{
        int r = apply_commit(s->apply);

        for (size_t i = 0; r && i < b->n; i++) {
                b->entries[i]->doubt = true;
                services_mark(s, b->entries[i]);
        }
        for (size_t i = 0; i < b->n; i++)
                free_gone(s, b->entries[i]);
        return r;
}

/* Returns 0, or the negative errno of a commit that failed. */
static int sync_batch(struct services *s)
{
        struct batch b = {.n = 0};

        while (b.n < BATCH && s->first_dirty) {
                struct entry *e = take_dirty(s);
                size_t k = 0;

                /* A service that lost or won something while the batch is made waits for the next one. */
                while (k < b.n && b.entries[k] != e)
                        k++;
                if (k < b.n) {
                        services_mark(s, e);
                        break;
                }
                sync_entry(s, e);
                b.entries[b.n++] = e;
        }
        return commit(s, &b);
}

static void tidy(struct services *s)
{
        uint64_t wait = apply_tidy(s->apply);

        if (wait && s->tidy_timer)
                loop_timer_set(s->tidy_timer, wait);
}

static void observe_programming(struct services *s)
{
        int64_t now = clock_wall_ns();

        for (size_t i = 0; i < s->ntriggers; i++)
                if (s->observer.programming)
                        s->observer.programming(s->observer.userdata,
                                                (double)MAX(now - s->triggers[i], 0) / (double)NS_PER_S);
        s->ntriggers = 0;
}

/* Before the first sync: what a service has in the tables it must not lose to a younger one that is looked at before
 * it. */
static void claim_all(struct services *s)
{
        hashmap_foreach (&s->entries, slot) {
                struct arena arena = ARENA_NULL;
                struct entry *e = slot->value;
                struct service_state now;
                size_t k = 0;

                if (!e->state)
                        continue;
                make_desired(s, e, &arena, &now);
                set_age(s, e);
                for (size_t i = 0; i < e->state->nfrontends; i++) {
                        const struct service_key *key = &e->state->frontends[i].key;

                        while (k < now.nfrontends && service_key_compare(&now.frontends[k].key, key) < 0)
                                k++;
                        if (k < now.nfrontends && !service_key_compare(&now.frontends[k].key, key))
                                claims_put(&s->claims, key, &e->claimant);
                }
                arena_deinit(&arena);
        }
}

static void after_sync(struct services *s)
{
        bool first = !s->synced && !s->first_dirty;

        s->stats.full = 0;
        for (unsigned map = 0; map < MAP_COUNT; map++)
                s->stats.full |= s->full_counts[map] ? 1U << map : 0;
        if (s->stats.degraded && s->retry_timer)
                loop_timer_set(s->retry_timer, RETRY_FULL_MS);
        if (!s->first_dirty) {
                s->stats.service_changes_pending = s->stats.endpoint_changes_pending = 0;
                s->stats.oldest_pending_ms = 0;
                s->stats.synced_ns = clock_wall_ns();
                observe_programming(s);
                s->synced = true;
        }
        tidy(s);
        if (first && s->opts.synced)
                s->opts.synced(s->opts.userdata);
        if (s->opts.changed)
                s->opts.changed(s->opts.userdata);
}

/* What a sync costs; on a busy machine it may take much longer than that, which is no reason to wait. */
static uint64_t cpu_ns(void)
{
        struct timespec t = {0};

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int sync_for(struct services *s, uint64_t ms)
{
        uint64_t begin = clock_mono_ns(), begin_cpu = cpu_ns();
        int r = 0;

        s->due_ms = 0;
        if (!s->synced && !s->claims.by_key.count)
                claim_all(s);
        while (!r && s->first_dirty && clock_mono_ns() - begin <= ms * NS_PER_MS)
                r = sync_batch(s);
        s->took_ms = (cpu_ns() - begin_cpu) / NS_PER_MS;
        if (s->observer.sync)
                s->observer.sync(s->observer.userdata, (double)(clock_mono_ns() - begin) / (double)NS_PER_S);
        after_sync(s);
        return r;
}

void services_sync(struct services *s)
{
        while (s->initial && s->first_dirty && !sync_for(s, SLICE_MS))
                ;
        tidy(s);
}

void services_on_sync_timer(void *userdata)
{
        struct services *s = userdata;
        int r;

        if (!s->first_dirty)
                return;
        r = sync_for(s, SLICE_MS);
        if (!r) {
                s->retry_ms = 0;
                if (s->first_dirty)
                        loop_timer_set(s->sync_timer, 0);
                return;
        }
        s->retry_ms = MIN(MAX(2 * s->retry_ms, RETRY_MIN_MS), RETRY_MAX_MS);
        log_limited(LOG_LEVEL_ERROR, 10000, "the service tables cannot be written", "error=%s retry_ms=%llu",
                    strerror(-r), (unsigned long long)s->retry_ms);
        loop_timer_set(s->sync_timer, s->retry_ms);
}

void services_on_tidy_timer(void *userdata)
{
        tidy(userdata);
}

void services_on_retry_timer(void *userdata)
{
        struct services *s = userdata;

        hashmap_foreach (&s->entries, slot) {
                struct entry *e = slot->value;

                if (e->full)
                        services_mark(s, e);
        }
}
