/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "controllers/job_indexes.h"

static size_t count_parts(const char *text)
{
        size_t n = 1;

        for (; *text; text++)
                n += *text == ',';
        return n;
}

/* Spans come in order; one that touches the last makes it longer. */
static void add(struct index_span *spans, struct indexes *x, struct index_span s)
{
        struct index_span *last = x->n ? &spans[x->n - 1] : NULL;

        if (last && s.first <= last->last + 1) {
                x->total += MAX(s.last - last->last, (int64_t)0);
                last->last = MAX(last->last, s.last);
                return;
        }
        spans[x->n++] = s;
        x->total += s.last - s.first + 1;
}

/* Digits, and behind them what *rest points to then. */
static bool read_number(const char **rest, int64_t *ret)
{
        char *end;

        if (**rest < '0' || **rest > '9')
                return false;
        errno = 0;
        *ret = strtoll(*rest, &end, 10);
        *rest = end;
        return !errno;
}

static bool read_span(const char **rest, struct index_span *ret)
{
        if (!read_number(rest, &ret->first))
                return false;
        ret->last = ret->first;
        if (**rest == '-') {
                (*rest)++;
                if (!read_number(rest, &ret->last) || ret->last < ret->first)
                        return false;
        }
        if (**rest == ',')
                (*rest)++;
        return true;
}

struct indexes indexes_parse(struct arena *mem, const char *text, int64_t limit)
{
        struct indexes x = {0};
        struct index_span *spans, s;

        if (str_empty(text))
                return x;
        x.spans = spans = arena_array(mem, struct index_span, count_parts(text));
        while (*text && read_span(&text, &s) && s.first < limit && (!x.n || s.first > spans[x.n - 1].last)) {
                s.last = MIN(s.last, limit - 1);
                add(spans, &x, s);
        }
        return x;
}

static int by_number(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

struct indexes indexes_from(struct arena *mem, int64_t *of, size_t n)
{
        struct indexes x = {0};
        struct index_span *spans = arena_array(mem, struct index_span, n + 1);

        qsort(of, n, sizeof(*of), by_number);
        for (size_t i = 0; i < n; i++)
                add(spans, &x, (struct index_span){of[i], of[i]});
        x.spans = spans;
        return x;
}

struct indexes indexes_union(struct arena *mem, const struct indexes *a, const struct indexes *b)
{
        struct indexes x = {0};
        struct index_span *spans = arena_array(mem, struct index_span, a->n + b->n + 1);

        for (size_t i = 0, j = 0; i < a->n || j < b->n;) {
                bool from_a = j == b->n || (i < a->n && a->spans[i].first <= b->spans[j].first);

                add(spans, &x, from_a ? a->spans[i++] : b->spans[j++]);
        }
        x.spans = spans;
        return x;
}

bool indexes_has(const struct indexes *x, int64_t index)
{
        size_t low = 0, high = x->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (x->spans[mid].last < index)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < x->n && x->spans[low].first <= index;
}

int64_t indexes_common(const struct indexes *a, const struct indexes *b)
{
        int64_t n = 0;

        for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
                int64_t first = MAX(a->spans[i].first, b->spans[j].first);
                int64_t last = MIN(a->spans[i].last, b->spans[j].last);

                n += MAX(last - first + 1, (int64_t)0);
                if (a->spans[i].last < b->spans[j].last)
                        i++;
                else
                        j++;
        }
        return n;
}

size_t indexes_first_missing(const struct indexes *x, int64_t limit, int64_t *ret, size_t count)
{
        int64_t next = 0;
        size_t n = 0;

        for (size_t i = 0; i <= x->n && n < count; i++) {
                int64_t end = i < x->n ? MIN(x->spans[i].first, limit) : limit;

                while (next < end && n < count)
                        ret[n++] = next++;
                if (i < x->n)
                        next = x->spans[i].last + 1;
        }
        return n;
}

const char *indexes_text(struct arena *mem, const struct indexes *x)
{
        _cleanup_strbuf_ struct strbuf b = STRBUF_NULL;

        for (size_t i = 0; i < x->n; i++) {
                const struct index_span *s = &x->spans[i];

                if (i)
                        strbuf_add_char(&b, ',');
                strbuf_add_i64(&b, s->first);
                if (s->last == s->first)
                        continue;
                strbuf_add_char(&b, s->last == s->first + 1 ? ',' : '-');
                strbuf_add_i64(&b, s->last);
        }
        return b.data ? arena_strdup(mem, b.data) : "";
}
