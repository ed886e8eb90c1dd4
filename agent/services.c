/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in, and which services it makes dirty. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/adopt.h"
#include "agent/desired.h"
#include "agent/services_entry.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define WAIT_FOR_NODE_MS 3000 /* then its zone and addresses are left out of account */

/* ---- the dirty set ---- */

struct entry *services_entry(struct services *s, const char *key)
{
        struct entry *e = hashmap_get(&s->entries, key);

        if (e)
                return e;
        e = mem_zalloc(sizeof(*e) + strlen(key) + 1);
        strcpy(e->key, key);
        e->claimant = (struct claimant){.key = e->key, .created_s = INT64_MAX};
        hashmap_put(&s->entries, e->key, e);
        return e;
}

void services_entry_free(struct entry *e)
{
        free(e->state);
        if (e->slices_cap)
                free(e->slices);
        free(e);
}

/* A batch waits as long as twice the last one took, within its bounds, counted from its first change: a lone change is
 * there at once, and a storm takes no more than a third of the time. */
void services_schedule(struct services *s)
{
        const struct agent_config *c = s->opts.config;
        uint64_t now = clock_mono_ms(), due;

        if (!s->first_dirty || !s->initial || !s->sync_timer)
                return;
        if (!s->due_ms)
                s->due_ms = now + MIN(MAX(2 * s->took_ms, c->min_sync_ms), c->max_sync_ms);
        due = s->node.ready ? s->due_ms : MAX(s->due_ms, s->node_wait_ms);
        loop_timer_set(s->sync_timer, due > now ? due - now : 0);
}

void services_mark(struct services *s, struct entry *e)
{
        if (!e->dirty) {
                e->dirty = true;
                e->next_dirty = NULL;
                *s->last_dirty = e;
                s->last_dirty = &e->next_dirty;
                s->ndirty++;
                if (!s->stats.oldest_pending_ms)
                        s->stats.oldest_pending_ms = (int64_t)clock_mono_ms();
        }
        s->stats.queued_ns = clock_wall_ns();
        services_schedule(s);
}

/* ---- objects ---- */

void services_set_service(struct services *s, const char *key, const struct svc_view *view)
{
        struct entry *e = services_entry(s, key);

        s->stats.services += (size_t)(view && !e->svc) - (size_t)(!view && e->svc);
        e->svc = view;
        s->stats.service_changes++;
        s->stats.service_changes_pending++;
        services_mark(s, e);
}

static void drop_slice(struct entry *e, const struct slice_view *slice)
{
        const struct slice_view **slices = entry_slices(e);

        for (uint32_t i = 0; i < e->nslices; i++)
                if (slices[i] == slice) {
                        slices[i] = slices[--e->nslices];
                        return;
                }
}

static void add_slice(struct entry *e, const struct slice_view *slice)
{
        if (e->nslices && e->nslices >= e->slices_cap) {
                uint32_t cap = e->slices_cap ? 2 * e->slices_cap : 4;
                const struct slice_view **more = mem_array(const struct slice_view *, cap);

                memcpy(more, entry_slices(e), e->nslices * sizeof(*more));
                if (e->slices_cap)
                        free(e->slices);
                e->slices = more;
                e->slices_cap = cap;
        }
        entry_slices(e)[e->nslices++] = slice;
}

/* Triggers from before the start say how long we were not there, and not how fast we are. */
static void note_trigger(struct services *s, int64_t trigger_ns)
{
        if (trigger_ns < s->start_ns)
                return;
        if (s->ntriggers == s->triggers_cap) {
                s->triggers_cap = s->triggers_cap ? 2 * s->triggers_cap : 16;
                s->triggers = mem_realloc(s->triggers, s->triggers_cap, sizeof(*s->triggers));
        }
        s->triggers[s->ntriggers++] = trigger_ns;
}

void services_set_slice(struct services *s, const struct slice_view *old, const struct slice_view *now)
{
        struct entry *e;

        s->stats.endpoint_changes++;
        s->stats.endpoint_changes_pending++;
        s->stats.slices += (size_t)(now && !old) - (size_t)(old && !now);
        if (old) {
                e = services_entry(s, old->service);
                drop_slice(e, old);
                services_mark(s, e);
        }
        if (!now)
                return;
        e = services_entry(s, now->service);
        add_slice(e, now);
        services_mark(s, e);
        if (s->initial && (!old || old->trigger_ns != now->trigger_ns))
                note_trigger(s, now->trigger_ns);
}

