/* SPDX-License-Identifier: Apache-2.0 */
/* What webhooks and admission policies share. */
#pragma once

#include "apiserver/kinds/netcheck.h"

extern const char *const admission_failure_policies[]; /* Fail, Ignore */
extern const char *const admission_match_policies[];   /* Equivalent, Exact */
extern const char *const admission_reinvocations[];    /* IfNeeded, Never */

/* matchPolicy, selectors, and the scope of the rules in that list. */
void admission_default_match(struct json_object *match, const char *rules);
/* One of rules: operations, apiGroups, apiVersions, resources, scope, resourceNames. */
void admission_check_rule(const struct json_object *rule, const struct fpath *p, struct ferrs *e);
void admission_check_match_conditions(const struct json_object *list, const struct fpath *p, struct ferrs *e);
/* clientConfig of webhooks (admission and conversion). */
void admission_default_client(struct json_object *client);
void admission_check_client(const struct json_object *client, const struct fpath *p, struct ferrs *e);
