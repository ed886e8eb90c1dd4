/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/cleanup.h"
#include "ctl/suggest.h"

#define WORD_MAX 160

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
        return MIN(a, MIN(b, c));
}

unsigned int suggest_distance(const char *a, const char *b)
{
        /* Rows of the table of distances between the beginnings of both: this one, the last, the one before. */
        unsigned int rows[3][WORD_MAX + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > WORD_MAX || m > WORD_MAX)
                return (unsigned int)MAX(n, m);
        for (size_t j = 0; j <= m; j++)
                rows[0][j] = (unsigned int)j;
        for (size_t i = 1; i <= n; i++) {
                unsigned int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

                now[0] = (unsigned int)i;
                for (size_t j = 1; j <= m; j++) {
                        now[j] = least(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                now[j] = MIN(now[j], before[j - 2] + 1);
                }
        }
        return rows[n % 3][m];
}

void suggest_offer(struct suggestion *s, const char *word)
{
        size_t length = strlen(s->typed);
        unsigned int distance = suggest_distance(s->typed, word), most = length < 4 ? 1 : length < 8 ? 2 : 3;

        /* "serv" for "service": a beginning is as near as a slip. */
        if (length >= 2 && strncmp(word, s->typed, length) == 0)
                distance = MIN(distance, 1U);
        if (distance <= most && (!s->best || distance < s->distance)) {
                s->best = word;
                s->distance = distance;
        }
}