static void on_service(void *userdata, const char *key, void *old, void *now)
{
        services_set_service(userdata, key, now);
        (void)old;
}

static void on_slice(void *userdata, const char *key, void *old, void *now)
{
        services_set_slice(userdata, old, now);
        (void)key;
}

/* ---- this node ---- */

static int compare_host_ports(const void *a, const void *b)
{
        const struct host_port *x = a, *y = b;
        char kx[HOST_PORT_KEY_SIZE], ky[HOST_PORT_KEY_SIZE];
        int r = strcmp(desired_host_port_key(x, kx), desired_host_port_key(y, ky));

        if (!r)
                r = (int)x->host_port - (int)y->host_port;
        if (!r)
                r = (int)x->proto - (int)y->proto;
        return r ? r : strcmp(x->owner, y->owner);
}

size_t services_host_ports(const struct services *s, const char *key, const struct host_port **ret)
{
        size_t first = 0, n = 0;
        char buf[HOST_PORT_KEY_SIZE];

        while (first < s->nhost_ports && strcmp(desired_host_port_key(&s->host_ports[first], buf), key) != 0)
                first++;
        while (first + n < s->nhost_ports && str_eq(desired_host_port_key(&s->host_ports[first + n], buf), key))
                n++;
        *ret = s->host_ports + first;
        return n;
}

static void mark_host_ports(struct services *s)
{
        char key[HOST_PORT_KEY_SIZE];

        for (size_t i = 0; i < s->nhost_ports; i++)
                services_mark(s, services_entry(s, desired_host_port_key(&s->host_ports[i], key)));
}

static void set_host_ports(struct services *s, const struct host_port *ports, size_t n)
{
        if (n == s->nhost_ports && (!n || !memcmp(ports, s->host_ports, n * sizeof(*ports))))
                return;
        mark_host_ports(s);
        s->host_ports = mem_realloc(s->host_ports, n + 1, sizeof(*ports));
        if (n)
                memcpy(s->host_ports, ports, n * sizeof(*ports));
        s->nhost_ports = n;
        if (n)
                qsort(s->host_ports, n, sizeof(*ports), compare_host_ports);
        mark_host_ports(s);
}

/* The zone and the node's addresses decide about every service. */
void services_set_node(struct services *s, const struct node_view *node, const struct host_port *ports, size_t n)
{
        bool same = str_eq(node->zone, s->node.zone) && !memcmp(&node->v4, &s->node.v4, sizeof(node->v4)) &&
                    !memcmp(&node->v6, &s->node.v6, sizeof(node->v6));

        s->node = *node;
        set_host_ports(s, ports, n);
        services_schedule(s);
        if (same)
                return;
        hashmap_foreach (&s->entries, slot)
                services_mark(s, slot->value);
}

/* ---- the start ---- */

void services_initial_state_is_there(struct services *s)
{
        if (s->initial)
                return;
        s->initial = true;
        s->node_wait_ms = clock_mono_ms() + WAIT_FOR_NODE_MS;
        /* Those of a former life, too: the API may not know them any more. */
        hashmap_foreach (&s->entries, slot)
                services_mark(s, slot->value);
        if (!s->first_dirty) {
                s->synced = true;
                if (s->opts.synced)
                        s->opts.synced(s->opts.userdata);
        }
        services_schedule(s);
}

static void on_informer_synced(void *userdata)
{
        struct services *s = userdata;

        if (informer_has_synced(s->api->services) && informer_has_synced(s->api->slices))
                services_initial_state_is_there(s);
}

static void on_found(void *userdata, struct service_state *state, bool doubt)
{
        struct services *s = userdata;
        struct entry *e = services_entry(s, state->key);

        e->state = state;
        e->doubt = doubt;
        s->stats.adopted++;
}

static int make_timers(struct services *s)
{
        int r;

        if (!s->opts.loop)
                return 0;
        r = loop_timer_new(s->opts.loop, services_on_sync_timer, s, &s->sync_timer);
        if (!r)
                r = loop_timer_new(s->opts.loop, services_on_tidy_timer, s, &s->tidy_timer);
        return r ? r : loop_timer_new(s->opts.loop, services_on_retry_timer, s, &s->retry_timer);
}

