/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into stored JSON without parsing it: the server's own compact encoding, of which the cache needs the labels
 * and a few fields of every object at every change. Safe on any bytes (a damaged store), but it only promises to find
 * things in valid JSON.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct span {
        const char *p;
        size_t len;
};

#define SPAN_NULL ((struct span){0})

/* The length of the value at p (leading blanks not allowed), 0 when it is cut short. */
size_t peek_value(const char *p, const char *end);
/* The value of a member of the object in obj; SPAN_NULL when there is none. key must need no escapes. */
struct span peek_member(struct span obj, const char *key);
/* The same by a dotted path. */
struct span peek_path(struct span obj, const char *path);
/* Steps through the members: *at is 0 at first. False when there are no more. key is without its quotes, raw. */
bool peek_next(struct span obj, size_t *at, struct span *ret_key, struct span *ret_value);
/* A string value's text without quotes when it has no escapes; SPAN_NULL for anything else. */
struct span peek_plain_string(struct span value);
