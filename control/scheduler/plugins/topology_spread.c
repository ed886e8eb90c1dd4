/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topology spread: pods that belong together are to be spread over zones, hosts, or whatever a node label tells. Hard
 * constraints filter; soft ones score; a pod without any that has siblings (of a Service, a controller) gets two soft
 * ones. How many of them are on which node is a tally; each cycle adds these up by domain.
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "scheduler/cycle.h"

#define HOST "kubernetes.io/hostname"
#define ZONE "topology.kubernetes.io/zone"

static const struct {
        const char *key;
        int32_t max_skew;
} defaults[] = {{HOST, 3}, {ZONE, 5}};

/* ---- what both uses share ---- */

static struct spread_sum *next_sum(struct spread_work *w)
{
        struct spread_sum *s;

        if (w->n == w->cap) {
                w->sums = mem_realloc(w->sums, w->cap + 4, sizeof(*w->sums));
                memset(w->sums + w->cap, 0, 4 * sizeof(*w->sums));
                w->cap += 4;
        }
        s = &w->sums[w->n++];
        s->nthere = 0;
        s->some_lack_it = false;
        s->rule = NULL;
        return s;
}

static void set_topology(struct cycle *c, struct spread_sum *s, const struct atom *key)
{
        s->topology = topology_get(c->state, key);
        s->ndomains = s->topology->ndomains;
        s->by_host = strcmp(key->text, HOST) == 0;
        if (s->cap < s->ndomains) {
                s->cap = s->ndomains;
                s->count = mem_realloc(s->count, s->cap, sizeof(*s->count));
                s->there = mem_realloc(s->there, s->cap, sizeof(*s->there));
        }
        if (!s->ndomains)
                return;
        memset(s->count, 0, s->ndomains * sizeof(*s->count));
        memset(s->there, 0, s->ndomains * sizeof(*s->there));
}

static void ask_tally(struct cycle *c, struct spread_sum *s)
{
        const struct tally_question q = {
                .pods = &s->pods, .namespaces = &c->shape->ns, .nnamespaces = 1, .living = true};

        s->itself = query_match(&s->pods, &c->shape->labels);
        s->per_node = tally_get(c->state, &q);
}

static void add_rules(struct cycle *c, struct spread_work *w, bool hard)
{
        for (uint32_t i = 0; i < c->shape->nspreads; i++) {
                const struct spread *rule = &c->shape->spreads[i];
                struct spread_sum *s;

                if (rule->hard != hard)
                        continue;
                s = next_sum(w);
                s->rule = rule;
                s->pods = rule->pods;
                s->max_skew = rule->max_skew;
                s->min_domains = rule->min_domains;
                set_topology(c, s, rule->topology_key);
                ask_tally(c, s);
        }
}

static bool has_all_keys(const struct spread_work *w, const struct node *n)
{
        for (uint32_t i = 0; i < w->n; i++)
                if (w->sums[i].topology->domain[n->slot] == NO_DOMAIN)
                        return false;
        return true;
}

/* nodeAffinityPolicy and nodeTaintsPolicy: whether pods on this node count. */
static bool includes(struct cycle *c, const struct spread_sum *s, const struct node *n)
{
        if ((!s->rule || s->rule->honor_affinity) && !cycle_allows(c, n))
                return false;
        return !s->rule || !s->rule->honor_taints || !node_untolerated_taint(n->view, c->shape);
}

/* ---- filter ---- */

static void count_node(struct cycle *c, struct spread_sum *s, const struct node *n)
{
        uint32_t domain = s->topology->domain[n->slot];

        if (!includes(c, s, n))
                return;
        s->nthere += !s->there[domain];
        s->there[domain] = 1;
        s->count[domain] += s->per_node[n->slot];
}

static void count_all(struct cycle *c, struct spread_work *w)
{
        for (uint32_t slot = 0; slot < c->state->nslots; slot++) {
                const struct node *n = c->state->slots[slot];

                if (!n || !n->view || !has_all_keys(w, n))
                        continue;
                for (uint32_t i = 0; i < w->n; i++)
                        count_node(c, &w->sums[i], n);
        }
}

static int prefilter(struct cycle *c)
{
        struct spread_work *w = &c->spread_filter;

        w->n = 0;
        add_rules(c, w, true);
        if (!w->n)
                return PLUGIN_SKIP;
        count_all(c, w);
        for (uint32_t i = 0; i < w->n; i++)
                w->sums[i].stale = true;
        return PLUGIN_GO;
}

