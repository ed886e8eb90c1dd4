/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens from anybody. What must hold: what is taken apart can be put together again to the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/account/jwt.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *token = mem_strndup((const char *)data, size), *again = NULL;
        struct strbuf b = STRBUF_NULL;
        struct jwt_parts p;
        size_t len;

        if (jwt_split(token, &p) == 0) {
                if (!json_is_object(p.header) || !json_is_object(p.claims) || p.signed_len >= strlen(token))
                        abort();
                jwt_base64_encode(&b, p.signature, p.signature_len);
                if (jwt_base64_decode(b.data ? b.data : "", b.len, &again, &len) || len != p.signature_len ||
                    memcmp(again, p.signature, len) != 0)
                        abort();
        }
        strbuf_deinit(&b);
        jwt_parts_deinit(&p);
        return 0;
}
