/* SPDX-License-Identifier: Apache-2.0 */
/* /pods, /runningpods, /metrics, /metrics/resource. */

#include "agent/kubelet/server/usage.h"
#include "base/clock.h"
#include "base/str.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void begin_list(struct strbuf *b)
{
        strbuf_add_str(b, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
}

static void end_list(struct ask *a, struct strbuf *b)
{
        if (b->data[b->len - 1] == ',')
                b->len--;
        strbuf_add_str(b, "]}\n");
        ask_answer(a, "application/json", b);
}

/* The pod as its source says it, with the status as it is here. */
static void add_pod(void *userdata, const struct pod_view *pod)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct strbuf *b = userdata;

        json_foreach (pod->pod, key, value)
                if (!str_eq(key, "status") || !pod->status)
                        json_set(o, key, json_object_get(value));
        if (pod->status)
                json_set(o, "status", json_object_get((struct json_object *)pod->status));
        json_write(b, o);
        strbuf_add_char(b, ',');
}

void pods_get(struct ask *a)
{
        struct strbuf b = STRBUF_NULL;

        begin_list(&b);
        pods_each(a->s->opts.pods, add_pod, &b);
        end_list(a, &b);
}

/* Only what the runtime knows, as upstream: names and images. */
static void add_running(void *userdata, const struct pod_usage *u)
{
        _cleanup_json_ struct json_object *o = json_object_new_object();
        struct json_object *meta = json_ensure(o, "metadata"), *list = json_object_new_array();
        struct strbuf *b = userdata;

        json_set_str(meta, "name", u->pod->name);
        json_set_str(meta, "namespace", u->pod->ns);
        json_set_str(meta, "uid", u->pod->uid);
        for (size_t i = 0; i < u->n; i++) {
                struct json_object *c = json_object_new_object();

                json_set_str(c, "name", u->containers[i].name);
                json_set(c, "resources", json_object_new_object());
                json_object_array_add(list, c);
        }
        json_set(json_ensure(o, "spec"), "containers", list);
        json_set(o, "status", json_object_new_object());
        json_write(b, o);
        strbuf_add_char(b, ',');
}

void running_pods_get(struct ask *a)
{
        struct strbuf b = STRBUF_NULL;

        begin_list(&b);
        usage_each_pod(a->s, add_running, &b);
        end_list(a, &b);
}

/* A metric's lines lie together in the answer, and pods are walked once. */
enum metric {
        CONTAINER_CPU,
        CONTAINER_MEMORY,
        CONTAINER_START,
        POD_CPU,
        POD_MEMORY,
        METRICS,
};

static const struct {
        const char *name, *type, *help;
} metrics[METRICS] = {
        {"container_cpu_usage_seconds_total", "counter",
         "Cumulative cpu time consumed by the container in core-seconds"},
        {"container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes"},
        {"container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds"},
        {"pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds"},
        {"pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes"},
};

struct page {
        struct strbuf lines[METRICS];
        int64_t now_ms;
};

static void add_head(struct strbuf *b, const char *name, const char *type, const char *help)
{
        strbuf_printf(b, "# HELP %s [STABLE] %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_container(struct page *p, const struct pod_view *pod, const struct container_usage *c)
{
        char labels[512];

        snprintf(labels, sizeof(labels), "{container=\"%s\",namespace=\"%s\",pod=\"%s\"}", c->name, pod->ns, pod->name);
        strbuf_printf(&p->lines[CONTAINER_CPU], "%s%s %.9f %lld\n", metrics[CONTAINER_CPU].name, labels,
                      (double)c->cpu_ns / 1e9, (long long)p->now_ms);
        strbuf_printf(&p->lines[CONTAINER_MEMORY], "%s%s %llu %lld\n", metrics[CONTAINER_MEMORY].name, labels,
                      (unsigned long long)c->working_set, (long long)p->now_ms);
        strbuf_printf(&p->lines[CONTAINER_START], "%s%s %.9f\n", metrics[CONTAINER_START].name, labels,
                      (double)c->started_ns / 1e9);
}

static void add_usage(void *userdata, const struct pod_usage *u)
{
        struct page *p = userdata;
        char labels[384];

        for (size_t i = 0; i < u->n; i++)
                add_container(p, u->pod, &u->containers[i]);
        snprintf(labels, sizeof(labels), "{namespace=\"%s\",pod=\"%s\"}", u->pod->ns, u->pod->name);
        strbuf_printf(&p->lines[POD_CPU], "%s%s %.9f %lld\n", metrics[POD_CPU].name, labels, (double)u->cpu_ns / 1e9,
                      (long long)p->now_ms);
        strbuf_printf(&p->lines[POD_MEMORY], "%s%s %llu %lld\n", metrics[POD_MEMORY].name, labels,
                      (unsigned long long)u->working_set, (long long)p->now_ms);
}

static void resource_metrics(struct ask *a)
{
        struct page p = {.now_ms = clock_wall_ns() / (int64_t)NS_PER_MS};
        struct strbuf b = STRBUF_NULL;
        struct node_usage node;

        node_usage(a->s->opts.node, &node);
        usage_each_pod(a->s, add_usage, &p);
        for (size_t i = 0; i < METRICS; i++) {
                add_head(&b, metrics[i].name, metrics[i].type, metrics[i].help);
                strbuf_add(&b, p.lines[i].data ?: "", p.lines[i].len);
                strbuf_deinit(&p.lines[i]);
        }
        add_head(&b, "node_cpu_usage_seconds_total", "counter",
                 "Cumulative cpu time consumed by the node in core-seconds");
        strbuf_printf(&b, "node_cpu_usage_seconds_total %.9f %lld\n", (double)node.cpu_ns / 1e9, (long long)p.now_ms);
        add_head(&b, "node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes");
        strbuf_printf(&b, "node_memory_working_set_bytes %llu %lld\n", (unsigned long long)node.working_set_bytes,
                      (long long)p.now_ms);
        add_head(&b, "resource_scrape_error", "gauge",
                 "1 if there was an error while getting container metrics, 0 otherwise");
        strbuf_add_str(&b, "resource_scrape_error 0\n");
        ask_answer(a, METRICS_TYPE, &b);
}

void metrics_get(struct ask *a)
{
        struct strbuf b = STRBUF_NULL;

        if (a->nsegments && str_eq(a->segments[0], "resource")) {
                resource_metrics(a);
        } else if (a->nsegments) {
                ask_fail(a, 404, "404 page not found");
        } else {
                if (a->s->opts.metrics)
                        a->s->opts.metrics(a->s->opts.userdata, &b);
                ask_answer(a, METRICS_TYPE, &b);
        }
}
