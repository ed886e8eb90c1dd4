/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: a variable marked _cleanup_(fn) is released by fn when it goes out of scope; TAKE hands its
 * value out and leaves a null value behind, so that release after TAKE does nothing.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn)  __attribute__((__cleanup__(fn)))
#define _printf_(f, a) __attribute__((__format__(__printf__, f, a)))
#define _unused_       __attribute__((__unused__))
#define _must_check_   __attribute__((__warn_unused_result__))
#define _noreturn_     __attribute__((__noreturn__))

#define TAKE(var, null)                                                                                                \
        ({                                                                                                             \
                __typeof__(var) *_p_ = &(var);                                                                         \
                __typeof__(var) _v_ = *_p_;                                                                            \
                *_p_ = (null);                                                                                         \
                _v_;                                                                                                   \
        })
#define TAKE_PTR(var) TAKE(var, NULL)
#define TAKE_FD(var)  TAKE(var, -1)

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Defines fn##p(T *p), for _cleanup_, out of a function that releases a T and takes null values. */
#define DEFINE_CLEANUP(type, fn)                                                                                       \
        static inline void fn##p(type *p)                                                                              \
        {                                                                                                              \
                fn(*p);                                                                                                \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

#define _cleanup_free_  _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
