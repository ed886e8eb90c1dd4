/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes may stand where in a request (RFC 9110, 5.6.2 and 5.5; RFC 3986). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum http_char {
        HTTP_CHAR_TOKEN = 1,  /* methods and header names */
        HTTP_CHAR_TARGET = 2, /* visible ASCII, but for '#', which is never sent */
        HTTP_CHAR_VALUE = 4,  /* visible, blank, tab, and bytes of UTF-8 */
        HTTP_CHAR_HOST = 8,   /* names, addresses, brackets, port */
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, unsigned class)
{
        return http_chars[(uint8_t)c] & class;
}
