/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the world: world.c has the engine's side, world_cluster.c the users', the kubelet's and the scheduler's. */
#pragma once

#include "unit/controllers/world.h"
#include "unit/controllers/world_api.h"

#define RESOURCES_MAX 160

/* A write of the engine's: first it waits to arrive, then for its answer to be delivered. */
struct call {
        struct call *next;
        const struct step *step;
        step_done_fn done;
        void *userdata;
        bool arrived;
        int result;
        struct kube_status status;
        struct answer answer;
};

struct followed {
        const struct resource *resource;
        struct world_watch *watch;
};

struct world {
        struct world_opts opts;
        struct world_api *server;
        struct api api;
        struct engine *engine;
        struct followed followed[RESOURCES_MAX];
        size_t nfollowed;
        struct call *calls;
        struct strbuf events;
        uint64_t random, writes, wait_ms;
        bool crash_pending;
        struct json_object *lent; /* trees that were given out */
};

void world_check(struct world *w);
/* Trees that were given out end when the world goes on. */
void world_take_back(struct world *w);
