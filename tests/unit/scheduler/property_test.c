/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random clusters and random pods, against a scheduler that is written down as plainly as possible: plain structs,
 * every pod looked at every time. Both must agree on which nodes a pod fits on, step after step, while pods come and go
 * and nodes change; the node that is chosen must have the highest score that the plain one finds; and no node ever gets
 * more than it has.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "unit/scheduler/sched_world.h"

#define NODES 12
#define PODS  160
#define STEPS 400
#define SEEDS 40

enum { NONE = -1 };

/* Everything is a small number; 0 or NONE means "not there". */
struct plain_node {
        bool there;
        int cpu, memory, pods, gpu; /* CPUs, GiB */
        int zone;                   /* NONE: no label */
        int disk;
        int taint;      /* 1, 2: NoSchedule with that key */
        int soft_taint; /* the same, PreferNoSchedule */
        bool cordoned;
};

struct plain_rule { /* about other pods, by their app; in the zone or on the host */
        int app;
        bool by_host;
        int weight; /* of a preferred one, below zero for distance */
};

struct plain_pod {
        bool there;
        int node; /* NONE: not placed */
        bool terminating;
        int app, ns;
        int milli_cpu, memory, gpu;
        int port;
        int tolerates, disk, prefers_disk;
        struct plain_rule with, against, prefers; /* app NONE: none */
        int spread;                               /* max skew over zones; 0: none */
        bool spread_hard;
        struct pod *real;
};

static struct plain_node nodes[NODES];
static struct plain_pod pods[PODS];
static struct sched_world w;
static uint64_t seed;

static int upto(int n)
{
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        return (int)((seed >> 33) % (uint64_t)n);
}

static bool one_in(int n)
{
        return !upto(n);
}

/* ---- making them ---- */

static struct plain_rule random_rule(int chance, bool weighted)
{
        struct plain_rule r = {.app = one_in(chance) ? upto(3) : NONE, .by_host = one_in(2)};

        r.weight = weighted ? (one_in(2) ? 1 : -1) * (1 + upto(50)) : 0;
        return r;
}

static void random_node(struct plain_node *n)
{
        *n = (struct plain_node){.there = true,
                                 .cpu = 1 + upto(8),
                                 .memory = 1 + upto(16),
                                 .pods = 2 + upto(12),
                                 .gpu = upto(3),
                                 .zone = upto(5) - 1,
                                 .disk = upto(3),
                                 .taint = one_in(3) ? 1 + upto(2) : 0,
                                 .soft_taint = one_in(3) ? 1 + upto(2) : 0,
                                 .cordoned = one_in(8)};
}

static void random_pod(struct plain_pod *p)
{
        *p = (struct plain_pod){.there = true,
                                .node = NONE,
                                .app = upto(3),
                                .ns = upto(2),
                                .milli_cpu = one_in(4) ? 0 : 100 * upto(20),
                                .memory = one_in(4) ? 0 : upto(4),
                                .gpu = one_in(4),
                                .port = one_in(4) ? 80 + upto(2) : 0,
                                .tolerates = upto(4),
                                .disk = one_in(4) ? 1 + upto(2) : 0,
                                .prefers_disk = one_in(3) ? 1 + upto(2) : 0,
                                .with = random_rule(6, false),
                                .against = random_rule(5, false),
                                .prefers = random_rule(3, true),
                                .spread = one_in(3) ? 1 + upto(3) : 0,
                                .spread_hard = one_in(2)};
}

static void write_node(int i)
{
        const struct plain_node *n = &nodes[i];
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "{'metadata':{'name':'n%d','labels':{'host':'n%d','disk':'%d'", i, i, n->disk);
        if (n->zone != NONE)
                strbuf_printf(&b, ",'zone':'z%d'", n->zone);
        strbuf_printf(&b, "}},'spec':{'unschedulable':%s,'taints':[", n->cordoned ? "true" : "false");
        if (n->taint)
                strbuf_printf(&b, "{'key':'t%d','effect':'NoSchedule'}", n->taint);
        if (n->soft_taint)
                strbuf_printf(&b, "%s{'key':'t%d','effect':'PreferNoSchedule'}", n->taint ? "," : "", n->soft_taint);
        strbuf_printf(&b, "]},'status':{'allocatable':{'cpu':'%d','memory':'%dGi','pods':'%d','x.io/gpu':'%d'}}}",
                      n->cpu, n->memory, n->pods, n->gpu);
        sched_world_node_json(&w, b.data);
        strbuf_deinit(&b);
}

