/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster in memory for controllers to work in: an API server's model (versions, UIDs, conflicts, finalizers,
 * graceful deletion, status apart from spec), watches that deliver late, writes that fail or whose answers get lost,
 * crashes of the controllers, and a clock that only the test moves. Random choices follow one seed, so that a history
 * can be run again.
 *
 *     struct world *w = world_new(&(struct world_opts){.seed = 1, .controllers = (const struct controller
 * *[]){&controller_replicaset}, .ncontrollers = 1}); world_apply(w,
 * "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'namespace':'d','name':'web'},...}"); world_settle(w);
 *     assert_int_equal(world_count(w, &res_pods, "d"), 3);
 *
 * Texts of objects may have ' for ".
 */
#pragma once

#include "controllers/config.h"
#include "controllers/engine/engine.h"

struct world;

struct world_opts {
        uint64_t seed;
        const struct controller *const *controllers;
        size_t ncontrollers;
        const struct config *config; /* NULL: the defaults of world.c */
        /* In percent of the writes. */
        unsigned int refuse;   /* 409, 429 or 500, not done */
        unsigned int lose;     /* no answer; done or not, by chance */
        unsigned int crash;    /* the controllers die right after it is done (or before), and start anew */
        unsigned int lateness; /* events that are held back at each step, in percent */
        /* After each change of the API's state: for invariants. */
        void (*check)(struct world *w, void *userdata);
        void *userdata;
};

struct world *world_new(const struct world_opts *opts);
void world_free(struct world *w);
DEFINE_CLEANUP(struct world *, world_free)

/* ---- as a user, or another component, would; straight to the API, without faults ---- */

/* Creates the object, or merges the text into the one that is there (RFC 7386). Bumps generation when spec changes. */
void world_apply(struct world *w, const char *fmt, ...) _printf_(2, 3);
/* Merges into an object; that must be there. */
void world_patch(struct world *w, const struct resource *r, const char *ns, const char *name, const char *fmt, ...)
        _printf_(5, 6);
/* By finalizers and propagationPolicy (NULL: none); pods that run on a node linger until world_kubelet ends them. */
void world_delete(struct world *w, const struct resource *r, const char *ns, const char *name, const char *propagation);

/* ---- what is there ---- */

/* Borrowed until the world goes on (world_step and what calls it); NULL when there is none. */
struct json_object *world_get(struct world *w, const struct resource *r, const char *ns, const char *name);
size_t world_count(struct world *w, const struct resource *r, const char *ns); /* ns NULL: all */
/* Borrowed trees in the order of creation, in an array that the caller frees. */
struct json_object **world_list(struct world *w, const struct resource *r, const char *ns, size_t *ret_n);
/* "Normal SuccessfulCreate ReplicaSet d/web Created pod: web-abcde" lines of all Events so far. */
const char *world_events(const struct world *w);
uint64_t world_writes(const struct world *w); /* of the controllers, that were done */

/* ---- time and progress ---- */

/* One small thing, by chance: an event is delivered, an answer arrives, a key is synced. False: nothing to do before
 * time goes on. */
bool world_step(struct world *w);
/* Until nothing is left to do at this time. Fails the test when that does not end. */
void world_settle(struct world *w);
/* Moves both clocks, in the steps that delays ask for, and settles after each. */
void world_pass(struct world *w, uint64_t ms);
int64_t world_now_s(const struct world *w);
/* The wall clock alone: set by somebody. */
void world_jump(struct world *w, int64_t seconds);
/* The controllers die with all they know, and start again. */
void world_crash(struct world *w);

/* ---- the kubelet and the scheduler, by hand ---- */

/* Pods without a node get one ("node-0" ... "node-N-1"), bound ones run and become ready (fn, if given, says what
 * becomes of a pod: its new status' phase, or NULL to leave it), those that are being deleted go. One change each. */
void world_kubelet(struct world *w, unsigned int nodes, const char *(*fn)(void *userdata, struct json_object *pod),
                   void *userdata);
/* Sets phase and Ready of one pod, as a kubelet writes them. */
void world_pod_status(struct world *w, const char *ns, const char *name, const char *phase, bool ready);
uint64_t world_random(struct world *w, uint64_t below);
