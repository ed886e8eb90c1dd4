/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large each ReplicaSet is to be. Two limits hold at any time: no more than replicas + surge pods, and no fewer
 * than replicas - unavailable that are available. ReplicaSets follow in their own time, so numbers are taken on the
 * safe side: of a ReplicaSet that is to shrink only as many pods are available as will be left; one that has more pods
 * than it is to have counts with these; and nothing grows while there is one whose status does not speak of its present
 * size.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "controllers/common/int_or_percent.h"
#include "controllers/deployment.h"

/* Surge is rounded up, unavailable down; a rollout that may do neither would stand still. */
void rollout_limits(struct rollout *ro)
{
        struct json_object *rolling = json_at(ro->json, "spec.strategy.rollingUpdate");

        ro->surge = ro->unavailable = 0;
        if (!ro->rolling)
                return;
        ro->surge = int_or_percent(json_get(rolling, "maxSurge"), ro->replicas, true, 0);
        ro->unavailable = int_or_percent(json_get(rolling, "maxUnavailable"), ro->replicas, false, 0);
        if (!ro->surge && !ro->unavailable)
                ro->unavailable = 1;
        ro->unavailable = MIN(ro->unavailable, ro->replicas);
}

static int64_t set_available(const struct set *set)
{
        return MIN(set->available, set->replicas);
}

static int64_t total_size(const struct rollout *ro)
{
        int64_t n = 0;

        sets_foreach (ro, s)
                n += s->replicas;
        return n;
}

static int64_t total_pods(const struct rollout *ro)
{
        int64_t n = 0;

        sets_foreach (ro, s)
                n += MAX(s->replicas, s->actual);
        return n;
}

/* Their statuses tell how many pods there are, and will not be more by themselves. */
static bool sizes_are_seen(const struct rollout *ro)
{
        sets_foreach (ro, s)
                if (s->o && s->observed < s->o->generation)
                        return false;
        return true;
}

static int64_t total_available(const struct rollout *ro)
{
        int64_t n = 0;

        sets_foreach (ro, s)
                n += set_available(s);
        return n;
}

int64_t rollout_fresh_size(const struct rollout *ro)
{
        int64_t now = ro->fresh ? ro->fresh->replicas : 0, room = ro->replicas + ro->surge - total_pods(ro);

        if (!ro->rolling || now >= ro->replicas)
                return ro->replicas;
        return room > 0 && sizes_are_seen(ro) ? now + MIN(room, ro->replicas - now) : now;
}

/* ---- a rolling update ---- */

/* Old pods that are not available hold nothing up when they go, and might never become so. */
static int64_t drop_unhealthy(struct rollout *ro, int64_t room)
{
        int64_t dropped = 0;

        old_foreach (ro, s) {
                int64_t n = MIN(room - dropped, s->replicas - set_available(s));

                if (n > 0) {
                        set_resize(ro, s, s->replicas - n);
                        dropped += n;
                }
        }
        return dropped;
}

static void drop_oldest(struct rollout *ro, int64_t room)
{
        old_foreach (ro, s) {
                int64_t n = MIN(room, s->replicas);

                if (n > 0) {
                        set_resize(ro, s, s->replicas - n);
                        room -= n;
                }
        }
}

static void shrink_old(struct rollout *ro)
{
        int64_t least = ro->replicas - ro->unavailable;
        int64_t fresh_unavailable = ro->fresh->replicas - set_available(ro->fresh);
        int64_t room = total_size(ro) - least - fresh_unavailable;

        if (room <= 0)
                return;
        room -= drop_unhealthy(ro, room);
        drop_oldest(ro, MIN(room, total_available(ro) - least));
}

void rollout_step(struct rollout *ro)
{
        if (!set_resize(ro, ro->fresh, rollout_fresh_size(ro)))
                shrink_old(ro);
}

/* ---- another number of replicas ---- */

bool rollout_is_rescaled(const struct rollout *ro)
{
        int64_t desired;

        sets_foreach (ro, s) {
                const char *text = s->o && s->replicas > 0 ? kobj_annotation(s->o, DESIRED_ANNOTATION) : NULL;

                if (text && !str_parse_i64(text, &desired) && desired != ro->replicas)
                        return true;
        }
        return false;
}

static size_t count_active(const struct rollout *ro, struct set **ret_last)
{
        size_t n = 0;

        sets_foreach (ro, s)
                if (s->replicas > 0) {
                        *ret_last = s;
                        n++;
                }
        return n;
}

/* The only one with pods; the newest when none has any. NULL: several have. */
static struct set *only_one(const struct rollout *ro)
{
        struct set *last = NULL;

        switch (count_active(ro, &last)) {
        case 0:
                return ro->fresh ? ro->fresh : ro->n ? &ro->sets[ro->n - 1] : NULL;
        case 1:
                return last;
        default:
                return NULL;
        }
}

