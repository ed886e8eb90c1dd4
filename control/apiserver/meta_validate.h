/* SPDX-License-Identifier: Apache-2.0 */
/* What metadata may look like, with Kubernetes' words. Both add to e; the update's rules are only those about changes
 * and about what an update may bring in. */
#pragma once

#include "apiserver/ferr.h"
#include "apiserver/kind.h"

/* For a create, after the name was generated: name by the kind's rule, namespace by the resource's scope, labels,
 * annotations, ownerReferences, finalizers, managedFields. */
void meta_validate(const struct kctx *c, const struct kind_ops *ops, const struct json_object *obj, struct ferrs *e);
/* For every update, subresources included. */
void meta_validate_update(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                          struct ferrs *e);
