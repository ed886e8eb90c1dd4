/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/node_vitals.h"

#define COUNT_EVERY_MS 500 /* a thousand nodes that fail at once need not be counted a thousand times */
#define PARTIAL_MIN    2   /* so many may fail in a zone of any size */

struct zone {
        uint32_t ready, not_ready;
        struct ratelimit limit;
        double rate;
};

struct zones {
        struct hashmap zones; /* "region/zone" -> struct zone * */
        uint64_t counted_ms;  /* 0: never */
};

struct zones *zones_new(void)
{
        struct zones *z = mem_new(struct zones);

        hashmap_init(&z->zones, HASHMAP_STR_OWNED);
        return z;
}

void zones_free(struct zones *z)
{
        hashmap_foreach (&z->zones, slot)
                free(slot->value);
        hashmap_deinit(&z->zones);
        free(z);
}

static struct zone *zone_of(struct zones *z, const struct kobj *node)
{
        const char *region = kobj_label(node, "topology.kubernetes.io/region");
        const char *name = kobj_label(node, "topology.kubernetes.io/zone");
        _cleanup_free_ char *key = mem_printf("%s/%s", region ? region : "", name ? name : "");
        struct zone *zone = hashmap_get(&z->zones, key);

        if (zone)
                return zone;
        zone = mem_new(struct zone);
        zone->rate = -1;
        hashmap_put(&z->zones, key, zone);
        return zone;
}

static void count(struct zones *z, const struct lister *l, uint64_t now_ms)
{
        struct arena mem = ARENA_NULL;
        struct kobjs nodes;

        if (z->counted_ms && now_ms - z->counted_ms < COUNT_EVERY_MS)
                return;
        z->counted_ms = now_ms;
        hashmap_foreach (&z->zones, slot)
                ((struct zone *)slot->value)->ready = ((struct zone *)slot->value)->not_ready = 0;
        nodes = lister_all(l, &res_nodes, &mem);
        kobjs_foreach (nodes, node) {
                struct zone *zone = zone_of(z, node);

                if (node_ready(node) == TRI_TRUE)
                        zone->ready++;
                else
                        zone->not_ready++;
        }
        arena_deinit(&mem);
}

static enum zone_state state_of(const struct zone *z, const struct config *c)
{
        if (z->not_ready && !z->ready)
                return ZONE_FULL;
        if (z->not_ready > PARTIAL_MIN && z->not_ready >= c->unhealthy_zone * (z->ready + z->not_ready))
                return ZONE_PARTIAL;
        return ZONE_NORMAL;
}

bool zones_all_down(struct zones *z, const struct lister *l, const struct config *c, uint64_t now_ms)
{
        size_t down = 0, some = 0;

        count(z, l, now_ms);
        hashmap_foreach (&z->zones, slot) {
                const struct zone *zone = slot->value;

                some += zone->ready + zone->not_ready > 0;
                down += state_of(zone, c) == ZONE_FULL;
        }
        return some && down == some;
}

static double rate_of(const struct zone *z, const struct config *c)
{
        if (state_of(z, c) != ZONE_PARTIAL)
                return c->eviction_rate;
        return z->ready + z->not_ready > c->large_cluster ? c->secondary_eviction_rate : 0;
}

bool zones_allow(struct zones *z, const struct lister *l, const struct config *c, const struct kobj *node,
                 uint64_t now_ms, uint64_t *ret_wait_ms)
{
        struct zone *zone = zone_of(z, node);
        double rate;

        *ret_wait_ms = UINT64_MAX;
        if (zones_all_down(z, l, c, now_ms))
                return false;
        rate = rate_of(zone, c);
        if (rate <= 0)
                return false;
        if (rate != zone->rate) {
                ratelimit_init(&zone->limit, rate, 1);
                zone->rate = rate;
        }
        if (ratelimit_allow(&zone->limit, now_ms * NS_PER_MS))
                return true;
        *ret_wait_ms = (uint64_t)(1000 / rate) + 1;
        return false;
}
