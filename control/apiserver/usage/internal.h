/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the collection of metrics: all of it belongs to its thread, but for draining. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/usage/exposition.h"
#include "apiserver/usage/usage.h"
#include "base/loop.h"

struct scrape;

/* A request that is answered later. */
struct waiter {
        struct waiter *next;
        struct usage *usage;
        struct api_request *req;
        uint64_t deadline_ms;
};

struct usage {
        struct server *server;
        struct loop *loop;
        struct loop_timer *timer;
        pthread_t thread;
        atomic_bool draining;
        uint64_t now_ms, asked_ms, round_ms; /* now, the last question, when the last round began */
        struct waiter *waiting;
        unsigned nwaiting;
        struct hashmap nodes; /* by name: struct usage_sample */
        bool has_rates;       /* of any */

        struct scrape *queued, *running; /* of the round under way */
        unsigned in_flight;
};

/* scrape.c: asks every node's kubelet, then calls usage_round_done. */
void usage_round(struct usage *u);
void usage_round_stop(struct usage *u);
void usage_round_done(struct usage *u);

/* answer.c: fills the request's response. */
void usage_build(struct usage *u, struct api_request *req);
