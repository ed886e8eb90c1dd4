/* SPDX-License-Identifier: Apache-2.0 */
/* Strings with a form of their own: times, quantities, base64. Each takes a JSON value and may replace it. */
#pragma once

#include <time.h>

#include "base/json.h"

/* All of these return 0, or -EINVAL with Kubernetes' message. *val is owned by the caller before and after. */

/* A string, RFC 3339, to UTC seconds (or microseconds); the zero time of Go becomes null. */
int scalar_time(struct json_object **val, bool micro, struct err *reterr);
/* A string or number to the canonical string. */
int scalar_quantity(struct json_object **val, struct err *reterr);
/* A point in time as those strings are written; buf holds CLOCK_TEXT_SIZE bytes. Returns buf, or NULL when the year is
 * not one of 0 to 9999. */
char *scalar_time_format(const struct timespec *t, bool micro, char *buf);
/* A string of standard base64, with padding; line breaks in it are removed. */
int scalar_bytes(struct json_object **val, struct err *reterr);
