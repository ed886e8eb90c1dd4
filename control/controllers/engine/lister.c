/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index is a map from values to buckets; an entry has a link into each bucket that it belongs to, and knows its
 * place there. So an object of a namespace of 10,000 others comes and goes without a look at them, and all 10,000 lie
 * in one array: to list them touches none of them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/lister.h"

#define GONE_MAX 65536

enum index {
        INDEX_NS,
        INDEX_CONTROLLER, /* its UID; "/NAMESPACE" for orphans: no UID begins with a slash */
        INDEX_OWNER,
        INDEX_NODE,
        INDEX_LABEL, /* "NAMESPACE/key=value"; only of what is found by labels: pods and EndpointSlices */
        INDEX_COUNT,
};

#define VALUE_SIZE 512 /* a namespace, and a label's key and value */

struct member {
        const struct kobj *object;
        struct link *link;
};

struct bucket {
        struct member *members; /* in no order */
        size_t n, room;
        char value[];
};

struct link {
        struct bucket *bucket;
        size_t at; /* of its members */
        enum index index;
};

struct entry {
        const struct kobj *object;
        size_t nlinks;
        struct link links[];
};

struct kept {
        const struct resource *resource;
        struct hashmap entries;              /* key, of the object -> struct entry * */
        struct hashmap indexes[INDEX_COUNT]; /* value -> struct bucket * */
};

/* UIDs of objects that are gone, the oldest forgotten first. */
struct gone {
        struct hashmap uids; /* UID, owned by the ring -> itself */
        char *ring[GONE_MAX];
        size_t at;
};

struct lister {
        struct kept **kept;
        size_t n;
        struct gone gone;
};

struct lister *lister_new(void)
{
        struct lister *c = mem_new(struct lister);

        hashmap_init(&c->gone.uids, HASHMAP_STR);
        return c;
}

static struct kept *kept_of(const struct lister *c, const struct resource *r)
{
        for (size_t i = 0; i < c->n; i++)
                if (c->kept[i]->resource == r)
                        return c->kept[i];
        return NULL;
}

bool lister_follows(const struct lister *c, const struct resource *r)
{
        return kept_of(c, r) != NULL;
}

size_t lister_followed(const struct lister *c, const struct resource **ret, size_t room)
{
        size_t n = MIN(c->n, room);

        for (size_t i = 0; i < n; i++)
                ret[i] = c->kept[i]->resource;
        return n;
}

void lister_follow(struct lister *c, const struct resource *r)
{
        struct kept *k;

        if (lister_follows(c, r))
                return;
        k = mem_new(struct kept);
        k->resource = r;
        hashmap_init(&k->entries, HASHMAP_STR);
        for (size_t i = 0; i < INDEX_COUNT; i++)
                hashmap_init(&k->indexes[i], HASHMAP_STR);
        c->kept = mem_realloc(c->kept, c->n + 1, sizeof(*c->kept));
        c->kept[c->n++] = k;
}

static struct bucket *bucket_of(struct kept *k, enum index index, const char *value)
{
        struct bucket *b = hashmap_get(&k->indexes[index], value);
        size_t n = strlen(value) + 1;

        if (b)
                return b;
        b = mem_zalloc(sizeof(*b) + n);
        memcpy(b->value, value, n);
        hashmap_put(&k->indexes[index], b->value, b);
        return b;
}

static void bucket_resize(struct bucket *b, size_t room)
{
        b->members = mem_realloc(b->members, room, sizeof(*b->members));
        b->room = room;
}

static void link_in(struct kept *k, struct entry *e, enum index index, const char *value)
{
        struct bucket *b = bucket_of(k, index, value);
        struct link *l = &e->links[e->nlinks++];

        if (b->n == b->room)
                bucket_resize(b, MAX(2 * b->room, (size_t)1));
        *l = (struct link){.bucket = b, .at = b->n, .index = index};
        b->members[b->n++] = (struct member){.object = e->object, .link = l};
}

/* The last one takes the place. */
static void link_out(struct kept *k, struct link *l)
{
        struct bucket *b = l->bucket;

        b->members[l->at] = b->members[--b->n];
        b->members[l->at].link->at = l->at;
        if (b->n) {
                if (b->n < b->room / 4)
                        bucket_resize(b, b->room / 2);
                return;
        }
        hashmap_del(&k->indexes[l->index], b->value);
        free(b->members);
        free(b);
}

