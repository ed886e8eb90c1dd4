/* SPDX-License-Identifier: Apache-2.0 */
/* The Node and its Lease as JSON: new ones, and patches from what the API has to what is. Pure. */
#pragma once

#include "agent/kubelet/node/addresses.h"
#include "agent/kubelet/node/conditions.h"
#include "agent/kubelet/node/machine.h"
#include "base/json.h"

/* As the API server's: the Kubernetes that it is like, and what it is. */
#define KUBELET_VERSION "v1.36.0+fairlead." FAIRLEAD_VERSION

/* Everything that a node says of itself. All borrowed. */
struct node_facts {
        const char *name;
        const struct node_ips *ips;
        const char *const *labels; /* "key=value", NULL-terminated; or NULL */
        const char *const *taints; /* "key=value:Effect", at registration */
        const char *provider_id;   /* or NULL */
        const struct machine *machine;
        const char *runtime_version; /* "fairlead://0.1.0" */
        uint16_t port;
        struct json_object *capacity, *allocatable;
        struct json_object *images; /* status.images */
        struct node_health health;
};

/* Labels and taints as the command line has them. 0 or -EINVAL with what is wrong. */
int facts_check(const char *const *labels, const char *const *taints, struct err *reterr);

/* The caller owns what these return. */
struct json_object *object_make(const struct node_facts *f, int64_t now_s);
/*
 * What an existing Node lacks in metadata and spec (a strategic merge patch), NULL: nothing. The labels that a node
 * gives itself are put right; those of --node-labels are added where there is none of that key; nothing is ever
 * removed.
 */
struct json_object *object_metadata_patch(const struct node_facts *f, const struct json_object *node);
/* What of its status differs; NULL: nothing, unless anyway is set, then the conditions with the time. */
struct json_object *object_status_patch(const struct node_facts *f, const struct json_object *node, int64_t now_s,
                                        bool anyway);

/* node_uid: "" when it is not known yet. */
struct json_object *lease_make(const char *name, const char *node_uid, uint32_t duration_s, int64_t now_ns);
struct json_object *lease_renewal(const char *name, const char *node_uid, uint32_t duration_s, int64_t now_ns);
