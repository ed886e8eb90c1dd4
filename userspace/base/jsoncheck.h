/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the bytes are one JSON text: RFC 8259, well-formed UTF-8, no more than max_depth brackets deep. If not,
 * *ret_offset is the byte that is wrong (len: it ends too early). */
bool json_check(const char *data, size_t len, size_t max_depth, size_t *ret_offset);
