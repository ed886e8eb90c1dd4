/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to find a node for a pod. cycle_begin asks the plugins what they need to know beforehand, cycle_search
 * finds enough nodes that fit, cycle_choose scores them. All buffers are kept for the next cycle; nothing is allocated
 * while nodes are looked at.
 */
#pragma once

#include "scheduler/diagnosis.h"
#include "scheduler/plugins/domain_sums.h"
#include "scheduler/plugins/plugin.h"
#include "scheduler/state/state.h"

/* One constraint of spreading, as numbers. */
struct spread_sum {
        const struct spread *rule; /* NULL: a default one */
        const struct topology *topology;
        const uint32_t *per_node; /* a tally's */
        struct query pods;
        bool by_host; /* kubernetes.io/hostname: scored by node */
        bool itself;  /* the pod counts among those that are spread */
        bool some_lack_it;
        int32_t max_skew, min_domains;
        int64_t *count; /* by domain */
        uint8_t *there; /* the domain counts */
        uint32_t cap, ndomains, nthere;
        int64_t least;
        bool stale; /* least is to be looked for again */
        double weight;
};

struct spread_work {
        struct spread_sum *sums;
        uint32_t n, cap;
        bool need_all_keys;
};

struct affinity_work {
        struct domain_sums against_us; /* pods that forbid us */
        struct domain_sums required;   /* pods that we want beside us */
        struct domain_sums forbidden;  /* pods that we do not want */
        struct domain_sums score;
        bool first_may_start; /* we match our own rule and nobody else does */
};

struct cycle {
        struct state *state;
        struct pod *pod;
        struct shape *shape;
        struct diagnosis *diagnosis; /* where filters count reasons; NULL: nobody asks */
        uint32_t filters, scorers;   /* bits of plugins that have something to say */
        uint8_t *verdicts;           /* by slot: enum verdict, of nodes that did not fit or were not looked at */
        uint8_t *allowed;            /* by slot: 0 unknown, 1 no, 2 yes: the pod's node affinity */
        uint32_t cap;
        struct node **feasible;
        uint32_t nfeasible;
        int64_t *scores, *totals;
        const struct atom *const *only; /* names of the nodes that can do at all */
        uint32_t nonly;
        bool restricted;     /* only counts */
        uint32_t next_start; /* in the order of nodes; kept from cycle to cycle */
        uint32_t percentage; /* of nodes to find; 0: by their number */
        uint64_t random;     /* state of a small generator, for ties */
        struct spread_work spread_filter, spread_score;
        struct affinity_work affinity;
        const struct image_state **images; /* of the pod's, those that some node has */
        uint32_t nimages, images_cap;
};

void cycle_init(struct cycle *c, struct state *state);
void cycle_deinit(struct cycle *c);

/* 0, or PLUGIN_REJECT: no node will do. d gets the reasons. */
int cycle_begin(struct cycle *c, struct pod *pod, struct diagnosis *d);
/* How many nodes fit, as far as was looked: 0 with the reasons in the diagnosis. */
uint32_t cycle_search(struct cycle *c);
/* Of those that fit, the one with the highest score; at random among equals. Not after 0. */
struct node *cycle_choose(struct cycle *c);

/* Whether the pod fits on the node, also when pods that are nominated for it and go before are there. */
enum verdict cycle_fits(struct cycle *c, struct node *n);
/* The same as if no pod were nominated. */
enum verdict cycle_filter(struct cycle *c, const struct node *n);
/* A pod comes to or goes from the node, while something is tried out. */
void cycle_move(struct cycle *c, struct node *n, struct pod *pod, int delta);

/* A filter's result: counts the reason. */
enum verdict cycle_reject(struct cycle *c, enum verdict v, const char *format, const struct atom *a,
                          const struct atom *b);
/* The pod's own node selector and affinity. */
bool cycle_allows(struct cycle *c, const struct node *n);
/* Below n, at random enough for what need not be secret. */
uint32_t cycle_random(struct cycle *c, uint32_t n);
/* How many nodes to find among n. */
uint32_t cycle_enough(uint32_t n, uint32_t percentage);
