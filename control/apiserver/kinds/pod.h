/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and pod templates: what Pod, PodTemplate and every workload share. */
#pragma once

#include "apiserver/ferr.h"
#include "apiserver/kind.h"

/* What SetDefaults_PodSpec and its kin fill in, in templates as in pods. NULL is fine. */
void pod_spec_defaults(struct json_object *spec);
/* The same for a template's spec; template may be NULL. */
void pod_template_defaults(struct json_object *template);
/* Also what only pods get: requests out of limits, host ports, service links. */
void pod_defaults(const struct kctx *c, struct json_object *pod);
/* "Always" for :latest, else "IfNotPresent". */
const char *image_pull_policy(const char *image);
/* The fields of a claim that its template in a pod, a StatefulSet or a PersistentVolumeClaim gets. */
void claim_spec_defaults(struct json_object *spec);

/* "Guaranteed", "Burstable" or "BestEffort". */
const char *pod_qos(const struct json_object *pod);

/* A workload's template; p is its path. */
void pod_template_validate(const struct kctx *c, const struct fpath *p, const struct json_object *template,
                           struct ferrs *e);
/* A PersistentVolumeClaim's spec, wherever it is. */
void claim_spec_validate(const struct fpath *p, const struct json_object *spec, struct ferrs *e);

/* A whole pod but for its metadata: every write of a pod. */
void pod_validate(const struct kctx *c, const struct json_object *pod, struct ferrs *e);
/* Changes by pods, pods/ephemeralcontainers and pods/resize (by c->subresource), pods/status. */
void pod_validate_update(const struct kctx *c, const struct json_object *pod, const struct json_object *old,
                         struct ferrs *e);
void pod_validate_status(const struct kctx *c, const struct json_object *pod, const struct json_object *old,
                         struct ferrs *e);

/* Resources (limits, requests, capacity, ...) are objects of canonical quantities. */
void check_resource_quantity(struct ferrs *e, const struct fpath *p, const char *resource, const char *quantity);
/* NODE_CONTAINER and so on: where the resource's name must make sense. */
enum resource_place {
        RESOURCE_ANYWHERE,
        RESOURCE_OF_CONTAINER,
        RESOURCE_OF_POD,
        RESOURCE_OF_QUOTA,
};
void check_resource_name(struct ferrs *e, const struct fpath *p, const char *name, enum resource_place place);
bool resource_allows_overcommit(const char *name);
bool resource_is_quota_name(const char *name);
/* -1, 0, 1; texts that are no quantities count as 0. */
int quantity_text_cmp(const char *a, const char *b);

void check_tolerations(struct ferrs *e, const struct fpath *p, const struct json_object *tolerations);
void check_node_selector(struct ferrs *e, const struct fpath *p, const struct json_object *selector);
/* required: a taint's effect; a toleration's may be empty. */
void check_taint_effect(struct ferrs *e, const struct fpath *p, const char *effect, bool required);
