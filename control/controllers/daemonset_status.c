/* SPDX-License-Identifier: Apache-2.0 */
#include "controllers/common/pods.h"
#include "controllers/daemonset.h"

#define WAIT_AT_MOST 60000 /* for a pod to be ready long enough: the wall clock may jump meanwhile */

struct counts {
        int64_t current, misscheduled, ready, updated, available;
        uint64_t soonest; /* ms until one more is available; UINT64_MAX: time alone will not help */
};

/* Of several pods on a node the oldest speaks for it. */
static void count(const struct daemons *d, const struct place *p, struct counts *c)
{
        const struct kobj *pod = p->pods ? p->pods->pod : NULL;
        uint64_t wait = 0;

        if (!p->node || !pod)
                return;
        if (!p->wanted) {
                c->misscheduled++;
                return;
        }
        c->current++;
        c->updated += daemon_is_updated(d, pod);
        c->ready += pod_is_ready(pod);
        c->available += pod_is_available(pod, d->min_ready_s, d->sync->now_ms, &wait);
        if (wait)
                c->soonest = MIN(c->soonest, wait);
}

/* Kubernetes leaves these out when they are 0. */
static void set_count(struct json_object *status, const char *name, int64_t n)
{
        if (n)
                json_set_i64(status, name, n);
        else
                json_del(status, name);
}

static struct json_object *new_status(const struct daemons *d)
{
        struct json_object *was = json_get(d->json, "status");
        struct json_object *status = json_is_object(was) ? json_copy(was) : json_object_new_object();
        struct counts c = {.soonest = UINT64_MAX};

        for (size_t i = 0; i < d->nplaces; i++)
                count(d, &d->places[i], &c);
        if (c.soonest != UINT64_MAX)
                plan_after(d->sync, MIN(c.soonest, (uint64_t)WAIT_AT_MOST));
        json_set_i64(status, "currentNumberScheduled", c.current);
        json_set_i64(status, "desiredNumberScheduled", d->desired);
        json_set_i64(status, "numberMisscheduled", c.misscheduled);
        json_set_i64(status, "numberReady", c.ready);
        set_count(status, "updatedNumberScheduled", c.updated);
        set_count(status, "numberAvailable", c.available);
        set_count(status, "numberUnavailable", d->desired - c.available);
        set_count(status, "observedGeneration", d->set->generation);
        if (d->history.collisions)
                json_set_i64(status, "collisionCount", d->history.collisions);
        return status;
}

void daemons_write_status(struct daemons *d)
{
        struct json_object *status = new_status(d);

        if (json_equal(status, json_get(d->json, "status"))) {
                json_object_put(status);
                return;
        }
        json_set(d->json, "status", status);
        plan_update_status(d->sync, &res_daemonsets, json_object_get(d->json));
}
