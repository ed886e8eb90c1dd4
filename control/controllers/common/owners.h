/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of one kind that own others (mostly pods) by a selector, as their controller's own state: each selector
 * is parsed once, and a changed pod becomes the keys of those that it concerns.
 *
 * It also paces them. To look at an owner costs what it has of pods, and its counts may change with each of them: an
 * owner of n pods is looked at at once, but then not again for n / 100 ms (none below 100 pods; 10,000 pods: 100 ms).
 * So a large owner's status is written ten times a second at most, a small one's at each change.
 */
#pragma once

#include "controllers/engine/controller.h"

struct owners;

/* kind: spec.selector is a LabelSelector, or the plain map of a ReplicationController. */
struct owners *owners_new(const struct resource *kind);
void owners_free(struct owners *w);
const struct resource *owners_kind(const struct owners *w);

/* changed() of the kind itself. */
void owners_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now);
/* Something changed that concerns all of them. */
void owners_add_all(struct owners *w, struct runner *r);
/* changed() of what they own: any change goes to the controller, one of the labels to who may adopt, too. */
void owners_owned_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now);
/* The same for pods, without the changes that no owner looks at: a pod is bound, gets its addresses, restarts. */
void owners_pod_changed(struct owners *w, struct runner *r, const struct kobj *old, const struct kobj *now);

/* Borrowed; NULL when it selects nothing, everything (which no owner may), or cannot be read. */
const struct selector *owners_selector(const struct owners *w, const char *key);
/* It is being looked at, and has so many pods. */
void owners_synced(struct owners *w, const struct sync *s, size_t pods);