/* The fewest pods in a domain; too few domains count as if one were empty. */
static int64_t least(struct spread_sum *s)
{
        if (s->stale) {
                s->least = INT32_MAX;
                for (uint32_t i = 0; i < s->ndomains; i++)
                        if (s->there[i])
                                s->least = MIN(s->least, s->count[i]);
                s->stale = false;
        }
        return s->nthere < (uint32_t)s->min_domains ? 0 : s->least;
}

static enum verdict filter(struct cycle *c, const struct node *n)
{
        struct spread_work *w = &c->spread_filter;

        for (uint32_t i = 0; i < w->n; i++) {
                struct spread_sum *s = &w->sums[i];
                uint32_t domain = s->topology->domain[n->slot];

                if (domain == NO_DOMAIN)
                        return cycle_reject(
                                c, VERDICT_UNRESOLVABLE,
                                "node(s) didn't match pod topology spread constraints (missing required label)", NULL,
                                NULL);
                if (s->count[domain] + s->itself - least(s) > s->max_skew)
                        return cycle_reject(c, VERDICT_UNSCHEDULABLE,
                                            "node(s) didn't match pod topology spread constraints", NULL, NULL);
        }
        return VERDICT_FITS;
}

static void pod_moved(struct cycle *c, const struct node *n, const struct pod *pod, int delta)
{
        struct spread_work *w = &c->spread_filter;
        const struct shape *other = pod->view->shape;

        if (other->ns != c->shape->ns || pod->view->terminating || !has_all_keys(w, n))
                return;
        for (uint32_t i = 0; i < w->n; i++) {
                struct spread_sum *s = &w->sums[i];

                if (!query_match(&s->pods, &other->labels) || !includes(c, s, n))
                        continue;
                s->count[s->topology->domain[n->slot]] += delta;
                s->stale = true;
        }
}

/* ---- score ---- */

static void add_defaults(struct cycle *c, struct spread_work *w)
{
        const struct query *siblings = owners_siblings(&c->state->owners, &c->state->atoms, c->shape);

        for (size_t i = 0; siblings && i < ARRAY_SIZE(defaults); i++) {
                const struct atom *key = atoms_get(&c->state->atoms, defaults[i].key, strlen(defaults[i].key));
                struct spread_sum *s = next_sum(w);

                s->pods = *siblings;
                s->max_skew = defaults[i].max_skew;
                set_topology(c, s, key);
                ask_tally(c, s);
                atoms_put(&c->state->atoms, key); /* the topology has one */
        }
}

/* Nodes without the label are a domain, too, as long as all of them may lack it. */
static void mark_domain(struct spread_sum *s, const struct node *n)
{
        uint32_t domain = s->topology->domain[n->slot];

        if (domain == NO_DOMAIN) {
                s->nthere += !s->some_lack_it;
                s->some_lack_it = true;
        } else if (!s->there[domain]) {
                s->there[domain] = 1;
                s->nthere++;
        }
}

/* A domain matters when a node of it fits. */
static void mark_candidates(struct cycle *c, struct spread_work *w)
{
        uint32_t scored = 0;

        for (uint32_t i = 0; i < c->nfeasible; i++) {
                if (w->need_all_keys && !has_all_keys(w, c->feasible[i]))
                        continue;
                scored++;
                for (uint32_t k = 0; k < w->n; k++)
                        if (!w->sums[k].by_host)
                                mark_domain(&w->sums[k], c->feasible[i]);
        }
        for (uint32_t k = 0; k < w->n; k++)
                w->sums[k].weight = log((double)(w->sums[k].by_host ? scored : w->sums[k].nthere) + 2);
}

static bool is_ignored(const struct spread_work *w, const struct node *n)
{
        return w->need_all_keys && !has_all_keys(w, n);
}

static void add_one(struct spread_sum *s, uint32_t slot)
{
        uint32_t domain = s->topology->domain[slot];

        if (domain != NO_DOMAIN && s->there[domain])
                s->count[domain] += s->per_node[slot];
}

/* No node is left out for what it is: then it need not be looked at. */
static bool takes_all(const struct cycle *c, const struct spread_work *w, const struct spread_sum *s)
{
        const struct node_rule *rule = &c->shape->node;

        return !(w->need_all_keys && w->n > 1) && !rule->selector.nreqs && !rule->has_required &&
               !(s->rule && s->rule->honor_taints);
}

