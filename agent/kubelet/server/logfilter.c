/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/logfilter.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define WINDOW 65536 /* more than the longest line of the shim */

/* Cuts off the word up to the next blank. */
static bool take_word(const char **p, const char *end, struct str_span *ret)
{
        const char *blank = memchr(*p, ' ', (size_t)(end - *p));

        if (!blank || blank == *p)
                return false;
        *ret = (struct str_span){*p, (size_t)(blank - *p)};
        *p = blank + 1;
        return true;
}

bool log_line_parse(const char *line, size_t n, struct log_line *ret)
{
        const char *p = line, *end = line + n;
        struct str_span stamp, stream, tag;

        if (!take_word(&p, end, &stamp) || !take_word(&p, end, &stream) || !take_word(&p, end, &tag))
                return false;
        if (!str_span_eq(stream, "stdout") && !str_span_eq(stream, "stderr"))
                return false;
        /* Tags are apart by colons, and the first says whether the line is whole. */
        if ((tag.s[0] != 'F' && tag.s[0] != 'P') || (tag.n > 1 && tag.s[1] != ':'))
                return false;
        *ret = (struct log_line){stamp.s, p, stamp.n, (size_t)(end - p), stream.s[3] == 'e', tag.s[0] == 'P'};
        return true;
}

int64_t log_time_ns(const struct timespec *ts)
{
        int64_t ns;

        if (__builtin_mul_overflow(ts->tv_sec, (int64_t)NS_PER_S, &ns) || __builtin_add_overflow(ns, ts->tv_nsec, &ns))
                return ts->tv_sec < 0 ? INT64_MIN : INT64_MAX;
        return ns;
}

/* A stamp that cannot be read is taken for new. */
static bool is_old(const struct log_filter *f, const struct log_line *l)
{
        char text[64];
        struct timespec ts;

        if (f->since_ns == INT64_MIN || l->nstamp >= sizeof(text))
                return false;
        memcpy(text, l->stamp, l->nstamp);
        text[l->nstamp] = '\0';
        return !clock_parse(text, &ts) && log_time_ns(&ts) < f->since_ns;
}

static void show(struct log_filter *f, const struct log_line *l, struct strbuf *out)
{
        size_t begin = out->len;

        if (f->timestamps && !f->in_line) {
                strbuf_add(out, l->stamp, l->nstamp);
                strbuf_add_char(out, ' ');
        }
        strbuf_add(out, l->text, l->ntext);
        if (!l->partial)
                strbuf_add_char(out, '\n');
        f->in_line = l->partial;
        if (f->limit < 0)
                return;
        out->len = begin + MIN(out->len - begin, (size_t)f->limit);
        out->data[out->len] = '\0';
        f->limit -= (int64_t)(out->len - begin);
        f->done = !f->limit;
}

static void take_line(struct log_filter *f, const char *line, size_t n, struct strbuf *out)
{
        struct log_line l;

        if (!log_line_parse(line, n, &l) || (l.err ? f->no_err : f->no_out) || is_old(f, &l))
                return;
        show(f, &l, out);
}

size_t log_filter(struct log_filter *f, const char *data, size_t n, bool full, struct strbuf *out)
{
        size_t at = 0;
        const char *nl;

        f->done |= f->limit == 0;
        while (!f->done && at < n && (nl = memchr(data + at, '\n', n - at))) {
                size_t len = (size_t)(nl - (data + at));

                if (!f->skipping)
                        take_line(f, data + at, len, out);
                f->skipping = false;
                at += len + 1;
        }
        if (!full || f->done || at)
                return f->done ? n : at;
        f->skipping = true;
        return n;
}

/* A part of a file, in memory. */
struct window {
        int fd;
        int64_t begin, end;
        char *data;
};

/* Makes the window end at `end`, with up to size bytes. */
static int load(struct window *w, int64_t end, int64_t size)
{
        int64_t begin = MAX(0, end - size), got = 0;

        w->data = mem_realloc(w->data, (size_t)MAX(end - begin, 1), 1);
        while (got < end - begin) {
                ssize_t n = pread(w->fd, w->data + got, (size_t)(end - begin - got), begin + got);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n ? -errno : -EIO;
                got += n;
        }
        w->begin = begin;
        w->end = end;
        return 0;
}

/* The begin of the line that ends with the newline before `end`. Lines longer than a window are cut. */
static int64_t line_before(struct window *w, int64_t end)
{
        const char *nl;

        for (int i = 0; i < 2; i++) {
                nl = end - 1 > w->begin ? memrchr(w->data, '\n', (size_t)(end - 1 - w->begin)) : NULL;
                if (nl || !w->begin || end - w->begin >= WINDOW)
                        break;
                if (load(w, end, WINDOW))
                        return -EIO;
        }
        return nl ? w->begin + (nl + 1 - w->data) : w->begin;
}

static bool is_partial(const struct window *w, int64_t begin, int64_t end)
{
        struct log_line l;

        return log_line_parse(w->data + (begin - w->begin), (size_t)(end - 1 - begin), &l) && l.partial;
}

/* Lines backwards: a whole one ends what begins behind it. The pieces of one without its end count as one. */
static int64_t walk_back(struct window *w, int64_t end, uint64_t lines)
{
        uint64_t seen = 0;
        bool first = true;

        while (end > 0) {
                int64_t begin = line_before(w, end);

                if (begin < 0)
                        return begin;
                if (first || !is_partial(w, begin, end)) {
                        if (seen++ == lines)
                                return end;
                }
                first = false;
                end = begin;
        }
        return 0;
}

int64_t log_tail(int fd, uint64_t lines)
{
        struct window w = {.fd = fd};
        struct stat st;
        int64_t r;

        if (fstat(fd, &st))
                return -errno;
        if (!lines || !st.st_size)
                return st.st_size;
        r = load(&w, st.st_size, WINDOW);
        if (!r)
                r = walk_back(&w, st.st_size, lines);
        free(w.data);
        return r;
}
