/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows for the kinds' tests. JSON is written with single quotes (a ~ is a real one). A row's patch is merged into a
 * base object that is right (RFC 7386: null removes), so that a row says only what is special about it.
 */
#pragma once

#include "apiserver/kind.h"

struct kinds_row {
        const char *patch;  /* merged into the base */
        const char *expect; /* defaults: a merge patch of what must be there; validation: the errors, one a line */
};

struct kinds_suite {
        const struct kind_ops *ops;
        const char *version;
        const char *base; /* a valid object before defaulting */
        const char *subresource;
        const struct kind_reader *reader;
};

/* The base and the patch, merged; owned by the caller. */
struct json_object *kinds_json(const char *base, const char *patch);
/* A context on static settings; its arena is fresh. kinds_context_deinit frees it. */
struct kctx *kinds_context(const struct kinds_suite *s);
void kinds_context_deinit(struct kctx *c);

/* base + patch, defaulted, has all that is in expect (null in it: must be absent); arrays are compared item by item. */
void kinds_check_defaults(const struct kinds_suite *s, const struct kinds_row *rows, size_t n);
/* Defaults and prepare_create. */
void kinds_check_create(const struct kinds_suite *s, const struct kinds_row *rows, size_t n);
/* Defaults, prepare_create, validate and stage of base + patch yield the errors of expect. */
void kinds_check_validate(const struct kinds_suite *s, const struct kinds_row *rows, size_t n);
/* old is base, the new one base + patch: what validate_update (only) says. */
struct kinds_update_row {
        const char *old_patch; /* NULL: the base */
        const char *patch;     /* merged into old */
        const char *expect;
};
void kinds_check_update(const struct kinds_suite *s, const struct kinds_update_row *rows, size_t n);
/* What validate_status says. */
void kinds_check_status(const struct kinds_suite *s, const struct kinds_update_row *rows, size_t n);
/* The texts of the warnings, one a line. */
void kinds_check_warnings(const struct kinds_suite *s, const struct kinds_row *rows, size_t n);
