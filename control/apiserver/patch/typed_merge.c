/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a configuration into an object, and taking out what it no longer has. */
#include <errno.h>

#include "apiserver/patch/typed.h"
#include "base/str.h"

#define NONE SIZE_MAX

static struct json_object *merged(struct arena *a, const struct schema_type *t, struct json_object *live,
                                  const struct json_object *config);

static void drop_nulls(struct json_object *o)
{
        json_array_foreach (o, i, element)
                drop_nulls(element);
        json_foreach (o, key, val) {
                if (val)
                        drop_nulls(val);
                else
                        json_del(o, key);
        }
}

static struct json_object *copy_of(const struct json_object *config)
{
        struct json_object *o = json_copy(config);

        drop_nulls(o);
        return o;
}

static void merge_fields(struct arena *a, const struct schema_type *t, struct json_object *live,
                         const struct json_object *config)
{
        json_foreach (config, name, val) {
                const struct schema_field *field;
                const struct schema_type *mt = typed_member(t, name, &field);

                if (val)
                        json_set(live, name, merged(a, mt, json_get(live, name), val));
                else
                        json_del(live, name);
        }
}

/* Which item of the one list has the key of an item of the other, by position. */
struct match {
        struct json_object *live;
        const struct json_object *config;
        size_t *to_config; /* per live item: its item in config, or NONE */
        size_t *to_live;
        bool *repeated; /* per live item: an earlier one has its key, and config has it too */
};

static int match_items(struct arena *a, const struct schema_type *t, struct match *m)
{
        struct typed_item *l, *c;
        size_t ln, cn, i = 0, j = 0;

        if (typed_items(a, t, m->live, &l, &ln, NULL) || typed_items(a, t, m->config, &c, &cn, NULL))
                return -EINVAL;
        m->to_config = arena_array(a, size_t, ln + 1);
        m->to_live = arena_array(a, size_t, cn + 1);
        m->repeated = arena_array(a, bool, ln + 1);
        memset(m->to_config, 0xff, (ln + 1) * sizeof(size_t));
        memset(m->to_live, 0xff, (cn + 1) * sizeof(size_t));
        while (i < ln && j < cn) {
                int r = fieldset_compare(l[i].key, l[i].len, c[j].key, c[j].len);

                if (r == 0 && m->to_live[c[j].at] == NONE) {
                        m->to_live[c[j].at] = l[i].at;
                        m->to_config[l[i].at] = c[j].at;
                } else if (r == 0) {
                        m->repeated[l[i].at] = true;
                }
                i += r <= 0;
                j += r > 0;
        }
        return 0;
}

static void emit(struct arena *a, const struct schema_type *t, const struct match *m, size_t i, size_t j,
                 struct json_object *out)
{
        struct json_object *live = i == NONE ? NULL : json_idx(m->live, i);

        json_object_array_add(out,
                              j == NONE ? json_object_get(live) : merged(a, t->elem, live, json_idx(m->config, j)));
}

static size_t next_shared(const struct match *m, size_t j)
{
        size_t n = json_len(m->config);

        while (j < n && m->to_live[j] == NONE)
                j++;
        return j < n ? j : NONE;
}

/*
 * Items that both have come in the order of config, items that only live has stay where they were between them, and
 * what is new comes where config has it.
 */
static struct json_object *merge_items(struct arena *a, const struct schema_type *t, struct json_object *live,
                                       const struct json_object *config)
{
        struct match m = {.live = live, .config = config};
        size_t i = 0, j = 0, ln = json_len(live), cn = json_len(config), shared;
        struct json_object *out;

        if (match_items(a, t, &m))
                return copy_of(config);
        out = json_object_new_array();
        shared = next_shared(&m, 0);
        while (i < ln || j < cn) {
                size_t with = i < ln ? m.to_config[i] : NONE;

                if (i < ln && m.repeated[i]) {
                        i++;
                } else if (i < ln && with == NONE) {
                        emit(a, t, &m, i++, NONE, out);
                } else if (i < ln && (j >= cn || (with != j && shared != NONE && with != shared))) {
                        i++; /* comes, or came, when config is there */
                } else {
                        emit(a, t, &m, m.to_live[j], j, out);
                        i += i < ln && with == j;
                        if (j == shared)
                                shared = next_shared(&m, j + 1);
                        j++;
                }
        }
        return out;
}

