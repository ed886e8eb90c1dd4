/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "agent/kubelet/node/eviction.h"
#include "agent/kubelet/pods/resources.h"
#include "base/str.h"

static const struct {
        const char *resource, *requested; /* what pods ask for of it; NULL: nothing */
        enum node_condition_kind condition;
} signals[EVICTION_SIGNALS] = {
        [EVICT_MEMORY] = {"memory", "memory", NODE_MEMORY_PRESSURE},
        [EVICT_NODEFS] = {"ephemeral-storage", "ephemeral-storage", NODE_DISK_PRESSURE},
        [EVICT_NODEFS_INODES] = {"inodes", NULL, NODE_DISK_PRESSURE},
        [EVICT_IMAGEFS] = {"ephemeral-storage", "ephemeral-storage", NODE_DISK_PRESSURE},
        [EVICT_IMAGEFS_INODES] = {"inodes", NULL, NODE_DISK_PRESSURE},
        [EVICT_PID] = {"pids", NULL, NODE_PID_PRESSURE},
};

const char *eviction_resource(enum eviction_signal s)
{
        return signals[s].resource;
}

/* ---- thresholds ---- */

static bool is_met(const struct eviction_threshold *t, const struct eviction_view *v, enum eviction_signal s, bool was)
{
        uint64_t below = eviction_amount_of(&t->below, v->capacity[s]);

        if (!t->set || !v->capacity[s])
                return false;
        if (was)
                below += eviction_amount_of(&t->reclaim, v->capacity[s]);
        return v->available[s] < below;
}

void eviction_update(const struct eviction_thresholds *t, const struct eviction_view *v, uint64_t now_ms,
                     struct eviction_state *s)
{
        for (size_t i = 0; i < EVICTION_SIGNALS; i++) {
                s->met[i] = is_met(&t->of[i], v, (enum eviction_signal)i, s->met[i]);
                if (!s->met[i])
                        continue;
                s->ever[i] = true;
                s->met_ms[i] = now_ms;
        }
}

void eviction_pressure(const struct eviction_state *s, uint64_t now_ms, uint64_t transition_ms,
                       bool ret_pressure[static NODE_READY])
{
        for (size_t i = 0; i < NODE_READY; i++)
                ret_pressure[i] = false;
        for (size_t i = 0; i < EVICTION_SIGNALS; i++)
                if (s->met[i] || (s->ever[i] && now_ms - s->met_ms[i] < transition_ms))
                        ret_pressure[signals[i].condition] = true;
}

/* ---- ranking ---- */

uint64_t eviction_request(enum eviction_signal s, const struct json_object *pod)
{
        struct quantity q;

        if (!signals[s].requested)
                return 0;
        q = pod_resource(pod, "requests", signals[s].requested, NULL);
        return (uint64_t)quantity_value(&q);
}

static bool exceeds(const struct eviction_candidate *c)
{
        return c->usage > c->request;
}

static int compare_exceeding(const struct eviction_candidate *x, const struct eviction_candidate *y)
{
        return exceeds(y) - exceeds(x);
}

static int compare_priority(const struct eviction_candidate *x, const struct eviction_candidate *y)
{
        int64_t px = json_at_i64(x->pod, "spec.priority", 0), py = json_at_i64(y->pod, "spec.priority", 0);

        return (px > py) - (px < py);
}

static int compare_excess(const struct eviction_candidate *x, const struct eviction_candidate *y)
{
        int64_t ex = (int64_t)x->usage - (int64_t)x->request, ey = (int64_t)y->usage - (int64_t)y->request;

        return (ey > ex) - (ey < ex);
}

static int by_need(const void *a, const void *b)
{
        int r = compare_exceeding(a, b);

        if (!r)
                r = compare_priority(a, b);
        return r ? r : compare_excess(a, b);
}

/* Nobody asks for processes. */
static int by_processes(const void *a, const void *b)
{
        int r = compare_priority(a, b);

        return r ? r : compare_excess(a, b);
}

void eviction_rank(enum eviction_signal s, struct eviction_candidate *all, size_t n)
{
        if (n)
                qsort(all, n, sizeof(*all), s == EVICT_PID ? by_processes : by_need);
}

/* ---- texts ---- */

static const char *amount_text(enum eviction_signal s, uint64_t amount, char buf[static QUANTITY_TEXT_SIZE])
{
        bool bytes = s == EVICT_MEMORY || s == EVICT_NODEFS || s == EVICT_IMAGEFS;
        struct quantity q = quantity_of((int64_t)amount, bytes ? QUANTITY_BINARY_SI : QUANTITY_DECIMAL_SI);

        return quantity_format(&q, buf);
}

static void add_container(enum eviction_signal s, const struct json_object *pod, const struct eviction_container *c,
                          struct strbuf *ret)
{
        char used[QUANTITY_TEXT_SIZE], asked[QUANTITY_TEXT_SIZE];
        struct quantity request = QUANTITY_NULL;

        if (signals[s].requested)
                resource_quantity(json_at(pod_container(pod, c->name), "resources.requests"), signals[s].requested,
                                  &request);
        if (c->usage <= (uint64_t)quantity_value(&request))
                return;
        strbuf_printf(ret, "Container %s was using %s, request is %s, has larger consumption of %s. ", c->name,
                      amount_text(s, c->usage, used), quantity_format(&request, asked), signals[s].resource);
}

void eviction_message(enum eviction_signal s, const struct eviction_threshold *t, const struct eviction_view *v,
                      const struct json_object *pod, const struct eviction_container *containers, size_t ncontainers,
                      struct strbuf *ret)
{
        char below[QUANTITY_TEXT_SIZE], left[QUANTITY_TEXT_SIZE];

        strbuf_printf(ret, "The node was low on resource: %s. Threshold quantity: %s, available: %s. ",
                      signals[s].resource, amount_text(s, eviction_amount_of(&t->below, v->capacity[s]), below),
                      amount_text(s, v->available[s], left));
        for (size_t i = 0; i < ncontainers; i++)
                add_container(s, pod, &containers[i], ret);
}
