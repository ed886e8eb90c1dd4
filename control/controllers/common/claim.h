/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which objects a controller's object owns. By Kubernetes' rules: those whose controllerRef has its UID and that match
 * its selector; matching orphans are adopted; owned ones that match no more are released; nobody else's are touched.
 */
#pragma once

#include "controllers/engine/plan.h"

/*
 * Those of kind r that are owned, as they are in the cache, in the sync's arena. Adoptions and releases go into the
 * plan as patches; an object that is being adopted is not among the result before the cache shows it. An owner that is
 * being deleted adopts nothing.
 */
struct kobjs claim(struct sync *s, const struct kobj *owner, const struct resource *r, const struct selector *sel);
/* Of those alone for which counts says so: others are neither adopted nor released. */
struct kobjs claim_if(struct sync *s, const struct kobj *owner, const struct resource *r, const struct selector *sel,
                      bool (*counts)(const struct kobj *o));
/* To be owned, one must be selected and fit: what is owned and does not is released. */
struct kobjs claim_fitting(struct sync *s, const struct kobj *owner, const struct resource *r,
                           const struct selector *sel, bool (*fits)(const struct kobj *owner, const struct kobj *o));
/* What is adopted gets that finalizer, what is released loses it. */
struct kobjs claim_tracked(struct sync *s, const struct kobj *owner, const struct resource *r,
                           const struct selector *sel, const char *finalizer);
/* {"apiVersion":..., "kind":..., "name":..., "uid":..., "controller":true, "blockOwnerDeletion":true} */
struct json_object *owner_reference(const struct kobj *owner);
/* An ownerReference as it was read. */
struct json_object *owner_json(const struct owner *o);

/* Plans that o refers only to those of its owners for which keeps says so. Only while it is of the version that was
 * looked at. */
void plan_owners(struct sync *s, const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                 const void *ctx);
/* The same, and that this one controls it. */
void plan_owners_and(struct sync *s, const struct kobj *o, bool (*keeps)(const struct owner *ref, const void *ctx),
                     const void *ctx, const struct kobj *controller);
