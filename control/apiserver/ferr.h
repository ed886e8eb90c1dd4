/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field errors: what validation finds, with the field's path, worded as Kubernetes words them; they become the message
 * and the causes of a 422 Status. Paths are built on the stack and printed only when something is wrong:
 *
 *      struct fpath spec = fpath_child(NULL, "spec"), port = fpath_child(&spec, "ports"), first = fpath_index(&port,
 * 0); ferr_required(errs, &first, NULL);              spec.ports[0]: Required value
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/json.h"

struct fpath {
        const struct fpath *parent;
        const char *name; /* .name */
        const char *key;  /* [key] */
        size_t index;     /* [index] when name and key are NULL */
};

static inline struct fpath fpath_child(const struct fpath *parent, const char *name)
{
        return (struct fpath){.parent = parent, .name = name};
}

static inline struct fpath fpath_index(const struct fpath *parent, size_t index)
{
        return (struct fpath){.parent = parent, .index = index};
}

static inline struct fpath fpath_key(const struct fpath *parent, const char *key)
{
        return (struct fpath){.parent = parent, .key = key};
}

/* The path as text, in the arena; "<nil>" for NULL. */
char *fpath_text(struct arena *a, const struct fpath *p);

enum ferr_type {
        FERR_NOT_FOUND,
        FERR_REQUIRED,
        FERR_DUPLICATE,
        FERR_INVALID,
        FERR_NOT_SUPPORTED,
        FERR_FORBIDDEN,
        FERR_TOO_LONG,
        FERR_TOO_MANY,
        FERR_INTERNAL,
        FERR_TYPE_INVALID,
};

struct ferr {
        enum ferr_type type;
        const char *field;
        const char *body; /* "Required value: must be set", without the field */
};

struct ferrs {
        struct arena *arena;
        struct ferr *items;
        size_t n, cap;
};

#define FERRS(a) ((struct ferrs){.arena = (a)})

/* FieldValueRequired and so on: the reason of a Status cause. */
const char *ferr_reason(enum ferr_type type);

/* detail is printf-like and may be NULL where it is optional. Values are JSON (borrowed) or strings. */
void ferr_required(struct ferrs *e, const struct fpath *p, const char *detail, ...) _printf_(3, 4);
void ferr_forbidden(struct ferrs *e, const struct fpath *p, const char *detail, ...) _printf_(3, 4);
void ferr_invalid(struct ferrs *e, const struct fpath *p, const struct json_object *value, const char *detail, ...)
        _printf_(4, 5);
void ferr_invalid_str(struct ferrs *e, const struct fpath *p, const char *value, const char *detail, ...)
        _printf_(4, 5);
void ferr_invalid_i64(struct ferrs *e, const struct fpath *p, int64_t value, const char *detail, ...) _printf_(4, 5);
void ferr_duplicate_str(struct ferrs *e, const struct fpath *p, const char *value);
void ferr_duplicate(struct ferrs *e, const struct fpath *p, const struct json_object *value);
void ferr_not_found_str(struct ferrs *e, const struct fpath *p, const char *value);
/* supported is NULL-terminated: Unsupported value: "x": supported values: "A", "B" */
void ferr_not_supported(struct ferrs *e, const struct fpath *p, const char *value, const char *const *supported);
void ferr_too_long(struct ferrs *e, const struct fpath *p, size_t max_bytes);
void ferr_too_many(struct ferrs *e, const struct fpath *p, size_t actual, size_t max);
void ferr_internal(struct ferrs *e, const struct fpath *p, const char *detail, ...) _printf_(3, 4);

/* "a: b" for one error, "[a: b, c: d]" for several; in the arena. */
char *ferrs_message(const struct ferrs *e);
