/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines of key=value pairs on stderr, one line an event:
 *
 *     log_info("listening", "address=%s port=%u", address, port);
 *     time=2026-01-02T03:04:05.678901Z level=info component=apiserver msg=listening address=127.0.0.1 port=6443
 *
 * The format is pairs `key=conversion` with one space between them (a constant value with spaces goes into double
 * quotes); a value with spaces, quotes or control characters
 * comes out quoted and escaped, so that no outside text can forge a pair or a line. Log once, where it is decided what
 * happens; libraries stay at debug. A call below the level costs one load and a branch. Thread-safe: one write(2) a
 * line.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

enum log_level {
        LOG_LEVEL_DEBUG,
        LOG_LEVEL_INFO,
        LOG_LEVEL_WARN,
        LOG_LEVEL_ERROR,
};

/* The component of the whole program ("apiserver"; must live on), and the least level that is written (info at first).
 */
void log_init(const char *component, enum log_level level);
void log_set_level(enum log_level level);
/* Where lines go instead of stderr; the descriptor stays the caller's. */
void log_set_fd(int fd);
/* "debug", "info", "warn", "error". 0 or -EINVAL. */
int log_level_parse(const char *s, enum log_level *ret);

extern atomic_int log_level_min;

static inline bool log_enabled(enum log_level level)
{
        return (int)level >= atomic_load_explicit(&log_level_min, memory_order_relaxed);
}

/* fmt begins with the space that the macros below put there. */
void log_write(enum log_level level, const char *msg, const char *fmt, ...) _printf_(3, 4);

#define log_at(level, msg, ...) (log_enabled(level) ? log_write(level, msg, " " __VA_ARGS__) : (void)0)
#define log_debug(msg, ...)     log_at(LOG_LEVEL_DEBUG, msg, __VA_ARGS__)
#define log_info(msg, ...)      log_at(LOG_LEVEL_INFO, msg, __VA_ARGS__)
#define log_warn(msg, ...)      log_at(LOG_LEVEL_WARN, msg, __VA_ARGS__)
#define log_error(msg, ...)     log_at(LOG_LEVEL_ERROR, msg, __VA_ARGS__)

/* For events that outsiders can cause at will: at most one line per interval and call site; the next one that is let
 * through is preceded by a line with the number of those that were not. */
struct log_limit {
        atomic_uint_least64_t next_ms;
        atomic_uint suppressed;
};

/* True when the caller may write now. */
bool log_limit_pass(struct log_limit *limit, uint64_t interval_ms, const char *msg);

#define log_limited(level, interval_ms, msg, ...)                                                                      \
        do {                                                                                                           \
                static struct log_limit _limit_;                                                                       \
                if (log_enabled(level) && log_limit_pass(&_limit_, interval_ms, msg))                                  \
                        log_write(level, msg, " " __VA_ARGS__);                                                        \
        } while (0)
