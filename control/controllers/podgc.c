/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that nobody will end: those of a node that is gone or was declared out of service, those that were deleted
 * before they had a node, and the oldest of too many finished ones.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/config.h"
#include "controllers/engine/controller.h"

#define QUARANTINE_MS  40000       /* so long may a node be away: one that registers again finds its pods */
#define FINISHED       "#finished" /* the key that stands for all finished pods; no pod's key is without a slash */
#define FINISHED_MS    1000        /* between looks at them */
#define OUT_OF_SERVICE "node.kubernetes.io/out-of-service"

enum why {
        WHY_ORPHANED,
        WHY_OUT_OF_SERVICE,
        WHY_UNSCHEDULED,
        WHY_TERMINATED,
        WHYS,
};

static const char *const why_names[WHYS] = {"orphaned", "out-of-service", "unscheduled", "terminated"};

struct gc {
        struct hashmap missing_ms; /* node -> since when it was not there, monotonic, as a pointer's number */
        size_t finished;           /* pods */
        uint64_t looked_ms;        /* at them; 0: never */
        uint64_t deleted[WHYS];
};

static void *gc_new(struct runner *r)
{
        struct gc *gc = mem_new(struct gc);

        hashmap_init(&gc->missing_ms, HASHMAP_STR_OWNED);
        return gc;
}

static void gc_free(void *state)
{
        struct gc *gc = state;

        hashmap_deinit(&gc->missing_ms);
        free(gc);
}

static bool is_out_of_service(const struct kobj *node)
{
        for (size_t i = 0; node && i < node->node->ntaints; i++)
                if (str_eq(node->node->taints[i].key, OUT_OF_SERVICE))
                        return true;
        return false;
}

static bool is_ready(const struct kobj *node)
{
        for (size_t i = 0; i < node->node->nconditions; i++)
                if (str_eq(node->node->conditions[i].type, "Ready"))
                        return node->node->conditions[i].status == TRI_TRUE;
        return false;
}

/* ---- what is looked at ---- */

static bool may_be_garbage(const struct runner *r, const struct kobj *pod)
{
        const struct kobj *node;

        if (!*pod->pod->node)
                return pod->deleted_s;
        node = lister_find(runner_lister(r), &res_nodes, pod->pod->node);
        return !node || (pod->deleted_s && is_out_of_service(node));
}

static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct gc *gc = runner_state(r);
        uint32_t threshold = runner_config(r)->terminated_pod_threshold;

        gc->finished -= old && pod_is_finished(old);
        gc->finished += now && pod_is_finished(now);
        if (threshold && gc->finished > threshold)
                runner_add(r, FINISHED);
        if (now && may_be_garbage(r, now))
                runner_add_object(r, now);
}

static void on_node(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct gc *gc = runner_state(r);
        struct arena mem = ARENA_NULL;
        struct kobjs pods;

        if (now)
                hashmap_del(&gc->missing_ms, now->name);
        if (now && !is_out_of_service(now))
                return;
        pods = lister_on_node(runner_lister(r), now ? now->name : old->name, &mem);
        kobjs_foreach (pods, pod)
                runner_add_object(r, pod);
        arena_deinit(&mem);
}

/* ---- what is done ---- */

static void add_disruption(struct sync *s, struct json_object *status)
{
        struct json_object *list = json_object_new_array(), *c = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", "DisruptionTarget");
        json_set_str(c, "status", "True");
        json_set_str(c, "reason", "DeletionByPodGC");
        json_set_str(c, "message", "PodGC: node no longer exists");
        json_set_str(c, "lastTransitionTime", clock_format(s->now_ms / 1000, now));
        json_object_array_add(list, c);
        json_set(status, "conditions", list);
}

/* The phase first: whoever counts a pod by how it ended must find that out. */
static void end_pod(struct sync *s, const struct kobj *pod, enum why why)
{
        struct gc *gc = s->state;

        if (!pod_is_finished(pod)) {
                struct json_object *patch = json_object_new_object(), *status = json_ensure(patch, "status");

                json_set_str(status, "phase", "Failed");
                if (why == WHY_ORPHANED)
                        add_disruption(s, status);
                step_strategic(plan_patch(s, pod, "status", patch));
                plan_then(s);
        }
        step_grace(plan_delete(s, pod), 0);
        gc->deleted[why]++;
}

