/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tables are not what they should be, in words. */
#pragma once

#include <stddef.h>

#include "base/arena.h"

struct finding {
        const char *table;  /* of the map, as it is pinned */
        const char *object; /* "default/web 10.96.0.10:80/TCP" */
        const char *text;   /* "missing" */
};

struct findings {
        struct finding *items;
        size_t n, cap;
        struct arena arena; /* what they point to */
};

#define FINDINGS_NULL ((struct findings){0})

/* table is borrowed for good (a literal), object is copied. */
void findings_add(struct findings *f, const char *table, const char *object, const char *fmt, ...) _printf_(4, 5);
/* Keeps those that other has, too: a table that is being written differs for a moment. */
void findings_keep_common(struct findings *f, const struct findings *other);
void findings_deinit(struct findings *f);
