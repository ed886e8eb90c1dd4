/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void *or_die(void *p, size_t size)
{
        if (p)
                return p;
        fprintf(stderr, "level=fatal msg=\"out of memory\" bytes=%zu\n", size);
        abort();
}

void *mem_alloc(size_t size)
{
        return or_die(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
        return or_die(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *p, size_t n, size_t size)
{
        size_t total;

        if (__builtin_mul_overflow(n, size, &total))
                or_die(NULL, SIZE_MAX);
        return or_die(realloc(p, total ? total : 1), total);
}

char *mem_strndup(const char *s, size_t n)
{
        char *p = mem_alloc(n + 1);

        if (n)
                memcpy(p, s, n);
        p[n] = '\0';
        return p;
}

char *mem_strdup(const char *s)
{
        return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
        char *p = NULL;
        va_list ap;
        int n;

        va_start(ap, fmt);
        n = vasprintf(&p, fmt, ap);
        va_end(ap);
        return or_die(n < 0 ? NULL : p, 0);
}

/* Of mimalloc, where the program is linked with it. */
extern void mi_collect(bool force) __attribute__((weak));

void mem_trim(void)
{
        if (mi_collect)
                mi_collect(true);
        else
                malloc_trim(0);
}

void mem_keep_little(void)
{
        mallopt(M_MMAP_THRESHOLD, 128 * 1024);
}
