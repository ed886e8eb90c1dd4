/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/state/owners.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* One block: there may be as many as a cluster has Services. */
struct owner_view {
        const struct atom *ns;  /* a reference */
        bool nothing;           /* it selects no pod */
        struct atom_pool *rare; /* of `more`; NULL: there are only pairs */
        struct query more;      /* matchExpressions */
        uint32_t npairs;
        struct label_pair pairs[]; /* references */
};

void owners_init(struct owners *o)
{
        hashmap_init(&o->controllers, HASHMAP_STR_OWNED);
        hashmap_init(&o->services, HASHMAP_STR_OWNED);
        o->generation = 1;
}

static void owner_free(struct atoms *atoms, struct owner_view *v)
{
        if (!v)
                return;
        for (uint32_t i = 0; i < v->npairs; i++) {
                atoms_put(atoms, v->pairs[i].key);
                atoms_put(atoms, v->pairs[i].value);
        }
        if (v->rare)
                atom_pool_deinit(v->rare);
        free(v->rare);
        atoms_put(atoms, v->ns);
        free(v);
}

void owners_deinit(struct owners *o, struct atoms *atoms)
{
        hashmap_foreach (&o->controllers, controller)
                owner_free(atoms, controller->value);
        hashmap_foreach (&o->services, service)
                owner_free(atoms, service->value);
        hashmap_deinit(&o->controllers);
        hashmap_deinit(&o->services);
}

static const char *kind_key(char *buf, size_t size, enum owner_kind kind, const char *key)
{
        snprintf(buf, size, "%d %s", kind, key);
        return buf;
}

static struct owner_view *owner_of_map(struct atoms *atoms, const struct jnode *map)
{
        uint32_t n = map && map->type == JNODE_OBJECT ? map->n : 0;
        struct owner_view *v = mem_zalloc(sizeof(*v) + n * sizeof(v->pairs[0]));

        for (const struct jnode *it = n ? map->first : NULL; it; it = it->next)
                if (it->type == JNODE_STRING)
                        v->pairs[v->npairs++] = (struct label_pair){atoms_get(atoms, it->key, strlen(it->key)),
                                                                    atoms_get(atoms, it->text, strlen(it->text))};
        return v;
}

static struct owner_view *owner_of_selector(struct atoms *atoms, const struct jnode *selector)
{
        const struct jnode *expressions = jnode_get(selector, "matchExpressions");
        struct owner_view *v = owner_of_map(atoms, jnode_get(selector, "matchLabels"));

        if (jnode_len(expressions)) {
                v->rare = mem_new(struct atom_pool);
                atom_pool_init(v->rare, atoms);
                v->more = query_of_expressions(v->rare, expressions);
        }
        return v;
}

static struct owner_view *owner_new(struct atoms *atoms, enum owner_kind kind, const char *key,
                                    const struct jnode *selector)
{
        bool is_map = kind == OWNER_OTHER || kind == OWNER_REPLICATION_CONTROLLER;
        struct owner_view *v = is_map ? owner_of_map(atoms, selector) : owner_of_selector(atoms, selector);
        const char *slash = strchr(key, '/');

        v->ns = atoms_get(atoms, key, slash ? (size_t)(slash - key) : 0);
        v->nothing = !v->npairs && !v->more.nreqs;
        return v;
}

static bool same_query(const struct query *a, const struct query *b)
{
        struct strbuf x = STRBUF_NULL, y = STRBUF_NULL;
        bool same;

        query_write_key(&x, a);
        query_write_key(&y, b);
        same = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
        strbuf_deinit(&x);
        strbuf_deinit(&y);
        return same;
}

static bool same_owner(const struct owner_view *a, const struct owner_view *b)
{
        const struct label_set x = {.pairs = a->pairs, .n = a->npairs}, y = {.pairs = b->pairs, .n = b->npairs};

        return label_set_equal(&x, &y) && same_query(&a->more, &b->more);
}

void owners_set(struct owners *o, struct atoms *atoms, enum owner_kind kind, const char *key,
                const struct jnode *selector)
{
        struct hashmap *map = kind == OWNER_OTHER ? &o->services : &o->controllers;
        char buf[640];
        const char *at = kind == OWNER_OTHER ? key : kind_key(buf, sizeof(buf), kind, key);
        struct owner_view *now = selector ? owner_new(atoms, kind, key, selector) : NULL, *old = hashmap_get(map, at);

        if (now && old && same_owner(now, old)) {
                owner_free(atoms, now);
                return;
        }
        if (now)
                hashmap_put(map, at, now);
        else
                hashmap_del(map, at);
        if (now || old)
                o->generation++;
        owner_free(atoms, old);
}

/* ---- the siblings of a pod ---- */

static bool selects(const struct owner_view *v, const struct shape *s)
{
        if (v->ns != s->ns || v->nothing)
                return false;
        for (uint32_t i = 0; i < v->npairs; i++)
                if (label_get(&s->labels, v->pairs[i].key) != v->pairs[i].value)
                        return false;
        return query_match(&v->more, &s->labels);
}

static void add(struct shape *s, struct query *q, const struct owner_view *v)
{
        for (uint32_t i = 0; i < v->npairs; i++)
                *q = query_with(&s->siblings.pool, q, v->pairs[i].key, QUERY_IN, v->pairs[i].value);
        *q = query_both(&s->siblings.pool, q, &v->more);
}

static void add_services(struct owners *o, struct shape *s, struct query *q)
{
        hashmap_foreach (&o->services, slot)
                if (selects(slot->value, s))
                        add(s, q, slot->value);
}

static void add_controller(struct owners *o, struct shape *s, struct query *q)
{
        char key[600], buf[640];
        const struct owner_view *v;

        if (s->owner == OWNER_NONE || s->owner == OWNER_OTHER)
                return;
        snprintf(key, sizeof(key), "%s/%s", s->ns->text, s->owner_name->text);
        v = hashmap_get(&o->controllers, kind_key(buf, sizeof(buf), s->owner, key));
        if (v && !v->nothing)
                add(s, q, v);
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
