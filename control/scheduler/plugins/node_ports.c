/* SPDX-License-Identifier: Apache-2.0 */
/* Host ports: one address, protocol and port belong to one pod of a node. */
#include "scheduler/cycle.h"

static bool clash(const struct host_port *a, const struct host_port *b)
{
        return a->port == b->port && a->protocol == b->protocol && (!a->ip || !b->ip || a->ip == b->ip);
}

static bool shapes_clash(const struct shape *a, const struct shape *b)
{
        for (uint32_t i = 0; i < a->nports; i++)
                for (uint32_t k = 0; k < b->nports; k++)
                        if (clash(&a->ports[i], &b->ports[k]))
                                return true;
        return false;
}

static int prefilter(struct cycle *c)
{
        return c->shape->nports ? PLUGIN_GO : PLUGIN_SKIP;
}

static bool is_taken(struct cycle *c, const struct node *n)
{
        for (const struct pod *p = n->npods_with_ports ? n->pods : NULL; p; p = p->next)
                if (!p->hidden && shapes_clash(c->shape, p->view->shape))
                        return true;
        return false;
}

/* Pods that are nominated for the node and go before are as good as there. */
static bool is_promised(struct cycle *c, const struct node *n)
{
        for (const struct pod *p = n->nominated; p; p = p->next_nominated)
                if (p != c->pod && !p->node && p->view->shape->priority >= c->shape->priority &&
                    shapes_clash(c->shape, p->view->shape))
                        return true;
        return false;
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        if (!is_taken(c, n) && !is_promised(c, n))
                return VERDICT_FITS;
        return cycle_reject(c, VERDICT_UNSCHEDULABLE, "node(s) didn't have free ports for the requested pod ports",
                            NULL, NULL);
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        return change->event != EVENT_POD_DELETE || shapes_clash(rejected, change->pod);
}

const struct plugin plugin_node_ports = {.name = "NodePorts",
                                         .events = EVENT_NODE_ADD | EVENT_POD_DELETE,
                                         .hint = hint,
                                         .prefilter = prefilter,
                                         .filter = filter};
