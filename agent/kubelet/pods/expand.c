/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/kubelet/pods/expand.h"
#include "base/strbuf.h"

/* text begins with a dollar sign that something follows. Returns how many bytes of it were dealt with. */
static size_t one(const char *text, expand_fn lookup, void *userdata, struct strbuf *out)
{
        const char *close, *value;
        size_t n = 0;

        if (text[1] != '(') {
                strbuf_add(out, text, text[1] == '$' ? 1 : 2);
                return 2;
        }
        close = strchr(text + 2, ')');
        if (!close) {
                strbuf_add(out, text, 2);
                return 2;
        }
        value = lookup(userdata, text + 2, (size_t)(close - text - 2), &n);
        if (value)
                strbuf_add(out, value, n);
        else
                strbuf_add(out, text, (size_t)(close + 1 - text));
        return (size_t)(close + 1 - text);
}

char *expand(const char *text, expand_fn lookup, void *userdata, struct arena *mem)
{
        _cleanup_strbuf_ struct strbuf out = STRBUF_NULL;
        const char *dollar;

        while ((dollar = strchr(text, '$')) && dollar[1]) {
                strbuf_add(&out, text, (size_t)(dollar - text));
                text = dollar + one(dollar, lookup, userdata, &out);
        }
        strbuf_add_str(&out, text);
        return arena_strndup(mem, out.data ? out.data : "", out.len);
}
