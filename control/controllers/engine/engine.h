/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: queues of keys, syncs, and plans being carried out. It knows neither the network nor the clock (both are
 * behind struct api), so that tests run whole histories of a cluster in it. One thread.
 */
#pragma once

#include "base/strbuf.h"
#include "controllers/engine/controller.h"
#include "controllers/engine/step.h"

struct engine;

struct engine_opts {
        struct api *api;
        const struct config *config;
        const struct controller *const *controllers; /* with sync and watches; must outlive the engine */
        size_t ncontrollers;
        unsigned int inflight;        /* writes at a time; 0: 64 */
        void (*wake)(void *userdata); /* there is something for engine_run; may come from inside of it */
        void *userdata;
};

struct engine *engine_new(const struct engine_opts *opts);
void engine_free(struct engine *e);
DEFINE_CLEANUP(struct engine *, engine_free)

struct lister *engine_lister(struct engine *e);
/* Which resources are to be followed: every one that a controller watches, each once. */
size_t engine_resources(const struct engine *e, const struct resource **ret, size_t room);

/* An informer tells. Takes the reference of now (NULL: gone) over. */
void engine_observe(struct engine *e, const struct resource *r, const char *key, const struct kobj *now);

/* Syncs what is due, budget keys at most. Returns when to be called again, in ms (UINT64_MAX: when woken). */
uint64_t engine_run(struct engine *e, size_t budget);
/* Nothing is being written and nothing waits to be synced now (but after a delay). */
bool engine_idle(struct engine *e);
void engine_metrics(struct engine *e, struct strbuf *b);
