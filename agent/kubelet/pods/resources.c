/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/pods/resources.h"
#include "base/str.h"

#define SHARES_MIN        2
#define SHARES_MAX        262144
#define QUOTA_MIN_US      1000
#define OOM_GUARANTEED    -997
#define OOM_BEST_EFFORT   1000
#define CRITICAL_PRIORITY 2000000000

static const char *const qos_names[] = {
        [QOS_GUARANTEED] = "Guaranteed", [QOS_BURSTABLE] = "Burstable", [QOS_BEST_EFFORT] = "BestEffort"};

const char *pod_qos_name(enum pod_qos qos)
{
        return qos_names[qos];
}

bool resource_quantity(const struct json_object *list, const char *name, struct quantity *ret)
{
        struct json_object *v = json_get(list, name);

        *ret = QUANTITY_NULL;
        return v && quantity_parse(json_object_get_string(v), ret, NULL) == 0;
}

bool container_is_sidecar(const struct json_object *container)
{
        return str_eq(json_get_str(container, "restartPolicy"), "Always");
}

struct json_object *pod_container(const struct json_object *pod, const char *name)
{
        static const char *const lists[] = {"spec.containers", "spec.initContainers"};

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                json_array_foreach (json_at(pod, lists[i]), k, c)
                        if (str_eq(json_get_str(c, "name"), name))
                                return c;
        }
        return NULL;
}

/* The two resources that decide about the quality of service. */
static const char *const deciding[] = {"cpu", "memory"};
#define DECIDING ARRAY_SIZE(deciding)

struct qos_sums {
        struct quantity requests[DECIDING], limits[DECIDING];
        bool all_limited;
};

static bool add(const struct json_object *list, const char *name, struct quantity *sum)
{
        struct quantity q;

        if (!resource_quantity(list, name, &q) || quantity_sign(&q) <= 0)
                return false;
        quantity_add(sum, &q);
        return true;
}

static void add_requirements(struct qos_sums *s, const struct json_object *resources)
{
        for (size_t i = 0; i < DECIDING; i++) {
                add(json_get(resources, "requests"), deciding[i], &s->requests[i]);
                if (!add(json_get(resources, "limits"), deciding[i], &s->limits[i]))
                        s->all_limited = false;
        }
}

enum pod_qos pod_qos_class(const struct json_object *pod)
{
        struct json_object *whole = json_at(pod, "spec.resources");
        struct qos_sums s = {.all_limited = true};
        bool any = false, equal = true;

        if (json_has(whole, "requests") || json_has(whole, "limits")) {
                add_requirements(&s, whole);
        } else {
                json_array_foreach (json_at(pod, "spec.containers"), i, c)
                        add_requirements(&s, json_get(c, "resources"));
                json_array_foreach (json_at(pod, "spec.initContainers"), k, init)
                        add_requirements(&s, json_get(init, "resources"));
        }
        for (size_t i = 0; i < DECIDING; i++) {
                any |= quantity_sign(&s.requests[i]) > 0 || quantity_sign(&s.limits[i]) > 0;
                /* A request that is not said is the limit, as the API server fills it in. */
                equal &= quantity_sign(&s.requests[i]) == 0 || quantity_compare(&s.requests[i], &s.limits[i]) == 0;
        }
        if (!any)
                return QOS_BEST_EFFORT;
        return s.all_limited && equal ? QOS_GUARANTEED : QOS_BURSTABLE;
}

static void raise_to(struct quantity *q, const struct quantity *at_least)
{
        if (quantity_compare(q, at_least) < 0)
                *q = *at_least;
}

static bool of_container(const struct json_object *c, const char *which, const char *name, struct quantity *ret)
{
        return resource_quantity(json_get(json_get(c, "resources"), which), name, ret);
}

/* Init containers run one after the other, each beside the sidecars that were started before it. */
static struct quantity of_init(const struct json_object *pod, const char *which, const char *name,
                               struct quantity *ret_sidecars, bool *all)
{
        struct quantity most = QUANTITY_NULL, sidecars = QUANTITY_NULL, q;

        json_array_foreach (json_at(pod, "spec.initContainers"), i, c) {
                *all &= of_container(c, which, name, &q) && quantity_sign(&q) > 0;
                if (container_is_sidecar(c)) {
                        quantity_add(&sidecars, &q);
                        raise_to(&most, &sidecars);
                } else {
                        quantity_add(&q, &sidecars);
                        raise_to(&most, &q);
                }
        }
        *ret_sidecars = sidecars;
        return most;
}

struct quantity pod_resource(const struct json_object *pod, const char *which, const char *name, bool *ret_all)
{
        struct quantity sum = QUANTITY_NULL, sidecars, init, q;
        bool all = true;

        init = of_init(pod, which, name, &sidecars, &all);
        json_array_foreach (json_at(pod, "spec.containers"), i, c) {
                all &= of_container(c, which, name, &q) && quantity_sign(&q) > 0;
                quantity_add(&sum, &q);
        }
        quantity_add(&sum, &sidecars);
        raise_to(&sum, &init);
        if (resource_quantity(json_get(json_at(pod, "spec.resources"), which), name, &q)) {
                sum = q;
                all = true;
        }
        if (quantity_sign(&sum) > 0 && resource_quantity(json_at(pod, "spec.overhead"), name, &q))
                quantity_add(&sum, &q);
        if (ret_all)
                *ret_all = all;
        return sum;
}

int64_t cpu_shares(int64_t milli)
{
        int64_t shares = milli > INT64_MAX / 1024 ? SHARES_MAX : milli * 1024 / 1000;

        return MIN(MAX(shares, SHARES_MIN), SHARES_MAX);
}

