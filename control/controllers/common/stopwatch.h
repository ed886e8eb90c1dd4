/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long ago something was that the API tells of by the wall clock: a start, an end. Once it was looked at, the time
 * goes on by the monotonic clock, so that a wall clock that somebody sets neither ends a Job nor keeps one for ever.
 * Only what happened before the first look depends on the wall clock. A controller's own state, of one thread.
 */
#pragma once

#include "base/hashmap.h"
#include "controllers/engine/plan.h"

struct stopwatches {
        struct hashmap map; /* id -> struct stopwatch * */
};

void stopwatches_init(struct stopwatches *w);
void stopwatches_deinit(struct stopwatches *w);
/* Milliseconds, at least 0, since since_s (wall clock). The watch of that id starts over when since_s is another. */
int64_t stopwatch_ms(struct stopwatches *w, const char *id, int64_t since_s, const struct sync *s);
void stopwatch_forget(struct stopwatches *w, const char *id);
