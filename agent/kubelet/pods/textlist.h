/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of strings in an arena, always with a NULL behind it. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

struct textlist {
        struct arena *mem;
        const char **v; /* NULL until something is added */
        size_t n, room;
};

#define TEXTLIST(arena) ((struct textlist){.mem = (arena)})

/* Borrows s. */
void textlist_add(struct textlist *l, const char *s);
bool textlist_has(const struct textlist *l, const char *s);
/* Unless it is there already. */
void textlist_add_once(struct textlist *l, const char *s);
/* "a b c", in the arena. */
char *textlist_join(const struct textlist *l, const char *separator);
/* v, or an empty list, never NULL. */
const char *const *textlist_all(const struct textlist *l);
