/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's log in CRI's format ("2016-10-06T00:17:09.669794202Z stdout F text") as `kubectl logs` shows it. Pure,
 * but for log_tail, which reads a file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/strbuf.h"

struct log_line {
        const char *stamp, *text; /* of a line that is not NUL-terminated */
        size_t nstamp, ntext;
        bool err, partial;
};

/* line: n bytes without the newline. false: that is no line of a log. */
bool log_line_parse(const char *line, size_t n, struct log_line *ret);

/* Since 1970; a time that is further than 292 years from it is as far as possible. */
int64_t log_time_ns(const struct timespec *ts);

/* What is wanted, and where it stands. */
struct log_filter {
        int64_t since_ns; /* wall; what is older is left out; INT64_MIN: all */
        int64_t limit;    /* bytes of output that are left; -1: no limit */
        bool timestamps, no_out, no_err;
        bool done;     /* the limit is reached */
        bool in_line;  /* a partial line was written, and its rest follows */
        bool skipping; /* a line without end */
};

/* Takes the whole lines of n bytes and adds what is to be shown. Bytes that were taken; the rest is the beginning of a
 * line. full: there is no room for more of it, take it all. */
size_t log_filter(struct log_filter *f, const char *data, size_t n, bool full, struct strbuf *out);

/* Where the last `lines` lines begin; those cut into pieces are one. Reads backwards, no more than needed. Offset, or
 * negative errno. */
int64_t log_tail(int fd, uint64_t lines);
