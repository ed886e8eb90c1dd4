/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/metrics.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define PROFILE "profile=\"default-scheduler\""

static const char *const results[] = {"scheduled", "unschedulable", "error"};
static const char *const point_names[] = {"Filter", "Score", "PostFilter", "Bind"};
static const char *const place_names[] = {"", "active", "backoff", "unschedulable", "gated"};

static void histogram_init(struct histogram *h, double least, double factor, uint32_t n)
{
        *h = (struct histogram){.least = least, .factor = factor, .nbuckets = n};
}

void metrics_scheduler_init(struct metrics *m)
{
        *m = (struct metrics){0};
        for (size_t i = 0; i < ATTEMPT_RESULTS; i++)
                histogram_init(&m->attempt[i], 0.00001, 2, HISTOGRAM_BUCKETS);
        for (size_t i = 0; i < POINTS; i++)
                histogram_init(&m->points[i], 0.00001, 2, HISTOGRAM_BUCKETS);
        for (size_t i = 0; i < ARRAY_SIZE(m->sli); i++)
                histogram_init(&m->sli[i], 0.001, 2, HISTOGRAM_BUCKETS);
        histogram_init(&m->algorithm, 0.00001, 2, HISTOGRAM_BUCKETS);
        histogram_init(&m->tries, 1, 2, 5);
        histogram_init(&m->preemption_victims, 1, 2, 7);
}

void histogram_add(struct histogram *h, double value)
{
        double bound = h->least;
        uint32_t i = 0;

        while (i < h->nbuckets && value > bound) {
                bound *= h->factor;
                i++;
        }
        h->buckets[i]++;
        h->count++;
        h->sum += value;
}

static double seconds(uint64_t ns)
{
        return (double)ns / (double)NS_PER_S;
}

void metrics_attempt(struct metrics *m, enum attempt_result result, uint64_t ns)
{
        m->attempts[result]++;
        histogram_add(&m->attempt[result], seconds(ns));
}

void metrics_point(struct metrics *m, enum extension_point point, uint64_t ns)
{
        histogram_add(&m->points[point], seconds(ns));
        if (point == POINT_FILTER)
                histogram_add(&m->algorithm, seconds(ns));
}

void metrics_bound(struct metrics *m, uint32_t attempts, uint64_t ns)
{
        histogram_add(&m->tries, attempts);
        histogram_add(&m->sli[MIN(attempts, ARRAY_SIZE(m->sli) - 1)], seconds(ns));
}

void metrics_moved(struct metrics *m, const char *event, enum queue_place to)
{
        for (uint32_t i = 0; i < m->nevents; i++)
                if (m->events[i].name == event || str_eq(m->events[i].name, event)) {
                        m->events[i].to[to]++;
                        return;
                }
        if (m->nevents == METRIC_EVENTS)
                return;
        m->events[m->nevents].name = event;
        m->events[m->nevents++].to[to] = 1;
}

/* ---- writing ---- */

static void write_type(struct strbuf *b, const char *name, const char *type)
{
        strbuf_printf(b, "# TYPE scheduler_%s %s\n", name, type);
}

/* labels: without braces, "" for none. */
static void write_histogram(struct strbuf *b, const char *name, const char *labels, const struct histogram *h)
{
        const char *comma = *labels ? "," : "";
        double bound = h->least;
        uint64_t sum = 0;

        for (uint32_t i = 0; i < h->nbuckets; i++) {
                sum += h->buckets[i];
                strbuf_printf(b, "scheduler_%s_bucket{%s%sle=\"%.6g\"} %llu\n", name, labels, comma, bound,
                              (unsigned long long)sum);
                bound *= h->factor;
        }
        strbuf_printf(b, "scheduler_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma,
                      (unsigned long long)h->count);
        strbuf_printf(b, "scheduler_%s_sum{%s} %.9g\nscheduler_%s_count{%s} %llu\n", name, labels, h->sum, name, labels,
                      (unsigned long long)h->count);
}

