/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/state/owners.h"

struct owner_view {
        struct atom_pool pool;
        const struct atom *ns;
        struct query query;
};

void owners_init(struct owners *o)
{
        hashmap_init(&o->controllers, HASHMAP_STR_OWNED);
        hashmap_init(&o->services, HASHMAP_STR_OWNED);
        o->generation = 1;
}

static void owner_free(struct owner_view *v)
{
        if (!v)
                return;
        atom_pool_deinit(&v->pool);
        free(v);
}

void owners_deinit(struct owners *o)
{
        hashmap_foreach (&o->controllers, controller)
                owner_free(controller->value);
        hashmap_foreach (&o->services, service)
                owner_free(service->value);
        hashmap_deinit(&o->controllers);
        hashmap_deinit(&o->services);
}

static const char *kind_key(char *buf, size_t size, enum owner_kind kind, const char *key)
{
        snprintf(buf, size, "%d %s", kind, key);
        return buf;
}

static struct owner_view *owner_new(struct atoms *atoms, enum owner_kind kind, const char *key,
                                    const struct jnode *selector)
{
        bool is_map = kind == OWNER_OTHER || kind == OWNER_REPLICATION_CONTROLLER;
        struct owner_view *v = mem_new(struct owner_view);
        const char *slash = strchr(key, '/');

        atom_pool_init(&v->pool, atoms);
        v->ns = atom_pool_get(&v->pool, slash ? arena_strndup(&v->pool.mem, key, (size_t)(slash - key)) : "");
        v->query = is_map ? query_of_map(&v->pool, selector) : query_of_selector(&v->pool, selector);
        return v;
}

static bool same_query(const struct query *a, const struct query *b)
{
        struct strbuf x = STRBUF_NULL, y = STRBUF_NULL;
        bool same;

        query_write_key(&x, a);
        query_write_key(&y, b);
        /* Values are pointed to by the keys: atoms, equal when the texts are. */
        same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
        strbuf_deinit(&x);
        strbuf_deinit(&y);
        return same;
}

void owners_set(struct owners *o, struct atoms *atoms, enum owner_kind kind, const char *key,
                const struct jnode *selector)
{
        struct hashmap *map = kind == OWNER_OTHER ? &o->services : &o->controllers;
        char buf[600];
        const char *at = kind == OWNER_OTHER ? key : kind_key(buf, sizeof(buf), kind, key);
        struct owner_view *now = selector ? owner_new(atoms, kind, key, selector) : NULL, *old = hashmap_get(map, at);

        if (now && old && same_query(&now->query, &old->query)) {
                owner_free(now);
                return;
        }
        if (now)
                hashmap_put(map, at, now);
        else
                hashmap_del(map, at);
        owner_free(old);
        if (now || old)
                o->generation++;
}

/* A Service without selector selects nothing. */
static void add_services(struct owners *o, struct shape *s, struct query *q)
{
        hashmap_foreach (&o->services, slot) {
                const struct owner_view *v = slot->value;

                if (v->ns == s->ns && v->query.nreqs && query_match(&v->query, &s->labels))
                        *q = query_both(&s->siblings.pool, q, &v->query);
        }
}

static void add_controller(struct owners *o, struct shape *s, struct query *q)
{
        char key[600], buf[640];
        const struct owner_view *v;

        if (s->owner == OWNER_NONE || s->owner == OWNER_OTHER)
                return;
        snprintf(key, sizeof(key), "%s/%s", s->ns->text, s->owner_name->text);
        v = hashmap_get(&o->controllers, kind_key(buf, sizeof(buf), s->owner, key));
        if (v && !v->query.nothing)
                *q = query_both(&s->siblings.pool, q, &v->query);
}

const struct query *owners_siblings(struct owners *o, struct atoms *atoms, struct shape *s)
{
        struct query q = {0};

        if (s->siblings.generation != o->generation) {
                atom_pool_deinit(&s->siblings.pool);
                atom_pool_init(&s->siblings.pool, atoms);
                add_services(o, s, &q);
                add_controller(o, s, &q);
                s->siblings.query = query_copy(&s->siblings.pool, &q);
                s->siblings.generation = o->generation;
        }
        return s->siblings.query.nreqs ? &s->siblings.query : NULL;
}
