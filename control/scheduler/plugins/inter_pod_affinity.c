/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pod affinity and anti-affinity, in both directions: what the pod says about those that are there, and what they say
 * about it. The former are tallies, the latter carriers; both are added up by topology domain.
 */
#include "scheduler/cycle.h"

static struct tally_question question_of(const struct pod_term *t)
{
        return (struct tally_question){.pods = &t->pods,
                                       .namespaces = t->namespaces,
                                       .nnamespaces = t->nnamespaces,
                                       .namespace_query = t->namespace_query.nothing ? NULL : &t->namespace_query};
}

static bool term_selects(const struct state *s, const struct pod_term *t, const struct shape *shape)
{
        const struct tally_question q = question_of(t);

        return tally_selects(s, &q, shape);
}

static bool all_select(const struct state *s, const struct pod_term *terms, uint32_t n, const struct shape *shape)
{
        for (uint32_t i = 0; i < n; i++)
                if (!term_selects(s, &terms[i], shape))
                        return false;
        return n > 0;
}

/* ---- filter ---- */

static void add_term(struct cycle *c, struct domain_sums *d, const struct pod_term *t)
{
        const struct tally_question q = question_of(t);

        domain_sums_add_counts(d, topology_get(c->state, t->topology_key), tally_get(c->state, &q), c->state->nslots,
                               t->weight);
}

static void add_pod_to_required(struct cycle *c, const struct node *n, const struct pod *pod, int delta)
{
        const struct pod_rule *rule = &c->shape->pods;

        if (!all_select(c->state, rule->required, rule->nrequired, pod->view->shape))
                return;
        for (uint32_t i = 0; i < rule->nrequired; i++)
                domain_sums_add(&c->affinity.required, topology_get(c->state, rule->required[i].topology_key), n->slot,
                                delta);
}

/* A pod counts when it matches all terms. With one term that is a tally; more of them are rare, and all pods are looked
 * at. */
static void sum_required(struct cycle *c)
{
        const struct pod_rule *rule = &c->shape->pods;

        if (rule->nrequired == 1)
                add_term(c, &c->affinity.required, &rule->required[0]);
        if (rule->nrequired < 2)
                return;
        for (uint32_t slot = 0; slot < c->state->nslots; slot++) {
                const struct node *n = c->state->slots[slot];

                for (const struct pod *p = n ? n->pods : NULL; p; p = p->next)
                        add_pod_to_required(c, n, p, 1);
        }
}

static void add_carrier(struct cycle *c, struct domain_sums *d, const struct carrier *carrier,
                        const struct pod_term *terms, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++) {
                const struct topology *t;

                if (!term_selects(c->state, &terms[i], c->shape))
                        continue;
                t = topology_get(c->state, terms[i].topology_key);
                for (uint32_t k = 0; k < carrier->nplaces; k++)
                        domain_sums_add(d, t, carrier->places[k].slot, carrier->places[k].pods * terms[i].weight);
        }
}

static int prefilter(struct cycle *c)
{
        struct affinity_work *w = &c->affinity;
        const struct pod_rule *rule = &c->shape->pods;
        const struct carriers *carriers = &c->state->carriers;

        domain_sums_reset(&w->against_us);
        domain_sums_reset(&w->required);
        domain_sums_reset(&w->forbidden);
        w->first_may_start = all_select(c->state, rule->required, rule->nrequired, c->shape);
        for (uint32_t i = 0; i < carriers->n; i++) {
                const struct shape *other = carriers->all[i]->shape;

                add_carrier(c, &w->against_us, carriers->all[i], other->pods.forbidden, other->pods.nforbidden);
        }
        sum_required(c);
        for (uint32_t i = 0; i < rule->nforbidden; i++)
                add_term(c, &w->forbidden, &rule->forbidden[i]);
        return rule->nrequired || rule->nforbidden || w->against_us.n ? PLUGIN_GO : PLUGIN_SKIP;
}

static enum verdict check_required(struct cycle *c, const struct node *n)
{
        const struct pod_rule *rule = &c->shape->pods;
        bool there = true;

        for (uint32_t i = 0; i < rule->nrequired; i++) {
                const struct topology *t = topology_get(c->state, rule->required[i].topology_key);

                if (t->domain[n->slot] == NO_DOMAIN)
                        return VERDICT_UNRESOLVABLE;
                if (domain_sums_get(&c->affinity.required, t, n->slot) <= 0)
                        there = false;
        }
        /* The first of a group that wants to be together has nobody to be with. */
        return there || (!c->affinity.required.total && c->affinity.first_may_start) ? VERDICT_FITS
                                                                                     : VERDICT_UNRESOLVABLE;
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        if (check_required(c, n) != VERDICT_FITS)
                return cycle_reject(c, VERDICT_UNRESOLVABLE, "node(s) didn't match pod affinity rules", NULL, NULL);
        if (domain_sums_any(&c->affinity.forbidden, n->slot))
                return cycle_reject(c, VERDICT_UNSCHEDULABLE, "node(s) didn't match pod anti-affinity rules", NULL,
                                    NULL);
        if (domain_sums_any(&c->affinity.against_us, n->slot))
                return cycle_reject(c, VERDICT_UNSCHEDULABLE,
                                    "node(s) didn't satisfy existing pods anti-affinity rules", NULL, NULL);
        return VERDICT_FITS;
}