static void write_term(struct strbuf *b, const struct plain_rule *r)
{
        strbuf_printf(b, "{'topologyKey':'%s','labelSelector':{'matchLabels':{'app':'%d'}}}",
                      r->by_host ? "host" : "zone", r->app);
}

static void write_rule(struct strbuf *b, const char *kind, const struct plain_rule *required,
                       const struct plain_rule *preferred)
{
        strbuf_printf(b, "'%s':{'requiredDuringSchedulingIgnoredDuringExecution':[", kind);
        if (required->app != NONE)
                write_term(b, required);
        strbuf_add_str(b, "],'preferredDuringSchedulingIgnoredDuringExecution':[");
        if (preferred) {
                strbuf_printf(b, "{'weight':%d,'podAffinityTerm':", abs(preferred->weight));
                write_term(b, preferred);
                strbuf_add_char(b, '}');
        }
        strbuf_add_str(b, "]}");
}

static void write_affinity(struct strbuf *b, const struct plain_pod *p)
{
        bool likes = p->prefers.app != NONE && p->prefers.weight > 0, dislikes = p->prefers.app != NONE && !likes;

        strbuf_add_str(b, "'affinity':{");
        write_rule(b, "podAffinity", &p->with, likes ? &p->prefers : NULL);
        strbuf_add_char(b, ',');
        write_rule(b, "podAntiAffinity", &p->against, dislikes ? &p->prefers : NULL);
        if (p->prefers_disk)
                strbuf_printf(
                        b,
                        ",'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':10,'preference':"
                        "{'matchExpressions':[{'key':'disk','operator':'In','values':['%d']}]}}]}",
                        p->prefers_disk);
        strbuf_add_str(b, "},");
}

static void write_spec(struct strbuf *b, const struct plain_pod *p)
{
        write_affinity(b, p);
        if (p->disk)
                strbuf_printf(b, "'nodeSelector':{'disk':'%d'},", p->disk);
        if (p->tolerates)
                strbuf_printf(b, "'tolerations':[{'key':'t%d','operator':'Exists'}],", p->tolerates);
        if (p->spread)
                strbuf_printf(
                        b,
                        "'topologySpreadConstraints':[{'maxSkew':%d,'topologyKey':'zone','whenUnsatisfiable':'%s',"
                        "'labelSelector':{'matchLabels':{'app':'%d'}}}],",
                        p->spread, p->spread_hard ? "DoNotSchedule" : "ScheduleAnyway", p->app);
        strbuf_add_str(b, "'containers':[{");
        if (p->port)
                strbuf_printf(b, "'ports':[{'hostPort':%d}],", p->port);
        strbuf_add_str(b, "'resources':{'requests':{");
        strbuf_printf(b, "'x.io/gpu':'%d'", p->gpu);
        if (p->milli_cpu)
                strbuf_printf(b, ",'cpu':'%dm'", p->milli_cpu);
        if (p->memory)
                strbuf_printf(b, ",'memory':'%dGi'", p->memory);
        strbuf_add_str(b, "}}}]");
}

static void write_pod(struct plain_pod *p)
{
        struct strbuf b = STRBUF_NULL;

        strbuf_printf(&b, "{'metadata':{'namespace':'ns%d','name':'p','labels':{'app':'%d'}},'spec':{", p->ns, p->app);
        write_spec(&b, p);
        strbuf_add_str(&b, "}}");
        p->real = sched_world_pod_json(&w, b.data, NULL);
        strbuf_deinit(&b);
}

/* ---- the plain scheduler: filters ---- */

static bool on(const struct plain_pod *p, int node)
{
        return p->there && p->node == node;
}

static bool has_room(const struct plain_pod *p, int i)
{
        int cpu = 0, memory = 0, gpu = 0, count = 0;

        for (int k = 0; k < PODS; k++)
                if (on(&pods[k], i)) {
                        cpu += pods[k].milli_cpu;
                        memory += pods[k].memory;
                        gpu += pods[k].gpu;
                        count++;
                }
        return count < nodes[i].pods && (!p->milli_cpu || cpu + p->milli_cpu <= nodes[i].cpu * 1000) &&
               (!p->memory || memory + p->memory <= nodes[i].memory) && (!p->gpu || gpu + p->gpu <= nodes[i].gpu);
}

static bool port_is_free(const struct plain_pod *p, int i)
{
        for (int k = 0; k < PODS; k++)
                if (p->port && on(&pods[k], i) && pods[k].port == p->port)
                        return false;
        return true;
}

/* Whether two nodes are the same place by this rule's label. */
static bool together(const struct plain_rule *r, int a, int b)
{
        return r->by_host ? a == b : nodes[a].zone != NONE && nodes[a].zone == nodes[b].zone;
}

