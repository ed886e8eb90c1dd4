/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/kubelet/pods/duration.h"

static int print_seconds(char *buf, size_t size, uint64_t ms)
{
        int n = snprintf(buf, size, "%" PRIu64 ".%03u", ms / 1000, (unsigned int)(ms % 1000));

        while (buf[n - 1] == '0')
                n--;
        if (buf[n - 1] == '.')
                n--;
        return n + snprintf(buf + n, size - (size_t)n, "s");
}

char *duration_text(uint64_t ms, char *buf)
{
        uint64_t minutes = ms / 60000;
        int n = 0;

        if (ms > 0 && ms < 1000) {
                snprintf(buf, DURATION_TEXT_SIZE, "%ums", (unsigned int)ms);
                return buf;
        }
        if (minutes >= 60)
                n += snprintf(buf + n, DURATION_TEXT_SIZE - (size_t)n, "%" PRIu64 "h", minutes / 60);
        if (minutes)
                n += snprintf(buf + n, DURATION_TEXT_SIZE - (size_t)n, "%" PRIu64 "m", minutes % 60);
        print_seconds(buf + n, DURATION_TEXT_SIZE - (size_t)n, ms % 60000);
        return buf;
}
