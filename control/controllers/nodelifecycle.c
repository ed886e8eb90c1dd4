/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches over nodes. One that shows no sign of life becomes Unknown; its conditions become taints, which keep new pods
 * away (NoSchedule) and, at a rate that its zone bears, send those away that are there (NoExecute: the taint eviction
 * controller does it); and its pods are told not ready, so that Services leave them.
 *
 * A node is looked at when something of it changes, and when its time would be over: there is no round over all.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/conditions.h"
#include "controllers/common/pods.h"
#include "controllers/node_vitals.h"

#define LEASES         "kube-node-lease"
#define ZONES_AGAIN_MS 5000

struct lifecycle {
        struct vitals *vitals;
        struct zones *zones;
};

static void *lifecycle_new(struct runner *r)
{
        struct lifecycle *l = mem_new(struct lifecycle);

        l->vitals = vitals_new();
        l->zones = zones_new();
        return l;
}

static void lifecycle_free(void *state)
{
        struct lifecycle *l = state;

        vitals_free(l->vitals);
        zones_free(l->zones);
        free(l);
}

static void on_lease(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct lifecycle *l = runner_state(r);
        const struct kobj *node;

        if (!now || !str_eq(now->ns, LEASES))
                return;
        vitals_seen(l->vitals, now->name, runner_mono_ms(r));
        node = lister_find(runner_lister(r), &res_nodes, now->name);
        if (node && node_ready(node) == TRI_UNKNOWN)
                runner_add_object(r, node);
}

static void on_node(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct lifecycle *l = runner_state(r);

        if (!now || (old && !str_eq(old->uid, now->uid)))
                vitals_forget(l->vitals, old->name);
        if (!now)
                return;
        vitals_status(l->vitals, now, runner_mono_ms(r));
        runner_add_object(r, now);
}

/* A pod that comes to a node that is not ready. */
static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        const struct kobj *node;

        if (!now || !*now->pod->node || !pod_is_ready(now) || (old && pod_is_ready(old)))
                return;
        node = lister_find(runner_lister(r), &res_nodes, now->pod->node);
        if (node && node_ready(node) != TRI_TRUE)
                runner_add_object(r, node);
}

/* ---- Unknown ---- */

static const char *const told_by_nodes[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};

static bool is_told(struct json_object *status, const char *type)
{
        return !str_empty(json_get_str(condition_find(status, type), "lastHeartbeatTime"));
}

static void make_unknown(struct sync *s, const struct kobj *node)
{
        _cleanup_json_ struct json_object *body = kobj_json(node);
        struct json_object *status = json_ensure(body, "status");
        bool changed = false;

        for (size_t i = 0; i < ARRAY_SIZE(told_by_nodes); i++) {
                bool ever = is_told(status, told_by_nodes[i]);

                if (str_eq(condition_status(status, told_by_nodes[i]), "Unknown"))
                        continue;
                changed |= condition_set(
                        status, told_by_nodes[i], "Unknown", ever ? "NodeStatusUnknown" : "NodeStatusNeverUpdated",
                        ever ? "Kubelet stopped posting node status." : "Kubelet never posted node status.",
                        s->now_ms / 1000);
        }
        if (!changed)
                return;
        plan_update_status(s, &res_nodes, json_object_get(body));
        if (node_ready(node) == TRI_TRUE)
                plan_event(s, node, false, "NodeNotReady", "Node %s status is now: NodeNotReady", node->name);
}

/* ---- taints ---- */

struct taint {
        const char *key, *effect;
};

/* All that are this controller's to set and to take away. */
static const struct taint ours[] = {
        {TAINT_NOT_READY, "NoSchedule"},
        {TAINT_UNREACHABLE, "NoSchedule"},
        {TAINT_UNSCHEDULABLE, "NoSchedule"},
        {"node.kubernetes.io/memory-pressure", "NoSchedule"},
        {"node.kubernetes.io/disk-pressure", "NoSchedule"},
        {"node.kubernetes.io/pid-pressure", "NoSchedule"},
        {"node.kubernetes.io/network-unavailable", "NoSchedule"},
        {TAINT_NOT_READY, "NoExecute"},
        {TAINT_UNREACHABLE, "NoExecute"},
};

enum { NOT_READY_STAYS = 7, UNREACHABLE_STAYS = 8 }; /* the places of the two that evict */

static bool has_taint(const struct kobj *node, const struct taint *t)
{
        for (size_t i = 0; i < node->node->ntaints; i++)
                if (str_eq(node->node->taints[i].key, t->key) && str_eq(node->node->taints[i].effect, t->effect))
                        return true;
        return false;
}

static bool is_true(const struct kobj *node, const char *type)
{
        const struct node_condition *c = node_condition(node->node, type);

        return c && c->status == TRI_TRUE;
}

/* The one that evicts: at the rate of the zone, and not at all while every node seems to be down. */
static bool wants_eviction(struct sync *s, const struct kobj *node, const struct taint *t)
{
        struct lifecycle *l = s->state;
        uint64_t period_ms = (uint64_t)s->config->node_period_ms, wait_ms;
        uint64_t down_ms = vitals_down_ms(l->vitals, node, s->mono_ms);
        bool allowed;

        if (zones_all_down(l->zones, s->lister, s->config, s->mono_ms)) {
                plan_after(s, ZONES_AGAIN_MS);
                return false;
        }
        /* A change between not ready and unreachable is no further eviction. */
        if (has_taint(node, &ours[NOT_READY_STAYS]) || has_taint(node, &ours[UNREACHABLE_STAYS]))
                return true;
        if (down_ms < period_ms) { /* perhaps the others are about to follow it */
                plan_after(s, period_ms - down_ms);
                return false;
        }
        allowed = zones_allow(l->zones, s->lister, s->config, node, s->mono_ms, &wait_ms);
        if (!allowed)
                plan_after(s, MIN(wait_ms, (uint64_t)ZONES_AGAIN_MS));
        return allowed;
}

