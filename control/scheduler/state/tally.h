/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tallies: how many pods that a question selects are on each node. Spreading and affinity ask that for every pod they
 * schedule; counting anew would mean to look at all pods of the cluster each time. So an answer is kept and brought up
 * to date with each pod that comes or goes, and the ones that nobody has asked for longest are dropped.
 */
#pragma once

#include "scheduler/model/shape.h"

#define TALLIES_MAX 256

struct tally_question {
        const struct query *pods;
        const struct atom *const *namespaces; /* pods of any of these, ... */
        uint32_t nnamespaces;
        const struct query *namespace_query; /* ... or of those that match; NULL: none do */
        bool living;                         /* not those that are being deleted */
};

struct tally;

struct tallies {
        struct hashmap table; /* key -> struct tally * */
        struct tally **all;
        uint32_t n;
        uint64_t clock; /* of questions */
        struct strbuf key;
};

struct state;
struct pod;

void tallies_init(struct tallies *t);
void tallies_deinit(struct tallies *t);
/* Counts by slot. Borrowed until the next question or change of the state. */
const uint32_t *tally_get(struct state *s, const struct tally_question *q);
/* A pod came onto (1) or left (-1) the node of that slot. */
void tallies_count(struct state *s, const struct pod *pod, uint32_t slot, int delta);
/* There may be more slots than before. */
void tallies_grow(struct tallies *t, uint32_t nslots);
/* The labels of a namespace have changed. */
void tallies_namespaces_changed(struct tallies *t);
/* Whether the question selects the pods of this shape (but for `living`). */
bool tally_selects(const struct state *s, const struct tally_question *q, const struct shape *shape);
