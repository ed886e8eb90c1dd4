/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "apiserver/patch/managed_entries.h"
#include "base/str.h"

#define UPDATE_MAX 10 /* Update entries of an object */
#define ANCIENT    "ancient-changes"
#define SENT_MAX   256 /* entries that a client may send back: far more than an object comes to have */

static const char *text_of(const struct json_object *o, const char *key)
{
        const char *s = json_get_str(o, key);

        return s ? s : "";
}

static int read_entry(struct managed_entries *e, struct json_object *o, bool trusted)
{
        const char *operation = json_get_str(o, "operation");
        struct managed_entry entry = {
                .manager = text_of(o, "manager"),
                .api_version = text_of(o, "apiVersion"),
                .subresource = text_of(o, "subresource"),
                .time = text_of(o, "time"),
                .apply = str_eq(operation, "Apply"),
                .source = o,
        };
        struct managed_entry *same;
        int r;

        if (!entry.apply && !str_eq(operation, "Update"))
                return -EINVAL;
        if (!*entry.api_version || !str_eq(json_get_str(o, "fieldsType"), "FieldsV1"))
                return -EINVAL;
        r = fieldset_parse(e->arena, json_get(o, "fieldsV1"), trusted, &entry.set);
        if (r)
                return r;
        entry.set_changed = entry.changed = !trusted;
        same = managed_entries_find(e, entry.manager, entry.apply, entry.api_version, entry.subresource);
        if (!same) {
                managed_entries_add(e, &entry);
                return 0;
        }
        *same = entry;
        e->changed = true;
        return 0;
}

int managed_entries_read(struct managed_entries *e, const struct json_object *list, bool trusted)
{
        struct arena *arena = e->arena;

        *e = (struct managed_entries){.arena = arena};
        if (!trusted && json_len(list) > SENT_MAX)
                return -EINVAL;
        json_array_foreach (list, i, o) {
                int r = read_entry(e, o, trusted);

                if (r)
                        return r;
        }
        e->changed = !trusted;
        return 0;
}

struct managed_entry *managed_entries_find(struct managed_entries *e, const char *manager, bool apply,
                                           const char *api_version, const char *subresource)
{
        for (size_t i = 0; i < e->n; i++) {
                struct managed_entry *it = &e->items[i];

                if (it->apply == apply && str_eq(it->manager, manager) && str_eq(it->subresource, subresource) &&
                    (apply || str_eq(it->api_version, api_version)))
                        return it;
        }
        return NULL;
}

struct managed_entry *managed_entries_add(struct managed_entries *e, const struct managed_entry *entry)
{
        if (e->n == e->cap) {
                size_t cap = e->cap ? e->cap * 2 : 8;
                struct managed_entry *items = arena_array(e->arena, struct managed_entry, cap);

                if (e->n)
                        memcpy(items, e->items, e->n * sizeof(*items));
                e->items = items;
                e->cap = cap;
        }
        e->items[e->n] = *entry;
        e->changed = true;
        return &e->items[e->n++];
}

void managed_entry_set(struct managed_entries *e, struct managed_entry *entry, struct fieldset *set)
{
        if (set == entry->set)
                return;
        entry->set = set;
        entry->set_changed = entry->changed = true;
        e->changed = true;
}

static void remove_at(struct managed_entries *e, size_t i)
{
        memmove(&e->items[i], &e->items[i + 1], (e->n - i - 1) * sizeof(*e->items));
        e->n--;
        e->changed = true;
}

/* Times are RFC 3339 in UTC and seconds, so they compare as text. */
static size_t oldest_update(const struct managed_entries *e, const bool *seen)
{
        size_t best = SIZE_MAX;

        for (size_t i = 0; i < e->n; i++) {
                const struct managed_entry *a = &e->items[i], *b = &e->items[best == SIZE_MAX ? i : best];
                int c = strcmp(a->time, b->time);

                if (a->apply || seen[i])
                        continue;
                if (best == SIZE_MAX || c < 0 || (c == 0 && strcmp(a->manager, b->manager) < 0))
                        best = i;
        }
        return best;
}

static size_t count_updates(const struct managed_entries *e)
{
        size_t n = 0;

        for (size_t i = 0; i < e->n; i++)
                n += !e->items[i].apply;
        return n;
}

