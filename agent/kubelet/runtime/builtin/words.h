/* SPDX-License-Identifier: Apache-2.0 */
/* A command line that is put together. */
#pragma once

#include "base/arena.h"

#define WORDS_MAX 1024

struct words {
        struct arena mem;
        const char *v[WORDS_MAX + 1]; /* ends with NULL */
        size_t n;
};

#define WORDS_NULL ((struct words){0})

/* Words beyond the bound are dropped; callers stay below it. */
void words_add(struct words *w, const char *fmt, ...) _printf_(2, 3);
void words_deinit(struct words *w);

#define _cleanup_words_ _cleanup_(words_deinit)