static void pod_moved(struct cycle *c, const struct node *n, const struct pod *pod, int delta)
{
        const struct pod_rule *mine = &c->shape->pods, *theirs = &pod->view->shape->pods;

        add_pod_to_required(c, n, pod, delta);
        for (uint32_t i = 0; i < mine->nforbidden; i++)
                if (term_selects(c->state, &mine->forbidden[i], pod->view->shape))
                        domain_sums_add(&c->affinity.forbidden, topology_get(c->state, mine->forbidden[i].topology_key),
                                        n->slot, delta);
        for (uint32_t i = 0; i < theirs->nforbidden; i++)
                if (term_selects(c->state, &theirs->forbidden[i], c->shape))
                        domain_sums_add(&c->affinity.against_us,
                                        topology_get(c->state, theirs->forbidden[i].topology_key), n->slot, delta);
}

/* ---- score ---- */

static int prescore(struct cycle *c)
{
        struct domain_sums *d = &c->affinity.score;
        const struct pod_rule *rule = &c->shape->pods;
        const struct carriers *carriers = &c->state->carriers;

        domain_sums_reset(d);
        for (uint32_t i = 0; i < rule->npreferred; i++)
                add_term(c, d, &rule->preferred[i]);
        for (uint32_t i = 0; i < carriers->n; i++) {
                const struct pod_rule *other = &carriers->all[i]->shape->pods;

                add_carrier(c, d, carriers->all[i], other->required, other->nrequired);
                add_carrier(c, d, carriers->all[i], other->preferred, other->npreferred);
        }
        return d->n ? PLUGIN_GO : PLUGIN_SKIP;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        return domain_sums_total(&c->affinity.score, n->slot);
}

static void normalise(struct cycle *c, int64_t *scores)
{
        int64_t min = INT64_MAX, max = INT64_MIN;

        for (uint32_t i = 0; i < c->nfeasible; i++) {
                min = MIN(min, scores[i]);
                max = MAX(max, scores[i]);
        }
        for (uint32_t i = 0; i < c->nfeasible; i++)
                scores[i] = max > min ? (int64_t)((double)SCORE_MAX * ((double)(scores[i] - min) / (double)(max - min)))
                                      : 0;
}

/* ---- what may help ---- */

/* The pod matches a term of the rejected one's affinity now, and did not before. */
static bool newly_wanted(const struct cluster_change *change, const struct shape *rejected)
{
        const struct pod_rule *rule = &rejected->pods;

        for (uint32_t i = 0; i < rule->nrequired; i++)
                if (term_selects(change->state, &rule->required[i], change->pod) &&
                    !(change->pod_before && term_selects(change->state, &rule->required[i], change->pod_before)))
                        return true;
        return false;
}

/* The pod was in the way: it matched the rejected one's anti-affinity, or the other way round. */
static bool was_in_the_way(const struct cluster_change *change, const struct shape *rejected)
{
        const struct shape *gone = change->pod_before ? change->pod_before : change->pod;

        for (uint32_t i = 0; i < rejected->pods.nforbidden; i++)
                if (term_selects(change->state, &rejected->pods.forbidden[i], gone))
                        return true;
        for (uint32_t i = 0; i < gone->pods.nforbidden; i++)
                if (term_selects(change->state, &gone->pods.forbidden[i], rejected))
                        return true;
        /* Its own group may have ended: then it may be the first of a new one. */
        return all_select(change->state, rejected->pods.required, rejected->pods.nrequired, rejected) &&
               all_select(change->state, rejected->pods.required, rejected->pods.nrequired, gone);
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        switch (change->event) {
        case EVENT_POD_ADD:
                return newly_wanted(change, rejected);
        case EVENT_POD_LABEL:
                return newly_wanted(change, rejected) || was_in_the_way(change, rejected);
        case EVENT_POD_DELETE:
                return was_in_the_way(change, rejected);
        default:
                return true;
        }
}

const struct plugin plugin_inter_pod_affinity = {.name = "InterPodAffinity",
                                                 .weight = 2,
                                                 .events = EVENT_NODE_ADD | EVENT_NODE_LABEL | EVENT_POD_ADD |
                                                           EVENT_POD_DELETE | EVENT_POD_LABEL | EVENT_NAMESPACE_LABEL,
                                                 .hint = hint,
                                                 .prefilter = prefilter,
                                                 .filter = filter,
                                                 .pod_moved = pod_moved,
                                                 .prescore = prescore,
                                                 .score = score,
                                                 .normalise = normalise};
