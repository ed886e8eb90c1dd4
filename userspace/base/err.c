/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "base/err.h"

int err_set(struct err *reterr, int code, const char *fmt, ...)
{
        va_list ap;

        if (!reterr)
                return code;
        reterr->code = code;
        va_start(ap, fmt);
        vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
        va_end(ap);
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
        reterr->code = code;
        return code;
}
