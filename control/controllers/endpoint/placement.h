/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoint goes into which slice: those that are in one stay there, and few slices change. It keeps the rules of
 * upstream's EndpointSlice controller:
 *
 * 1. An endpoint that is in a slice stays, and is brought up to date; those that are not wanted go. Slices without any
 *    left go.
 * 2. New endpoints fill the slices that change anyway, the fullest first.
 * 3. What is left goes into one slice that has room for all of it, the one that becomes fullest, or else into new ones.
 */
#pragma once

#include "controllers/endpoint/drafts.h"

/* An endpoint that there is to be. */
struct wanted {
        struct slice_endpoint e;
        int64_t since_s; /* its pod's readiness; 0: unknown */
        bool placed;
};

/* Those of one family with the same ports: no slice has others beside them. */
struct group {
        struct group *next;
        enum family family;
        const struct slice_port *ports;
        size_t nports;
        struct wanted *wanted; /* names differ */
        size_t n;
};

struct placed {
        unsigned int added, removed;
        /* The time of the first of the changes that are written: of readiness, of pods that are ready or not when they
         * are first seen. 0: there is none whose time is known. */
        int64_t trigger_s;
};

/* hints: the endpoints' hints are part of what is wanted; else they are somebody else's business. The slices are the
 * drafts of d that are of the group (placement_is_of); all are as they were. */
void placement_fill(struct drafts *d, struct group *g, bool hints, struct placed *ret);
/* Whether that slice has the group's family and ports. */
bool placement_is_of(const struct draft *draft, const struct group *g);

/* The slices of that manager that the sync's service has. */
struct kobjs placement_slices(const struct sync *s, const char *manager);
/* Drafts of those, but for slices that are being deleted. Those of another family than families (NULL: all) or of a
 * service before, and those with ports that no group has, are to be deleted. Returns how many endpoints go with them.
 */
unsigned int placement_take(struct drafts *d, const char *manager, const struct group *groups, const bool *families);
