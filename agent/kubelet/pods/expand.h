/* SPDX-License-Identifier: Apache-2.0 */
/*
 * $(NAME) in commands, arguments, variables and subPathExpr: replaced by what lookup says; "$$" is a dollar sign and
 * protects what follows it. What has no value and what is no reference stays as it is.
 */
#pragma once

#include <stddef.h>

#include "base/arena.h"

/* The value of NAME (n bytes; may be empty), or NULL: none. Its length goes to *ret_len. */
typedef const char *(*expand_fn)(void *userdata, const char *name, size_t n, size_t *ret_len);

/* In the arena. */
char *expand(const char *text, expand_fn lookup, void *userdata, struct arena *mem);
