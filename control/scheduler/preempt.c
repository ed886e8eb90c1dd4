/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On each node that might do, all pods of lower priority are taken away, by cycle_move, and put back one by one, the
 * most important first, as long as the new pod still fits; those that cannot be put back are the victims. Pods whose
 * disruption budgets would break are put back first. Of the nodes the one wins whose victims are the least loss.
 */
#include "scheduler/preempt.h"

#include <string.h>

#include "base/mem.h"

#define CANDIDATES_PERCENT 10
#define CANDIDATES_MIN     100
#define NOT_HELPFUL        "Preemption is not helpful for scheduling"
#define NO_VICTIMS         "No preemption victims found for incoming pod"

void preemption_deinit(struct preemption *p)
{
        free(p->victims);
        free(p->nodes);
        free(p->pods);
        free(p->trial);
        free(p->violating);
        diagnosis_deinit(&p->diagnosis);
}

uint32_t preempt_enough(uint32_t n)
{
        return MIN(n, MAX(n * CANDIDATES_PERCENT / 100, (uint32_t)CANDIDATES_MIN));
}

static int32_t priority(const struct pod *pod)
{
        return pod->view->shape->priority;
}

/* ---- victims of one node ---- */

static int64_t start_of(const struct pod *pod)
{
        return pod->view->started_s ? pod->view->started_s : INT64_MAX;
}

/* Higher priority first, then what has run longer. */
static int by_importance(const void *a, const void *b)
{
        const struct pod *x = *(struct pod *const *)a, *y = *(struct pod *const *)b;
        int64_t sx = start_of(x), sy = start_of(y);

        if (priority(x) != priority(y))
                return priority(x) > priority(y) ? -1 : 1;
        if (sx != sy)
                return sx < sy ? -1 : 1;
        return strcmp(x->view->uid, y->view->uid);
}

static void make_room_for_pods(struct preemption *p, uint32_t n)
{
        if (n <= p->pods_cap)
                return;
        p->pods_cap = n * 2;
        p->pods = mem_realloc(p->pods, p->pods_cap, sizeof(struct pod *));
        p->trial = mem_realloc(p->trial, p->pods_cap, sizeof(struct pod *));
        p->victims = mem_realloc(p->victims, p->pods_cap, sizeof(struct pod *));
        p->violating = mem_realloc(p->violating, p->pods_cap, 1);
}

static uint32_t collect(const struct cycle *c, struct preemption *p, const struct node *n)
{
        uint32_t count = 0;

        make_room_for_pods(p, n->used.pods + 1);
        for (struct pod *pod = n->pods; pod; pod = pod->next)
                if (priority(pod) < c->shape->priority)
                        p->pods[count++] = pod;
        return count;
}

/* Puts back what can stay. The victims are in p->trial; returns how many. */
static uint32_t reprieve(struct cycle *c, struct preemption *p, struct node *n, uint32_t count, bool violating,
                         uint32_t victims)
{
        for (uint32_t i = 0; i < count; i++) {
                if (p->violating[i] != violating)
                        continue;
                cycle_move(c, n, p->pods[i], 1);
                if (cycle_fits(c, n) == VERDICT_FITS)
                        continue;
                cycle_move(c, n, p->pods[i], -1);
                p->trial[victims++] = p->pods[i];
                p->violations += violating;
        }
        return victims;
}

static uint32_t choose_victims(struct cycle *c, struct preemption *p, struct node *n, uint32_t count)
{
        uint32_t victims;

        qsort(p->pods, count, sizeof(struct pod *), by_importance);
        disruption_begin(&c->state->disruption);
        for (uint32_t i = 0; i < count; i++)
                p->violating[i] =
                        disruption_violates(&c->state->disruption, p->pods[i]->view->shape, p->pods[i]->view->name);
        p->violations = 0;
        victims = reprieve(c, p, n, count, true, 0);
        victims = reprieve(c, p, n, count, false, victims);
        qsort(p->trial, victims, sizeof(struct pod *), by_importance);
        return victims;
}

/* How many victims would make the node do; 0: none would. The node is afterwards as it was. */
static uint32_t try_node(struct cycle *c, struct preemption *p, struct node *n)
{
        uint32_t count = collect(c, p, n), victims = 0;

        if (!count) {
                diagnosis_count_n(&p->diagnosis, NO_VICTIMS, 1);
                return 0;
        }
        for (uint32_t i = 0; i < count; i++)
                cycle_move(c, n, p->pods[i], -1);
        c->diagnosis = &p->diagnosis;
        if (cycle_fits(c, n) == VERDICT_FITS) {
                c->diagnosis = NULL;
                victims = choose_victims(c, p, n, count);
        }
        c->diagnosis = NULL;
        for (uint32_t i = 0; i < count; i++)
                if (p->pods[i]->hidden)
                        cycle_move(c, n, p->pods[i], 1);
        return victims;
}

