/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "agent/kubelet/runtime/builtin/words.h"

void words_add(struct words *w, const char *fmt, ...)
{
        va_list ap;

        if (w->n == WORDS_MAX)
                return;
        va_start(ap, fmt);
        w->v[w->n++] = arena_vprintf(&w->mem, fmt, ap);
        va_end(ap);
}

void words_deinit(struct words *w)
{
        arena_deinit(&w->mem);
        w->n = 0;
}