static void sync_orphan(struct sync *s, const struct kobj *pod)
{
        const char *node = pod->pod->node;
        struct gc *gc = s->state;
        uint64_t limit = MIN((uint64_t)QUARANTINE_MS, (uint64_t)s->config->node_grace_ms), away;
        uint64_t since = (uint64_t)(uintptr_t)hashmap_get(&gc->missing_ms, node);

        if (!since) {
                since = MAX(s->mono_ms, (uint64_t)1);
                hashmap_put(&gc->missing_ms, node, (void *)(uintptr_t)since);
        }
        away = s->mono_ms - MIN(since, s->mono_ms);
        if (away < limit) {
                plan_after(s, limit - away);
                return;
        }
        plan_confirm_absent(s, &res_nodes, NULL, node, NULL);
        plan_then(s);
        end_pod(s, pod, WHY_ORPHANED);
}

static void sync_pod(struct sync *s, const struct kobj *pod)
{
        const struct kobj *node = lister_find(s->lister, &res_nodes, pod->pod->node);
        bool done = pod_is_finished(pod) && pod->deleted_s && !pod->pod->grace_s; /* its finalizers hold it */

        if (done)
                return;
        if (!*pod->pod->node) {
                if (pod->deleted_s)
                        end_pod(s, pod, WHY_UNSCHEDULED);
        } else if (!node) {
                sync_orphan(s, pod);
        } else if (pod->deleted_s && is_out_of_service(node) && !is_ready(node)) {
                end_pod(s, pod, WHY_OUT_OF_SERVICE);
        }
}

/* Evicted ones first, as they say least; then by age. */
static int compare_finished(const void *a, const void *b)
{
        const struct kobj *x = *(const struct kobj *const *)a, *y = *(const struct kobj *const *)b;
        bool ex = str_eq(x->pod->reason, "Evicted"), ey = str_eq(y->pod->reason, "Evicted");

        if (ex != ey)
                return ex ? -1 : 1;
        if (x->created_s != y->created_s)
                return x->created_s < y->created_s ? -1 : 1;
        return strcmp(x->key, y->key);
}

static void sync_finished(struct sync *s)
{
        struct kobjs all = lister_all(s->lister, &res_pods, s->mem);
        struct gc *gc = s->state;
        size_t n = 0, excess;

        if (gc->looked_ms && s->mono_ms - gc->looked_ms < FINISHED_MS) {
                plan_after(s, FINISHED_MS);
                return;
        }
        gc->looked_ms = MAX(s->mono_ms, (uint64_t)1);
        kobjs_foreach (all, pod)
                if (pod_is_finished(pod) && !pod->deleted_s)
                        all.items[n++] = pod;
        excess = n > s->config->terminated_pod_threshold ? n - s->config->terminated_pod_threshold : 0;
        qsort(all.items, n, sizeof(*all.items), compare_finished);
        for (size_t i = 0; i < excess; i++)
                end_pod(s, all.items[i], WHY_TERMINATED);
}

static void sync_key(struct sync *s)
{
        const struct kobj *pod;

        if (str_eq(s->key, FINISHED)) {
                if (s->config->terminated_pod_threshold)
                        sync_finished(s);
                return;
        }
        pod = lister_find(s->lister, &res_pods, s->key);
        if (pod)
                sync_pod(s, pod);
}

static void metrics(const struct runner *r, struct strbuf *b)
{
        const struct gc *gc = runner_state(r);

        strbuf_add_str(b, "# TYPE pod_gc_collector_force_delete_pods_total counter\n");
        for (size_t i = 0; i < WHYS; i++)
                strbuf_printf(b, "pod_gc_collector_force_delete_pods_total{reason=\"%s\"} %" PRIu64 "\n", why_names[i],
                              gc->deleted[i]);
}

const struct controller controller_podgc = {
        .name = "pod-garbage-collector",
        .watches = (const struct watch[]){{&res_pods, on_pod}, {&res_nodes, on_node}, {0}},
        .sync = sync_key,
        .state_new = gc_new,
        .state_free = gc_free,
        .metrics = metrics,
        .backoff_max_ms = 30000,
};
