/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time as it was the last time somebody asked, for rates. Of one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct samples;

struct samples *samples_new(void);
void samples_free(struct samples *s);
/* Remembers and gives nanoseconds of CPU a second since the sample before (of at least a second ago). false: there was
 * none. */
bool samples_rate(struct samples *s, const char *key, uint64_t cpu_ns, uint64_t mono_ns, uint64_t *ret);
/* Forgets what was not asked for in ten minutes. */
void samples_expire(struct samples *s, uint64_t mono_ns);
