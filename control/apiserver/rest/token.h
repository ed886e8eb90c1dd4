/* SPDX-License-Identifier: Apache-2.0 */
/* Continue tokens: the revision of the first page and the last key that was sent, as base64url JSON. */
#pragma once

#include <stdint.h>

#include "base/arena.h"

/* Instead of a revision: go on behind the key with what is there now, though that is no consistent list. */
#define TOKEN_NOW 0

const char *token_make(struct arena *a, uint64_t revision, const char *last_key);
/* Returns 0 or -EINVAL. */
int token_parse(struct arena *a, const char *token, uint64_t *ret_revision, const char **ret_last_key);