static bool speaks_of(const struct plain_pod *speaker, const struct plain_rule *r, const struct plain_pod *p)
{
        return r->app != NONE && r->app == p->app && speaker->ns == p->ns;
}

/* Pods on a node that is there. */
static bool is_placed(const struct plain_pod *p)
{
        return p->there && p->node != NONE && nodes[p->node].there;
}

static bool likes_it(const struct plain_pod *p, int i)
{
        bool anybody = false;

        if (p->with.app == NONE)
                return true;
        if (!p->with.by_host && nodes[i].zone == NONE)
                return false;
        for (int k = 0; k < PODS; k++)
                if (is_placed(&pods[k]) && speaks_of(p, &p->with, &pods[k])) {
                        /* those without the label are nowhere */
                        anybody |= p->with.by_host || nodes[pods[k].node].zone != NONE;
                        if (together(&p->with, pods[k].node, i))
                                return true;
                }
        return !anybody && speaks_of(p, &p->with, p);
}

static bool nobody_minds(const struct plain_pod *p, int i)
{
        for (int k = 0; k < PODS; k++) {
                const struct plain_pod *o = &pods[k];

                if (!is_placed(o))
                        continue;
                if (speaks_of(p, &p->against, o) && together(&p->against, o->node, i))
                        return false;
                if (speaks_of(o, &o->against, p) && together(&o->against, o->node, i))
                        return false;
        }
        return true;
}

static bool selects(const struct plain_pod *p, int i)
{
        return !p->disk || nodes[i].disk == p->disk;
}

/* Siblings in a zone, on nodes that the pod selects. */
static int in_zone(const struct plain_pod *p, int zone)
{
        int n = 0;

        for (int k = 0; k < PODS; k++) {
                const struct plain_pod *o = &pods[k];

                n += is_placed(o) && !o->terminating && o->app == p->app && o->ns == p->ns && selects(p, o->node) &&
                     nodes[o->node].zone == zone;
        }
        return n;
}

static bool zone_counts(const struct plain_pod *p, int zone)
{
        for (int i = 0; i < NODES; i++)
                if (nodes[i].there && nodes[i].zone == zone && selects(p, i))
                        return true;
        return false;
}

static bool is_spread(const struct plain_pod *p, int i)
{
        int least = INT32_MAX;

        if (!p->spread || !p->spread_hard)
                return true;
        if (nodes[i].zone == NONE)
                return false;
        for (int zone = 0; zone < 4; zone++)
                if (zone_counts(p, zone))
                        least = MIN(least, in_zone(p, zone));
        return in_zone(p, nodes[i].zone) + 1 - least <= p->spread;
}

static bool plain_fits(const struct plain_pod *p, int i)
{
        const struct plain_node *n = &nodes[i];

        return n->there && !n->cordoned && (!n->taint || n->taint == p->tolerates) && selects(p, i) && has_room(p, i) &&
               port_is_free(p, i) && is_spread(p, i) && likes_it(p, i) && nobody_minds(p, i);
}

/* ---- the plain scheduler: scores ---- */

#define GIB (1024.0 * 1024 * 1024)

static int64_t fit_score(const struct plain_pod *p, int i)
{
        int64_t cpu = p->milli_cpu ? p->milli_cpu : 100, mib = p->memory ? p->memory * 1024 : 200;
        int64_t cpus = nodes[i].cpu * 1000, mibs = nodes[i].memory * 1024;

        for (int k = 0; k < PODS; k++)
                if (on(&pods[k], i)) {
                        cpu += pods[k].milli_cpu ? pods[k].milli_cpu : 100;
                        mib += pods[k].memory ? pods[k].memory * 1024 : 200;
                }
        return ((cpu > cpus ? 0 : (cpus - cpu) * 100 / cpus) + (mib > mibs ? 0 : (mibs - mib) * 100 / mibs)) / 2;
}

static int64_t balance_score(const struct plain_pod *p, int i)
{
        double cpu = p->milli_cpu, memory = p->memory;

        if (!p->milli_cpu && !p->memory)
                return 0; /* of all nodes: nothing to choose by */
        for (int k = 0; k < PODS; k++)
                if (on(&pods[k], i)) {
                        cpu += pods[k].milli_cpu;
                        memory += pods[k].memory;
                }
        cpu = fmin(cpu / (nodes[i].cpu * 1000.0), 1);
        memory = fmin(memory * GIB / (nodes[i].memory * GIB), 1);
        return (int64_t)((1 - fabs((cpu - memory) / 2)) * 100);
}

