/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/up/progress.h"

#define WIDTH 72

void progress_init(struct progress *p, bool quiet)
{
        const char *term = getenv("TERM");

        *p = (struct progress){.quiet = quiet, .start_ms = clock_mono_ms()};
        p->live = isatty(STDOUT_FILENO) && term && !str_eq(term, "dumb");
        p->step_ms = p->start_ms;
}

void progress_step(struct progress *p, const char *fmt, ...)
{
        va_list ap;

        p->step_ms = clock_mono_ms();
        va_start(ap, fmt);
        vsnprintf(p->step, sizeof(p->step), fmt, ap);
        va_end(ap);
        if (!p->live || p->quiet)
                return;
        printf("  .. %s", p->step);
        fflush(stdout);
}

void progress_done(struct progress *p, const char *fmt, ...)
{
        char text[256];
        va_list ap;

        if (p->quiet)
                return;
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        printf("%s  ok %-*s %6.2f s%s\n", p->live ? "\r" : "", WIDTH, text,
               (double)(clock_mono_ms() - p->step_ms) / 1000, p->live ? "\033[K" : "");
        fflush(stdout);
}

void progress_failed(struct progress *p)
{
        if (p->quiet)
                return;
        printf("%s  not ok: %s\n", p->live ? "\r\033[K" : "", p->step);
        fflush(stdout);
}

uint64_t progress_total_ms(const struct progress *p)
{
        return clock_mono_ms() - p->start_ms;
}
