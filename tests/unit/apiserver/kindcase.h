/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds as tables: JSON in, JSON or field errors out. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "apiserver/kind.h"

/* What the user sends, and how it looks before it is stored. Text may use ' for ". */
struct default_case {
        const char *in, *out;
};

/* An object (and what was there before, or NULL), and the errors: "field: body" each on a line, "" for none. */
struct error_case {
        const char *obj, *old;
        const char *errors;
};

/* Parses JSON in which ' stands for "; fails the test when it is none. */
struct json_object *case_json(const char *text);

/* Runs defaults and prepare_create of each and compares. */
void run_default_cases(const struct kind_ops *ops, const struct kind_config *config, const struct default_case *rows,
                       size_t n);
/* Runs defaults, prepare_*, validate (and validate_update when there is an old one) and compares the errors. */
void run_error_cases(const struct kind_ops *ops, const struct kind_config *config, const struct error_case *rows,
                     size_t n);
/* The same for the status: prepare_status, validate_status. */
void run_status_cases(const struct kind_ops *ops, const struct error_case *rows, size_t n);
/* The object after prepare_update: rows are {new, old, result}. */
struct update_case {
        const char *obj, *old, *out;
};
void run_update_cases(const struct kind_ops *ops, const struct kind_config *config, const struct update_case *rows,
                      size_t n);
