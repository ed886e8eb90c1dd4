/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of RFC 4648, section 4, with padding. */
#pragma once

#include <stddef.h>

#include "base/strbuf.h"

void base64_encode(struct strbuf *b, const void *data, size_t n);

/* Strict but for white space (YAML folds long values). The result has a NUL behind it and is the caller's.
 * 0 or -EINVAL. */
int base64_decode(const char *s, size_t n, char **ret, size_t *ret_len);
