/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods leave a node whose NoExecute taints they do not tolerate: at once, or when the shortest of the times is over for
 * which they tolerate them.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/engine/controller.h"

#define CONDITION "DisruptionTarget"
#define NEVER     INT64_MAX

/* When each pod's stay was first found to be limited, for taints that do not tell when they were added. */
struct stays {
        struct hashmap since_ms; /* pod's key -> wall clock, as a pointer's number */
};

static void *stays_new(struct runner *r)
{
        struct stays *st = mem_new(struct stays);

        hashmap_init(&st->since_ms, HASHMAP_STR_OWNED);
        return st;
}

static void stays_free(void *state)
{
        struct stays *st = state;

        hashmap_deinit(&st->since_ms);
        free(st);
}

static bool evicts(const struct node_taint *t)
{
        return str_eq(t->effect, "NoExecute");
}

static bool has_evicting(const struct kobj *node)
{
        for (size_t i = 0; node && i < node->node->ntaints; i++)
                if (evicts(&node->node->taints[i]))
                        return true;
        return false;
}

static void on_pod(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct stays *st = runner_state(r);

        if (!now) {
                hashmap_del(&st->since_ms, old->key);
                return;
        }
        if (*now->pod->node && !now->deleted_s &&
            has_evicting(lister_find(runner_lister(r), &res_nodes, now->pod->node)))
                runner_add_object(r, now);
}

static void on_node(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct arena mem = ARENA_NULL;
        struct kobjs pods;

        if (!now || (!has_evicting(now) && !has_evicting(old)))
                return;
        pods = lister_on_node(runner_lister(r), now->name, &mem);
        kobjs_foreach (pods, pod)
                runner_add_object(r, pod);
        arena_deinit(&mem);
}

static bool tolerates(const struct pod_toleration *t, const struct node_taint *taint)
{
        if (*t->effect && !str_eq(t->effect, taint->effect))
                return false;
        if (*t->key && !str_eq(t->key, taint->key))
                return false;
        if (str_eq(t->op, "Exists"))
                return true;
        return *t->key && str_eq(t->value, taint->value);
}

/* For how long, in seconds: NEVER ends, 0 is not at all. */
static int64_t tolerated_s(const struct pod *p, const struct node_taint *taint)
{
        int64_t shortest = NEVER;
        bool any = false;

        for (size_t i = 0; i < p->ntolerations; i++) {
                if (!tolerates(&p->tolerations[i], taint))
                        continue;
                any = true;
                if (p->tolerations[i].seconds >= 0)
                        shortest = MIN(shortest, p->tolerations[i].seconds);
        }
        return any ? shortest : 0;
}

static int64_t since_ms(struct sync *s, const struct kobj *pod, const struct node_taint *taint)
{
        struct stays *st = s->state;
        int64_t known;

        if (taint->added_s)
                return taint->added_s * 1000;
        known = (int64_t)(intptr_t)hashmap_get(&st->since_ms, pod->key);
        if (known)
                return known;
        hashmap_put(&st->since_ms, pod->key, (void *)(intptr_t)s->now_ms);
        return s->now_ms;
}

/* When it has to leave, by the wall clock in ms. */
static int64_t leaves_ms(struct sync *s, const struct kobj *pod, const struct kobj *node)
{
        int64_t first = NEVER;

        for (size_t i = 0; node && i < node->node->ntaints; i++) {
                const struct node_taint *taint = &node->node->taints[i];
                int64_t stay = evicts(taint) ? tolerated_s(pod->pod, taint) : NEVER;

                if (!stay)
                        return 0;
                if (stay != NEVER)
                        first = MIN(first, since_ms(s, pod, taint) + stay * 1000);
        }
        return first;
}

static void evict(struct sync *s, const struct kobj *pod)
{
        struct json_object *patch = json_object_new_object(), *c = json_object_new_object();
        struct json_object *list = json_object_new_array();
        char now[CLOCK_TEXT_SIZE];

        json_set_str(c, "type", CONDITION);
        json_set_str(c, "status", "True");
        json_set_str(c, "reason", "DeletionByTaintManager");
        json_set_str(c, "message", "Taint manager: deleting due to NoExecute taint");
        json_set_str(c, "lastTransitionTime", clock_format(s->now_ms / 1000, now));
        json_object_array_add(list, c);
        json_set(json_ensure(patch, "status"), "conditions", list);
        step_strategic(plan_patch(s, pod, "status", patch));
        plan_then(s);
        plan_delete(s, pod);
        plan_event(s, pod, false, "TaintManagerEviction", "Marking for deletion Pod %s", pod->key);
}

static void sync_pod(struct sync *s)
{
        const struct kobj *pod = lister_find(s->lister, &res_pods, s->key);
        struct stays *st = s->state;
        int64_t at;

        if (!pod || pod->deleted_s || !*pod->pod->node)
                return;
        at = leaves_ms(s, pod, lister_find(s->lister, &res_nodes, pod->pod->node));
        if (at == NEVER)
                hashmap_del(&st->since_ms, pod->key);
        else if (at <= s->now_ms)
                evict(s, pod);
        else
                plan_after(s, (uint64_t)(at - s->now_ms));
}

const struct controller controller_tainteviction = {
        .name = "taint-eviction",
        .watches = (const struct watch[]){{&res_pods, on_pod}, {&res_nodes, on_node}, {0}},
        .sync = sync_pod,
        .state_new = stays_new,
        .state_free = stays_free,
        .backoff_max_ms = 30000,
};
