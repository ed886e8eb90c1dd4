/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/alloc/repair.h"
#include "apiserver/alloc/screen.h"
#include "apiserver/housekeeping.h"
#include "apiserver/internal.h"
#include "apiserver/peek.h"
#include "apiserver/storekey.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define MARK_EVERY_MS 30000
#define MARKS_MAX     64

/* Which revision was the latest at what time. */
struct mark {
        uint64_t mono_ms, revision;
};

struct housekeeping {
        struct server *server;
        struct mark marks[MARKS_MAX]; /* oldest first */
        size_t nmarks;
};

struct housekeeping *housekeeping_new(struct server *s)
{
        struct housekeeping *h = mem_new(struct housekeeping);

        h->server = s;
        return h;
}

void housekeeping_free(struct housekeeping *h)
{
        free(h);
}

/* ---- compaction ---- */

/* However long history is kept, there are enough marks: when they are full, every other one goes. */
static void add_mark(struct housekeeping *h, uint64_t now_ms, uint64_t revision)
{
        if (h->nmarks == MARKS_MAX) {
                for (size_t i = 0; i < MARKS_MAX / 2; i++)
                        h->marks[i] = h->marks[2 * i];
                h->nmarks = MARKS_MAX / 2;
        }
        h->marks[h->nmarks++] = (struct mark){now_ms, revision};
}

void housekeeping_compact(struct housekeeping *h)
{
        uint64_t now_ms = clock_mono_ms(), keep_ms = (uint64_t)h->server->config.history_seconds * 1000, to = 0;
        struct err err = ERR_NULL;
        size_t old = 0;

        /* Called every second; a short history is cut more often than a long one. */
        if (h->nmarks && now_ms - h->marks[h->nmarks - 1].mono_ms < MIN(keep_ms / 2, (uint64_t)MARK_EVERY_MS))
                return;
        while (old < h->nmarks && now_ms - h->marks[old].mono_ms >= keep_ms)
                to = h->marks[old++].revision;
        memmove(h->marks, h->marks + old, (h->nmarks - old) * sizeof(*h->marks));
        h->nmarks -= old;
        add_mark(h, now_ms, cache_revision(h->server->caches));
        cache_forget_old(h->server->caches, keep_ms * NS_PER_MS);
        mem_trim();
        if (to && store_compact(h->server->store, to, &err) < 0)
                log_limited(LOG_LEVEL_WARN, 60000, "compaction failed and will be tried again",
                            "revision=%llu error=%s", (unsigned long long)to, err.msg);
}

/* ---- expiry of Events ---- */

static int64_t time_at(struct span json, const char *path)
{
        struct span s = peek_plain_string(peek_path(json, path));
        char text[CLOCK_TEXT_SIZE];
        struct timespec t;

        if (!s.p || s.len >= sizeof(text))
                return 0;
        memcpy(text, s.p, s.len);
        text[s.len] = '\0';
        return clock_parse(text, &t) ? 0 : t.tv_sec;
}

/* When the Event was last touched, as far as it says. */
static int64_t event_time(const struct object *o)
{
        static const char *const paths[] = {"metadata.creationTimestamp", "lastTimestamp", "eventTime",
                                            "series.lastObservedTime"};
        struct span json = {o->json->data, o->json->len};
        int64_t latest = 0;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                latest = MAX(latest, time_at(json, paths[i]));
        return latest;
}

static void expire_one(struct server *s, const struct object *o)
{
        struct arena a = ARENA_NULL;
        struct txn_builder t = {.arena = &a};
        struct store_result res;

        txn_delete(&t, store_key(&a, "", "events", o->namespace, o->name), o->revision);
        store_txn(s->store, &(struct store_txn){t.ops, t.n}, &res, NULL);
        txn_deinit(&t);
        arena_deinit(&a);
}

