/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are told from the pairs' own text without parsing conversions: the format's spaces are replaced by a separator
 * byte before formatting, and the result is cut at those. A value that brings a separator of its own is seen
 * by the count being wrong; then the whole text becomes the value of one pair.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

#define LINE_MAX_SIZE 4096
#define SEPARATOR     '\x1e'

static const char *const level_names[] = {"debug", "info", "warn", "error"};

atomic_int log_level_min = LOG_LEVEL_INFO;
static _Atomic(const char *) program_component = "fairlead";
static atomic_int log_fd = STDERR_FILENO;

void log_init(const char *component, enum log_level level)
{
        atomic_store(&program_component, component);
        log_set_level(level);
}

void log_set_level(enum log_level level)
{
        atomic_store(&log_level_min, (int)level);
}

void log_set_fd(int fd)
{
        atomic_store(&log_fd, fd);
}

int log_level_parse(const char *s, enum log_level *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
                if (strcmp(s, level_names[i]) == 0) {
                        *ret = (enum log_level)i;
                        return 0;
                }
        return -EINVAL;
}

/* A line under construction; what does not fit is cut off. */
struct line {
        char buf[LINE_MAX_SIZE];
        size_t len;
};

static void line_add(struct line *l, const char *s, size_t n)
{
        n = MIN(n, sizeof(l->buf) - 1 - l->len); /* one byte stays for the newline */
        memcpy(l->buf + l->len, s, n);
        l->len += n;
}

static void line_add_str(struct line *l, const char *s)
{
        line_add(l, s, strlen(s));
}

static bool is_plain(unsigned char c)
{
        return c > ' ' && c != '"' && c != '\\' && c != '=' && c != 0x7f;
}

static void line_add_escaped(struct line *l, unsigned char c)
{
        char esc[8];

        if (c == '\n')
                line_add_str(l, "\\n");
        else if (c == '\t')
                line_add_str(l, "\\t");
        else if (c == '"' || c == '\\')
                line_add(l, (char[]){'\\', (char)c}, 2);
        else if (c < ' ' || c == 0x7f) {
                snprintf(esc, sizeof(esc), "\\x%02x", c);
                line_add_str(l, esc);
        } else
                line_add(l, (char *)&c, 1);
}

static void line_add_value(struct line *l, const char *s, size_t n)
{
        bool plain = n > 0;

        for (size_t i = 0; i < n && plain; i++)
                plain = is_plain((unsigned char)s[i]);
        if (plain) {
                line_add(l, s, n);
                return;
        }
        line_add_str(l, "\"");
        for (size_t i = 0; i < n; i++)
                line_add_escaped(l, (unsigned char)s[i]);
        line_add_str(l, "\"");
}

static void line_add_pair(struct line *l, const char *key, const char *value, size_t n)
{
        line_add_str(l, " ");
        line_add_str(l, key);
        line_add_str(l, "=");
        line_add_value(l, value, n);
}

static size_t count(const char *s, char c)
{
        size_t n = 0;

        for (; *s; s++)
                n += *s == c;
        return n;
}

static void line_add_pairs(struct line *l, char *text, size_t expected)
{
        struct str_span pair;

        if (count(text, SEPARATOR) != expected) {
                line_add_pair(l, "text", text, strlen(text));
                return;
        }
        for (const char *rest = text; str_split(&rest, SEPARATOR, &pair);) {
                const char *eq = memchr(pair.s, '=', pair.n);

                if (!pair.n)
                        continue;
                line_add_str(l, " ");
                if (!eq) {
                        line_add_value(l, pair.s, pair.n);
                        continue;
                }
                line_add(l, pair.s, (size_t)(eq - pair.s) + 1);
                line_add_value(l, eq + 1, pair.n - (size_t)(eq - pair.s) - 1);
        }
}

static void line_start(struct line *l, enum log_level level, const char *msg)
{
        const char *component = atomic_load(&program_component);
        char time[CLOCK_TEXT_SIZE];

        l->len = 0;
        line_add_str(l, "time=");
        line_add_str(l, clock_now_micro(time));
        line_add_pair(l, "level", level_names[level], strlen(level_names[level]));
        line_add_pair(l, "component", component, strlen(component));
        line_add_pair(l, "msg", msg, strlen(msg));
}

static void line_finish(struct line *l)
{
        l->buf[l->len++] = '\n';
        while (write(atomic_load(&log_fd), l->buf, l->len) < 0 && errno == EINTR)
                ;
}

/* Copies the format with its spaces replaced by separators; those between double quotes stay, without the quotes. */
static void mark(char *dst, size_t size, const char *fmt)
{
        bool quoted = false;
        size_t n = 0;

        for (; *fmt && n + 1 < size; fmt++) {
                if (*fmt == '"')
                        quoted = !quoted;
                else
                        dst[n++] = *fmt == ' ' && !quoted ? SEPARATOR : *fmt;
        }
        dst[n] = '\0';
}

void log_write(enum log_level level, const char *msg, const char *fmt, ...)
{
        char pairs[LINE_MAX_SIZE], marked[512];
        int saved = errno;
        struct line line;
        va_list ap;

        mark(marked, sizeof(marked), fmt);
        va_start(ap, fmt);
        vsnprintf(pairs, sizeof(pairs), marked, ap);
        va_end(ap);
        line_start(&line, level, msg);
        line_add_pairs(&line, pairs, count(marked, SEPARATOR));
        line_finish(&line);
        errno = saved;
}

bool log_limit_pass(struct log_limit *limit, uint64_t interval_ms, const char *msg)
{
        uint64_t now = clock_mono_ms(), next = atomic_load(&limit->next_ms);
        unsigned int missed;

        if (now < next || !atomic_compare_exchange_strong(&limit->next_ms, &next, now + interval_ms)) {
                atomic_fetch_add(&limit->suppressed, 1);
                return false;
        }
        missed = atomic_exchange(&limit->suppressed, 0);
        if (missed)
                log_write(LOG_LEVEL_WARN, "log lines suppressed", " about=%s count=%u", msg, missed);
        return true;
}
