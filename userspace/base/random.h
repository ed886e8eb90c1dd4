/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness of the kernel, fetched in batches kept per thread (and thrown away in a forked child). Thread-safe. */
#pragma once

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);
/* Uniform in [0, n); n is not 0. */
uint64_t random_below(uint64_t n);
/* Uniform in [base, base + base * percent / 100]: a delay with jitter, of any unit. */
uint64_t random_jitter(uint64_t base, unsigned int percent);
