/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of completion indexes, as a Job's status writes them: "0,2-5,7,8". In an arena; never changed once made. */
#pragma once

#include "base/arena.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

struct index_span {
        int64_t first, last;
};

struct indexes {
        const struct index_span *spans; /* in order, with gaps between them */
        size_t n;
        int64_t total; /* indexes */
};

/* Those below limit. NULL is the empty set; what cannot be read ends it. */
struct indexes indexes_parse(struct arena *mem, const char *text, int64_t limit);
/* of: n numbers in any order, which are sorted. */
struct indexes indexes_from(struct arena *mem, int64_t *of, size_t n);
struct indexes indexes_union(struct arena *mem, const struct indexes *a, const struct indexes *b);
bool indexes_has(const struct indexes *x, int64_t index);
/* How many of these are in both. */
int64_t indexes_common(const struct indexes *a, const struct indexes *b);
/* The smallest count numbers below limit that are not in it; returns how many there are. */
size_t indexes_first_missing(const struct indexes *x, int64_t limit, int64_t *ret, size_t count);
/* In the arena. Two neighbours are "3,4", more "3-5". */
const char *indexes_text(struct arena *mem, const struct indexes *x);
