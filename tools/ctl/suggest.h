/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may have meant who mistyped a word. Pure functions. */
#pragma once

#include <stddef.h>

/* Letters to be added, removed, replaced, or exchanged with their neighbour (once) to make b of a. */
unsigned int suggest_distance(const char *a, const char *b);

struct suggestion {
        const char *typed;
        const char *best; /* NULL: nothing is near enough */
        unsigned int distance;
};

/* Another word that there is, which must outlive the suggestion. */
void suggest_offer(struct suggestion *s, const char *word);