/* There is one bucket for each version. */
static void join_buckets(struct managed_entries *e)
{
        for (size_t i = e->n; i-- > 0;) {
                struct managed_entry *it = &e->items[i], *first;

                if (it->apply || !str_eq(it->manager, ANCIENT))
                        continue;
                first = managed_entries_find(e, it->manager, false, it->api_version, it->subresource);
                if (first == it)
                        continue;
                managed_entry_set(e, first, fieldset_union(e->arena, first->set, it->set));
                first->time = strcmp(first->time, it->time) > 0 ? first->time : it->time;
                first->set_changed = first->changed = true;
                remove_at(e, i);
        }
}

/* Joins the two oldest entries of one version into the bucket; false when no two are of one version. */
static bool join_oldest(struct managed_entries *e)
{
        bool *seen = arena_array(e->arena, bool, e->n);

        for (size_t i = oldest_update(e, seen); i != SIZE_MAX; seen[i] = true, i = oldest_update(e, seen)) {
                struct managed_entry *into = NULL, *it = &e->items[i];

                for (size_t j = 0; j < e->n && !into; j++) {
                        if (seen[j] && str_eq(e->items[j].api_version, it->api_version))
                                into = &e->items[j];
                }
                if (!into)
                        continue;
                managed_entry_set(e, into, fieldset_union(e->arena, into->set, it->set));
                into->manager = ANCIENT;
                into->subresource = "";
                into->time = it->time;
                into->set_changed = into->changed = true;
                remove_at(e, i);
                join_buckets(e);
                return true;
        }
        return false;
}

void managed_entries_tidy(struct managed_entries *e, bool cap)
{
        for (size_t i = e->n; i-- > 0;) {
                if (!e->items[i].set)
                        remove_at(e, i);
        }
        while (cap && count_updates(e) > UPDATE_MAX && join_oldest(e))
                ;
}

static int by_operation_and_time(const void *x, const void *y)
{
        const struct managed_entry *a = x, *b = y;
        int r = (int)b->apply - (int)a->apply;

        r = r ? r : strcmp(a->time, b->time);
        r = r ? r : strcmp(a->manager, b->manager);
        r = r ? r : strcmp(a->api_version, b->api_version);
        return r ? r : strcmp(a->subresource, b->subresource);
}

static struct json_object *write_entry(const struct managed_entry *it)
{
        struct json_object *o;

        if (it->source && !it->changed)
                return json_object_get(it->source);
        o = json_object_new_object();
        json_set_str(o, "apiVersion", it->api_version);
        json_set_str(o, "fieldsType", "FieldsV1");
        json_set(o, "fieldsV1",
                 it->source && !it->set_changed ? json_object_get(json_get(it->source, "fieldsV1"))
                                                : fieldset_json(it->set));
        if (*it->manager)
                json_set_str(o, "manager", it->manager);
        json_set_str(o, "operation", it->apply ? "Apply" : "Update");
        if (*it->subresource)
                json_set_str(o, "subresource", it->subresource);
        if (*it->time)
                json_set_str(o, "time", it->time);
        return o;
}

struct json_object *managed_entries_write(struct managed_entries *e)
{
        struct json_object *list;

        if (!e->n)
                return NULL;
        qsort(e->items, e->n, sizeof(*e->items), by_operation_and_time);
        list = json_object_new_array_ext((int)e->n);
        for (size_t i = 0; i < e->n; i++)
                json_object_array_add(list, write_entry(&e->items[i]));
        return list;
}

#define FIELD(name, ...)                                                                                               \
        {                                                                                                              \
                .key = "f:" name, .len = sizeof("f:" name) - 1, .member = true, __VA_ARGS__                            \
        }

struct fieldset *managed_strip(struct arena *a, struct fieldset *set)
{
        static const struct fieldset meta[] = {
                FIELD("clusterName", .next = (struct fieldset *)&meta[1]),
                FIELD("creationTimestamp", .next = (struct fieldset *)&meta[2]),
                FIELD("generation", .next = (struct fieldset *)&meta[3]),
                FIELD("managedFields", .next = (struct fieldset *)&meta[4]),
                FIELD("name", .next = (struct fieldset *)&meta[5]),
                FIELD("namespace", .next = (struct fieldset *)&meta[6]),
                FIELD("resourceVersion", .next = (struct fieldset *)&meta[7]),
                FIELD("selfLink", .next = (struct fieldset *)&meta[8]),
                FIELD("uid", .next = NULL),
        };
        static const struct fieldset top[] = {
                FIELD("apiVersion", .next = (struct fieldset *)&top[1]),
                FIELD("kind", .next = (struct fieldset *)&top[2]),
                FIELD("metadata", .child = (struct fieldset *)&meta[0]),
        };
        static const struct fieldset stripped = {.child = (struct fieldset *)&top[0]};

        return fieldset_subtract(a, set, &stripped);
}
