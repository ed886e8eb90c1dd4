/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments: ReplicaSets of one template each, of which the newest takes over from the others, by a rolling update or
 * after all others are gone.
 */
#include "controllers/deployment.h"

#include <stdlib.h>

#include "base/hashmap.h"
#include "base/mem.h"
#include "base/str.h"
#include "controllers/common/owners.h"
#include "controllers/common/pods.h"

struct deployments {
        struct owners *owners;
        struct hashmap recreate; /* keys of those with that strategy: they wait for pods to end */
};

static bool recreates(const struct json_object *json)
{
        return str_eq(json_at_str(json, "spec.strategy.type"), "Recreate");
}

/* ---- strategies ---- */

static bool has_pods(const struct rollout *ro, const struct set *s)
{
        struct kobjs pods;

        if (s->actual > 0)
                return true;
        pods = lister_controlled(ro->sync->lister, &res_pods, s->o->uid, ro->sync->mem);
        kobjs_foreach (pods, p)
                if (!pod_is_finished(p))
                        return true;
        return false;
}

/* Pods that are ending count: not one of the old may run beside the new. */
static bool old_pods_remain(const struct rollout *ro)
{
        old_foreach (ro, s)
                if (has_pods(ro, s))
                        return true;
        return false;
}

static bool stop_old(struct rollout *ro)
{
        bool some = false;

        old_foreach (ro, s)
                if (s->replicas > 0)
                        some |= set_resize(ro, s, 0);
        return some;
}

static void recreate(struct rollout *ro)
{
        if (stop_old(ro) || old_pods_remain(ro))
                return;
        if (!ro->fresh)
                sets_create(ro);
        if (ro->fresh)
                set_resize(ro, ro->fresh, ro->replicas);
}

static void roll(struct rollout *ro)
{
        if (!ro->fresh)
                sets_create(ro);
        if (ro->fresh)
                rollout_step(ro);
}

static void advance(struct rollout *ro)
{
        if (ro->rolling)
                roll(ro);
        else
                recreate(ro);
        if (rollout_is_complete(ro))
                sets_clean_up(ro);
        if (ro->collided)
                rollout_count(ro);
        else
                rollout_judge(ro);
}

/* ---- a sync ---- */

static void rescale(struct rollout *ro)
{
        rollout_rescale(ro);
        if (ro->paused)
                sets_clean_up(ro);
        rollout_count(ro);
}

static void carry_out(struct rollout *ro)
{
        rollout_note_pause(ro);
        if (rollout_note_failure(ro)) {
                rollout_count(ro);
                return;
        }
        sets_renew(ro);
        if (ro->paused || rollout_is_rescaled(ro))
                rescale(ro);
        else
                advance(ro);
        sets_write(ro);
}

static struct json_object *own_template(const struct json_object *json)
{
        struct json_object *template = json_copy(json_at(json, "spec.template"));

        json_del(json_at(template, "metadata.labels"), HASH_LABEL);
        return template;
}

static struct json_object *own_status(const struct json_object *json)
{
        struct json_object *status = json_copy(json_get(json, "status"));

        return json_is_object(status) ? status : json_object_new_object();
}

static void look(struct sync *s, const struct kobj *o, const struct selector *sel)
{
        _cleanup_json_ struct json_object *json = kobj_json(o), *template = own_template(json),
                                          *status = own_status(json);
        struct rollout ro = {
                .sync = s,
                .o = o,
                .json = json,
                .template = template,
                .status = status,
                .replicas = json_at_i64(json, "spec.replicas", 1),
                .min_ready_s = json_at_i64(json, "spec.minReadySeconds", 0),
                .rolling = !recreates(json),
                .paused = json_at_bool(json, "spec.paused", false),
        };

        rollout_limits(&ro);
        if (sets_read(&ro, sel)) {
                if (o->deleted_s)
                        rollout_count(&ro);
                else
                        carry_out(&ro);
                rollout_write_status(&ro);
        }
        sets_free(&ro);
}

static void refuse_selector(struct sync *s, const struct kobj *o)
{
        _cleanup_json_ struct json_object *json = kobj_json(o);

        plan_event(s, o, true, "SelectingAll",
                   "This deployment is selecting all pods. A non-empty selector is required.");
        if (json_at_i64(json, "status.observedGeneration", 0) >= o->generation)
                return;
        json_set_i64(json_ensure(json, "status"), "observedGeneration", o->generation);
        plan_update_status(s, &res_deployments, json_object_get(json));
}

static void sync_deployment(struct sync *s)
{
        struct deployments *all = s->state;
        const struct kobj *o = lister_find(s->lister, &res_deployments, s->key);
        const struct selector *sel = owners_selector(all->owners, s->key);

        if (o && sel)
                look(s, o, sel);
        else if (o)
                refuse_selector(s, o);
}

/* ---- what concerns whom ---- */

static void remember_strategy(struct deployments *all, const struct kobj *o)
{
        _cleanup_json_ struct json_object *json = kobj_json(o);

        if (recreates(json))
                hashmap_put(&all->recreate, o->key, all);
        else
                hashmap_del(&all->recreate, o->key);
}

static void deployment_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct deployments *all = runner_state(r);

        owners_changed(all->owners, r, old, now);
        if (!now)
                hashmap_del(&all->recreate, old->key);
        else if (!old || old->generation != now->generation)
                remember_strategy(all, now);
}

static void set_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct deployments *all = runner_state(r);

        owners_owned_changed(all->owners, r, old, now);
}

static const struct kobj *set_of(struct runner *r, const struct kobj *pod)
{
        const struct owner *by = kobj_controller(pod);
        const struct kobj *set = by ? lister_get(runner_lister(r), &res_replicasets, pod->ns, by->name) : NULL;

        return set && str_eq(set->uid, by->uid) ? set : NULL;
}

static void pod_changed(struct runner *r, const struct kobj *old, const struct kobj *now)
{
        struct deployments *all = runner_state(r);
        const struct kobj *set;

        if (!all->recreate.count || (now && !pod_is_finished(now)))
                return;
        set = set_of(r, now ? now : old);
        if (set)
                runner_add_controller_of(r, set, &res_deployments);
}

static void *state_new(struct runner *r)
{
        struct deployments *all = mem_new(struct deployments);

        all->owners = owners_new(&res_deployments);
        hashmap_init(&all->recreate, HASHMAP_STR_OWNED);
        return all;
}

static void state_free(void *state)
{
        struct deployments *all = state;

        owners_free(all->owners);
        hashmap_deinit(&all->recreate);
        free(all);
}

const struct controller controller_deployment = {
        .name = "deployment",
        .watches = (const struct watch[]){{&res_deployments, deployment_changed},
                                          {&res_replicasets, set_changed},
                                          {&res_pods, pod_changed},
                                          {0}},
        .sync = sync_deployment,
        .state_new = state_new,
        .state_free = state_free,
};
