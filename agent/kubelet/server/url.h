/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and queries of requests. Results lie in the arena. Pure. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

/* Percent-decoded, and in a query '+' is a blank; what is no escape stays. NULL when a NUL would come out. */
const char *url_decode(const char *s, size_t n, bool query, struct arena *mem);

/* The value of the i-th parameter of that name; NULL: there is none. */
const char *url_param(const char *query, const char *name, size_t i, struct arena *mem);

/* All values of the parameters of that name, NULL behind the last one. How many, or -1: more than max, or one that
 * cannot be decoded. */
int url_params(const char *query, const char *name, size_t max, const char *const **ret, struct arena *mem);

/* The segments of a path, decoded: "/a/b" has two. How many, or -1: more than max, an empty one, or one that cannot be
 * decoded. */
int url_segments(const char *path, const char **ret, size_t max, struct arena *mem);
