/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "http/internal.h"
#include "base/clock.h"

#define EVENTS_MAX 64

int http_loop_init(struct http_loop *l, struct http_server *s)
{
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = l};
        size_t i;

        l->server = s;
        l->now_ms = clock_mono_ms();
        list_init(&l->conns);
        list_init(&l->turn);
        list_init(&l->dead);
        for (i = 0; i < TIMER_KINDS; i++)
                list_init(&l->timers[i]);
        l->event_fd = -1;
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (l->epoll_fd < 0)
                return -errno;
        l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (l->event_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &ev) < 0)
                return -errno;
        return 0;
}

void http_loop_deinit(struct http_loop *l)
{
        closep(&l->epoll_fd);
        closep(&l->event_fd);
}

/*
 * A stack that the loop takes whole and turns round. A loop that is awake looks at it again before it sleeps, so only
 * the first post to a sleeping one costs a system call.
 */
void http_loop_post(struct http_loop *l, struct http_task *t)
{
        uint64_t one = 1;

        t->next = atomic_load_explicit(&l->tasks, memory_order_relaxed);
        while (!atomic_compare_exchange_weak(&l->tasks, &t->next, t))
                ;
        if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))
                (void)!write(l->event_fd, &one, sizeof(one));
}

static void run_tasks(struct http_loop *l)
{
        struct http_task *t = atomic_exchange(&l->tasks, NULL), *first = NULL, *next;

        for (; t; t = next) {
                next = t->next;
                t->next = first;
                first = t;
        }
        for (; first; first = next) {
                next = first->next;
                first->run(first);
        }
}

void http_loop_arm(struct conn *c, uint32_t events)
{
        struct epoll_event ev = {.events = events, .data.ptr = c};

        if (c->armed == events)
                return;
        c->armed = events;
        epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

void http_loop_timer(struct conn *c, enum timer_kind kind)
{
        struct http_loop *l = c->loop;

        list_del(&c->timer);
        c->timer_kind = kind;
        if (kind >= TIMER_KINDS)
                return;
        c->deadline_ms = l->now_ms + l->server->timeouts[kind];
        if (l->draining && kind == TIMER_LINGER)
                c->deadline_ms = l->now_ms + LINGER_STOP_MS;
        list_append(&l->timers[kind], &c->timer);
}

static void run_timers(struct http_loop *l)
{
        size_t i;

        for (i = 0; i < TIMER_KINDS; i++)
                while (!list_empty(&l->timers[i])) {
                        struct conn *c = container_of(l->timers[i].next, struct conn, timer);

                        if (c->deadline_ms > l->now_ms)
                                break;
                        http_loop_timer(c, TIMER_NONE);
                        conn_expired(c);
                }
        if (l->accept_paused && l->accept_again_ms <= l->now_ms)
                accept_resume(l);
}

/* Connections that had used up their share get their next turn. */
static void run_turn(struct http_loop *l)
{
        struct list now;

        list_init(&now);
        list_take_all(&now, &l->turn);
        while (!list_empty(&now)) {
                struct conn *c = container_of(now.next, struct conn, turn);

                list_del(&c->turn);
                conn_drive(c);
        }
}

static int sleep_ms(struct http_loop *l)
{
        uint64_t until = l->accept_paused ? l->accept_again_ms : UINT64_MAX;
        size_t i;

        if (!list_empty(&l->turn) || atomic_load(&l->tasks) || l->quit)
                return 0;
        for (i = 0; i < TIMER_KINDS; i++)
                if (!list_empty(&l->timers[i]))
                        until = MIN(until, container_of(l->timers[i].next, struct conn, timer)->deadline_ms);
        if (until == UINT64_MAX)
                return -1;
        l->now_ms = clock_mono_ms();
        return until > l->now_ms ? (int)MIN(until - l->now_ms, 60000) : 0;
}

/* Lowest bit set: of the connection's relay. */
static void dispatch_conn(uint64_t which, uint32_t events)
{
        struct conn *c = (struct conn *)(uintptr_t)(which & ~(uint64_t)1);

        if (c->fd < 0)
                return;
        if (which & 1)
                relay_event(c, events);
        else
                conn_event(c, events);
}

static void dispatch(struct http_loop *l, const struct epoll_event *ev)
{
        uint64_t count;

        if (ev->data.ptr == l)
                (void)!read(l->event_fd, &count, sizeof(count));
        else if (ev->data.ptr == l->server)
                accept_ready(l);
        else
                dispatch_conn(ev->data.u64, ev->events);
}

/* Tells http_server_stop, once, that nothing is left here. */
static void report_empty(struct http_loop *l)
{
        struct http_server *s = l->server;

        if (!l->draining || l->nconns || l->reported)
                return;
        l->reported = true;
        pthread_mutex_lock(&s->stop_lock);
        s->loops_empty++;
        pthread_cond_signal(&s->stop_cond);
        pthread_mutex_unlock(&s->stop_lock);
}

void *http_loop_run(void *arg)
{
        struct http_loop *l = arg;
        struct epoll_event events[EVENTS_MAX];

        while (!l->quit || l->nconns || atomic_load(&l->tasks)) {
                int i, n;

                atomic_store(&l->asleep, true);
                n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, sleep_ms(l));
                atomic_store(&l->asleep, false);
                l->now_ms = clock_mono_ms();
                for (i = 0; i < n; i++)
                        dispatch(l, &events[i]);
                run_tasks(l);
                run_timers(l);
                run_turn(l);
                conn_bury(l);
                report_empty(l);
        }
        return NULL;
}

const char *http_loop_date(struct http_loop *l)
{
        time_t now = time(NULL);
        struct tm tm;

        if (now != l->date_s) {
                l->date_s = now;
                gmtime_r(&now, &tm);
                strftime(l->date, sizeof(l->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        }
        return l->date;
}
