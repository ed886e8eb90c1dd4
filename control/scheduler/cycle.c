/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/cycle.h"

#include <string.h>

#include "base/mem.h"
#include "base/random.h"

#define FEASIBLE_MIN    100 /* so many nodes are found at least, when there are */
#define PERCENTAGE_MOST 50
#define PERCENTAGE_MIN  5
#define NODES_A_PERCENT 125 /* with so many more nodes, one percent less of them is looked for */

void cycle_init(struct cycle *c, struct state *state)
{
        *c = (struct cycle){.state = state, .random = random_u64() | 1};
}

static void spread_work_deinit(struct spread_work *w)
{
        for (uint32_t i = 0; i < w->cap; i++) {
                free(w->sums[i].count);
                free(w->sums[i].there);
        }
        free(w->sums);
}

void cycle_deinit(struct cycle *c)
{
        free(c->verdicts);
        free(c->allowed);
        free(c->feasible);
        free(c->scores);
        free(c->totals);
        free(c->images);
        spread_work_deinit(&c->spread_filter);
        spread_work_deinit(&c->spread_score);
        domain_sums_deinit(&c->affinity.against_us);
        domain_sums_deinit(&c->affinity.required);
        domain_sums_deinit(&c->affinity.forbidden);
        domain_sums_deinit(&c->affinity.score);
}

uint32_t cycle_enough(uint32_t n, uint32_t percentage)
{
        uint32_t less = n / NODES_A_PERCENT;

        if (n <= FEASIBLE_MIN)
                return n;
        if (!percentage)
                percentage = less < PERCENTAGE_MOST - PERCENTAGE_MIN ? PERCENTAGE_MOST - less : PERCENTAGE_MIN;
        return MIN(n, MAX((uint32_t)((uint64_t)n * percentage / 100), (uint32_t)FEASIBLE_MIN));
}

static void make_room(struct cycle *c)
{
        uint32_t n = c->state->nslots + 1;

        if (c->cap < n) {
                c->cap = n * 2;
                c->verdicts = mem_realloc(c->verdicts, c->cap, sizeof(*c->verdicts));
                c->allowed = mem_realloc(c->allowed, c->cap, sizeof(*c->allowed));
                c->feasible = mem_realloc(c->feasible, c->cap, sizeof(struct node *));
                c->scores = mem_realloc(c->scores, c->cap, sizeof(*c->scores));
                c->totals = mem_realloc(c->totals, c->cap, sizeof(*c->totals));
        }
        memset(c->verdicts, VERDICT_UNRESOLVABLE, n);
        memset(c->allowed, 0, n);
}

int cycle_begin(struct cycle *c, struct pod *pod, struct diagnosis *d)
{
        c->pod = pod;
        c->shape = pod->view->shape;
        c->diagnosis = d;
        c->filters = c->scorers = 0;
        c->nfeasible = 0;
        c->restricted = false;
        make_room(c);
        diagnosis_reset(d, c->state->nnodes);
        for (unsigned int i = 0; i < PLUGIN_COUNT; i++) {
                const struct plugin *p = plugins[i];
                int r = p->prefilter ? p->prefilter(c) : PLUGIN_GO;

                if (r == PLUGIN_REJECT) {
                        d->plugins |= 1u << i;
                        return r;
                }
                if (r == PLUGIN_GO && p->filter)
                        c->filters |= 1u << i;
        }
        return 0;
}

bool cycle_allows(struct cycle *c, const struct node *n)
{
        const struct node_rule *rule = &c->shape->node;

        if (!rule->selector.nreqs && !rule->has_required)
                return true;
        if (!c->allowed[n->slot])
                c->allowed[n->slot] = node_rule_allows(rule, n->view) ? 2 : 1;
        return c->allowed[n->slot] == 2;
}

enum verdict cycle_reject(struct cycle *c, enum verdict v, const char *format, const struct atom *a,
                          const struct atom *b)
{
        if (c->diagnosis)
                diagnosis_count(c->diagnosis, format, a, b);
        return v;
}

enum verdict cycle_filter(struct cycle *c, const struct node *n)
{
        for (uint32_t left = c->filters; left; left &= left - 1) {
                int i = __builtin_ctz(left);
                enum verdict v = plugins[i]->filter(c, n);

                if (v != VERDICT_FITS) {
                        if (c->diagnosis)
                                c->diagnosis->plugins |= 1u << i;
                        return v;
                }
        }
        return VERDICT_FITS;
}

void cycle_move(struct cycle *c, struct node *n, struct pod *pod, int delta)
{
        usage_add(&n->used, pod->view->shape, delta);
        if (pod->node == n)
                pod->hidden = delta < 0;
        for (uint32_t left = c->filters; left; left &= left - 1) {
                const struct plugin *p = plugins[__builtin_ctz(left)];

                if (p->pod_moved)
                        p->pod_moved(c, n, pod, delta);
        }
}

