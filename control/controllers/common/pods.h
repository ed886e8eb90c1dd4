/* SPDX-License-Identifier: Apache-2.0 */
/* What controllers ask about pods, by Kubernetes' definitions; and pods made from templates. */
#pragma once

#include "controllers/engine/plan.h"

bool pod_is_ready(const struct kobj *pod);
/* Neither Succeeded nor Failed, and not being deleted. */
bool pod_is_active(const struct kobj *pod);
bool pod_is_finished(const struct kobj *pod); /* Succeeded or Failed */
/* Ready for so many seconds. *ret_wait_ms (may be NULL): how long until it will be, 0 when no time will help. */
bool pod_is_available(const struct kobj *pod, int64_t min_ready_s, int64_t now_ms, uint64_t *ret_wait_ms);
int32_t pod_restarts(const struct kobj *pod); /* the most of any container */

/* A new Pod from template (a PodTemplateSpec), controlled by owner: labels, annotations, finalizers and spec are
 * copied, generateName is "owner-" (or the beginning of a name that is too long). */
struct json_object *pod_from_template(const struct kobj *owner, const struct json_object *template);

/* The API server makes no pods in a namespace that ends: to ask again is of no use. f may be NULL. */
bool failure_of_ending_namespace(const struct failure *f);

/* One more of a pod that has no name yet: it shares everything with that but what the engine writes into it, so nothing
 * below metadata or spec may be changed in either. A burst of pods costs a few allocations each. */
struct json_object *pod_again(const struct json_object *pod);

/* Kubernetes' order of deletion, worse first: unassigned, Pending before Unknown before Running, not ready, deletion
 * cost, (rank: pods of one owner on the same node, higher first), ready for less time, more restarts, younger. < 0: a
 * goes before b. */
int pod_compare_for_deletion(const struct kobj *a, const struct kobj *b, uint32_t rank_a, uint32_t rank_b,
                             int64_t now_s);

/* FNV-1a of the template's canonical text (keys sorted) and the collision count, in the alphabet that Kubernetes uses
 * for such names. buf: 16 bytes. */
char *template_hash(const struct json_object *template, int64_t collisions, char *buf);
/* Equal but for the label pod-template-hash. */
bool template_equal(const struct json_object *a, const struct json_object *b);
