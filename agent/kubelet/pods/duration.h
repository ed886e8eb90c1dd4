/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define DURATION_TEXT_SIZE 32

/* As Go prints durations, to the millisecond: "0s", "350ms", "1.2s", "1m20s". Returns buf of DURATION_TEXT_SIZE. */
char *duration_text(uint64_t ms, char *buf);