static void write_attempts(const struct metrics *m, struct strbuf *b)
{
        char labels[100];

        write_type(b, "schedule_attempts_total", "counter");
        for (size_t i = 0; i < ATTEMPT_RESULTS; i++)
                strbuf_printf(b, "scheduler_schedule_attempts_total{" PROFILE ",result=\"%s\"} %llu\n", results[i],
                              (unsigned long long)m->attempts[i]);
        write_type(b, "scheduling_attempt_duration_seconds", "histogram");
        for (size_t i = 0; i < ATTEMPT_RESULTS; i++) {
                snprintf(labels, sizeof(labels), PROFILE ",result=\"%s\"", results[i]);
                write_histogram(b, "scheduling_attempt_duration_seconds", labels, &m->attempt[i]);
        }
        write_type(b, "scheduling_algorithm_duration_seconds", "histogram");
        write_histogram(b, "scheduling_algorithm_duration_seconds", "", &m->algorithm);
        write_type(b, "framework_extension_point_duration_seconds", "histogram");
        for (size_t i = 0; i < POINTS; i++) {
                snprintf(labels, sizeof(labels), "extension_point=\"%s\"," PROFILE ",status=\"Success\"",
                         point_names[i]);
                write_histogram(b, "framework_extension_point_duration_seconds", labels, &m->points[i]);
        }
}

static void write_pods(const struct metrics *m, struct strbuf *b)
{
        write_type(b, "pod_scheduling_attempts", "histogram");
        write_histogram(b, "pod_scheduling_attempts", "", &m->tries);
        write_type(b, "pod_scheduling_sli_duration_seconds", "histogram");
        for (size_t i = 1; i < ARRAY_SIZE(m->sli); i++) {
                char labels[40];

                snprintf(labels, sizeof(labels), "attempts=\"%zu%s\"", i, i + 1 == ARRAY_SIZE(m->sli) ? "+" : "");
                if (m->sli[i].count)
                        write_histogram(b, "pod_scheduling_sli_duration_seconds", labels, &m->sli[i]);
        }
        write_type(b, "preemption_attempts_total", "counter");
        strbuf_printf(b, "scheduler_preemption_attempts_total %llu\n", (unsigned long long)m->preemptions);
        write_type(b, "preemption_victims", "histogram");
        write_histogram(b, "preemption_victims", "", &m->preemption_victims);
}

static void write_queue(const struct metrics *m, const struct queue *q, struct strbuf *b)
{
        write_type(b, "pending_pods", "gauge");
        for (int i = QUEUE_ACTIVE; i < QUEUE_PLACES; i++)
                strbuf_printf(b, "scheduler_pending_pods{queue=\"%s\"} %u\n", place_names[i],
                              queue_count(q, (enum queue_place)i));
        write_type(b, "queue_incoming_pods_total", "counter");
        for (uint32_t i = 0; i < m->nevents; i++)
                for (int k = QUEUE_ACTIVE; k < QUEUE_PLACES; k++)
                        if (m->events[i].to[k])
                                strbuf_printf(
                                        b, "scheduler_queue_incoming_pods_total{event=\"%s\",queue=\"%s\"} %llu\n",
                                        m->events[i].name, place_names[k], (unsigned long long)m->events[i].to[k]);
        write_type(b, "unschedulable_pods", "gauge");
        for (size_t i = 0; i < PLUGIN_COUNT; i++)
                strbuf_printf(b, "scheduler_unschedulable_pods{plugin=\"%s\"," PROFILE "} %u\n", plugins[i]->name,
                              q->rejected_by[i]);
}

void metrics_scheduler_write(const struct metrics *m, const struct queue *q, const struct state *s, uint32_t assumed,
                             struct strbuf *b)
{
        write_attempts(m, b);
        write_pods(m, b);
        write_queue(m, q, b);
        write_type(b, "cache_size", "gauge");
        strbuf_printf(b, "scheduler_cache_size{type=\"nodes\"} %u\n", s->nnodes);
        strbuf_printf(b, "scheduler_cache_size{type=\"pods\"} %zu\n", s->pods.count);
        strbuf_printf(b, "scheduler_cache_size{type=\"assumed_pods\"} %u\n", assumed);
}
