/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 sequence of two or more that starts here (n >= 1 bytes are there); 0 when it is none: RFC 3629, no
 * surrogates, shortest form only. */
static inline size_t utf8_len(const unsigned char *s, size_t n)
{
        size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;

        if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
                return 0;
        for (size_t i = 1; i < len; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
            (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return len;
}

/* True when s[0..n) is UTF-8 without NUL. */
static inline bool utf8_valid(const char *s, size_t n)
{
        for (size_t i = 0, k; i < n; i += k) {
                unsigned char c = (unsigned char)s[i];

                k = c < 0x80 ? c != 0 : utf8_len((const unsigned char *)s + i, n - i);
                if (!k)
                        return false;
        }
        return true;
}
