/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EndpointSlices as they are to be: those that are there are taken as they are, changed where they must be, and what
 * became of them is planned as few writes. Everything lies in the sync's arena.
 */
#pragma once

#include "controllers/endpoint/service.h"
#include "controllers/engine/plan.h"

#define LABEL_SERVICE      "kubernetes.io/service-name"
#define LABEL_MANAGED_BY   "endpointslice.kubernetes.io/managed-by"
#define LABEL_HEADLESS     "service.kubernetes.io/headless"
#define ANNOTATION_TRIGGER "endpoints.kubernetes.io/last-change-trigger-time"

struct draft {
        struct draft *next;
        const struct kobj *was; /* NULL: a new one */
        enum family family;
        const struct slice_port *ports;
        const struct slice_endpoint *endpoints;
        size_t nports, n;
        struct slice_endpoint *own; /* the same endpoints, when they may be changed */
        enum {
                DRAFT_KEEP,
                DRAFT_WRITE,
                DRAFT_DELETE,
        } what;
};

struct drafts {
        struct sync *sync;
        const struct kobj *owner; /* Service, Endpoints */
        const struct label *labels, *annotations;
        size_t nlabels, nannotations;
        bool foreign_annotations; /* those that others have put on a slice stay */
        size_t max;               /* endpoints of a slice */
        struct draft *first, **tail;
};

#define drafts_foreach(list, d) for (struct draft *d = (list)->first; d; d = d->next)

void drafts_init(struct drafts *d, struct sync *s, const struct kobj *owner);

/* One that is there. */
struct draft *draft_take(struct drafts *d, const struct kobj *slice, enum family f);
struct draft *draft_new(struct drafts *d, enum family f, const struct slice_port *ports, size_t nports);
/* It will be written: .own has room for d->max endpoints, or for all that there are. */
void draft_change(struct drafts *d, struct draft *draft);
void draft_add(struct drafts *d, struct draft *draft, const struct slice_endpoint *e);
/* Whether its labels (and annotations, unless others' stay) are not those that d wants. */
bool draft_is_mislabelled(const struct drafts *d, const struct draft *draft);
/* It belongs to that owner, and not to one of the same name before. */
bool draft_is_owned(const struct drafts *d, const struct draft *draft);

/* The same ports, in whatever order. */
bool slice_ports_equal(const struct slice_port *a, size_t na, const struct slice_port *b, size_t nb);

struct draft_counts {
        unsigned int created, updated, deleted, left; /* left: slices that there will be */
};

/* Plans the writes. What is to be deleted becomes what is to be made new, where it can. trigger_s: the time of the
 * first change that made them necessary; 0: none is told. */
struct draft_counts drafts_plan(struct drafts *d, int64_t trigger_s, const struct telling *telling);
