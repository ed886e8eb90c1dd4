/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/server.h"
#include "apiserver/status.h"
#include "apiserver/usage/internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define PERIOD_MS   15000
#define ASKED_MS    300000 /* so long after the last question kubelets are still asked */
#define SECOND_MS   1200   /* between the first two looks */
#define PATIENCE_MS 6000   /* of who asks first */
#define TICK_MS     200
#define WAITING_MAX 1000

/* ---- who waits ---- */

static void give_answer(struct usage *u, struct waiter *w)
{
        usage_build(u, w->req);
        http_answer(w->req->http, w->req->res);
        free(w);
        u->nwaiting--;
}

static void answer_waiting(struct usage *u, bool all)
{
        struct waiter **at = &u->waiting, *w;

        while ((w = *at)) {
                if (!all && u->now_ms < w->deadline_ms) {
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                give_answer(u, w);
        }
}

static bool is_fresh(const struct usage *u)
{
        return u->has_rates && u->now_ms - u->round_ms < 2 * PERIOD_MS;
}

/* ---- when ---- */

static void forget_all(struct usage *u)
{
        hashmap_foreach (&u->nodes, slot) {
                usage_sample_deinit(slot->value);
                free(slot->value);
        }
        hashmap_clear(&u->nodes);
        u->has_rates = false;
        u->round_ms = 0;
}

void usage_round_done(struct usage *u)
{
        u->now_ms = clock_mono_ms();
        if (u->has_rates || !u->nodes.count) /* a second look would not find more */
                answer_waiting(u, true);
}

static void tick(void *userdata)
{
        struct usage *u = userdata;
        uint64_t period = u->waiting ? SECOND_MS : PERIOD_MS;

        u->now_ms = clock_mono_ms();
        if (!u->waiting && u->now_ms - u->asked_ms > ASKED_MS) {
                if (!u->in_flight)
                        forget_all(u);
                else
                        loop_timer_set(u->timer, TICK_MS);
                return;
        }
        answer_waiting(u, atomic_load(&u->draining));
        if (!u->in_flight && !u->queued && (!u->round_ms || u->now_ms - u->round_ms >= period)) {
                u->round_ms = u->now_ms;
                usage_round(u);
        }
        loop_timer_set(u->timer, u->waiting ? TICK_MS : 1000);
}

static void arrive(void *userdata)
{
        struct waiter *w = userdata;
        struct usage *u = w->usage;

        u->now_ms = u->asked_ms = clock_mono_ms();
        u->nwaiting++;
        if (is_fresh(u) || atomic_load(&u->draining) || u->nwaiting > WAITING_MAX) {
                give_answer(u, w);
                loop_timer_set(u->timer, TICK_MS);
                return;
        }
        w->deadline_ms = u->now_ms + PATIENCE_MS;
        w->next = u->waiting;
        u->waiting = w;
        tick(u);
}

/* The request outlives the call: what it is made of is in its arena, but for the struct itself. */
static struct api_request *keep(const struct api_request *req)
{
        struct api_request *r = arena_new(req->arena, struct api_request);

        *r = *req;
        r->res = arena_new(req->arena, struct http_response);
        *r->res = *req->res;
        return r;
}

int usage_answer(struct api_request *req)
{
        struct usage *u = req->server->usage;
        struct waiter *w;

        if (!str_eq(req->verb, "get") && !str_eq(req->verb, "list"))
                return api_fail_method(req);
        if (!u || atomic_load(&u->draining))
                return api_fail(req, 503, "metrics are not collected now");
        w = mem_new(struct waiter);
        w->usage = u;
        w->req = keep(req);
        http_later(req->http);
        loop_post(u->loop, arrive, w);
        return API_ANSWERED;
}

/* ---- life ---- */

static void *run(void *arg)
{
        loop_run(((struct usage *)arg)->loop);
        return NULL;
}

static int start(struct usage *u)
{
        sigset_t all, old;
        int r = loop_new(&u->loop);

        if (!r)
                r = loop_timer_new(u->loop, tick, u, &u->timer);
        if (r)
                return r;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &old);
        r = -pthread_create(&u->thread, NULL, run, u);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

int usage_new(struct server *s, struct usage **ret, struct err *reterr)
{
        struct usage *u = mem_new(struct usage);
        int r;

        u->server = s;
        hashmap_init(&u->nodes, HASHMAP_STR_OWNED);
        r = start(u);
        if (r) {
                loop_timer_free(u->timer);
                loop_free(u->loop);
                hashmap_deinit(&u->nodes);
                free(u);
                return err_set(reterr, r, "starting the thread that collects metrics: %s", strerror(-r));
        }
        *ret = u;
        return 0;
}

void usage_drain(struct usage *u)
{
        if (!u)
                return;
        atomic_store(&u->draining, true);
        loop_post(u->loop, tick, u);
}

static void end(void *userdata)
{
        struct usage *u = userdata;

        usage_round_stop(u);
        answer_waiting(u, true);
        forget_all(u);
        loop_timer_free(TAKE_PTR(u->timer));
        loop_stop(u->loop);
}

void usage_free(struct usage *u)
{
        if (!u)
                return;
        atomic_store(&u->draining, true);
        loop_post(u->loop, end, u);
        pthread_join(u->thread, NULL);
        loop_free(u->loop);
        hashmap_deinit(&u->nodes);
        free(u);
}