static void wanted_taints(struct sync *s, const struct kobj *node, bool want[static ARRAY_SIZE(ours)])
{
        enum tri ready = node_ready(node);
        bool unknown = ready == TRI_UNKNOWN, down = ready == TRI_FALSE || ready == TRI_UNSET;

        want[0] = down;
        want[1] = unknown;
        want[2] = node->node->unschedulable;
        want[3] = is_true(node, "MemoryPressure");
        want[4] = is_true(node, "DiskPressure");
        want[5] = is_true(node, "PIDPressure");
        want[6] = is_true(node, "NetworkUnavailable");
        want[NOT_READY_STAYS] = ready == TRI_FALSE && wants_eviction(s, node, &ours[NOT_READY_STAYS]);
        want[UNREACHABLE_STAYS] = unknown && wants_eviction(s, node, &ours[UNREACHABLE_STAYS]);
}

static bool is_ours(const struct json_object *t)
{
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
                if (str_eq(json_get_str(t, "key"), ours[i].key) && str_eq(json_get_str(t, "effect"), ours[i].effect))
                        return true;
        return false;
}

static struct json_object *find_taint(struct json_object *taints, const struct taint *t)
{
        json_array_foreach (taints, i, one)
                if (str_eq(json_get_str(one, "key"), t->key) && str_eq(json_get_str(one, "effect"), t->effect))
                        return one;
        return NULL;
}

static struct json_object *new_taint(const struct taint *t, int64_t now_s)
{
        struct json_object *o = json_object_new_object();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(o, "key", t->key);
        json_set_str(o, "effect", t->effect);
        if (str_eq(t->effect, "NoExecute"))
                json_set_str(o, "timeAdded", clock_format(now_s, now));
        return o;
}

static void set_taints(struct sync *s, const struct kobj *node)
{
        _cleanup_json_ struct json_object *body = kobj_json(node);
        struct json_object *before = json_at(body, "spec.taints"), *after = json_object_new_array(), *patch;
        bool want[ARRAY_SIZE(ours)], changed = false;

        wanted_taints(s, node, want);
        json_array_foreach (before, i, t)
                if (!is_ours(t))
                        json_object_array_add(after, json_object_get(t));
        for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
                struct json_object *there = find_taint(before, &ours[i]);

                changed |= want[i] != (there != NULL);
                if (want[i])
                        json_object_array_add(after,
                                              there ? json_object_get(there) : new_taint(&ours[i], s->now_ms / 1000));
        }
        if (!changed) {
                json_object_put(after);
                return;
        }
        patch = json_object_new_object();
        json_set(json_ensure(patch, "spec"), "taints", after);
        step_version(plan_patch(s, node, NULL, patch), node);
}

/* ---- pods ---- */

static void make_pod_not_ready(struct sync *s, const struct kobj *pod)
{
        static const struct telling telling = {.done_reason = "NodeNotReady", .done_text = "Node is not ready"};
        struct json_object *patch = json_object_new_object(), *c = json_object_new_object();
        struct json_object *list = json_object_new_array();
        struct step *st;
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", "Ready");
        json_set_str(c, "status", "False");
        json_set_str(c, "lastTransitionTime", clock_format(s->now_ms / 1000, now));
        json_object_array_add(list, c);
        json_set(json_ensure(patch, "status"), "conditions", list);
        st = plan_patch(s, pod, "status", patch);
        step_strategic(st);
        step_may_fail(st);
        step_tell(st, pod, &telling);
}

/* A kubelet that lives knows better: what it said after its node was not ready stays. */
static bool is_stale(const struct kobj *pod, const struct node_condition *node)
{
        const struct pod_condition *c = pod_condition(pod->pod, "Ready");

        if (!c || c->status != TRI_TRUE || pod->deleted_s)
                return false;
        return node->status == TRI_UNKNOWN || c->since_s <= node->since_s;
}

static void make_pods_not_ready(struct sync *s, const struct kobj *node)
{
        const struct node_condition *c = node_condition(node->node, "Ready");
        struct kobjs pods;

        if (!c || c->status == TRI_TRUE)
                return;
        pods = lister_on_node(s->lister, node->name, s->mem);
        kobjs_foreach (pods, pod)
                if (is_stale(pod, c))
                        make_pod_not_ready(s, pod);
}

static void sync_node(struct sync *s)
{
        struct lifecycle *l = s->state;
        const struct kobj *node = lister_find(s->lister, &res_nodes, s->key);
        uint64_t left_ms;

        if (!node || node->deleted_s)
                return;
        left_ms = vitals_left_ms(l->vitals, node, s->config, s->mono_ms);
        if (left_ms)
                plan_after(s, left_ms);
        else
                make_unknown(s, node);
        if (plan_is_empty(s)) /* else the next look, at what the node is by then */
                set_taints(s, node);
        make_pods_not_ready(s, node);
}

const struct controller controller_nodelifecycle = {
        .name = "node-lifecycle",
        .event_source = "node-controller",
        .watches = (const struct watch[]){{&res_nodes, on_node}, {&res_leases, on_lease}, {&res_pods, on_pod}, {0}},
        .sync = sync_node,
        .state_new = lifecycle_new,
        .state_free = lifecycle_free,
        .backoff_max_ms = 30000,
};
