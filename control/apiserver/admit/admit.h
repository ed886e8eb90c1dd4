/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built-in admission: what may still change or refuse a write after it is authorized and defaulted, one file per rule
 * set (Kubernetes: admission plugins). The chain is one visible table in admit.c, run in its order.
 */
#pragma once

#include "apiserver/kind.h"

enum admit_verb {
        ADMIT_CREATE,
        ADMIT_UPDATE,
        ADMIT_DELETE,
};

/* Why a write is refused: what the Status says. Strings are constant or in the request's arena. */
struct admit_result {
        int code;
        const char *reason; /* NULL: by code */
        const char *message;
        const char *cause_reason, *cause_message, *cause_field; /* one cause, or NULL */
};

/* obj is NULL at a delete, old at a create. Both are in the stored version. Returns 0, or 1 with *ret filled. */
typedef int (*admit_fn)(const struct kctx *c, enum admit_verb verb, struct json_object *obj,
                        const struct json_object *old, struct admit_result *ret);

int admit_mutate(const struct kctx *c, enum admit_verb verb, struct json_object *obj, const struct json_object *old,
                 struct admit_result *ret);

/* Fills *ret and returns 1. name may be NULL. The message becomes: pods "x" is forbidden: ... */
int admit_forbid(const struct kctx *c, struct admit_result *ret, const char *name, const char *fmt, ...) _printf_(4, 5);

/* Whether the request is about this resource itself, not about a subresource. */
bool admit_is(const struct kctx *c, const char *group, const char *plural);
/* The newest object (by creationTimestamp, then the first by name) that carries annotation = "true"; owned by the
 * caller, NULL when there is none. */
struct json_object *admit_find_default(const struct kctx *c, const char *group, const char *plural,
                                       const char *annotation);

#define ADMIT_PLUGIN(name)                                                                                             \
        int admit_##name(const struct kctx *c, enum admit_verb verb, struct json_object *obj,                          \
                         const struct json_object *old, struct admit_result *ret)

/* The rules; each says in its file what it is after. */
ADMIT_PLUGIN(namespace_lifecycle);
ADMIT_PLUGIN(limit_ranger);
ADMIT_PLUGIN(service_account);
ADMIT_PLUGIN(node_taint);
ADMIT_PLUGIN(priority);
ADMIT_PLUGIN(toleration_seconds);
ADMIT_PLUGIN(storage_class);
ADMIT_PLUGIN(runtime_class);
ADMIT_PLUGIN(ingress_class);