static void add_up(struct cycle *c, struct spread_work *w, struct spread_sum *s)
{
        bool all = takes_all(c, w, s);

        for (uint32_t slot = 0; slot < c->state->nslots; slot++) {
                const struct node *n;

                if (!s->per_node[slot])
                        continue;
                n = all ? NULL : c->state->slots[slot];
                if (all || (n && n->view && !is_ignored(w, n) && includes(c, s, n)))
                        add_one(s, slot);
        }
}

static int prescore(struct cycle *c)
{
        struct spread_work *w = &c->spread_score;

        w->n = 0;
        w->need_all_keys = c->shape->nspreads > 0;
        if (c->shape->nspreads)
                add_rules(c, w, false);
        else
                add_defaults(c, w);
        if (!w->n)
                return PLUGIN_SKIP;
        mark_candidates(c, w);
        for (uint32_t i = 0; i < w->n; i++)
                if (!w->sums[i].by_host)
                        add_up(c, w, &w->sums[i]);
        return PLUGIN_GO;
}

static int64_t score(struct cycle *c, const struct node *n)
{
        struct spread_work *w = &c->spread_score;
        double sum = 0;

        if (is_ignored(w, n))
                return 0;
        for (uint32_t i = 0; i < w->n; i++) {
                const struct spread_sum *s = &w->sums[i];
                uint32_t domain = s->topology->domain[n->slot];
                int64_t count;

                if (domain == NO_DOMAIN)
                        continue;
                count = s->by_host ? (int64_t)s->per_node[n->slot] : s->count[domain];
                sum += (double)count * s->weight + ((double)s->max_skew - 1);
        }
        return (int64_t)round(sum);
}

/* Fewer is better; nodes that lack a label get nothing. */
static void normalise(struct cycle *c, int64_t *scores)
{
        struct spread_work *w = &c->spread_score;
        int64_t min = INT64_MAX, max = 0;

        for (uint32_t i = 0; i < c->nfeasible; i++) {
                if (is_ignored(w, c->feasible[i]))
                        continue;
                min = MIN(min, scores[i]);
                max = MAX(max, scores[i]);
        }
        for (uint32_t i = 0; i < c->nfeasible; i++) {
                if (is_ignored(w, c->feasible[i]))
                        scores[i] = 0;
                else
                        scores[i] = max ? SCORE_MAX * (max + min - scores[i]) / max : SCORE_MAX;
        }
}

/* ---- what may help ---- */

static bool concerns(const struct shape *rejected, const struct shape *pod)
{
        if (!pod || pod->ns != rejected->ns)
                return false;
        for (uint32_t i = 0; i < rejected->nspreads; i++)
                if (rejected->spreads[i].hard && query_match(&rejected->spreads[i].pods, &pod->labels))
                        return true;
        return false;
}

static bool node_has_keys(const struct shape *rejected, const struct node_view *node)
{
        for (uint32_t i = 0; i < rejected->nspreads; i++)
                if (rejected->spreads[i].hard && !label_get(&node->labels, rejected->spreads[i].topology_key))
                        return false;
        return true;
}

static bool hint(const struct cluster_change *change, const struct shape *rejected)
{
        const uint32_t of_pods = EVENT_POD_ADD | EVENT_POD_DELETE | EVENT_POD_LABEL | EVENT_POD_TERMINATING;

        if (change->event & of_pods)
                return concerns(rejected, change->pod) || concerns(rejected, change->pod_before);
        return (change->node && change->node->view && node_has_keys(rejected, change->node->view)) ||
               (change->before && node_has_keys(rejected, change->before));
}

const struct plugin plugin_pod_topology_spread = {.name = "PodTopologySpread",
                                                  .weight = 2,
                                                  .events = EVENT_NODE_ADD | EVENT_NODE_DELETE | EVENT_NODE_LABEL |
                                                            EVENT_NODE_TAINT | EVENT_POD_ADD | EVENT_POD_DELETE |
                                                            EVENT_POD_LABEL | EVENT_POD_TERMINATING,
                                                  .hint = hint,
                                                  .prefilter = prefilter,
                                                  .filter = filter,
                                                  .pod_moved = pod_moved,
                                                  .prescore = prescore,
                                                  .score = score,
                                                  .normalise = normalise};
