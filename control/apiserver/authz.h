/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may what: a built-in table of rules for administrators and the cluster's own components, after the bootstrap
 * roles of Kubernetes. It answers requests and the access reviews alike.
 */
#pragma once

#include "apiserver/kind.h"

struct authz_attributes {
        const struct user_info *user;
        const char *verb;
        bool is_resource;
        const char *group, *resource, *subresource, *namespace, *name; /* NULL or "" when not given */
        const char *path;                                              /* of non-resource requests */
};

struct authz_rule {
        const char *subject;   /* user or group; a group starts with "group:" */
        const char *verbs;     /* blank-separated; "*" is all */
        const char *groups;    /* API groups, blank-separated; "core" is ""; NULL: a rule about paths */
        const char *resources; /* "pods pods/status nodes"; "*" is all, subresources too */
        const char *paths;     /* non-resource paths; a trailing * matches any rest */
};

/* *ret_reason (may be NULL) says which rule allowed it, or "". */
bool authorize(const struct authz_attributes *a, const char **ret_reason);
/* Calls fn for each rule that is about this user. */
void authz_each_rule(const struct user_info *user, void (*fn)(void *arg, const struct authz_rule *rule), void *arg);
