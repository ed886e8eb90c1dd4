/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a schedule runs, in a time zone of the zone database (which the C library reads).
 *
 * A schedule names minutes of the local clock. Those that a change to summer time leaves out do not happen; those of
 * the hour that a change back repeats happen twice, as with Kubernetes.
 *
 * The C library has one time zone for the whole process, and these functions change it: one thread at a time, and in
 * programs that do not look at local time otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kube/cron.h"

/* Whether the zone database has it: "Europe/Berlin". */
bool timezone_exists(const char *zone);
/* "2026-03-29T03:30:00+02:00"; UTC ends in Z. zone NULL: UTC. buf: CLOCK_TEXT_SIZE of clock.h. Returns it. */
char *timezone_format(const char *zone, int64_t unix_s, char *buf);
/*
 * The first time after after_s, in seconds since 1970; 0 when there is none within five years ("0 0 31 2 *"). zone
 * NULL: that of the machine.
 */
int64_t cron_next(const struct cron_schedule *c, const char *zone, int64_t after_s);
