/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an answer that the API server passes on. What must hold: what is taken can be written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/proxy/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena a = ARENA_NULL;
        struct proxy_head h;
        const char *why = NULL;
        char *text = arena_strndup(&a, (const char *)data, size);

        if (proxy_head_parse(text, size, &a, &h, &why)) {
                if (!why)
                        abort();
        } else {
                if (h.status < 100 || h.status > 599 || (h.chunked && h.has_length))
                        abort();
                for (size_t i = 0; i < h.nheaders; i++)
                        if (strpbrk(h.headers[i].name, "\r\n: ") || strpbrk(h.headers[i].value, "\r\n") ||
                            proxy_is_hop_header(h.headers[i].name))
                                abort();
        }
        arena_deinit(&a);
        return 0;
}
