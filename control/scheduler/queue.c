/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/queue.h"

#include <string.h>

#include "base/mem.h"

void queue_init(struct queue *q)
{
        *q = (struct queue){0};
}

void queue_deinit(struct queue *q)
{
        for (size_t i = 0; i < QUEUE_PLACES; i++)
                free(q->places[i].pods);
}

uint64_t queue_backoff_ns(uint32_t failures)
{
        uint32_t doublings = MIN(failures ? failures - 1 : 0, 10u);

        return MIN(QUEUE_BACKOFF_MIN_NS << doublings, (uint64_t)QUEUE_BACKOFF_MAX_NS);
}

/* ---- heaps ---- */

/* Whether a is to be taken before b. */
static bool before(enum queue_place place, const struct pod *a, const struct pod *b)
{
        int32_t pa = a->view->shape->priority, pb = b->view->shape->priority;

        if (place == QUEUE_BACKOFF)
                return a->item.ready_ns < b->item.ready_ns;
        return pa != pb ? pa > pb : a->item.since_ns < b->item.since_ns;
}

static bool is_heap(enum queue_place place)
{
        return place == QUEUE_ACTIVE || place == QUEUE_BACKOFF;
}

static void set(struct queue_list *l, uint32_t i, struct pod *pod)
{
        l->pods[i] = pod;
        pod->item.index = i;
}

