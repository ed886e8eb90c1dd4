/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "apiserver/background.h"
#include "apiserver/housekeeping.h"
#include "apiserver/rest/watch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct background {
        struct server *server;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t cond;
        bool stop;
        struct housekeeping *keeping;
};

static void tick_watches(struct background *b)
{
        watch_tick(b->server->caches);
}

static void keep_own_objects(struct background *b)
{
        struct err err = ERR_NULL;

        if (bootstrap(b->server, &err))
                log_limited(LOG_LEVEL_WARN, 60000, "the server's own objects cannot be written", "error=%s", err.msg);
}

static void compact(struct background *b)
{
        housekeeping_compact(b->keeping);
}

static void expire_events(struct background *b)
{
        housekeeping_expire_events(b->keeping);
}

static void repair(struct background *b)
{
        housekeeping_repair(b->keeping);
}

/* Every task with its period. */
static const struct {
        const char *name;
        unsigned period_s;
        bool at_start;
        void (*fn)(struct background *b);
} tasks[] = {
        {"watch-timers", 1, false, tick_watches}, {"own-objects", 10, false, keep_own_objects},
        {"compaction", 1, true, compact},         {"event-expiry", 30, false, expire_events},
        {"allocation-repair", 180, true, repair},
};

static bool wait_second(struct background *b)
{
        struct timespec until;
        bool stop;

        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_mutex_lock(&b->lock);
        if (!b->stop)
                pthread_cond_timedwait(&b->cond, &b->lock, &until);
        stop = b->stop;
        pthread_mutex_unlock(&b->lock);
        return !stop;
}

static void *background_run(void *arg)
{
        struct background *b = arg;
        uint64_t due_ms[ARRAY_SIZE(tasks)], now = clock_mono_ms();

        for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
                due_ms[i] = now + (tasks[i].at_start ? 0 : tasks[i].period_s * 1000);
        do {
                for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
                        if (clock_mono_ms() < due_ms[i])
                                continue;
                        tasks[i].fn(b);
                        due_ms[i] = clock_mono_ms() + tasks[i].period_s * 1000;
                }
        } while (wait_second(b));
        return NULL;
}

int background_start(struct server *s, struct background **ret)
{
        struct background *b = mem_new(struct background);
        pthread_condattr_t attr;

        b->server = s;
        b->keeping = housekeeping_new(s);
        pthread_mutex_init(&b->lock, NULL);
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* the wall clock may be set back */
        pthread_cond_init(&b->cond, &attr);
        pthread_condattr_destroy(&attr);
        if (pthread_create(&b->thread, NULL, background_run, b)) {
                housekeeping_free(b->keeping);
                free(b);
                return -EAGAIN;
        }
        *ret = b;
        return 0;
}

void background_stop(struct background *b)
{
        if (!b)
                return;
        pthread_mutex_lock(&b->lock);
        b->stop = true;
        pthread_cond_signal(&b->cond);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
        pthread_cond_destroy(&b->cond);
        pthread_mutex_destroy(&b->lock);
        housekeeping_free(b->keeping);
        free(b);
}