int64_t cpu_quota_us(int64_t milli)
{
        if (milli <= 0)
                return 0;
        return MAX(MIN(milli, INT64_MAX / CPU_PERIOD_US) * CPU_PERIOD_US / 1000, QUOTA_MIN_US);
}

static bool node_critical(const struct json_object *pod)
{
        struct json_object *annotations = json_at(pod, "metadata.annotations");
        const char *source = json_get_str(annotations, "kubernetes.io/config.source");
        bool critical = json_at_i64(pod, "spec.priority", 0) >= CRITICAL_PRIORITY || (source && !str_eq(source, "api"));

        return critical && str_eq(json_at_str(pod, "spec.priorityClassName"), "system-node-critical");
}

static int64_t memory_request(const struct json_object *container)
{
        struct quantity q;

        of_container(container, "requests", "memory", &q);
        return quantity_value(&q);
}

/* What the pod asks for as a whole and its containers do not is theirs in equal parts. */
static int64_t share_of_rest(const struct json_object *pod)
{
        struct quantity whole;
        int64_t named = 0, n = 0;

        if (!resource_quantity(json_at(pod, "spec.resources.requests"), "memory", &whole))
                return 0;
        json_array_foreach (json_at(pod, "spec.containers"), i, c) {
                named += memory_request(c);
                n++;
        }
        json_array_foreach (json_at(pod, "spec.initContainers"), k, init) {
                if (container_is_sidecar(init)) {
                        named += memory_request(init);
                        n++;
                }
        }
        return n ? MAX(quantity_value(&whole) - named, 0) / n : 0;
}

static int64_t score(int64_t request, int64_t capacity)
{
        return 1000 - (int64_t)((__int128)1000 * request / MAX(capacity, 1));
}

static bool is_sidecar_of(const struct json_object *pod, const struct json_object *container)
{
        json_array_foreach (json_at(pod, "spec.initContainers"), i, c)
                if (str_eq(json_get_str(c, "name"), json_get_str(container, "name")))
                        return container_is_sidecar(c);
        return false;
}

/* A sidecar is not killed before the containers that need it. */
static int64_t least_request(const struct json_object *pod)
{
        int64_t least = INT64_MAX;

        json_array_foreach (json_at(pod, "spec.containers"), i, c)
                least = MIN(least, memory_request(c));
        return least == INT64_MAX ? 0 : least;
}

int64_t container_oom_score_adj(const struct json_object *pod, const struct json_object *container,
                                int64_t memory_capacity)
{
        enum pod_qos qos = pod_qos_class(pod);
        int64_t rest, adj;

        if (qos == QOS_GUARANTEED || node_critical(pod))
                return OOM_GUARANTEED;
        if (qos == QOS_BEST_EFFORT)
                return OOM_BEST_EFFORT;
        rest = share_of_rest(pod);
        adj = score(memory_request(container) + rest, memory_capacity);
        if (is_sidecar_of(pod, container))
                adj = MIN(adj, score(least_request(pod) + rest, memory_capacity));
        return MIN(MAX(adj, 1000 + OOM_GUARANTEED), OOM_BEST_EFFORT - 1);
}

#define UNLIMITED ((struct container_resources){-1, -1, -1, -1, -1, -1, -1, NULL})

/* Swap is none of a limited container's: memory and swap together are as much as memory. */
static void limit_memory(struct container_resources *r, int64_t bytes)
{
        r->memory_bytes = bytes;
        r->swap_bytes = bytes;
}

static void limit_cpu(struct container_resources *r, int64_t milli)
{
        r->cpu_quota_us = cpu_quota_us(milli);
        r->cpu_period_us = CPU_PERIOD_US;
}

static bool asks_for_cpu(const struct json_object *pod)
{
        struct quantity requests = pod_resource(pod, "requests", "cpu", NULL),
                        limits = pod_resource(pod, "limits", "cpu", NULL);

        return quantity_sign(&requests) > 0 || quantity_sign(&limits) > 0;
}

/*
 * Shares weigh a group against its siblings. Where no sibling names any, all stay at the kernel's default, which is the
 * same as the least for each of them, and costs no v1 group.
 */
struct container_resources container_limits(const struct json_object *pod, const struct json_object *container,
                                            int64_t memory_capacity)
{
        struct container_resources r = UNLIMITED;
        struct quantity request, limit;

        of_container(container, "requests", "cpu", &request);
        if (of_container(container, "limits", "cpu", &limit) && quantity_sign(&limit) > 0)
                limit_cpu(&r, quantity_milli(&limit));
        if (asks_for_cpu(pod))
                r.cpu_shares = cpu_shares(quantity_milli(quantity_sign(&request) > 0 ? &request : &limit));
        if (of_container(container, "limits", "memory", &limit) && quantity_sign(&limit) > 0)
                limit_memory(&r, quantity_value(&limit));
        r.oom_score_adj = container_oom_score_adj(pod, container, memory_capacity);
        return r;
}

struct container_resources pod_limits(const struct json_object *pod, int64_t pids_limit)
{
        struct container_resources r = UNLIMITED;
        struct quantity request = pod_resource(pod, "requests", "cpu", NULL), cpu, memory;
        bool all_cpu, all_memory;

        if (pids_limit > 0)
                r.pids = pids_limit;
        if (pod_qos_class(pod) == QOS_BEST_EFFORT)
                return r;
        cpu = pod_resource(pod, "limits", "cpu", &all_cpu);
        memory = pod_resource(pod, "limits", "memory", &all_memory);
        r.cpu_shares = cpu_shares(quantity_milli(&request));
        if (all_cpu && quantity_sign(&cpu) > 0)
                limit_cpu(&r, quantity_milli(&cpu));
        if (all_memory && quantity_sign(&memory) > 0)
                limit_memory(&r, quantity_value(&memory));
        return r;
}