/* config over live (of a tree that may be changed; not consumed): a reference that the caller owns. */
static struct json_object *merged(struct arena *a, const struct schema_type *t, struct json_object *live,
                                  const struct json_object *config)
{
        enum typed_shape shape = typed_shape(t);

        if (shape == TYPED_FIELDS && json_is_object(live) && json_is_object(config)) {
                merge_fields(a, t, live, config);
                return json_object_get(live);
        }
        if (shape == TYPED_ITEMS && json_is_array(live) && json_is_array(config))
                return merge_items(a, t, live, config);
        return copy_of(config);
}

struct json_object *typed_merge(struct arena *a, const struct schema_struct *type, const struct json_object *live,
                                const struct json_object *config)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};
        struct json_object *o = live ? json_copy(live) : json_object_new_object();

        merge_fields(a, &root, o, config);
        return o;
}

static bool prune(struct arena *a, const struct schema_type *t, struct json_object *o, const struct fieldset *had,
                  const struct fieldset *keep, const char *const *keys);

/* The node in a sorted run that has n's key; *pos moves on. */
static const struct fieldset *seek(const struct fieldset **pos, const char *key, size_t len)
{
        int c = 1;

        while (*pos && (c = fieldset_compare((*pos)->key, (*pos)->len, key, len)) < 0)
                *pos = (*pos)->next;
        return *pos && c == 0 ? *pos : NULL;
}

static bool is_key(const char *const *keys, const char *name)
{
        for (; keys && *keys; keys++) {
                if (str_eq(*keys, name))
                        return true;
        }
        return false;
}

/* A struct's field stays while anyone has anything below it; a map's key or a list's item must itself be owned. */
static bool prune_fields(struct arena *a, const struct schema_type *t, struct json_object *o,
                         const struct fieldset *had, const struct fieldset *keep, const char *const *keys)
{
        const struct fieldset *kept = keep ? keep->child : NULL;
        bool changed = false;

        for (const struct fieldset *h = had->child; h; h = h->next) {
                const struct fieldset *k = seek(&kept, h->key, h->len);
                const struct schema_field *field;
                const struct schema_type *mt;
                char *name;

                if (*h->key != 'f')
                        continue;
                name = arena_strndup(a, h->key + 2, h->len - 2);
                if (!json_get(o, name) || is_key(keys, name))
                        continue;
                mt = typed_member(t, name, &field);
                if ((h->member && (field ? !k : !(k && k->member))) ||
                    (h->child && prune(a, mt, json_get(o, name), h, k, NULL) && !(k && k->member))) {
                        json_del(o, name);
                        changed = true;
                }
        }
        return changed && json_object_object_length(o) == 0;
}

static bool prune_items(struct arena *a, const struct schema_type *t, struct json_object *list,
                        const struct fieldset *had, const struct fieldset *keep)
{
        const struct fieldset *kept = keep ? keep->child : NULL, *mine = had->child;
        struct typed_item *items;
        size_t n, gone = 0;
        bool *drop;

        if (typed_items(a, t, list, &items, &n, NULL))
                return false;
        drop = arena_array(a, bool, n + 1);
        for (size_t i = 0; i < n; i++) {
                const struct fieldset *h = seek(&mine, items[i].key, items[i].len);
                const struct fieldset *k = seek(&kept, items[i].key, items[i].len);

                if (!h)
                        continue;
                drop[items[i].at] = (h->member && !(k && k->member)) ||
                                    (h->child && prune(a, t->elem, items[i].val, h, k, t->keys) && !(k && k->member));
                gone += drop[items[i].at];
        }
        for (size_t i = n, end = n; gone && i-- > 0;) {
                if (!drop[i])
                        continue;
                end = i + 1; /* runs go at once: many deletions stay linear enough */
                while (i > 0 && drop[i - 1])
                        i--;
                json_object_array_del_idx(list, i, end - i);
        }
        return gone && json_len(list) == 0;
}

/* Returns whether nothing is left in o because of what was removed. */
static bool prune(struct arena *a, const struct schema_type *t, struct json_object *o, const struct fieldset *had,
                  const struct fieldset *keep, const char *const *keys)
{
        enum typed_shape shape = typed_shape(t);

        if (shape == TYPED_FIELDS && json_is_object(o))
                return prune_fields(a, t, o, had, keep, keys);
        if (shape == TYPED_ITEMS && json_is_array(o))
                return prune_items(a, t, o, had, keep);
        return false;
}

void typed_prune(struct arena *a, const struct schema_struct *type, struct json_object *o, const struct fieldset *had,
                 const struct fieldset *keep)
{
        const struct schema_type root = {.kind = SCHEMA_OBJECT, .object = type};

        if (had)
                prune(a, &root, o, had, keep, NULL);
}
