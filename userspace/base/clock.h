/* SPDX-License-Identifier: Apache-2.0 */
/* Time: the monotonic clock for intervals, the wall clock for people and the API, RFC 3339 text as Kubernetes writes
 * it. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* Never goes back, stands still while the machine sleeps. */
uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
/* Since 1970-01-01 UTC. */
int64_t clock_wall_s(void);
int64_t clock_wall_ns(void);

#define CLOCK_TEXT_SIZE 40

/* "2006-01-02T15:04:05Z" (metav1.Time). Returns buf, which holds CLOCK_TEXT_SIZE bytes. Years 0 to 9999. */
char *clock_format(int64_t unix_s, char *buf);
/* "2006-01-02T15:04:05.000000Z" (metav1.MicroTime). */
char *clock_format_micro(int64_t unix_ns, char *buf);
/* The wall clock now, in either form. */
char *clock_now(char *buf);
char *clock_now_micro(char *buf);

/*
 * RFC 3339 as Go's time.RFC3339 reads it: any fraction (kept to the nanosecond), Z or a +hh:mm offset. The whole of s.
 * Returns 0 or -EINVAL.
 */
int clock_parse(const char *s, struct timespec *ret);
