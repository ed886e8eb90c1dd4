/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results. A function that can fail returns an int: 0 is success, a negative errno is fatal and only forwarded, and a
 * positive value is an outcome that its docstring names and that the caller must handle. Outputs (ret_*) are untouched
 * unless the result is 0.
 *
 * Where a person reads the failure, the last parameter is `struct err *reterr` (owned by the caller, may be NULL),
 * filled where the failure arises: what is wrong, where, and what would be right.
 */
#pragma once

#include "base/cleanup.h"

struct err {
        int code; /* negative errno, or a positive outcome */
        char msg[512];
};

#define ERR_NULL ((struct err){0})

/* Fills reterr (when not NULL) and returns code, so that `return err_set(...)` reads well. */
int err_set(struct err *reterr, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts a context in front of the message that is already there: "context: message". Returns reterr's code (or code). */
int err_prefix(struct err *reterr, int code, const char *fmt, ...) _printf_(3, 4);
