/* SPDX-License-Identifier: Apache-2.0 */
/* A node has room for what a pod asks for; and the emptier it would be with it, the better (LeastAllocated). */
#include "scheduler/cycle.h"

#define INSUFFICIENT(name) "Insufficient " name

/* One resource: counts the reason when there is too little. */
static enum verdict need(struct cycle *c, int64_t want, int64_t has, int64_t used, const char *format,
                         const struct atom *name)
{
        if (want <= 0 || want <= has - used)
                return VERDICT_FITS;
        return cycle_reject(c, want > has ? VERDICT_UNRESOLVABLE : VERDICT_UNSCHEDULABLE, format, name, NULL);
}

/* All resources that are short are told, not only the first. */
static enum verdict filter(struct cycle *c, const struct node *n)
{
        const struct resources *want = &c->shape->request.exact, *has = &n->view->allocatable, *used = &n->used.exact;
        enum verdict v = VERDICT_FITS, one;

        if ((int64_t)n->used.pods + 1 > n->view->pods)
                v = cycle_reject(c, VERDICT_UNSCHEDULABLE, "Too many pods", NULL, NULL);
        one = need(c, want->milli_cpu, has->milli_cpu, used->milli_cpu, INSUFFICIENT("cpu"), NULL);
        v = MAX(v, one);
        one = need(c, want->memory, has->memory, used->memory, INSUFFICIENT("memory"), NULL);
        v = MAX(v, one);
        one = need(c, want->ephemeral, has->ephemeral, used->ephemeral, INSUFFICIENT("ephemeral-storage"), NULL);
        v = MAX(v, one);
        for (uint32_t i = 0; i < want->nothers; i++) {
                const struct atom *name = want->others[i].name;

                one = need(c, want->others[i].value, resources_other(has, name), resources_other(used, name),
                           INSUFFICIENT("%s"), name);
                v = MAX(v, one);
        }
        return v;
}

static int64_t least_used(int64_t used, int64_t has)
{
        return used > has ? 0 : (has - used) * SCORE_MAX / has;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        const struct resources *has = &n->view->allocatable;
        int64_t cpu = n->used.nonzero_milli_cpu + c->shape->request.nonzero_milli_cpu;
        int64_t memory = n->used.nonzero_memory + c->shape->request.nonzero_memory;
        int64_t sum = 0, resources = 0;

        if (has->milli_cpu) {
                sum += least_used(cpu, has->milli_cpu);
                resources++;
        }
        if (has->memory) {
                sum += least_used(memory, has->memory);
                resources++;
        }
        return resources ? sum / resources : 0;
}

/* Whether the pod would fit on the node if it were empty. */
static bool could_fit(const struct shape *s, const struct node_view *n)
{
        const struct resources *want = &s->request.exact, *has = &n->allocatable;

        if (n->pods < 1 || want->milli_cpu > has->milli_cpu || want->memory > has->memory ||
            want->ephemeral > has->ephemeral)
                return false;
        for (uint32_t i = 0; i < want->nothers; i++)
                if (want->others[i].value > resources_other(has, want->others[i].name))
                        return false;
        return true;
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        const struct node *n = change->node ? change->node : change->pod_node;

        return !n || !n->view || could_fit(rejected, n->view);
}

const struct plugin plugin_node_resources_fit = {.name = "NodeResourcesFit",
                                                 .weight = 1,
                                                 .events = EVENT_NODE_ADD | EVENT_NODE_ALLOCATABLE | EVENT_POD_DELETE |
                                                           EVENT_POD_SCALE_DOWN,
                                                 .hint = hint,
                                                 .filter = filter,
                                                 .score = score};
