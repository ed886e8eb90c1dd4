/* SPDX-License-Identifier: Apache-2.0 */
/* spec.nodeSelector and node affinity. */
#include <string.h>

#include "scheduler/cycle.h"

/* The values of `metadata.name In (...)` of a term, or NULL when the term does not name its nodes so. */
static const struct query_req *names_of(const struct node_term *t)
{
        for (uint32_t i = 0; i < t->fields.nreqs; i++)
                if (t->fields.reqs[i].op == QUERY_IN && strcmp(t->fields.reqs[i].key->text, "metadata.name") == 0)
                        return &t->fields.reqs[i];
        return NULL;
}

/* Pods of DaemonSets name their node: then no other needs to be looked at. */
static void restrict_to_names(struct cycle *c)
{
        const struct node_rule *rule = &c->shape->node;
        const struct query_req *names = rule->nrequired == 1 ? names_of(&rule->required[0]) : NULL;

        if (!names)
                return;
        c->only = names->values;
        c->nonly = names->nvalues;
        c->restricted = true;
}

static int prefilter(struct cycle *c)
{
        const struct node_rule *rule = &c->shape->node;

        if (!rule->selector.nreqs && !rule->has_required)
                return PLUGIN_SKIP;
        restrict_to_names(c);
        return PLUGIN_GO;
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        if (cycle_allows(c, n))
                return VERDICT_FITS;
        return cycle_reject(c, VERDICT_UNRESOLVABLE, "node(s) didn't match Pod's node affinity/selector", NULL, NULL);
}

static int prescore(struct cycle *c)
{
        return c->shape->node.npreferred ? PLUGIN_GO : PLUGIN_SKIP;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        const struct node_rule *rule = &c->shape->node;
        int64_t sum = 0;

        for (uint32_t i = 0; i < rule->npreferred; i++)
                if (node_term_matches(&rule->preferred[i], n->view))
                        sum += rule->preferred[i].weight;
        return sum;
}

static void normalise(struct cycle *c, int64_t *scores)
{
        plugin_scale(c, scores, false);
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        return node_rule_allows(&rejected->node, change->node->view);
}

const struct plugin plugin_node_affinity = {.name = "NodeAffinity",
                                            .weight = 2,
                                            .events = EVENT_NODE_ADD | EVENT_NODE_LABEL,
                                            .hint = hint,
                                            .prefilter = prefilter,
                                            .filter = filter,
                                            .prescore = prescore,
                                            .score = score,
                                            .normalise = normalise};
