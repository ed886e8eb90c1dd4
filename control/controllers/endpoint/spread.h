/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topology aware hints (the annotation service.kubernetes.io/topology-mode: Auto): each zone gets so many of a
 * service's endpoints as it has of the nodes' CPUs, those in the zone itself first. When that would leave a zone with
 * much less than its share, or too little is known, no endpoint has hints.
 */
#pragma once

#include "controllers/endpoint/drafts.h"
#include "controllers/endpoint/zones.h"

/* Sets the hints in the drafts of that family; slices whose hints are good stay as they are. Tells of it by Events. */
void spread_hints(struct drafts *d, enum family f, const struct zones *z);
/* Takes all hints off. */
void spread_clear(struct drafts *d, enum family f);
/* Whether a slice of that family had hints when it was taken. */
bool spread_had_hints(const struct drafts *d, enum family f);
