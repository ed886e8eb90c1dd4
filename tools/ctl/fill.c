/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "ctl/fill.h"

const struct column fill_columns[FILL_COLUMNS] = {
        {"MAP", "map", COLUMN_TEXT, false, ""},   {"USED", "used", COLUMN_NUMBER, false, ""},
        {"OF", "max", COLUMN_NUMBER, false, ""},  {"FULL", NULL, COLUMN_TEXT, false, ""},
        {NULL, "full", COLUMN_NUMBER, false, ""},
};

static int count_entry(void *userdata, const void *key, const void *value)
{
        ++*(uint64_t *)userdata;
        return 0;
}

static int count_backend(void *userdata, const void *key, const void *value)
{
        *(uint64_t *)userdata += ((const struct backend *)value)->service != 0;
        return 0;
}

static int count_pod(void *userdata, const void *key, const void *value)
{
        *(uint64_t *)userdata += ((const struct pod *)value)->ifindex != 0;
        return 0;
}

static int count_name(void *userdata, const void *key, const void *value)
{
        *(uint64_t *)userdata += ((const struct service_name *)value)->name[0] != '\0';
        return 0;
}

struct slot_count {
        struct hashmap ranges; /* by base: frontends may share them */
        uint64_t slots;
};

static void count_range(struct slot_count *c, struct slot_range range)
{
        if (!range.size || hashmap_put_u64(&c->ranges, range.base, c))
                return;
        c->slots += (range.size + SLOT_LINE - 1) / SLOT_LINE * SLOT_LINE; /* a range has its lines for itself */
}

static int count_slots(void *userdata, const void *key, const void *value)
{
        struct service s;

        memcpy(&s, value, sizeof(s));
        count_range(userdata, s.in);
        count_range(userdata, s.out);
        return 0;
}

static void add_row(struct table *t, const char *name, uint64_t used, uint64_t max)
{
        double full = max ? (double)used / (double)max : 0;

        table_cell(t, "%s", name);
        table_number(t, used);
        table_number(t, max);
        table_cell_in(t, full > 0.95 ? TONE_BAD : full > 0.8 ? TONE_WARN : TONE_PLAIN, "%.0f%%", 100 * full);
        table_cell(t, "%.4f", full);
}

static void add_map(const struct view *v, struct table *t, enum map_id id,
                    int (*count)(void *, const void *, const void *))
{
        struct map *m = v->maps.m[id];
        uint64_t used = 0;

        if (map_each(m, count, &used) == 0)
                add_row(t, map_info(m)->name, used, map_info(m)->max_entries);
}

static void add_slots(const struct view *v, struct table *t)
{
        struct slot_count c = {0};

        hashmap_init(&c.ranges, HASHMAP_U64);
        if (map_each(v->maps.m[MAP_SERVICES], count_slots, &c) == 0)
                add_row(t, "slots", c.slots, (uint64_t)map_info(v->maps.m[MAP_SLOTS])->max_entries * SLOT_LINE);
        hashmap_deinit(&c.ranges);
}

void fill_rows(const struct view *v, const struct flow_census *flows, struct table *t)
{
        add_map(v, t, MAP_SERVICES, count_entry);
        add_map(v, t, MAP_SERVICE_NAMES, count_name);
        add_slots(v, t);
        add_map(v, t, MAP_BACKENDS, count_backend);
        add_map(v, t, MAP_ROUTES, count_entry);
        add_map(v, t, MAP_PODS, count_pod);
        if (flows->size)
                add_row(t, "flows", flows->used, flows->size);
        add_map(v, t, MAP_SOURCE_RANGES, count_entry);
        add_map(v, t, MAP_AFFINITY, count_entry);
        add_map(v, t, MAP_SOCK_REPLIES, count_entry);
        add_map(v, t, MAP_FRAGMENTS, count_entry);
}
