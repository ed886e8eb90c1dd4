/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's output as CRI log lines: "2016-10-06T00:17:09.669794202Z stdout F text\n". A line longer than
 * LOG_LINE_MAX is cut into pieces tagged P, the last of which is tagged F.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LOG_LINE_MAX    16384
#define LOG_STAMP_SIZE  36
#define LOG_VECTORS_MAX 128

/* One stream. What came in is appended to buf at used by the caller; whole lines are taken away by log_lines. */
struct log_stream {
        const char *name; /* "stdout" or "stderr" */
        size_t used;
        char buf[LOG_LINE_MAX];
};

/* Takes n pieces of whole log lines; they are gone when it returns. */
typedef void (*log_write_fn)(void *userdata, const struct iovec *v, size_t n);

/* RFC 3339 with nine digits, UTC. Returns buf. */
char *log_stamp(int64_t unix_ns, char buf[LOG_STAMP_SIZE]);

/* Writes the whole lines of s->buf, and a full buffer as a piece; keeps the rest. last: the rest too, as a line. */
void log_lines(struct log_stream *s, int64_t unix_ns, int last, log_write_fn fn, void *userdata);
