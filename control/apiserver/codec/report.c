/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/codec/report.h"

#include <stdlib.h>

void codec_path_write(struct strbuf *b, const struct codec_path *path)
{
        if (!path)
                return;
        codec_path_write(b, path->up);
        if (!path->key) {
                strbuf_printf(b, "[%zu]", path->index);
                return;
        }
        if (b->len)
                strbuf_add_char(b, '.');
        strbuf_add(b, path->key, path->key_len == CODEC_KEY_STRING ? strlen(path->key) : path->key_len);
}

void codec_path_write_fields(struct strbuf *b, const struct codec_path *path)
{
        if (!path)
                return;
        codec_path_write_fields(b, path->up);
        if (!path->key)
                return;
        if (b->len)
                strbuf_add_char(b, '.');
        strbuf_add(b, path->key, path->key_len == CODEC_KEY_STRING ? strlen(path->key) : path->key_len);
}

void codec_report_add(struct codec_report *report, const char *what, const struct codec_path *path)
{
        struct strbuf text = STRBUF_NULL;
        _cleanup_strbuf_ struct strbuf where = STRBUF_NULL;
        char **items;

        if (!report || report->n == CODEC_REPORT_MAX)
                return;
        items = realloc(report->items, (report->n + 1) * sizeof(*items));
        if (!items)
                return;
        report->items = items;
        codec_path_write(&where, path);
        strbuf_printf(&text, "%s \"%s\"", what, where.data ? where.data : "");
        items[report->n++] = strbuf_take(&text, NULL);
}

void codec_report_write(struct strbuf *b, const struct codec_report *report)
{
        for (size_t i = 0; i < report->n; i++) {
                strbuf_add_str(b, i ? ", " : "");
                strbuf_add_str(b, report->items[i]);
        }
}

void codec_report_deinit(struct codec_report *report)
{
        for (size_t i = 0; i < report->n; i++)
                free(report->items[i]);
        free(report->items);
        *report = CODEC_REPORT_NULL;
}
