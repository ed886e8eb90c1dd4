/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "controllers/common/pods.h"
#include "controllers/statefulset.h"

#define WAIT_AT_MOST 60000 /* for a pod to be ready long enough: the wall clock may jump meanwhile */

struct counts {
        int64_t replicas, ready, available, current, updated;
        uint64_t soonest; /* ms until one more is available */
};

static void count(const struct stateful *st, const struct kobj *pod, struct counts *c)
{
        uint64_t wait = 0;

        c->replicas++;
        if (member_is_ready(pod)) {
                c->ready++;
                c->available += pod_is_available(pod, st->min_ready_s, st->sync->now_ms, &wait);
                if (wait)
                        c->soonest = MIN(c->soonest, wait);
        }
        if (pod->deleted_s)
                return;
        c->current += str_eq(member_revision(pod), st->current->object->name);
        c->updated += str_eq(member_revision(pod), st->update->object->name);
}

static struct counts count_all(const struct stateful *st)
{
        struct counts c = {.soonest = WAIT_AT_MOST};

        for (size_t i = 0; i < st->nliving; i++)
                count(st, st->living[i].pod, &c);
        for (size_t i = 0; i < st->ncondemned; i++)
                count(st, st->condemned[i].pod, &c);
        if (c.available < c.ready)
                plan_after(st->sync, c.soonest);
        return c;
}

/* Kubernetes leaves counts of 0 out, but for replicas and availableReplicas. */
static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                json_set_i64(status, name, n);
        else
                json_del(status, name);
}

/* When all are of the new revision, it becomes the one that pods are made of from now on. */
static bool is_complete(const struct stateful *st, const struct counts *c)
{
        return str_eq(json_at_str(st->json, "spec.updateStrategy.type"), "RollingUpdate") &&
               c->updated == st->replicas && c->ready == st->replicas && c->replicas == st->replicas;
}

static struct json_object *new_status(const struct stateful *st)
{
        struct json_object *was = json_get(st->json, "status");
        struct json_object *status = json_is_object(was) ? json_copy(was) : json_object_new_object();
        struct counts c = count_all(st);
        bool complete = is_complete(st, &c);

        json_set_i64(status, "replicas", c.replicas);
        json_set_i64(status, "availableReplicas", c.available);
        set_count(status, "readyReplicas", c.ready);
        set_count(status, "currentReplicas", complete ? c.updated : c.current);
        set_count(status, "updatedReplicas", c.updated);
        set_count(status, "observedGeneration", st->set->generation);
        json_set_i64(status, "collisionCount", st->history.collisions);
        json_set_str(status, "currentRevision", (complete ? st->update : st->current)->object->name);
        json_set_str(status, "updateRevision", st->update->object->name);
        return status;
}

static bool same_text(const struct json_object *a, const struct json_object *b, const char *key)
{
        return str_eq(json_get_str(a, key), json_get_str(b, key));
}

bool stateful_write_status(struct stateful *st)
{
        struct json_object *status = new_status(st), *was = json_get(st->json, "status");
        bool revised = !same_text(status, was, "currentRevision") || !same_text(status, was, "updateRevision");

        if (json_equal(status, was)) {
                json_object_put(status);
                return false;
        }
        json_set(st->json, "status", status);
        plan_update_status(st->sync, &res_statefulsets, json_object_get(st->json));
        return revised;
}
