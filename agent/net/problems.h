/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong at present, for people: collected anew in each round, so that what was mended disappears by itself. */
#pragma once

#include <stdint.h>

#include "base/strbuf.h"

#define PROBLEMS_MAX 8

struct problems {
        struct strbuf text; /* sentences, joined by "; " */
        uint32_t count;     /* also of those that found no room */
};

#define PROBLEMS_NULL ((struct problems){0})

/* The first PROBLEMS_MAX are kept, the others counted. p may be NULL. */
void problems_add(struct problems *p, const char *fmt, ...) _printf_(2, 3);
/* "" when there are none. */
const char *problems_text(const struct problems *p);
void problems_deinit(struct problems *p);
