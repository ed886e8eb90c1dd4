/* SPDX-License-Identifier: Apache-2.0 */
/* The closer a node's CPU and memory would be to being used alike, the better. Of exact requests: a pod that asks for
 * nothing says nothing about balance. */
#include <math.h>

#include "scheduler/cycle.h"

static int prescore(struct cycle *c)
{
        const struct resources *want = &c->shape->request.exact;

        return want->milli_cpu || want->memory ? PLUGIN_GO : PLUGIN_SKIP;
}

static double fraction(int64_t used, int64_t has)
{
        double f = (double)used / (double)has;

        return f > 1 ? 1 : f;
}

/* The standard deviation of two fractions is half of their distance; of one, nothing. */
static int64_t score(struct cycle *c, const struct node *n)
{
        const struct resources *has = &n->view->allocatable, *used = &n->used.exact, *want = &c->shape->request.exact;
        double deviation = 0;

        if (has->milli_cpu && has->memory)
                deviation = fabs((fraction(used->milli_cpu + want->milli_cpu, has->milli_cpu) -
                                  fraction(used->memory + want->memory, has->memory)) /
                                 2);
        return (int64_t)((1 - deviation) * (double)SCORE_MAX);
}

const struct plugin plugin_balanced_allocation = {
        .name = "NodeResourcesBalancedAllocation", .weight = 1, .prescore = prescore, .score = score};
