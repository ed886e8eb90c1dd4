/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/kubelet/server/logwatch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/kubelet/server/impl.h"
#include "base/mem.h"
#include "base/str.h"

#define EVENTS  (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR)
#define TICK_MS 1000
#define SOON_MS 20 /* after a log was closed: its container has probably ended */

struct logwatch {
        struct loop *loop;
        struct kubelet_server *s;
        int fd;
        struct loop_fd *source;
        struct loop_timer *timer; /* of the loop */
        bool asking;              /* of the loop: the kubelet is being asked */
        pthread_mutex_t lock;     /* what is below */
        struct log_follower *followers;
};

static void wake_folder(struct logwatch *w, int watch)
{
        for (struct log_follower *f = w->followers; f; f = f->next)
                if (f->watch == watch)
                        http_stream_wake(f->stream);
}

/* The folder is gone. */
static void forget_folder(struct logwatch *w, int watch)
{
        for (struct log_follower *f = w->followers; f; f = f->next)
                if (f->watch == watch)
                        f->watch = -1;
}

static void on_inotify(void *userdata, unsigned int events)
{
        struct logwatch *w = userdata;
        char buf[4096] __attribute__((__aligned__(__alignof__(struct inotify_event))));
        ssize_t n = read(w->fd, buf, sizeof(buf));
        const struct inotify_event *e;
        bool closed = false;
        int last = -1;

        pthread_mutex_lock(&w->lock);
        for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
                e = (const struct inotify_event *)(buf + at);
                closed |= (e->mask & (IN_CLOSE_WRITE | IN_IGNORED)) != 0;
                if (e->wd != last)
                        wake_folder(w, e->wd);
                last = e->wd;
                if (e->mask & IN_IGNORED)
                        forget_folder(w, e->wd);
        }
        pthread_mutex_unlock(&w->lock);
        if (closed)
                loop_timer_set(w->timer, SOON_MS);
}

static bool still_runs(const struct runtime_list *l, const char *id)
{
        for (size_t i = 0; i < l->ncontainers; i++)
                if (str_eq(l->containers[i].id, id))
                        return l->containers[i].state == CONTAINER_RUNNING ||
                               l->containers[i].state == CONTAINER_CREATED;
        return false;
}

static void on_asked(void *userdata);

/* On the kubelet's loop. */
static void ask_runtime(void *userdata)
{
        struct kubelet_server *s = userdata;
        struct runtime_list list;

        if (!s->closed) {
                struct logwatch *w = s->logwatch;

                s->opts.runtime->ops->list(s->opts.runtime->rt, NULL, &list);
                pthread_mutex_lock(&w->lock);
                for (struct log_follower *f = w->followers; f; f = f->next) {
                        if (still_runs(&list, f->container))
                                continue;
                        atomic_store(&f->ended, true);
                        http_stream_wake(f->stream);
                }
                pthread_mutex_unlock(&w->lock);
                loop_post(s->streams, on_asked, server_ref(s));
        }
        server_unref(s);
}

static void on_asked(void *userdata)
{
        struct kubelet_server *s = userdata;

        if (s->logwatch)
                s->logwatch->asking = false;
        server_unref(s);
}

static void on_tick(void *userdata)
{
        struct logwatch *w = userdata;
        bool any;

        pthread_mutex_lock(&w->lock);
        any = w->followers;
        wake_folder(w, -1);
        pthread_mutex_unlock(&w->lock);
        if (any)
                loop_timer_set(w->timer, TICK_MS);
        if (!any || w->asking)
                return;
        w->asking = true;
        loop_post(w->s->opts.loop, ask_runtime, server_ref(w->s));
}

static void begin_ticks(void *userdata)
{
        struct kubelet_server *s = userdata;

        if (s->logwatch)
                loop_timer_set(s->logwatch->timer, SOON_MS);
        server_unref(s);
}

int logwatch_new(struct loop *loop, struct kubelet_server *s, struct logwatch **ret)
{
        struct logwatch *w = mem_new(struct logwatch);
        int r;

        *w = (struct logwatch){.loop = loop, .s = s, .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
        pthread_mutex_init(&w->lock, NULL);
        r = w->fd < 0 ? -errno : loop_fd_new(loop, w->fd, LOOP_READ, on_inotify, w, &w->source);
        if (!r)
                r = loop_timer_new(loop, on_tick, w, &w->timer);
        if (r) {
                logwatch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

void logwatch_free(struct logwatch *w)
{
        if (!w)
                return;
        loop_fd_free(w->source);
        loop_timer_free(w->timer);
        if (w->fd >= 0)
                close(w->fd);
        pthread_mutex_destroy(&w->lock);
        free(w);
}

void logwatch_add(struct logwatch *w, struct log_follower *f, const char *folder)
{
        pthread_mutex_lock(&w->lock);
        f->watch = inotify_add_watch(w->fd, folder, EVENTS);
        f->added = true;
        f->prev = NULL;
        f->next = w->followers;
        if (f->next)
                f->next->prev = f;
        w->followers = f;
        pthread_mutex_unlock(&w->lock);
        loop_post(w->loop, begin_ticks, server_ref(w->s));
}

/* A folder's watch is one for all who follow logs in it. */
static bool is_watched(const struct logwatch *w, int watch)
{
        for (const struct log_follower *f = w->followers; f; f = f->next)
                if (f->watch == watch)
                        return true;
        return false;
}

void logwatch_remove(struct logwatch *w, struct log_follower *f)
{
        if (!f->added)
                return;
        pthread_mutex_lock(&w->lock);
        f->added = false;
        *(f->prev ? &f->prev->next : &w->followers) = f->next;
        if (f->next)
                f->next->prev = f->prev;
        if (f->watch >= 0 && !is_watched(w, f->watch))
                inotify_rm_watch(w->fd, f->watch);
        pthread_mutex_unlock(&w->lock);
}