static bool fresh_is_saturated(const struct rollout *ro)
{
        const char *text = ro->fresh && ro->fresh->o ? kobj_annotation(ro->fresh->o, DESIRED_ANNOTATION) : NULL;
        int64_t desired;

        return text && !str_parse_i64(text, &desired) && ro->fresh->replicas == ro->replicas &&
               desired == ro->replicas && ro->fresh->available == ro->replicas;
}

/* Of the sizes before, that is what changes with the Deployment's, rounded to the nearest. */
static int64_t proportion(const struct rollout *ro, const struct set *s)
{
        const char *text = s->o ? kobj_annotation(s->o, MAX_ANNOTATION) : NULL;
        int64_t before = 0, scaled;

        if (!ro->replicas)
                return -s->replicas;
        if (!text || str_parse_i64(text, &before) || before <= 0)
                before = json_at_i64(ro->json, "status.replicas", 0);
        if (before <= 0)
                return 0;
        scaled = s->replicas * (ro->replicas + ro->surge);
        return (2 * scaled + before) / (2 * before) - s->replicas;
}

static int by_size(const struct set *a, const struct set *b)
{
        return (a->replicas < b->replicas) - (a->replicas > b->replicas);
}

static int larger_then_older(const void *a, const void *b)
{
        const struct set *x = *(struct set *const *)a, *y = *(struct set *const *)b;

        return by_size(x, y) ? by_size(x, y) : (x > y) - (x < y); /* the array is in the order of creation */
}

static int larger_then_newer(const void *a, const void *b)
{
        const struct set *x = *(struct set *const *)a, *y = *(struct set *const *)b;

        return by_size(x, y) ? by_size(x, y) : (x < y) - (x > y);
}

/* By size alone, pods would go that the minimum needs, while others that are not available stay: these change places.
 */
static void keep_available(const struct rollout *ro, struct set *const *active, int64_t *sizes, size_t n)
{
        int64_t needed = MIN(ro->replicas - ro->unavailable, total_available(ro)), given = 0;

        for (size_t i = 0; i < n; i++)
                needed -= MIN(active[i]->available, sizes[i]);
        for (size_t i = 0; i < n && given < needed; i++) {
                int64_t more = MIN(needed - given, set_available(active[i]) - sizes[i]);

                sizes[i] += MAX(more, (int64_t)0);
                given += MAX(more, (int64_t)0);
        }
        for (size_t i = 0; i < n && given; i++) {
                int64_t idle = MIN(given, sizes[i] - MIN(active[i]->available, sizes[i]));

                sizes[i] -= idle;
                given -= idle;
        }
}

/* to_add < 0: that many are to go. The rounding's rest is the largest one's. */
static void spread(struct rollout *ro, struct set **active, size_t n, int64_t to_add)
{
        int64_t *sizes = arena_array(ro->sync->mem, int64_t, n);
        int64_t added = 0;

        for (size_t i = 0; i < n; i++) {
                int64_t part = proportion(ro, active[i]), left = to_add - added;

                part = to_add > 0 ? MIN(part, left) : MAX(part, left);
                sizes[i] = active[i]->replicas + (to_add ? part : 0);
                added += to_add ? part : 0;
        }
        sizes[0] = MAX(sizes[0] + to_add - added, (int64_t)0);
        keep_available(ro, active, sizes, n);
        for (size_t i = 0; i < n; i++)
                set_resize(ro, active[i], sizes[i]);
}

/* Otherwise the sync that sees the ReplicaSets' next statuses does it. */
static bool may_grow(const struct rollout *ro)
{
        return sizes_are_seen(ro) && total_pods(ro) == total_size(ro);
}

static void rescale_all(struct rollout *ro)
{
        struct set **active = arena_array(ro->sync->mem, struct set *, ro->n);
        int64_t to_add = (ro->replicas ? ro->replicas + ro->surge : 0) - total_size(ro);
        size_t n = 0;

        if (to_add > 0 && !may_grow(ro))
                return;
        sets_foreach (ro, s)
                if (s->replicas > 0)
                        active[n++] = s;
        qsort(active, n, sizeof(struct set *), to_add > 0 ? larger_then_newer : larger_then_older);
        spread(ro, active, n, to_add);
}

void rollout_rescale(struct rollout *ro)
{
        struct set *only = only_one(ro);

        if (!ro->n)
                return;
        if (only) {
                if (ro->replicas <= only->replicas || may_grow(ro))
                        set_resize(ro, only, ro->replicas);
        } else if (fresh_is_saturated(ro)) {
                old_foreach (ro, s)
                        set_resize(ro, s, 0);
        } else if (ro->rolling) {
                rescale_all(ro);
        } else {
                sets_foreach (ro, all)
                        set_resize(ro, all, all->replicas); /* they remember what they were scaled to */
        }
}
