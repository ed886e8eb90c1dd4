/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "scheduler/diagnosis.h"

void diagnosis_reset(struct diagnosis *d, uint32_t nodes)
{
        d->n = 0;
        d->plugins = 0;
        d->nodes = nodes;
        d->refused.len = 0;
        d->appendix.len = 0;
}

void diagnosis_deinit(struct diagnosis *d)
{
        free(d->reasons);
        strbuf_deinit(&d->refused);
        strbuf_deinit(&d->appendix);
        *d = DIAGNOSIS_NULL;
}

static struct reason *find(struct diagnosis *d, const char *format, const struct atom *a, const struct atom *b)
{
        for (uint32_t i = d->n; i-- > 0;) {
                struct reason *r = &d->reasons[i];

                if (r->format == format && r->a == a && r->b == b)
                        return r;
        }
        if (d->n == d->cap) {
                d->cap = d->cap ? d->cap * 2 : 16;
                d->reasons = mem_realloc(d->reasons, d->cap, sizeof(*d->reasons));
        }
        d->reasons[d->n] = (struct reason){.format = format, .a = a, .b = b};
        return &d->reasons[d->n++];
}

void diagnosis_count(struct diagnosis *d, const char *format, const struct atom *a, const struct atom *b)
{
        find(d, format, a, b)->count++;
}

void diagnosis_count_n(struct diagnosis *d, const char *format, uint32_t n)
{
        if (n)
                find(d, format, NULL, NULL)->count += n;
}

/* "2 Insufficient cpu". The formats are our own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *reason_text(const struct reason *r)
{
        _cleanup_free_ char *text = mem_printf(r->format, r->a ? r->a->text : "", r->b ? r->b->text : "");

        return mem_printf("%u %s", r->count, text);
}
#pragma GCC diagnostic pop

static int by_text(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted as texts: "10 x" comes before "2 y". */
static void write_reasons(const struct diagnosis *d, struct strbuf *b)
{
        char **texts = mem_array(char *, d->n + 1);

        for (uint32_t i = 0; i < d->n; i++)
                texts[i] = reason_text(&d->reasons[i]);
        qsort(texts, d->n, sizeof(*texts), by_text);
        for (uint32_t i = 0; i < d->n; i++) {
                strbuf_printf(b, "%s%s", i ? ", " : " ", texts[i]);
                free(texts[i]);
        }
        if (d->n)
                strbuf_add_char(b, '.');
        free(texts);
}

void diagnosis_write(const struct diagnosis *d, struct strbuf *b)
{
        if (!d->nodes && !d->refused.len) {
                strbuf_add_str(b, "no nodes available to schedule pods");
                return;
        }
        strbuf_printf(b, "0/%u nodes are available:", d->nodes);
        if (d->refused.len)
                strbuf_printf(b, " %s.", d->refused.data);
        else
                write_reasons(d, b);
        if (d->appendix.len)
                strbuf_printf(b, " %s", d->appendix.data);
}
