/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of the store, as kube-apiserver has them in etcd:
 *
 *      /registry/<plural>/[<namespace>/]<name>                 built-in kinds, but for
 *      /registry/services/specs/..., services/endpoints/...    services and endpoints
 *      /registry/minions/..., /registry/controllers/...        nodes and replicationcontrollers
 *      /registry/<group>/<plural>/[<namespace>/]<name>         custom resources
 *      /registry/ranges/nodeports/<port>                       internal: not an object (see alloc/)
 *
 * The events of both groups are the same objects under one key.
 */
#pragma once

#include "base/arena.h"

#define STORE_KEY_ROOT "/registry/"

enum store_key_outcome {
        STORE_KEY_OTHER = 1, /* not the key of an object */
};

struct store_key_parts {
        const char *group, *plural;
        const char *namespace; /* NULL for a cluster-scoped object */
        const char *name;
};

/* The key of an object, in the arena. namespace is NULL or empty for cluster-scoped ones. */
char *store_key(struct arena *a, const char *group, const char *plural, const char *namespace, const char *name);
/* What the keys of that resource (and namespace, NULL: all) start with; ends with a slash. */
char *store_key_prefix(struct arena *a, const char *group, const char *plural, const char *namespace);
/* The way back; the parts are constant or in the arena. 0 or STORE_KEY_OTHER. */
int store_key_parse(struct arena *a, const char *key, struct store_key_parts *ret);
