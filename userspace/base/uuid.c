/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "base/random.h"
#include "base/uuid.h"

char *uuid_new(char buf[UUID_TEXT_SIZE])
{
        static const char hex[] = "0123456789abcdef";
        unsigned char b[16];
        char *p = buf;

        random_bytes(b, sizeof(b));
        b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
        b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
        for (size_t i = 0; i < sizeof(b); i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *p++ = '-';
                *p++ = hex[b[i] >> 4];
                *p++ = hex[b[i] & 15];
        }
        *p = '\0';
        return buf;
}
