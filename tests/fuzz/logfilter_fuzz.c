/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's log, whatever it holds: shown in pieces it is the same as whole, and a tail begins where a line does.
 * The first two bytes of the input say what is wanted, and how it is cut.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/kubelet/server/logfilter.h"

static void show(struct log_filter f, const char *data, size_t n, size_t piece, struct strbuf *out)
{
        _cleanup_strbuf_ struct strbuf in = STRBUF_NULL;

        strbuf_add_str(out, "");
        for (size_t at = 0; at < n; at += piece) {
                size_t used;

                strbuf_add(&in, data + at, MIN(piece, n - at));
                used = log_filter(&f, in.data, in.len, false, out);
                if (used > in.len)
                        abort();
                memmove(in.data, in.data + used, in.len - used);
                in.len -= used;
        }
}

static void check_tail(const char *data, size_t n, uint64_t lines)
{
        int fd = memfd_create("log", MFD_CLOEXEC);
        int64_t at;

        if (fd < 0 || write(fd, data, n) != (ssize_t)n)
                abort();
        at = log_tail(fd, lines);
        if (at < 0 || (size_t)at > n || (at && (size_t)at < n && data[at - 1] != '\n'))
                abort();
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
        _cleanup_strbuf_ struct strbuf whole = STRBUF_NULL, pieces = STRBUF_NULL;
        const char *data = (const char *)input + 2;
        struct log_filter f;

        if (size < 3)
                return 0;
        f = (struct log_filter){.since_ns = input[0] & 1 ? 1767323045LL * 1000000000 : INT64_MIN,
                                .limit = input[0] & 2 ? input[1] : -1,
                                .timestamps = input[0] & 4,
                                .no_out = input[0] & 8,
                                .no_err = input[0] & 16};
        show(f, data, size - 2, size, &whole);
        show(f, data, size - 2, 1 + input[1] % 31, &pieces);
        if (whole.len != pieces.len || memcmp(whole.data, pieces.data, whole.len) != 0)
                abort();
        check_tail(data, size - 2, input[1] % 8);
        return 0;
}