void housekeeping_expire_events(struct housekeeping *h)
{
        struct cache_filter all = {0};
        struct object_list list;
        int64_t before = clock_wall_s() - h->server->config.event_ttl_seconds;

        cache_list(cache_find(h->server->caches, "", "events"), &all, NULL, 0, &list, NULL);
        for (size_t i = 0; i < list.n && !h->server->stopping; i++)
                if (event_time(list.items[i]) < before)
                        expire_one(h->server, list.items[i]);
        object_list_deinit(&list);
}

/* ---- repair of allocations ---- */

struct ports {
        struct arena *arena;
        struct repair_port *items;
        size_t n, cap;
};

static int add_port(void *userdata, const char *key, struct blob *value, uint64_t mod_revision,
                    uint64_t create_revision _unused_)
{
        struct ports *p = userdata;

        if (p->n == p->cap) {
                p->cap = p->cap ? p->cap * 2 : 64;
                p->items = mem_realloc(p->items, p->cap, sizeof(*p->items));
        }
        if (!repair_port_read(p->arena, key, value->data, value->len, mod_revision, &p->items[p->n]))
                p->n++;
        return 0;
}

static void list_all(struct server *s, const char *group, const char *plural, struct object_list *ret)
{
        struct cache_filter all = {0};

        cache_list(cache_find(s->caches, group, plural), &all, NULL, 0, ret, NULL);
}

static struct json_object **trees_of(const struct object_list *list, size_t *ret_n)
{
        struct json_object **trees = mem_array(struct json_object *, list->n + 1);

        *ret_n = 0;
        for (size_t i = 0; i < list->n; i++)
                if ((trees[*ret_n] = object_tree(list->items[i])))
                        (*ret_n)++;
        return trees;
}

static void free_trees(struct json_object **trees, size_t n)
{
        for (size_t i = 0; i < n; i++)
                json_object_put(trees[i]);
        free(trees);
}

static void apply_fix(struct server *s, struct arena *a, const struct repair_fix *f)
{
        struct txn_builder t = {.arena = a};
        struct store_result res;
        int r = 0;

        repair_fix_stage(f, &t);
        if (t.n)
                r = store_txn(s->store, &(struct store_txn){t.ops, t.n}, &res, NULL);
        txn_deinit(&t);
        if (!r)
                log_warn(f->key ? "a service allocation was repaired" : "a service allocation is wrong",
                         "service=%s/%s reason=%s message=%s", f->namespace, f->name, f->reason, f->message);
        if (f->event)
                own_event(s, f->namespace, f->name, f->reason, f->message);
}

static void repair_now(struct server *s, struct arena *a, const struct screen_input *screen)
{
        struct repair_input in = {.alloc = s->alloc, .now_us = clock_wall_ns() / 1000};
        struct json_object **services = trees_of(screen->services, &in.nservices);
        struct json_object **ips = trees_of(screen->ips, &in.nips);
        struct repair_fix *fixes;
        size_t n;

        in.services = services;
        in.ips = ips;
        in.ports = screen->ports;
        in.nports = screen->nports;
        n = alloc_repair(a, &in, &fixes);
        for (size_t i = 0; i < n && !s->stopping; i++)
                apply_fix(s, a, &fixes[i]);
        free_trees(services, in.nservices);
        free_trees(ips, in.nips);
}

void housekeeping_repair(struct housekeeping *h)
{
        struct server *s = h->server;
        struct arena a = ARENA_NULL;
        struct ports ports = {.arena = &a};
        struct store_range range = {.prefix = ALLOC_PORT_PREFIX};
        struct object_list services, ips;

        list_all(s, "", "services", &services);
        list_all(s, "networking.k8s.io", "ipaddresses", &ips);
        if (!store_range(s->store, &range, add_port, &ports, NULL, NULL)) {
                struct screen_input screen = {s->alloc, &services, &ips, ports.items, ports.n};

                if (alloc_needs_repair(&screen))
                        repair_now(s, &a, &screen);
        }
        object_list_deinit(&services);
        object_list_deinit(&ips);
        free(ports.items);
        arena_deinit(&a);
}
