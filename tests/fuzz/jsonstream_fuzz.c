/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of JSON: whatever the bytes, cutting them differently gives the same objects. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/jsonstream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int collect(void *userdata, char *data, size_t len)
{
        struct strbuf *b = userdata;

        strbuf_add(b, data, len);
        strbuf_add_char(b, '\n');
        return 0;
}

static int run(enum jsonstream_mode mode, const uint8_t *data, size_t size, size_t step, struct strbuf *out)
{
        struct jsonstream s;
        int r = 0;

        jsonstream_init(&s, mode, 4096, collect, out);
        for (size_t i = 0; i < size && !r; i += step)
                r = jsonstream_feed(&s, (const char *)data + i, MIN(step, size - i));
        jsonstream_deinit(&s);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        for (int mode = 0; mode <= JSONSTREAM_LIST; mode++) {
                _cleanup_strbuf_ struct strbuf whole = STRBUF_NULL, cut = STRBUF_NULL;
                int a, b;

                strbuf_add_str(&whole, "");
                strbuf_add_str(&cut, "");
                a = run((enum jsonstream_mode)mode, data, size, size ? size : 1, &whole);
                b = run((enum jsonstream_mode)mode, data, size, size ? data[0] % 7 + 1 : 1, &cut);
                if (a != b || strcmp(whole.data, cut.data) != 0)
                        abort();
        }
        return 0;
}