static void sift_up(struct queue_list *l, enum queue_place place, uint32_t i)
{
        struct pod *pod = l->pods[i];

        while (i && before(place, pod, l->pods[(i - 1) / 2])) {
                set(l, i, l->pods[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        set(l, i, pod);
}

static void sift_down(struct queue_list *l, enum queue_place place, uint32_t i)
{
        struct pod *pod = l->pods[i];

        for (;;) {
                uint32_t child = 2 * i + 1;

                if (child >= l->n)
                        break;
                if (child + 1 < l->n && before(place, l->pods[child + 1], l->pods[child]))
                        child++;
                if (!before(place, l->pods[child], pod))
                        break;
                set(l, i, l->pods[child]);
                i = child;
        }
        set(l, i, pod);
}

/* ---- places ---- */

static void count_rejections(struct queue *q, const struct pod *pod, int delta)
{
        for (uint32_t left = pod->item.rejected_by; left; left &= left - 1)
                q->rejected_by[__builtin_ctz(left)] += (uint32_t)delta;
}

void queue_remove(struct queue *q, struct pod *pod)
{
        enum queue_place place = pod->item.place;
        struct queue_list *l = &q->places[place];
        uint32_t i = pod->item.index;
        struct pod *last;

        if (place == QUEUE_NOWHERE)
                return;
        if (place == QUEUE_UNSCHEDULABLE)
                count_rejections(q, pod, -1);
        pod->item.place = QUEUE_NOWHERE;
        last = l->pods[--l->n];
        if (last == pod)
                return;
        set(l, i, last);
        if (is_heap(place)) {
                sift_up(l, place, i);
                sift_down(l, place, last->item.index);
        }
}

static void put(struct queue *q, struct pod *pod, enum queue_place place, const char *event)
{
        struct queue_list *l = &q->places[place];

        queue_remove(q, pod);
        if (l->n == l->cap) {
                l->cap = l->cap ? l->cap * 2 : 64;
                l->pods = mem_realloc(l->pods, l->cap, sizeof(struct pod *));
        }
        pod->item.place = place;
        set(l, l->n++, pod);
        if (is_heap(place))
                sift_up(l, place, pod->item.index);
        if (place == QUEUE_UNSCHEDULABLE)
                count_rejections(q, pod, 1);
        if (q->moved)
                q->moved(q->userdata, event, place);
}

void queue_add(struct queue *q, struct pod *pod, uint64_t now_ns)
{
        queue_remove(q, pod);
        if (!pod->item.since_ns || pod->item.failures)
                pod->item.since_ns = now_ns;
        pod->item.failures = 0;
        pod->item.rejected_by = 0;
        if (pod->view->shape->ngates) {
                pod->item.rejected_by = 1u << PLUGIN_SCHEDULING_GATES;
                put(q, pod, QUEUE_GATED, "PodAdd");
        } else {
                if (!pod->item.first_ns)
                        pod->item.first_ns = now_ns;
                put(q, pod, QUEUE_ACTIVE, "PodAdd");
        }
}

struct pod *queue_pop(struct queue *q)
{
        struct queue_list *l = &q->places[QUEUE_ACTIVE];
        struct pod *pod = l->n ? l->pods[0] : NULL;

        if (!pod)
                return NULL;
        queue_remove(q, pod);
        pod->item.attempts++;
        return pod;
}

void queue_put_back(struct queue *q, struct pod *pod, uint32_t rejected_by, uint64_t now_ns)
{
        pod->item.failures++;
        pod->item.since_ns = now_ns;
        pod->item.ready_ns = now_ns + queue_backoff_ns(pod->item.failures);
        pod->item.rejected_by = rejected_by;
        put(q, pod, rejected_by ? QUEUE_UNSCHEDULABLE : QUEUE_BACKOFF, "ScheduleAttemptFailure");
}

void queue_retry_now(struct queue *q, struct pod *pod, uint64_t now_ns)
{
        pod->item.since_ns = now_ns;
        put(q, pod, QUEUE_ACTIVE, "ForceActivate");
}

static void wake(struct queue *q, struct pod *pod, const char *event, uint64_t now_ns)
{
        put(q, pod, pod->item.ready_ns > now_ns ? QUEUE_BACKOFF : QUEUE_ACTIVE, event);
}

void queue_update(struct queue *q, struct pod *pod, uint64_t now_ns)
{
        switch (pod->item.place) {
        case QUEUE_UNSCHEDULABLE:
                wake(q, pod, "PodUpdate", now_ns);
                break;
        case QUEUE_ACTIVE: /* its priority may be another */
                put(q, pod, QUEUE_ACTIVE, "PodUpdate");
                break;
        case QUEUE_BACKOFF:
                break;
        default:
                queue_add(q, pod, now_ns);
        }
}

/* ---- events ---- */

/* The plugins that listen to it and have rejected somebody. */
static uint32_t listeners(const struct queue *q, enum cluster_event event)
{
        uint32_t mask = 0;

        for (unsigned int i = 0; i < PLUGIN_COUNT; i++)
                if (q->rejected_by[i] && (plugins[i]->events & event))
                        mask |= 1u << i;
        return mask;
}

static bool may_help(uint32_t mask, const struct cluster_change *change, const struct shape *shape)
{
        for (; mask; mask &= mask - 1) {
                const struct plugin *p = plugins[__builtin_ctz(mask)];

                if (!p->hint || p->hint(change, shape))
                        return true;
        }
        return false;
}

/* Pods of one shape that were rejected by the same get the same answer, and mostly stand next to each other. */
void queue_event(struct queue *q, const char *name, const struct cluster_change *change, uint64_t now_ns)
{
        uint32_t mask = listeners(q, change->event), last_mask = 0;
        struct queue_list *l = &q->places[QUEUE_UNSCHEDULABLE];
        const struct shape *last = NULL;
        bool answer = false;

        for (uint32_t i = mask ? l->n : 0; i-- > 0;) {
                struct pod *pod = l->pods[i];
                uint32_t his = pod->item.rejected_by & mask;

                if (!his)
                        continue;
                if (pod->view->shape != last || his != last_mask)
                        answer = may_help(his, change, pod->view->shape);
                last = pod->view->shape;
                last_mask = his;
                if (answer)
                        wake(q, pod, name, now_ns);
        }
}

/* Looks at all of them, so not each time. */
static uint64_t flush(struct queue *q, uint64_t now_ns)
{
        struct queue_list *parked = &q->places[QUEUE_UNSCHEDULABLE];

        if (now_ns < q->flush_ns)
                return q->flush_ns;
        for (uint32_t i = parked->n; i-- > 0;)
                if (parked->pods[i]->item.since_ns + QUEUE_PATIENCE_NS <= now_ns)
                        wake(q, parked->pods[i], "UnschedulableTimeout", now_ns);
        return q->flush_ns = now_ns + QUEUE_FLUSH_NS;
}

uint64_t queue_tick(struct queue *q, uint64_t now_ns)
{
        struct queue_list *backoff = &q->places[QUEUE_BACKOFF], *parked = &q->places[QUEUE_UNSCHEDULABLE];
        uint64_t next = UINT64_MAX;

        while (backoff->n && backoff->pods[0]->item.ready_ns <= now_ns)
                put(q, backoff->pods[0], QUEUE_ACTIVE, "BackoffComplete");
        if (backoff->n)
                next = backoff->pods[0]->item.ready_ns;
        if (parked->n)
                next = MIN(next, flush(q, now_ns));
        return next;
}
