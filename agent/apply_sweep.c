/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the maps and not in the books goes: nobody else may write there, so somebody has. */
#include <string.h>

#include "agent/apply_books.h"

static int sweep_frontend(void *userdata, const void *key, const void *value)
{
        struct apply *a = userdata;

        (void)value;
        if (hashmap_get_n(&a->present, key, sizeof(struct service_key)))
                return 0;
        a->stats.writes++;
        return map_delete(a->maps->m[MAP_SERVICES], key);
}

static int sweep_range(void *userdata, const void *key, const void *value)
{
        struct apply *a = userdata;

        (void)value;
        if (hashmap_get_n(&a->present_ranges, key, sizeof(struct range_key)))
                return 0;
        a->stats.writes++;
        return map_delete(a->maps->m[MAP_SOURCE_RANGES], key);
}

static int sweep_backend(void *userdata, const void *key, const void *value)
{
        struct apply *a = userdata;
        const struct backend *b = value;
        struct backend none = {.generation = b->generation + 1};
        uint32_t id;

        memcpy(&id, key, sizeof(id));
        if (!b->service || ids_has(a->backend_ids, id))
                return 0;
        a->stats.writes++;
        return map_update(a->maps->m[MAP_BACKENDS], key, &none);
}

static int sweep_name(void *userdata, const void *key, const void *value)
{
        static const struct service_name none;
        struct apply *a = userdata;
        const struct service_name *n = value;
        uint32_t id;

        memcpy(&id, key, sizeof(id));
        if (!*n->name || ids_has(a->service_ids, id))
                return 0;
        a->stats.writes++;
        return map_update(a->maps->m[MAP_SERVICE_NAMES], key, &none);
}

int apply_sweep(struct apply *a)
{
        struct map *const *m = a->maps->m;
        int r = map_each(m[MAP_SERVICES], sweep_frontend, a);

        if (!r)
                r = map_each(m[MAP_SOURCE_RANGES], sweep_range, a);
        if (!r)
                r = map_each(m[MAP_BACKENDS], sweep_backend, a);
        if (!r)
                r = map_each(m[MAP_SERVICE_NAMES], sweep_name, a);
        return r ? r : filter_books_write(&a->filters, m[MAP_FILTERS]);
}