int services_new(const struct services_opts *opts, struct services **ret, struct err *reterr)
{
        struct services *s = mem_new(struct services);
        uint64_t begin = clock_mono_ms();
        int r;

        s->opts = *opts;
        s->last_dirty = &s->first_dirty;
        s->start_ns = clock_wall_ns();
        hashmap_init(&s->entries, HASHMAP_STR);
        claims_init(&s->claims);
        s->claims.lost = services_on_lost;
        s->claims.won = services_on_won;
        s->claims.userdata = s;
        r = apply_new(
                &(struct apply_opts){
                        .maps = opts->maps, .grace_ms = opts->grace_ms, .full = services_on_full, .userdata = s},
                &s->apply, reterr);
        if (!r)
                r = make_timers(s);
        if (!r)
                r = adopt_services(opts->maps, s->apply, on_found, s, reterr);
        if (r) {
                services_free(s);
                return r;
        }
        log_info("tables were read", "services=%zu ms=%llu", s->entries.count,
                 (unsigned long long)(clock_mono_ms() - begin));
        *ret = s;
        return 0;
}

void services_free(struct services *s)
{
        if (!s)
                return;
        loop_timer_free(s->sync_timer);
        loop_timer_free(s->tidy_timer);
        loop_timer_free(s->retry_timer);
        services_api_free(s->api);
        claims_deinit(&s->claims);
        hashmap_foreach (&s->entries, slot)
                services_entry_free(slot->value);
        hashmap_deinit(&s->entries);
        apply_free(s->apply);
        free(s->host_ports);
        free(s->triggers);
        free(s);
}

void services_watch(struct services *s, struct services_api *api)
{
        s->api = api;
        informer_add_handler(api->services, on_service, s);
        informer_add_handler(api->slices, on_slice, s);
        informer_on_synced(api->services, on_informer_synced, s);
        informer_on_synced(api->slices, on_informer_synced, s);
        on_informer_synced(s);
}

void services_repair(struct services *s)
{
        if (apply_sweep(s->apply))
                log_warn("not all that is too much in the service tables could be removed", "");
        hashmap_foreach (&s->entries, slot) {
                ((struct entry *)slot->value)->doubt = true;
                services_mark(s, slot->value);
        }
        services_schedule(s);
}

/* ---- what others ask ---- */

void services_observe(struct services *s, const struct services_observer *observer)
{
        s->observer = *observer;
}

bool services_is_synced(const struct services *s)
{
        return s->synced;
}

const struct node_view *services_node(const struct services *s)
{
        return &s->node;
}

void services_stats(const struct services *s, struct services_stats *ret)
{
        *ret = s->stats;
        apply_stats(s->apply, &ret->apply);
}

void services_each_skipped(const struct services *s, void (*fn)(void *userdata, const char *object, const char *reason),
                           void *userdata)
{
        hashmap_foreach (&s->entries, slot) {
                const struct entry *e = slot->value;
                char object[400];

                snprintf(object, sizeof(object), "%s%s",
                         str_has_prefix(e->claimant.key, HOST_PORT_PREFIX) ? "" : "Service ", e->claimant.key);
                for (size_t i = 0; e->state && i < e->state->nproblems; i++)
                        fn(userdata, object, e->state->problems[i]);
        }
}

void services_each_port(const struct services *s,
                        void (*fn)(void *userdata, const char *key, const struct port_state *port), void *userdata)
{
        hashmap_foreach (&s->entries, slot) {
                const struct entry *e = slot->value;

                for (size_t i = 0; e->state && i < e->state->nports; i++)
                        if (e->state->ports[i].id)
                                fn(userdata, e->claimant.key, &e->state->ports[i]);
        }
}

void services_each_health(const struct services *s, void (*fn)(void *userdata, const struct service_health *health),
                          void *userdata)
{
        hashmap_foreach (&s->entries, slot) {
                const struct entry *e = slot->value;

                if (e->svc && e->svc->health_port)
                        fn(userdata, &(struct service_health){.ns = e->svc->ns,
                                                              .name = e->svc->name,
                                                              .port = e->svc->health_port,
                                                              .local_endpoints = e->health_endpoints});
        }
}