/* ---- the best node ---- */

/* What is lost: compared field by field, less is better. */
struct loss {
        int64_t violations, highest, sum, count, since;
};

static struct loss loss_of(const struct preemption *p, uint32_t n)
{
        struct loss l = {.violations = p->violations, .highest = priority(p->trial[0]), .count = n, .since = INT64_MAX};

        for (uint32_t i = 0; i < n; i++) {
                l.sum += (int64_t)priority(p->trial[i]) + INT32_MAX + 1;
                if (priority(p->trial[i]) == l.highest)
                        l.since = MIN(l.since, start_of(p->trial[i]));
        }
        l.since = -l.since; /* what has begun last is the smallest loss */
        return l;
}

static bool is_less(const struct loss *a, const struct loss *b)
{
        if (a->violations != b->violations)
                return a->violations < b->violations;
        if (a->highest != b->highest)
                return a->highest < b->highest;
        if (a->sum != b->sum)
                return a->sum < b->sum;
        return a->count != b->count ? a->count < b->count : a->since < b->since;
}

static void keep(struct preemption *p, struct node *n, uint32_t victims)
{
        p->node = n;
        p->nvictims = victims;
        memcpy(p->victims, p->trial, victims * sizeof(struct pod *));
}

/* Enough candidates, of which one breaks no budget, end the search. */
static void search(struct cycle *c, struct preemption *p, uint32_t n)
{
        uint32_t enough = preempt_enough(n), start = n ? cycle_random(c, n) : 0, found = 0, good = 0;
        struct loss best = {0};

        for (uint32_t i = 0; i < n && (found < enough || !good); i++) {
                struct node *node = p->nodes[(start + i) % n];
                uint32_t victims = try_node(c, p, node);
                struct loss loss;

                if (!victims)
                        continue;
                found++;
                good += !p->violations;
                loss = loss_of(p, victims);
                if (p->node && !is_less(&loss, &best))
                        continue;
                best = loss;
                keep(p, node, victims);
        }
}

/* ---- whether at all ---- */

static bool waits_for_victims(const struct cycle *c)
{
        const struct node *n = c->pod->nominated;

        if (!n || (n->view && c->verdicts[n->slot] == VERDICT_UNRESOLVABLE))
                return false;
        for (const struct pod *p = n->pods; p; p = p->next)
                if (priority(p) < c->shape->priority && p->view->terminating && p->view->preempted)
                        return true;
        return false;
}

/* Nodes that reject the pod because of the pods that they have. */
static uint32_t useful_nodes(struct cycle *c, struct preemption *p)
{
        struct node *const *order = state_order(c->state);
        uint32_t n = 0;

        if (p->nodes_cap < c->state->nnodes) {
                p->nodes_cap = c->state->nnodes;
                p->nodes = mem_realloc(p->nodes, p->nodes_cap, sizeof(struct node *));
        }
        for (uint32_t i = 0; i < c->state->nnodes; i++)
                if (c->verdicts[order[i]->slot] == VERDICT_UNSCHEDULABLE)
                        p->nodes[n++] = order[i];
        return n;
}

static int refuse(struct diagnosis *d, const char *why)
{
        strbuf_printf(&d->appendix, "preemption: %s", why);
        return PREEMPT_NOT_NOW;
}

int preempt_find(struct cycle *c, struct preemption *p)
{
        struct diagnosis *d = c->diagnosis;
        uint32_t n;

        if (c->shape->never_preempts)
                return refuse(d, "not eligible due to preemptionPolicy=Never.");
        if (waits_for_victims(c))
                return refuse(d, "not eligible due to a terminating pod on the nominated node.");
        p->node = NULL;
        diagnosis_reset(&p->diagnosis, c->state->nnodes);
        n = useful_nodes(c, p);
        if (state_has_below(c->state, c->shape->priority))
                search(c, p, n);
        else
                diagnosis_count_n(&p->diagnosis, NO_VICTIMS, n);
        c->diagnosis = d;
        if (p->node)
                return 0;
        if (!c->state->nnodes)
                return PREEMPT_NONE;
        diagnosis_count_n(&p->diagnosis, NOT_HELPFUL, c->state->nnodes - n);
        strbuf_add_str(&d->appendix, "preemption: ");
        diagnosis_write(&p->diagnosis, &d->appendix);
        return PREEMPT_NONE;
}
