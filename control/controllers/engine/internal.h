/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the engine. */
#pragma once

#include "base/hashmap.h"
#include "controllers/engine/engine.h"
#include "kube/workqueue.h"

struct runner {
        struct engine *engine;
        const struct controller *desc;
        struct workqueue *queue;
        char *source; /* of Events */
        void *state;
        unsigned int running;    /* keys being synced or written */
        struct hashmap failures; /* key -> struct failure * */
        uint64_t syncs, errors, adds, retries;
        uint64_t sync_ns;
};

/* A key at work: its plan, and what of it has yet to be seen. */
struct job {
        struct job *next, *prev; /* of the engine's, oldest first */
        struct runner *runner;
        struct plan *plan;
        struct step *at;                              /* the next one to be sent */
        unsigned int stage, inflight, awaited, width; /* width: how many of a slow start at a time */
        uint64_t waiting_since_ms;                    /* for the cache; 0: it does not */
        bool failed, ready;
        struct job *next_ready; /* ready, or starved */
        struct step *doubts;    /* creates without an answer, to be sent again */
        uint64_t doubts_due_ms;
        uint64_t retry_after_ms;
        char key[];
};

struct engine {
        struct engine_opts opts;
        struct lister *lister;
        struct runner *runners;
        struct job *jobs, *last_job;
        struct hashmap awaits; /* "plural/key" -> struct await * */
        unsigned int inflight;
        uint64_t writes[STEP_CONFIRM + 1], write_errors, given_up;
        struct job *ready, **ready_tail; /* to be continued */
        struct job *starved;             /* they wait for others' writes to end */
};

/* job.c */
/* Takes the plan over. The key stays with the job until workqueue_done. */
void job_start(struct runner *r, char *key, struct plan *plan);
/* There is something to be done for it: engine_run will. */
void job_ready(struct job *j);
/* All that are ready. Whether there were any. */
bool jobs_continue(struct engine *e);
/* What time brings: creates in doubt are sent again; waiting for a cache that does not show what was written ends. */
void jobs_expire(struct engine *e);
void job_free(struct job *j);

/* await.c */
/* The cache must show that object at that version, or newer; deleted: gone, or on its way. Counts in j->awaited unless
 * it is so already. */
void await_object(struct job *j, const struct resource *r, const char *key, const char *uid, uint64_t version,
                  bool deleted);
void await_seen(struct engine *e, const struct resource *r, const char *key, const struct kobj *now);
/* The job ends: nothing more is awaited for it. */
void await_forget(struct job *j);
void awaits_deinit(struct engine *e);
