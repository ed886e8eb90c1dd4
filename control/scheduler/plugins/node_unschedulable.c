/* SPDX-License-Identifier: Apache-2.0 */
/* Cordoned nodes (spec.unschedulable) take pods that tolerate the taint of that name. */
#include <string.h>

#include "scheduler/cycle.h"

#define TAINT "node.kubernetes.io/unschedulable"

static bool tolerates(const struct state *s, const struct shape *shape)
{
        const struct taint taint = {.key = atoms_find(&s->atoms, TAINT, strlen(TAINT)),
                                    .value = atoms_find(&s->atoms, "", 0),
                                    .effect = EFFECT_NO_SCHEDULE};

        return shape_tolerates(shape, &taint);
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        if (!n->view->unschedulable || tolerates(c->state, c->shape))
                return VERDICT_FITS;
        return cycle_reject(c, VERDICT_UNRESOLVABLE, "node(s) were unschedulable", NULL, NULL);
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        return !change->node->view->unschedulable || tolerates(change->state, rejected);
}

const struct plugin plugin_node_unschedulable = {
        .name = "NodeUnschedulable", .events = EVENT_NODE_ADD | EVENT_NODE_TAINT, .hint = hint, .filter = filter};
