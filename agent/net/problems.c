/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net/problems.h"

void problems_add(struct problems *p, const char *fmt, ...)
{
        va_list ap;

        if (!p || p->count++ >= PROBLEMS_MAX)
                return;
        if (p->text.len)
                strbuf_add_str(&p->text, "; ");
        va_start(ap, fmt);
        strbuf_vprintf(&p->text, fmt, ap);
        va_end(ap);
}

const char *problems_text(const struct problems *p)
{
        return p->text.data ? p->text.data : "";
}

void problems_deinit(struct problems *p)
{
        strbuf_deinit(&p->text);
        *p = PROBLEMS_NULL;
}
