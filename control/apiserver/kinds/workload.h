/* SPDX-License-Identifier: Apache-2.0 */
/* What the workloads that keep pods running share. */
#pragma once

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/pod.h"

/* spec.selector: there, not empty ("empty selector is invalid for <what>"), well formed. */
void workload_check_selector(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec,
                             const char *what);
/* spec.template: matches the selector, is valid, and its pods restart always and have no deadline. kind is for the
 * text ("activeDeadlineSeconds in <kind> is not Supported"). */
void workload_check_template(const struct kctx *c, const struct fpath *spec_path, const struct json_object *spec,
                             const char *kind, struct ferrs *e);
/* The last of these rules, on the template as it is. */
void workload_check_always(const struct fpath *template_path, const struct json_object *template, const char *kind,
                           struct ferrs *e);
/* `selector` does not match template `labels` */
void workload_check_match(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec,
                          bool selected);
void workload_selector_immutable(const struct json_object *obj, const struct json_object *old, struct ferrs *e);

/* status: none negative, none of parts above status.replicas, availableReplicas not above readyReplicas, and
 * collisionCount never counts down. */
void workload_check_status(const struct json_object *obj, const struct json_object *old, const char *const *numbers,
                           const char *const *parts, struct ferrs *e);
