/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/random.h"

#define BATCH 512

static _Thread_local struct {
        unsigned char bytes[BATCH];
        size_t left;
        unsigned int generation;
} pool;

/* Counts forks, so that a child never hands out what its parent also holds. */
static atomic_uint generation = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void in_child(void)
{
        atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void setup(void)
{
        pthread_atfork(NULL, NULL, in_child);
}

static void fetch(unsigned char *buf, size_t n)
{
        while (n) {
                ssize_t got = getrandom(buf, n, 0);

                if (got < 0 && errno != EINTR)
                        abort(); /* no kernel we run on lacks it */
                if (got > 0) {
                        buf += got;
                        n -= (size_t)got;
                }
        }
}

void random_bytes(void *buf, size_t n)
{
        unsigned int gen;

        if (n > BATCH / 4) {
                fetch(buf, n);
                return;
        }
        pthread_once(&once, setup);
        gen = atomic_load_explicit(&generation, memory_order_relaxed);
        if (pool.left < n || pool.generation != gen) {
                fetch(pool.bytes, BATCH);
                pool.left = BATCH;
                pool.generation = gen;
        }
        pool.left -= n;
        memcpy(buf, pool.bytes + pool.left, n);
        memset(pool.bytes + pool.left, 0, n);
}

uint64_t random_u64(void)
{
        uint64_t v;

        random_bytes(&v, sizeof(v));
        return v;
}

uint64_t random_below(uint64_t n)
{
        uint64_t floor = -n % n; /* 2^64 mod n: values below it would favour the small results */
        uint64_t v;

        do
                v = random_u64();
        while (v < floor);
        return v % n;
}

uint64_t random_jitter(uint64_t base, unsigned int percent)
{
        return base + random_below((uint64_t)((unsigned __int128)base * percent / 100) + 1);
}