static int64_t soft_taints(const struct plain_pod *p, int i)
{
        return nodes[i].soft_taint && nodes[i].soft_taint != p->tolerates;
}

static int64_t wish(const struct plain_pod *p, int i)
{
        int64_t sum = 0;

        for (int k = 0; k < PODS; k++) {
                const struct plain_pod *o = &pods[k];

                if (!is_placed(o))
                        continue;
                if (speaks_of(p, &p->prefers, o) && together(&p->prefers, o->node, i))
                        sum += p->prefers.weight;
                if (speaks_of(o, &o->prefers, p) && together(&o->prefers, o->node, i))
                        sum += o->prefers.weight;
                if (speaks_of(o, &o->with, p) && together(&o->with, o->node, i))
                        sum += 1;
        }
        return sum;
}

static bool has_soft_spread(const struct plain_pod *p)
{
        return p->spread && !p->spread_hard;
}

struct totals {
        bool fits[NODES];
        int64_t total[NODES];
};

static int64_t largest(const struct totals *t, const int64_t *score)
{
        int64_t max = INT64_MIN;

        for (int i = 0; i < NODES; i++)
                if (t->fits[i])
                        max = MAX(max, score[i]);
        return max;
}

static int64_t smallest(const struct totals *t, const int64_t *score)
{
        int64_t min = INT64_MAX;

        for (int i = 0; i < NODES; i++)
                if (t->fits[i])
                        min = MIN(min, score[i]);
        return min;
}

static void add_wishes(const struct plain_pod *p, struct totals *t)
{
        int64_t wishes[NODES] = {0}, taints[NODES] = {0}, min, max;

        for (int i = 0; i < NODES; i++) {
                wishes[i] = t->fits[i] ? wish(p, i) : 0;
                taints[i] = t->fits[i] ? soft_taints(p, i) : 0;
        }
        min = smallest(t, wishes);
        max = largest(t, wishes);
        for (int i = 0; i < NODES; i++) {
                if (max > min)
                        t->total[i] += 2 * (int64_t)(100.0 * ((double)(wishes[i] - min) / (double)(max - min)));
                t->total[i] += 3 * (100 - (largest(t, taints) ? 100 * taints[i] : 0));
        }
}

static void add_disks(const struct plain_pod *p, struct totals *t)
{
        for (int i = 0; i < NODES; i++)
                if (p->prefers_disk && nodes[i].disk == p->prefers_disk)
                        t->total[i] += 2 * 100;
}

static void add_spread(const struct plain_pod *p, struct totals *t)
{
        int64_t score[NODES] = {0}, min = INT64_MAX, max = 0;
        int zones = 0;

        if (!has_soft_spread(p))
                return;
        for (int zone = 0; zone < 4; zone++)
                for (int i = 0; i < NODES; i++)
                        if (t->fits[i] && nodes[i].zone == zone) {
                                zones++;
                                break;
                        }
        for (int i = 0; i < NODES; i++) {
                if (!t->fits[i] || nodes[i].zone == NONE)
                        continue;
                score[i] = (int64_t)round(in_zone(p, nodes[i].zone) * log(zones + 2) + p->spread - 1);
                min = MIN(min, score[i]);
                max = MAX(max, score[i]);
        }
        for (int i = 0; i < NODES; i++)
                if (t->fits[i] && nodes[i].zone != NONE)
                        t->total[i] += 2 * (max ? 100 * (max + min - score[i]) / max : 100);
}

static void plain_scores(const struct plain_pod *p, struct totals *t)
{
        for (int i = 0; i < NODES; i++)
                t->total[i] = t->fits[i] ? fit_score(p, i) + balance_score(p, i) : 0;
        add_wishes(p, t);
        add_disks(p, t);
        add_spread(p, t);
}

/* ---- side by side ---- */

static struct node *node_named(int i)
{
        char name[16];

        snprintf(name, sizeof(name), "n%d", i);
        return state_node(&w.state, atoms_find(&w.state.atoms, name, strlen(name)));
}

static void compare_fits(const struct plain_pod *p, struct totals *t, int step)
{
        assert_int_equal(cycle_begin(&w.cycle, p->real, &w.diagnosis), 0);
        for (int i = 0; i < NODES; i++) {
                struct node *n = node_named(i);
                bool real = n && n->view && cycle_filter(&w.cycle, n) == VERDICT_FITS;

                t->fits[i] = plain_fits(p, i);
                if (real != t->fits[i])
                        fail_msg("step %d, node n%d: it %s, and should%s", step, i, real ? "fits" : "does not fit",
                                 t->fits[i] ? "" : " not");
        }
}