/* There is room for every label that an API server lets pass. */
static const char *label_value(char buf[static VALUE_SIZE], const char *ns, const char *key, const char *value)
{
        const char *const parts[] = {ns, "/", key, "=", value};
        size_t used = 0;

        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                size_t n = MIN(strlen(parts[i]), VALUE_SIZE - 1 - used);

                memcpy(buf + used, parts[i], n);
                used += n;
        }
        buf[used] = '\0';
        return buf;
}

static const char *orphan_value(char buf[static VALUE_SIZE], const char *ns)
{
        snprintf(buf, VALUE_SIZE, "/%s", ns);
        return buf;
}

static bool by_labels(const struct kobj *o)
{
        return o->pod || o->slice;
}

static bool named_before(const struct kobj *o, size_t i)
{
        for (size_t j = 0; j < i; j++)
                if (str_eq(o->owners[j].uid, o->owners[i].uid))
                        return true;
        return false;
}

static struct entry *entry_new(struct kept *k, const struct kobj *o)
{
        const struct owner *by = kobj_controller(o);
        size_t nlabels = by_labels(o) ? o->nlabels : 0;
        struct entry *e = mem_zalloc(sizeof(*e) + (3 + o->nowners + nlabels) * sizeof(struct link));
        char buf[VALUE_SIZE];

        e->object = o;
        if (*o->ns) {
                link_in(k, e, INDEX_NS, o->ns);
                link_in(k, e, INDEX_CONTROLLER, by ? by->uid : orphan_value(buf, o->ns));
        }
        for (size_t i = 0; i < o->nowners; i++)
                if (!named_before(o, i))
                        link_in(k, e, INDEX_OWNER, o->owners[i].uid);
        if (o->pod)
                link_in(k, e, INDEX_NODE, o->pod->node);
        for (size_t i = 0; i < nlabels; i++)
                link_in(k, e, INDEX_LABEL, label_value(buf, o->ns, o->labels[i].key, o->labels[i].value));
        return e;
}

static const struct kobj *entry_free(struct kept *k, struct entry *e)
{
        const struct kobj *o = e->object;

        for (size_t i = 0; i < e->nlinks; i++)
                link_out(k, &e->links[i]);
        free(e);
        return o;
}

static void remember_end(struct gone *g, const char *uid)
{
        char **place = &g->ring[g->at];

        if (hashmap_get(&g->uids, uid))
                return;
        if (*place)
                hashmap_del(&g->uids, *place);
        free(*place);
        *place = mem_strdup(uid);
        hashmap_put(&g->uids, *place, *place);
        g->at = (g->at + 1) % GONE_MAX;
}

bool lister_saw_end(const struct lister *c, const char *uid)
{
        return hashmap_get(&c->gone.uids, uid) != NULL;
}

const struct kobj *lister_set(struct lister *c, const struct resource *r, const char *key, const struct kobj *now)
{
        struct kept *k = kept_of(c, r);
        struct entry *old = now ? hashmap_put(&k->entries, now->key, entry_new(k, now)) : hashmap_del(&k->entries, key);

        if (old && (!now || !str_eq(old->object->uid, now->uid)))
                remember_end(&c->gone, old->object->uid);
        return old ? entry_free(k, old) : NULL;
}

void lister_free(struct lister *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < c->n; i++) {
                struct kept *k = c->kept[i];

                hashmap_foreach (&k->entries, slot)
                        kobj_unref(entry_free(k, slot->value));
                hashmap_deinit(&k->entries);
                for (size_t j = 0; j < INDEX_COUNT; j++)
                        hashmap_deinit(&k->indexes[j]);
                free(k);
        }
        free(c->kept);
        for (size_t i = 0; i < GONE_MAX; i++)
                free(c->gone.ring[i]);
        hashmap_deinit(&c->gone.uids);
        free(c);
}

const struct kobj *lister_find(const struct lister *c, const struct resource *r, const char *key)
{
        const struct kept *k = kept_of(c, r);
        const struct entry *e = k ? hashmap_get(&k->entries, key) : NULL;

        return e ? e->object : NULL;
}

const struct kobj *lister_get(const struct lister *c, const struct resource *r, const char *ns, const char *name)
{
        char key[1024];

        if (!r->namespaced || str_empty(ns))
                return lister_find(c, r, name);
        snprintf(key, sizeof(key), "%s/%s", ns, name);
        return lister_find(c, r, key);
}

size_t lister_count(const struct lister *c, const struct resource *r)
{
        const struct kept *k = kept_of(c, r);

        return k ? k->entries.count : 0;
}

