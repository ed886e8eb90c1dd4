/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "base/err.h"

/* A message that was cut off ends with a whole character: it will be put into JSON. */
static void trim(char *msg, size_t size)
{
        size_t n = strlen(msg);

        if (n + 1 < size)
                return;
        while (n && ((unsigned char)msg[n - 1] & 0xc0) == 0x80)
                n--;
        if (n && (unsigned char)msg[n - 1] >= 0xc0)
                n--;
        msg[n] = '\0';
}

int err_set(struct err *reterr, int code, const char *fmt, ...)
{
        va_list ap;

        if (!reterr)
                return code;
        reterr->code = code;
        va_start(ap, fmt);
        vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
        va_end(ap);
        trim(reterr->msg, sizeof(reterr->msg));
        return code;
}

int err_prefix(struct err *reterr, int code, const char *fmt, ...)
{
        char old[sizeof(reterr->msg)];
        va_list ap;
        size_t n;

        if (!reterr)
                return code;
        memcpy(old, reterr->msg, sizeof(old));
        va_start(ap, fmt);
        vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
        va_end(ap);
        n = strlen(reterr->msg);
        snprintf(reterr->msg + n, sizeof(reterr->msg) - n, ": %s", old);
        trim(reterr->msg, sizeof(reterr->msg));
        reterr->code = code;
        return code;
}
