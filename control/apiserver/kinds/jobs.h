/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs, and the templates of them in CronJobs. */
#pragma once

#include "apiserver/kinds/common.h"
#include "apiserver/kinds/pod.h"

/* All of a JobSpec but its selector. */
void job_check_spec(const struct kctx *c, const struct fpath *p, const struct json_object *spec, struct ferrs *e);
/* job_policies.c */
void job_check_failure_policy(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec);
void job_check_success_policy(struct ferrs *e, const struct fpath *spec_path, const struct json_object *spec);
const char *job_indexes_error(struct arena *a, const char *indexes, int64_t completions, int64_t *total);
/* status of onPodConditions patterns. */
void job_failure_policy_defaults(struct json_object *spec);
