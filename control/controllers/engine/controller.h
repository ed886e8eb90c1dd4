/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of a controller. It is one file with one `const struct controller controller_<name>`, listed in
 * controllers.h; nothing else has to know it.
 *
 *     watched objects change ─> changed() puts keys into the controller's queue ─> sync() plans ─> the engine writes
 *
 * Everything runs in one thread. A key is synced by one at a time, again when it was added meanwhile, and with backoff
 * after a failure.
 */
#pragma once

#include "controllers/engine/lister.h"
#include "controllers/engine/plan.h"

struct runner; /* a controller at work */

/* old NULL: new; now NULL: gone. Both are borrowed during the call. */
typedef void (*changed_fn)(struct runner *r, const struct kobj *old, const struct kobj *now);

struct watch {
        const struct resource *resource;
        changed_fn changed; /* NULL: only read in sync */
};

struct controller {
        const char *name; /* upstream's: "replicaset-controller" without "-controller": names the queue's metrics,
                             --controllers and Events */
        const struct watch *watches; /* ended by one without resource */
        const char *event_source;    /* source.component of its Events; NULL: the name and "-controller" */
        changed_fn any; /* NULL, or: told of every resource in resources_all, all of which are then followed */
        void (*sync)(struct sync *s);
        unsigned int workers;                 /* keys at a time; 0: 32 */
        uint64_t backoff_max_ms;              /* 0: 1000 s */
        void *(*state_new)(struct runner *r); /* own state, derived and lost at a restart; or NULL */
        void (*state_free)(void *state);
        /* Its own metrics, in Prometheus' text format; or NULL. */
        void (*metrics)(const struct runner *r, struct strbuf *b);
};

/* key: "ns/name" or "name". */
void runner_add(struct runner *r, const char *key);
void runner_add_object(struct runner *r, const struct kobj *o);
void runner_add_after(struct runner *r, const char *key, uint64_t ms);
/* The object that controls o, if it is of that kind in the cache and has the UID: its key is added. */
void runner_add_controller_of(struct runner *r, const struct kobj *o, const struct resource *kind);
const struct lister *runner_lister(const struct runner *r);
const struct config *runner_config(const struct runner *r);
void *runner_state(const struct runner *r);
int64_t runner_now_ms(const struct runner *r);
uint64_t runner_mono_ms(const struct runner *r);
