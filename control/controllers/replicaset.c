/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ReplicaSets and ReplicationControllers: as many pods of a template as the spec says. What differs between the two is
 * where the selector is written (owners.c), and that only a ReplicaSet tells of pods that are ending.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hashmap.h"
#include "base/str.h"
#include "controllers/common/claim.h"
#include "controllers/common/conditions.h"
#include "controllers/common/owners.h"
#include "controllers/common/pods.h"
#include "controllers/controllers.h"

#define BURST           500   /* pods at a time: between two of these it looks at the spec again */
#define WAIT_AT_MOST_MS 60000 /* for a pod to be ready long enough: the wall clock may jump meanwhile */

static const struct telling telling_create = {"SuccessfulCreate", "Created pod: {name}", "FailedCreate",
                                              "Error creating: {error}"};
static const struct telling telling_delete = {"SuccessfulDelete", "Deleted pod: {name}", "FailedDelete",
                                              "Error deleting: {error}"};

struct look {
        struct sync *sync;
        const struct kobj *set;
        struct json_object *json; /* the set */
        const struct selector *selector;
        struct kobjs pods; /* active ones, that it owns */
        int64_t wanted, min_ready_s;
        bool changes, partly; /* pods are created or deleted; and not all that should be */
};

/* ---- more pods ---- */

static void create_pods(struct look *l, size_t n)
{
        struct json_object *template = json_at(l->json, "spec.template");

        if (failure_of_ending_namespace(l->sync->failed))
                return;
        for (size_t i = 0; i < n; i++) {
                struct step *st = plan_create(l->sync, &res_pods, pod_from_template(l->set, template));

                step_slow_start(st);
                step_tell(st, l->set, &telling_create);
        }
}

/* ---- fewer pods ---- */

struct ranked {
        const struct kobj *pod;
        uint32_t rank;
        bool available;
        int64_t now_s;
};

/* A Deployment counts on it that of ready pods those go first that have not been so for minReadySeconds. */
static int by_rank(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;

        if (x->available != y->available && pod_is_ready(x->pod) && pod_is_ready(y->pod))
                return x->available ? 1 : -1;
        return pod_compare_for_deletion(x->pod, y->pod, x->rank, y->rank, x->now_s);
}

static void count_nodes(struct hashmap *nodes, struct kobjs pods)
{
        kobjs_foreach (pods, p) {
                uintptr_t n = (uintptr_t)hashmap_get(nodes, p->pod->node);

                if (pod_is_active(p))
                        hashmap_put(nodes, p->pod->node, (void *)(n + 1)); // NOLINT(performance-no-int-to-ptr)
        }
}

/* How many pods of the set, and of all sets that have the same controller, are on which node: of a Deployment that
 * rolls, the pods that stand next to others of it go first. */
static void count_related(struct look *l, struct hashmap *nodes)
{
        const struct owner *by = kobj_controller(l->set);
        struct kobjs sets = {&l->set, 1};

        if (by)
                sets = lister_controlled(l->sync->lister, l->set->resource, by->uid, l->sync->mem);
        kobjs_foreach (sets, set)
                count_nodes(nodes, lister_controlled(l->sync->lister, &res_pods, set->uid, l->sync->mem));
}

static struct ranked *rank_pods(struct look *l)
{
        struct ranked *all = arena_array(l->sync->mem, struct ranked, l->pods.n);
        struct hashmap nodes;

        hashmap_init(&nodes, HASHMAP_STR);
        count_related(l, &nodes);
        for (size_t i = 0; i < l->pods.n; i++)
                all[i] = (struct ranked){
                        .pod = l->pods.items[i],
                        .rank = (uint32_t)(uintptr_t)hashmap_get(&nodes, l->pods.items[i]->pod->node),
                        .available = pod_is_available(l->pods.items[i], l->min_ready_s, l->sync->now_ms, NULL),
                        .now_s = l->sync->now_ms / 1000,
                };
        hashmap_deinit(&nodes);
        qsort(all, l->pods.n, sizeof(*all), by_rank);
        return all;
}

static void delete_pods(struct look *l, size_t n)
{
        struct ranked *all = rank_pods(l);

        for (size_t i = 0; i < n; i++)
                step_tell(plan_delete(l->sync, all[i].pod), l->set, &telling_delete);
}

/* ---- the status ---- */

static struct json_object *status_base(const struct look *l)
{
        struct json_object *status = json_copy(json_get(l->json, "status"));

        return json_is_object(status) ? status : json_object_new_object();
}

/* Kubernetes leaves counts of 0 out, but for replicas. */
static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                json_set_i64(status, name, n);
        else
                json_del(status, name);
}

static bool same_selectors(const struct selector *a, const struct selector *b)
{
        _cleanup_strbuf_ struct strbuf x = STRBUF_NULL, y = STRBUF_NULL;

        selector_write(&x, a);
        selector_write(&y, b);
        return x.len == y.len && !memcmp(x.data, y.data, x.len);
}

/* Mostly the template has just the labels of the selector, and what the set owns has all of them. */
static int64_t count_labeled(const struct look *l)
{
        _cleanup_selector_ struct selector *all = NULL;
        int64_t n = 0;

        if (selector_from_map(json_at(l->json, "spec.template.metadata.labels"), &all, NULL))
                return 0;
        if (!selector_is_empty(all) && same_selectors(all, l->selector))
                return (int64_t)l->pods.n;
        kobjs_foreach (l->pods, p)
                n += kobj_selected(p, all);
        return n;
}