static void compare_choice(struct plain_pod *p, const struct totals *t, int step)
{
        int64_t best = INT64_MIN;
        int chosen = 0;
        struct node *n;

        for (int i = 0; i < NODES; i++)
                if (t->fits[i])
                        best = MAX(best, t->total[i]);
        assert_int_equal(cycle_begin(&w.cycle, p->real, &w.diagnosis), 0);
        if (!cycle_search(&w.cycle)) {
                assert_int_equal(best, INT64_MIN);
                return;
        }
        n = cycle_choose(&w.cycle);
        chosen = atoi(n->name->text + 1);
        if (!t->fits[chosen] || t->total[chosen] != best)
                fail_msg("step %d: n%d with %lld was chosen, the best has %lld", step, chosen,
                         (long long)t->total[chosen], (long long)best);
        state_place(&w.state, p->real, n->name);
        p->node = chosen;
}

static void check_room(int step)
{
        for (int i = 0; i < NODES; i++) {
                int cpu = 0, memory = 0, gpu = 0, n = 0, asked = 0;

                for (int k = 0; k < PODS; k++)
                        if (on(&pods[k], i)) {
                                cpu += pods[k].milli_cpu;
                                memory += pods[k].memory;
                                gpu += pods[k].gpu;
                                n++;
                        }
                asked = n && (!node_named(i) || (int)node_named(i)->used.pods != n ||
                              node_named(i)->used.exact.milli_cpu != cpu);
                if (asked || cpu > nodes[i].cpu * 1000 || memory > nodes[i].memory || gpu > nodes[i].gpu ||
                    n > nodes[i].pods)
                        fail_msg("step %d: n%d has more than it can take, or counts wrong", step, i);
        }
}

/* A node gets other labels and taints; its size stays, so that what is on it still fits. */
static void change_node(int i)
{
        struct plain_node old = nodes[i];

        random_node(&nodes[i]);
        if (old.there) {
                nodes[i].cpu = old.cpu;
                nodes[i].memory = old.memory;
                nodes[i].gpu = old.gpu;
                nodes[i].pods = old.pods;
        }
        write_node(i);
}

static void remove_pod(struct plain_pod *p)
{
        sched_world_pod_gone(&w, p->real);
        p->there = false;
}

static void terminate_pod(struct plain_pod *p)
{
        struct pod_view *v = mem_alloc(sizeof(*v) + strlen(p->real->view->name) + 1), *old = p->real->view;

        if (p->terminating) {
                free(v);
                return;
        }
        memcpy(v, old, sizeof(*v) + strlen(old->name) + 1);
        shape_ref(v->shape);
        v->terminating = p->terminating = true;
        state_set_view(&w.state, p->real, v);
        pod_view_free(&w.state.shapes, old);
}

static void node_goes(int i)
{
        char name[16];

        for (int k = 0; k < PODS; k++)
                if (on(&pods[k], i))
                        remove_pod(&pods[k]);
        snprintf(name, sizeof(name), "n%d", i);
        if (nodes[i].there)
                sched_world_node_gone(&w, name);
        nodes[i] = (struct plain_node){.zone = NONE};
}

static void disturb(void)
{
        struct plain_pod *p = &pods[upto(PODS)];

        if (one_in(3))
                change_node(upto(NODES));
        if (one_in(25))
                node_goes(upto(NODES));
        if (one_in(2) && p->there)
                remove_pod(p);
        p = &pods[upto(PODS)];
        if (one_in(3) && p->there)
                terminate_pod(p);
}

static void schedule_one(int step)
{
        struct totals t = {0};
        struct plain_pod *p = NULL;

        for (int k = 0; k < PODS && !p; k++)
                if (!pods[k].there)
                        p = &pods[k];
        if (!p)
                return;
        random_pod(p);
        write_pod(p);
        compare_fits(p, &t, step);
        plain_scores(p, &t);
        compare_choice(p, &t, step);
        if (p->node == NONE)
                remove_pod(p);
}

static void one_history(uint64_t number)
{
        seed = number;
        sched_world_init(&w);
        memset(pods, 0, sizeof(pods));
        for (int i = 0; i < NODES; i++) {
                random_node(&nodes[i]);
                write_node(i);
        }
        for (int step = 0; step < STEPS; step++) {
                schedule_one(step);
                disturb();
                check_room(step);
        }
        sched_world_deinit(&w);
}

static void a_plain_scheduler_agrees(void **unused)
{
        for (uint64_t i = 1; i <= SEEDS; i++)
                one_history(i * 7919);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plain_scheduler_agrees),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
