/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees while something is going on: a line a step, with the time that it took. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct progress {
        bool live;  /* on a terminal the line of the present step is written over */
        bool quiet; /* nothing is said */
        uint64_t start_ms, step_ms;
        char step[96];
};

void progress_init(struct progress *p, bool quiet);
/* "starting 5 machines": what is being done now. */
void progress_step(struct progress *p, const char *fmt, ...) _printf_(2, 3);
/* The step is done; fmt says what there is now. */
void progress_done(struct progress *p, const char *fmt, ...) _printf_(2, 3);
/* The step has failed: its line ends. */
void progress_failed(struct progress *p);
uint64_t progress_total_ms(const struct progress *p);