static int64_t count_ending(const struct look *l)
{
        struct kobjs all = lister_controlled(l->sync->lister, &res_pods, l->set->uid, l->sync->mem);
        int64_t n = 0;

        kobjs_foreach (all, p)
                n += p->deleted_s && !pod_is_finished(p);
        return n;
}

/* Looks again when the next pod has been ready for long enough. */
static void count_available(const struct look *l, int64_t *available)
{
        uint64_t soonest = UINT64_MAX;

        kobjs_foreach (l->pods, p) {
                uint64_t wait = 0;

                *available += pod_is_available(p, l->min_ready_s, l->sync->now_ms, &wait);
                if (wait)
                        soonest = MIN(soonest, wait);
        }
        if (soonest != UINT64_MAX)
                plan_after(l->sync, MIN(soonest, (uint64_t)WAIT_AT_MOST_MS));
}

static void count_ready(const struct look *l, int64_t *ready, int64_t *available)
{
        kobjs_foreach (l->pods, p)
                *ready += pod_is_ready(p);
        if (l->min_ready_s)
                count_available(l, available);
        else
                *available = *ready;
}

/* The condition speaks of what the last attempt came to; its text is that of the first failure. */
static void set_failure(const struct look *l, struct json_object *status)
{
        const struct failure *f = l->sync->failed;
        bool of_pods = f && f->resource == &res_pods && l->changes && !failure_of_ending_namespace(f);

        if (of_pods && !condition_find(status, "ReplicaFailure"))
                condition_set(status, "ReplicaFailure", "True",
                              f->verb == STEP_DELETE ? "FailedDelete" : "FailedCreate", f->message,
                              l->sync->now_ms / 1000);
        else if (!of_pods && condition_remove(status, "ReplicaFailure") && !json_len(json_get(status, "conditions")))
                json_del(status, "conditions");
}

static struct json_object *status_of(const struct look *l)
{
        struct json_object *status = status_base(l);
        int64_t ready = 0, available = 0;

        count_ready(l, &ready, &available);
        json_set_i64(status, "replicas", (int64_t)l->pods.n);
        set_count(status, "fullyLabeledReplicas", count_labeled(l));
        set_count(status, "readyReplicas", ready);
        set_count(status, "availableReplicas", available);
        set_count(status, "observedGeneration", l->set->generation);
        if (l->set->resource == &res_replicasets)
                json_set_i64(status, "terminatingReplicas", count_ending(l));
        set_failure(l, status);
        return status;
}

static void write_status(const struct look *l)
{
        _cleanup_json_ struct json_object *status = status_of(l);

        if (json_equal(status, json_get(l->json, "status")))
                return;
        json_set(l->json, "status", json_object_get(status));
        plan_update_status(l->sync, l->set->resource, json_object_get(l->json));
}

/* ---- a sync ---- */

static size_t missing(const struct look *l)
{
        return l->wanted > (int64_t)l->pods.n ? (size_t)l->wanted - l->pods.n : 0;
}

static size_t surplus(const struct look *l)
{
        return l->wanted < (int64_t)l->pods.n ? l->pods.n - (size_t)MAX(l->wanted, (int64_t)0) : 0;
}

/*
 * The status goes first, so that a create which is refused cannot keep it from being written; but what is about to be
 * out of date is not written: the sync that sees the new pods does it.
 */
static void manage(struct look *l)
{
        size_t n = MAX(missing(l), surplus(l));

        l->changes = n > 0 && !l->set->deleted_s;
        l->partly = n > BURST;
        if (!l->changes || l->partly || l->sync->failed)
                write_status(l);
        if (!l->changes)
                return;
        if (missing(l))
                create_pods(l, MIN(n, (size_t)BURST));
        else
                delete_pods(l, MIN(n, (size_t)BURST));
        if (l->partly)
                plan_after(l->sync, 0);
}

static void sync_set(struct sync *s)
{
        struct owners *w = s->state;
        const struct selector *sel = owners_selector(w, s->key);
        struct look l = {.sync = s, .selector = sel, .set = lister_find(s->lister, owners_kind(w), s->key)};
        _cleanup_json_ struct json_object *json = NULL;

        if (!l.set || !sel)
                return;
        l.json = json = kobj_json(l.set);
        l.wanted = json_at_i64(json, "spec.replicas", 1);
        l.min_ready_s = json_at_i64(json, "spec.minReadySeconds", 0);
        l.pods = claim_if(s, l.set, &res_pods, sel, pod_is_active);
        owners_synced(w, s, l.pods.n);
        if (plan_is_empty(s)) /* else: first see what is adopted, or more would be made */
                manage(&l);
}

static void set_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_changed(runner_state(r), r, old, now);
}

static void pod_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        owners_pod_changed(runner_state(r), r, old, now);
}

static void state_free(void *state)
{
        owners_free(state);
}

static void *state_of_sets(struct runner *r)
{
        return owners_new(&res_replicasets);
}

static void *state_of_controllers(struct runner *r)
{
        return owners_new(&res_replicationcontrollers);
}

const struct controller controller_replicaset = {
        .name = "replicaset",
        .watches = (const struct watch[]){{&res_replicasets, set_changed}, {&res_pods, pod_changed}, {0}},
        .sync = sync_set,
        .state_new = state_of_sets,
        .state_free = state_free,
};

const struct controller controller_replicationcontroller = {
        .name = "replicationcontroller",
        .event_source = "replication-controller",
        .watches = (const struct watch[]){{&res_replicationcontrollers, set_changed}, {&res_pods, pod_changed}, {0}},
        .sync = sync_set,
        .state_new = state_of_controllers,
        .state_free = state_free,
};
