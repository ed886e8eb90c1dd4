/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "controllers/endpoint/zones.h"

const char *node_zone(const struct kobj *node)
{
        const char *zone = kobj_label(node, ZONE_LABEL);

        return zone ? zone : "";
}

void zones_deinit(struct zones *z)
{
        for (size_t i = 0; i < z->n; i++)
                free(z->all[i].name);
        free(z->all);
        *z = (struct zones){0};
}

static bool is_ready(const struct node *node)
{
        for (size_t i = 0; i < node->nconditions; i++)
                if (str_eq(node->conditions[i].type, "Ready"))
                        return node->conditions[i].status == TRI_TRUE;
        return false;
}

/* Pods run on nodes that are ready and not the control plane's. */
static bool counts(const struct kobj *node)
{
        return node && is_ready(node->node) && !kobj_label(node, "node-role.kubernetes.io/control-plane") &&
               !kobj_label(node, "node-role.kubernetes.io/master");
}

static bool tells(const struct kobj *node)
{
        return *node_zone(node) && node->node->cpu_milli > 0;
}

/* Where it is, or would be. */
static size_t place_of(const struct zones *z, const char *name)
{
        size_t i = 0;

        while (i < z->n && strcmp(z->all[i].name, name) < 0)
                i++;
        return i;
}

static struct zone *zone_of(struct zones *z, const char *name)
{
        size_t i = place_of(z, name);

        if (i < z->n && str_eq(z->all[i].name, name))
                return &z->all[i];
        z->all = mem_realloc(z->all, z->n + 1, sizeof(*z->all));
        memmove(&z->all[i + 1], &z->all[i], (z->n++ - i) * sizeof(*z->all));
        z->all[i] = (struct zone){.name = mem_strdup(name)};
        return &z->all[i];
}

static void add(struct zones *z, const struct kobj *node)
{
        struct zone *zone;

        if (!tells(node)) {
                z->untold++;
                return;
        }
        zone = zone_of(z, node_zone(node));
        zone->nodes++;
        zone->cpu_milli += node->node->cpu_milli;
        z->cpu_milli += node->node->cpu_milli;
}

static void take(struct zones *z, const struct kobj *node)
{
        struct zone *zone;

        if (!tells(node)) {
                z->untold--;
                return;
        }
        zone = zone_of(z, node_zone(node));
        zone->cpu_milli -= node->node->cpu_milli;
        z->cpu_milli -= node->node->cpu_milli;
        if (--zone->nodes)
                return;
        free(zone->name);
        memmove(zone, zone + 1, (size_t)(&z->all[z->n--] - (zone + 1)) * sizeof(*zone));
}

bool zones_node_changed(struct zones *z, const struct kobj *old, const struct kobj *now)
{
        bool was = counts(old), is = counts(now);

        if (was && is && str_eq(node_zone(old), node_zone(now)) && old->node->cpu_milli == now->node->cpu_milli)
                return false;
        if (was)
                take(z, old);
        if (is)
                add(z, now);
        return was || is;
}

bool zones_known(const struct zones *z)
{
        return z->n >= 2 && !z->untold;
}
