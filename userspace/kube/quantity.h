/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantities ("100m", "1Gi", "2e3") as Kubernetes' resource.Quantity has them: a number to the nano, at most 2^63 - 1,
 * and the family of suffixes that it was written in. What is finer than a nano is rounded away from zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum quantity_format {
        QUANTITY_DECIMAL_SI,       /* n u m - k M G T P E */
        QUANTITY_BINARY_SI,        /* Ki Mi Gi Ti Pi Ei */
        QUANTITY_DECIMAL_EXPONENT, /* 1e3 */
};

struct quantity {
        __int128 nano;
        enum quantity_format format;
};

#define QUANTITY_NULL      ((struct quantity){0})
#define QUANTITY_TEXT_SIZE 32

/* All of s. Returns 0, or -EINVAL with Kubernetes' message in reterr. */
int quantity_parse(const char *s, struct quantity *ret, struct err *reterr);

/* The canonical text: no fraction, the largest suffix that loses nothing. Returns buf, of QUANTITY_TEXT_SIZE bytes. */
char *quantity_format(const struct quantity *q, char *buf);

/* Below, at or above zero. */
int quantity_compare(const struct quantity *a, const struct quantity *b);
int quantity_sign(const struct quantity *q);

/* a += b, a -= b; the format of a stays unless a is zero, then it is that of b. Sums are capped at 2^63 - 1. */
void quantity_add(struct quantity *a, const struct quantity *b);
void quantity_sub(struct quantity *a, const struct quantity *b);

/* Rounded up, away from zero; capped at what an int64_t holds. */
int64_t quantity_value(const struct quantity *q);
int64_t quantity_milli(const struct quantity *q);

struct quantity quantity_of(int64_t value, enum quantity_format format);
struct quantity quantity_of_milli(int64_t milli, enum quantity_format format);