size_t lister_count_in(const struct lister *c, const struct resource *r, const char *ns)
{
        const struct kept *k = kept_of(c, r);
        const struct bucket *b = k ? hashmap_get(&k->indexes[INDEX_NS], ns) : NULL;

        return b ? b->n : 0;
}

struct kobjs lister_all(const struct lister *c, const struct resource *r, struct arena *mem)
{
        const struct kept *k = kept_of(c, r);
        struct kobjs l = {0};

        if (!k)
                return l;
        l.items = arena_array(mem, const struct kobj *, k->entries.count + 1);
        hashmap_foreach (&k->entries, slot)
                l.items[l.n++] = ((const struct entry *)slot->value)->object;
        return l;
}

static struct kobjs by_index(const struct lister *c, const struct resource *r, enum index index, const char *value,
                             struct arena *mem)
{
        const struct kept *k = kept_of(c, r);
        const struct bucket *b = k ? hashmap_get(&k->indexes[index], value) : NULL;
        struct kobjs l = {0};

        if (!b)
                return l;
        l.items = arena_array(mem, const struct kobj *, b->n);
        for (size_t i = 0; i < b->n; i++)
                l.items[l.n++] = b->members[i].object;
        return l;
}

struct kobjs lister_in(const struct lister *c, const struct resource *r, const char *ns, struct arena *mem)
{
        return by_index(c, r, INDEX_NS, ns, mem);
}

struct kobjs lister_controlled(const struct lister *c, const struct resource *r, const char *uid, struct arena *mem)
{
        return by_index(c, r, INDEX_CONTROLLER, uid, mem);
}

struct kobjs lister_orphans(const struct lister *c, const struct resource *r, const char *ns, struct arena *mem)
{
        char buf[VALUE_SIZE];

        return by_index(c, r, INDEX_CONTROLLER, orphan_value(buf, ns), mem);
}

struct kobjs lister_dependents(const struct lister *c, const struct resource *r, const char *uid, struct arena *mem)
{
        return by_index(c, r, INDEX_OWNER, uid, mem);
}

static const struct bucket *dependents_of(const struct kept *k, const char *uid)
{
        return hashmap_get(&k->indexes[INDEX_OWNER], uid);
}

bool lister_has_dependents(const struct lister *c, const char *uid)
{
        for (size_t i = 0; i < c->n; i++)
                if (dependents_of(c->kept[i], uid))
                        return true;
        return false;
}

struct kobjs lister_all_dependents(const struct lister *c, const char *uid, struct arena *mem)
{
        struct kobjs l = {0};
        size_t n = 0;

        for (size_t i = 0; i < c->n; i++) {
                const struct bucket *b = dependents_of(c->kept[i], uid);

                n += b ? b->n : 0;
        }
        l.items = arena_array(mem, const struct kobj *, n + 1);
        for (size_t i = 0; i < c->n; i++) {
                const struct bucket *b = dependents_of(c->kept[i], uid);

                for (size_t at = 0; b && at < b->n; at++)
                        l.items[l.n++] = b->members[at].object;
        }
        return l;
}

struct kobjs lister_on_node(const struct lister *c, const char *node, struct arena *mem)
{
        return by_index(c, &res_pods, INDEX_NODE, node, mem);
}

static bool has_labels(const struct kobj *o, const struct label *labels, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!str_eq(kobj_label(o, labels[i].key), labels[i].value))
                        return false;
        return true;
}

/* The smallest of the labels' buckets; NULL: some label is nowhere. */
static const struct bucket *rarest(const struct kept *k, const char *ns, const struct label *labels, size_t n)
{
        const struct bucket *least = NULL;
        char buf[VALUE_SIZE];

        for (size_t i = 0; i < n; i++) {
                const char *value = label_value(buf, ns, labels[i].key, labels[i].value);
                const struct bucket *b = hashmap_get(&k->indexes[INDEX_LABEL], value);

                if (!b)
                        return NULL;
                least = least && least->n <= b->n ? least : b;
        }
        return least;
}

struct kobjs lister_labelled(const struct lister *c, const struct resource *r, const char *ns,
                             const struct label *labels, size_t n, struct arena *mem)
{
        const struct kept *k = kept_of(c, r);
        const struct bucket *b = k ? rarest(k, ns, labels, n) : NULL;
        struct kobjs l = {0};

        if (!b)
                return l;
        l.items = arena_array(mem, const struct kobj *, b->n);
        for (size_t i = 0; i < b->n; i++)
                if (n == 1 || has_labels(b->members[i].object, labels, n))
                        l.items[l.n++] = b->members[i].object;
        return l;
}
