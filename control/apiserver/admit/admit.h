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
};

/* obj is NULL at a delete, old at a create. Both are in the stored version. Returns 0, or 1 with *ret filled. */
typedef int (*admit_fn)(const struct kctx *c, enum admit_verb verb, struct json_object *obj,
                        const struct json_object *old, struct admit_result *ret);

int admit_mutate(const struct kctx *c, enum admit_verb verb, struct json_object *obj, const struct json_object *old,
                 struct admit_result *ret);

/* Fills *ret and returns 1. name may be NULL. The message becomes: pods "x" is forbidden: ... */
int admit_forbid(const struct kctx *c, struct admit_result *ret, const char *name, const char *fmt, ...) _printf_(4, 5);

/* The rules; each says in its file what it is after. */
int admit_namespace_lifecycle(const struct kctx *c, enum admit_verb verb, struct json_object *obj,
                              const struct json_object *old, struct admit_result *ret);
