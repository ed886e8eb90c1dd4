/* SPDX-License-Identifier: Apache-2.0 */
/* Small texts of the API: times, durations, numbers, base64, names, quoting. What parses comes back the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void times(const char *text)
{
        struct timespec ts, again;
        char buf[CLOCK_TEXT_SIZE];

        if (clock_parse(text, &ts))
                return;
        clock_format(ts.tv_sec, buf);
        /* An offset may lead out of the years that have four digits. */
        if (ts.tv_sec >= -62167219200 && ts.tv_sec <= 253402300799 &&
            (clock_parse(buf, &again) || again.tv_sec != ts.tv_sec))
                abort();
}

static void base64(const char *data, size_t size)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;
        _cleanup_free_ char *back = NULL;
        char *decoded = NULL;
        size_t len;

        if (!base64_decode(data, size, &decoded, &len))
                free(decoded);
        strbuf_add_str(&b, "");
        base64_encode(&b, data, size);
        if (base64_decode(b.data, b.len, &back, &len) || len != size || memcmp(back, data, size) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_strbuf_ struct strbuf quoted = STRBUF_NULL;
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        struct name_errors errors;
        int64_t ns;

        times(text);
        base64((const char *)data, size);
        str_parse_duration(text, &ns);
        str_parse_i64(text, &ns);
        strbuf_add_quoted(&quoted, (const char *)data, size);
        for (int rule = 0; rule < NAME_RULE_COUNT; rule++)
                if (name_check((enum name_rule)rule, text, &errors) > NAME_ERRORS_MAX)
                        abort();
        return 0;
}
