/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "load/net.h"

void net_counts_add(struct net_counts *c, const char *name, size_t len)
{
        struct net_count *item;

        if (len >= sizeof(item->name))
                len = sizeof(item->name) - 1;
        for (size_t i = 0; i < c->n; i++) {
                item = &c->items[i];
                if (memcmp(item->name, name, len) != 0 || item->name[len])
                        continue;
                item->n++;
                return;
        }
        if (c->n == NET_NAMES) {
                c->others++;
                return;
        }
        if (!c->items && !(c->items = calloc(NET_NAMES, sizeof(*c->items))))
                abort();
        item = &c->items[c->n++];
        memcpy(item->name, name, len);
        item->n = 1;
}

void net_counts_json(const struct net_counts *c, struct strbuf *b)
{
        strbuf_add_char(b, '{');
        for (size_t i = 0; i < c->n; i++) {
                strbuf_add_str(b, i ? ", " : "");
                strbuf_add_json_str(b, c->items[i].name, strlen(c->items[i].name));
                strbuf_printf(b, ": %llu", (unsigned long long)c->items[i].n);
        }
        if (c->others)
                strbuf_printf(b, ", \"(others)\": %llu", (unsigned long long)c->others);
        strbuf_add_char(b, '}');
}

void net_counts_deinit(struct net_counts *c)
{
        free(c->items);
        *c = (struct net_counts){0};
}

static size_t time_bucket(uint64_t ns)
{
        unsigned power;

        if (ns < NET_TIME_STEPS)
                return ns;
        power = 63 - (unsigned)__builtin_clzll(ns);
        if (power >= 43)
                return NET_TIME_BUCKETS - 1;
        return (size_t)(power - 5) * NET_TIME_STEPS + (ns >> (power - 6) & (NET_TIME_STEPS - 1));
}

/* The upper end. */
static uint64_t bucket_time(size_t bucket)
{
        if (bucket < NET_TIME_STEPS)
                return bucket;
        return (NET_TIME_STEPS + 1 + bucket % NET_TIME_STEPS) << (bucket / NET_TIME_STEPS - 1);
}

void net_times_add(struct net_times *t, uint64_t ns)
{
        t->bucket[time_bucket(ns)]++;
        t->n++;
        t->sum_ns += ns;
        if (ns > t->max_ns)
                t->max_ns = ns;
}

static double quantile_us(const struct net_times *t, double q)
{
        uint64_t wanted = (uint64_t)(q * (double)t->n), seen = 0;

        for (size_t i = 0; i < NET_TIME_BUCKETS; i++) {
                seen += t->bucket[i];
                if (seen > wanted)
                        return (double)(bucket_time(i) < t->max_ns ? bucket_time(i) : t->max_ns) / 1e3;
        }
        return (double)t->max_ns / 1e3;
}

void net_times_json(const struct net_times *t, struct strbuf *b)
{
        strbuf_printf(b, "{\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f, \"mean\": %.1f}",
                      quantile_us(t, 0.5), quantile_us(t, 0.9), quantile_us(t, 0.99), (double)t->max_ns / 1e3,
                      t->n ? (double)t->sum_ns / (double)t->n / 1e3 : 0);
}