/* Pods that wait for their victims on this node and go before: they count as if they were there. */
static bool goes_before(const struct cycle *c, const struct pod *other)
{
        return other != c->pod && !other->node && other->view->shape->priority >= c->shape->priority;
}

static uint32_t move_nominated(struct cycle *c, struct node *n, int delta)
{
        uint32_t moved = 0;

        for (struct pod *p = n->nominated; p; p = p->next_nominated)
                if (goes_before(c, p)) {
                        cycle_move(c, n, p, delta);
                        moved++;
                }
        return moved;
}

/* Twice when pods are nominated: they may never come, and then nothing must depend on them. */
enum verdict cycle_fits(struct cycle *c, struct node *n)
{
        enum verdict v;

        if (!n->nominated || !move_nominated(c, n, 1))
                return cycle_filter(c, n);
        v = cycle_filter(c, n);
        move_nominated(c, n, -1);
        return v == VERDICT_FITS ? cycle_filter(c, n) : v;
}

static bool look_at(struct cycle *c, struct node *n)
{
        enum verdict v = cycle_fits(c, n);

        c->verdicts[n->slot] = (uint8_t)v;
        if (v == VERDICT_FITS)
                c->feasible[c->nfeasible++] = n;
        return v == VERDICT_FITS;
}

/* The pod may only go to these few. */
static uint32_t search_named(struct cycle *c)
{
        uint32_t looked = 0;

        for (uint32_t i = 0; i < c->nonly; i++) {
                struct node *n = state_node(c->state, c->only[i]);

                if (!n || !n->view)
                        continue;
                looked++;
                look_at(c, n);
        }
        if (!c->nfeasible && c->state->nnodes > looked) {
                diagnosis_count_n(c->diagnosis, "node(s) didn't satisfy plugin(s) [NodeAffinity]",
                                  c->state->nnodes - looked);
                c->diagnosis->plugins |= 1u << PLUGIN_NODE_AFFINITY;
        }
        return c->nfeasible;
}

uint32_t cycle_search(struct cycle *c)
{
        struct node *const *order = state_order(c->state);
        uint32_t n = c->state->nnodes, enough = cycle_enough(n, c->percentage), i;

        if (c->pod->nominated && c->pod->nominated->view && look_at(c, c->pod->nominated))
                return c->nfeasible;
        diagnosis_reset(c->diagnosis, n);
        if (c->restricted)
                return search_named(c);
        for (i = 0; i < n && c->nfeasible < enough; i++)
                look_at(c, order[(c->next_start + i) % n]);
        c->next_start = n ? (c->next_start + i) % n : 0;
        return c->nfeasible;
}

/* ---- scores ---- */

static void prescore(struct cycle *c)
{
        for (unsigned int i = 0; i < PLUGIN_COUNT; i++) {
                const struct plugin *p = plugins[i];

                if (p->score && (!p->prescore || p->prescore(c) == PLUGIN_GO))
                        c->scorers |= 1u << i;
        }
}

static void add_scores(struct cycle *c, const struct plugin *p)
{
        for (uint32_t i = 0; i < c->nfeasible; i++)
                c->scores[i] = p->score(c, c->feasible[i]);
        if (p->normalise)
                p->normalise(c, c->scores);
        for (uint32_t i = 0; i < c->nfeasible; i++)
                c->totals[i] += c->scores[i] * p->weight;
}

/* xorshift64 */
uint32_t cycle_random(struct cycle *c, uint32_t n)
{
        c->random ^= c->random << 13;
        c->random ^= c->random >> 7;
        c->random ^= c->random << 17;
        return (uint32_t)((c->random >> 32) * n >> 32);
}

static struct node *best(struct cycle *c)
{
        struct node *n = c->feasible[0];
        int64_t most = c->totals[0];
        uint32_t equals = 1;

        for (uint32_t i = 1; i < c->nfeasible; i++) {
                if (c->totals[i] > most)
                        equals = 0;
                if (c->totals[i] < most || cycle_random(c, ++equals))
                        continue;
                most = c->totals[i];
                n = c->feasible[i];
        }
        return n;
}

struct node *cycle_choose(struct cycle *c)
{
        if (c->nfeasible == 1)
                return c->feasible[0];
        memset(c->totals, 0, c->nfeasible * sizeof(*c->totals));
        prescore(c);
        for (uint32_t left = c->scorers; left; left &= left - 1)
                add_scores(c, plugins[__builtin_ctz(left)]);
        return best(c);
}
