/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/mem.h"
#include "controllers/endpoint/metrics.h"

#define SLICE_PREFIX     "endpoint_slice_controller"
#define MIRRORING_PREFIX "endpoint_slice_mirroring_controller"

static const char *const traffic_names[] = {
        [TRAFFIC_ANYWHERE] = "",
        [TRAFFIC_SAME_ZONE] = "PreferSameZone",
        [TRAFFIC_SAME_NODE] = "PreferSameNode",
};

void slice_metrics_init(struct slice_metrics *m)
{
        *m = (struct slice_metrics){0};
        hashmap_init(&m->objects, HASHMAP_STR_OWNED);
}

void slice_metrics_deinit(struct slice_metrics *m)
{
        hashmap_foreach (&m->objects, slot)
                free(slot->value);
        hashmap_deinit(&m->objects);
}

void histogram_observe(struct histogram *h, uint64_t n)
{
        h->count++;
        h->sum += n;
        for (unsigned int i = 0; i < METRICS_BUCKETS; i++)
                if (n <= 2ULL << i) {
                        h->buckets[i]++;
                        return;
                }
}

static void take_off(struct slice_metrics *m, const struct object_counts *c)
{
        m->sums.slices -= c->slices;
        m->sums.desired_slices -= c->desired_slices;
        m->sums.endpoints -= c->endpoints;
        m->by_traffic[c->traffic]--;
}

void slice_metrics_object(struct slice_metrics *m, const char *key, const struct object_counts *counts)
{
        struct object_counts *was = counts ? hashmap_get(&m->objects, key) : hashmap_del(&m->objects, key);

        if (was)
                take_off(m, was);
        if (!counts) {
                free(was);
                return;
        }
        if (!was) {
                was = mem_new(struct object_counts);
                hashmap_put(&m->objects, key, was);
        }
        *was = *counts;
        m->sums.slices += counts->slices;
        m->sums.desired_slices += counts->desired_slices;
        m->sums.endpoints += counts->endpoints;
        m->by_traffic[counts->traffic]++;
}

void slice_metrics_planned(struct slice_metrics *m, const struct sync *s, const struct draft_counts *c)
{
        m->syncs++;
        m->errors += s->failed != NULL;
        m->created += c->created;
        m->rewritten += c->updated;
        m->deleted += c->deleted;
}

/* ---- text ---- */

static void write_histogram(struct strbuf *b, const char *name, const char *labels, const struct histogram *h)
{
        const char *comma = *labels ? "," : "";
        uint64_t sum = 0;

        for (unsigned int i = 0; i < METRICS_BUCKETS; i++) {
                sum += h->buckets[i];
                strbuf_printf(b, "%s_bucket{%s%sle=\"%llu\"} %llu\n", name, labels, comma, 2ULL << i,
                              (unsigned long long)sum);
        }
        strbuf_printf(b, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, (unsigned long long)h->count);
        strbuf_printf(b, "%s_sum{%s} %llu\n%s_count{%s} %llu\n", name, labels, (unsigned long long)h->sum, name, labels,
                      (unsigned long long)h->count);
}

static void write_one(struct strbuf *b, const char *prefix, const char *name, const struct histogram *h)
{
        _cleanup_free_ char *full = mem_printf("%s_%s", prefix, name);

        strbuf_printf(b, "# TYPE %s histogram\n", full);
        write_histogram(b, full, "", h);
}

static void write_number(struct strbuf *b, const char *prefix, const char *name, const char *type, const char *labels,
                         uint64_t n)
{
        if (type)
                strbuf_printf(b, "# TYPE %s_%s %s\n", prefix, name, type);
        strbuf_printf(b, "%s_%s%s %llu\n", prefix, name, labels, (unsigned long long)n);
}

static void write_common(const struct slice_metrics *m, struct strbuf *b, const char *prefix)
{
        write_one(b, prefix, "endpoints_added_per_sync", &m->added);
        write_one(b, prefix, "endpoints_removed_per_sync", &m->removed);
        write_number(b, prefix, "endpoints_desired", "gauge", "", m->sums.endpoints);
        write_number(b, prefix, "num_endpoint_slices", "gauge", "", m->sums.slices);
        write_number(b, prefix, "desired_endpoint_slices", "gauge", "", m->sums.desired_slices);
        write_number(b, prefix, "changes", "counter", "{operation=\"create\"}", m->created);
        write_number(b, prefix, "changes", NULL, "{operation=\"update\"}", m->rewritten);
        write_number(b, prefix, "changes", NULL, "{operation=\"delete\"}", m->deleted);
}

static void write_changed(const struct slice_metrics *m, struct strbuf *b)
{
        strbuf_add_str(b, "# TYPE " SLICE_PREFIX "_endpointslices_changed_per_sync histogram\n");
        for (unsigned int spread = 0; spread < 2; spread++)
                for (enum traffic t = TRAFFIC_ANYWHERE; t <= TRAFFIC_SAME_NODE; t++) {
                        _cleanup_free_ char *labels = mem_printf("topology=\"%s\",traffic_distribution=\"%s\"",
                                                                 spread ? "Auto" : "Disabled", traffic_names[t]);

                        if (m->changed[spread][t].count)
                                write_histogram(b, SLICE_PREFIX "_endpointslices_changed_per_sync", labels,
                                                &m->changed[spread][t]);
                }
}

void slice_metrics_write(const struct slice_metrics *m, struct strbuf *b)
{
        write_common(m, b, SLICE_PREFIX);
        write_changed(m, b);
        write_number(b, SLICE_PREFIX, "syncs", "counter", "{result=\"success\"}", m->syncs - m->errors);
        write_number(b, SLICE_PREFIX, "syncs", NULL, "{result=\"error\"}", m->errors);
        strbuf_add_str(b, "# TYPE " SLICE_PREFIX "_services_count_by_traffic_distribution gauge\n");
        for (enum traffic t = TRAFFIC_SAME_ZONE; t <= TRAFFIC_SAME_NODE; t++)
                strbuf_printf(
                        b, SLICE_PREFIX "_services_count_by_traffic_distribution{traffic_distribution=\"%s\"} %llu\n",
                        traffic_names[t], (unsigned long long)m->by_traffic[t]);
}

void slice_metrics_write_mirroring(const struct slice_metrics *m, struct strbuf *b)
{
        write_common(m, b, MIRRORING_PREFIX);
        write_one(b, MIRRORING_PREFIX, "endpoints_updated_per_sync", &m->updated);
        write_one(b, MIRRORING_PREFIX, "addresses_skipped_per_sync", &m->skipped);
}
