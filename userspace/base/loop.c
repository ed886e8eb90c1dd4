/* SPDX-License-Identifier: Apache-2.0 */
/* libevent's own locking is off: other threads only touch the queue of posted work, which wakes the loop by an eventfd.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"

struct post {
        struct post *next;
        void (*fn)(void *userdata);
        void *userdata;
};

struct loop {
        struct event_base *base;
        struct event *wake;
        int wake_fd;
        bool stop;
        pthread_mutex_t lock; /* head, tail */
        struct post *head, **tail;
};

static struct post *take_posts(struct loop *l)
{
        struct post *p;

        pthread_mutex_lock(&l->lock);
        p = l->head;
        l->head = NULL;
        l->tail = &l->head;
        pthread_mutex_unlock(&l->lock);
        return p;
}

static void run_posts(struct loop *l)
{
        struct post *p, *next;

        for (p = take_posts(l); p; p = next) {
                next = p->next;
                p->fn(p->userdata);
                free(p);
        }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
        uint64_t n;

        if (read(fd, &n, sizeof(n)) >= 0)
                run_posts(arg);
}

static struct event_base *new_base(void)
{
        struct event_config *cfg = event_config_new();
        struct event_base *base = NULL;

        if (!cfg)
                return NULL;
        event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
        base = event_base_new_with_config(cfg);
        event_config_free(cfg);
        return base;
}

int loop_new(struct loop **ret)
{
        _cleanup_(loop_freep) struct loop *l = mem_new(struct loop);

        pthread_mutex_init(&l->lock, NULL);
        l->tail = &l->head;
        l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (l->wake_fd < 0)
                return -errno;
        l->base = new_base();
        if (!l->base)
                return -ENOMEM;
        l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
        if (!l->wake || event_add(l->wake, NULL))
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

void loop_free(struct loop *l)
{
        if (!l)
                return;
        run_posts(l);
        if (l->wake)
                event_free(l->wake);
        if (l->base)
                event_base_free(l->base);
        closep(&l->wake_fd);
        pthread_mutex_destroy(&l->lock);
        free(l);
}

int loop_run(struct loop *l)
{
        int r = 0;

        while (!l->stop && r >= 0)
                r = event_base_loop(l->base, EVLOOP_ONCE);
        l->stop = false;
        return r < 0 ? -EIO : 0;
}

static void stop(void *userdata)
{
        struct loop *l = userdata;

        l->stop = true;
}

int loop_run_for(struct loop *l, uint64_t ms)
{
        struct loop_timer *timer;
        int r = loop_timer_new(l, stop, l, &timer);

        if (r)
                return r;
        loop_timer_set(timer, ms);
        r = loop_run(l);
        loop_timer_free(timer);
        return r;
}

void loop_stop(struct loop *l)
{
        loop_post(l, stop, l);
}

void loop_post(struct loop *l, void (*fn)(void *userdata), void *userdata)
{
        struct post *p = mem_new(struct post);
        uint64_t one = 1;

        p->fn = fn;
        p->userdata = userdata;
        pthread_mutex_lock(&l->lock);
        *l->tail = p;
        l->tail = &p->next;
        /* Under the lock, so that a loop which has seen the work (and may be freed by it) is not touched any more. The
         * counter cannot overflow: then the descriptor is readable anyway. */
        while (write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
                ;
        pthread_mutex_unlock(&l->lock);
}

struct loop_fd {
        struct loop *loop;
        struct event *ev;
        int fd;
        unsigned int events;
        void (*fn)(void *userdata, unsigned int events);
        void *userdata;
};

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
        struct loop_fd *f = arg;

        f->fn(f->userdata, (what & EV_READ ? LOOP_READ : 0) | (what & EV_WRITE ? LOOP_WRITE : 0));
}

int loop_fd_set(struct loop_fd *f, unsigned int events)
{
        short what = (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0));

        if (events == f->events)
                return 0;
        event_del(f->ev);
        f->events = events;
        if (!events)
                return 0;
        if (event_assign(f->ev, f->loop->base, f->fd, (short)(what | EV_PERSIST), on_fd, f) || event_add(f->ev, NULL))
                return -EINVAL;
        return 0;
}

int loop_fd_new(struct loop *l, int fd, unsigned int events, void (*fn)(void *userdata, unsigned int events),
                void *userdata, struct loop_fd **ret)
{
        struct loop_fd *f = mem_new(struct loop_fd);
        int r = 0;

        *f = (struct loop_fd){.loop = l, .fd = fd, .fn = fn, .userdata = userdata};
        f->ev = event_new(l->base, fd, EV_PERSIST, on_fd, f);
        if (!f->ev)
                r = -ENOMEM;
        else
                r = loop_fd_set(f, events);
        if (r) {
                loop_fd_free(f);
                return r;
        }
        *ret = f;
        return 0;
}

void loop_fd_free(struct loop_fd *f)
{
        if (!f)
                return;
        if (f->ev)
                event_free(f->ev);
        free(f);
}

struct loop_timer {
        struct event *ev;
        void (*fn)(void *userdata);
        void *userdata;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
        struct loop_timer *t = arg;

        t->fn(t->userdata);
}

int loop_timer_new(struct loop *l, void (*fn)(void *userdata), void *userdata, struct loop_timer **ret)
{
        struct loop_timer *t = mem_new(struct loop_timer);

        *t = (struct loop_timer){.fn = fn, .userdata = userdata};
        t->ev = event_new(l->base, -1, 0, on_timer, t);
        if (!t->ev) {
                free(t);
                return -ENOMEM;
        }
        *ret = t;
        return 0;
}

void loop_timer_set_ns(struct loop_timer *t, uint64_t ns)
{
        struct timeval tv = {.tv_sec = (time_t)(ns / 1000000000), .tv_usec = (suseconds_t)(ns % 1000000000 / 1000)};

        event_add(t->ev, &tv);
}

void loop_timer_set(struct loop_timer *t, uint64_t ms)
{
        loop_timer_set_ns(t, ms * 1000000);
}

void loop_timer_cancel(struct loop_timer *t)
{
        event_del(t->ev);
}

void loop_timer_free(struct loop_timer *t)
{
        if (!t)
                return;
        event_free(t->ev);
        free(t);
}

struct loop_signal {
        struct event *ev;
        void (*fn)(void *userdata);
        void *userdata;
};

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
        struct loop_signal *s = arg;

        s->fn(s->userdata);
}

int loop_signal_new(struct loop *l, int signo, void (*fn)(void *userdata), void *userdata, struct loop_signal **ret)
{
        struct loop_signal *s = mem_new(struct loop_signal);

        *s = (struct loop_signal){.fn = fn, .userdata = userdata};
        s->ev = event_new(l->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, s);
        if (!s->ev || event_add(s->ev, NULL)) {
                loop_signal_free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

void loop_signal_free(struct loop_signal *s)
{
        if (!s)
                return;
        if (s->ev)
                event_free(s->ev);
        free(s);
}
