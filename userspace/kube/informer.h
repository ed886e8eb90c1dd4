/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Informer: keeps a local copy of a collection equal to the API server's, and tells what changed. It streams the
 * initial state with WatchList where the server offers it, else by paged LISTs, then watches; it resumes where a watch
 * ended, and starts over, with jittered backoff, when the server has forgotten that place (410). One object is parsed
 * at a time, so that memory is what the projection keeps, whatever the size of the collection.
 *
 * Everything runs in the thread of the client's loop, and is to be called there. Handlers are level-triggered: what
 * counts is the present object; in between states may be left out, and an unchanged object is told after a resync of
 * the connection only if its resourceVersion differs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/jsontree.h"
#include "kube/client.h"

struct informer;

struct informer_opts {
        struct kube_client *client;                  /* made with a loop; must outlive the informer */
        const char *path;                            /* of the collection: "/api/v1/pods" */
        const char *label_selector, *field_selector; /* or NULL */
        /* What to keep of an object (borrowed; a reference may be taken): a value of the user's, or NULL for an object
         * that does not matter, which is then as if it did not exist. Without it, the JSON tree is kept. */
        void *(*project)(void *userdata, struct json_object *o);
        /* The same, instead of it, for large collections: o is gone after the call. */
        void *(*project_node)(void *userdata, const struct jnode *o);
        void (*release)(void *userdata, void *value);
        void *userdata;                          /* of project and release */
        uint64_t backoff_min_ms, backoff_max_ms; /* 0: 800 ms and 30 s; a quarter of the outage between them */
        uint32_t watch_timeout_s;                /* 0: 300 s to 600 s at random */
        uint32_t sync_timeout_ms; /* 0: 10 s: so long may WatchList be silent before it is given up for LIST */
};

int informer_new(const struct informer_opts *opts, struct informer **ret);
/* Not from inside a handler or a projection. Handlers are not called any more. */
void informer_free(struct informer *inf);
DEFINE_CLEANUP(struct informer *, informer_free)

/* old and now are values of the projection: old NULL: new; now NULL: gone. key is "ns/name" or "name". Both are
 * borrowed during the call; old is released after it. A handler that is added late is told of all that is there. */
typedef void (*informer_fn)(void *userdata, const char *key, void *old, void *now);
void informer_add_handler(struct informer *inf, informer_fn fn, void *userdata);
/* Called once, as soon as the whole initial state has been told. */
void informer_on_synced(struct informer *inf, void (*fn)(void *userdata), void *userdata);

/* Names the values by which a value can be found: calls emit for each. Must give the same for the same value always.
 * Before informer_start. */
typedef void (*informer_index_fn)(void *value, void (*emit)(void *ctx, const char *index_value), void *ctx);
void informer_add_index(struct informer *inf, const char *name, informer_index_fn fn);

void informer_start(struct informer *inf);
bool informer_has_synced(const struct informer *inf);

/* Borrowed until the next event. */
void *informer_get(const struct informer *inf, const char *key);
size_t informer_count(const struct informer *inf);
void informer_each(const struct informer *inf, void (*fn)(void *userdata, const char *key, void *value),
                   void *userdata);
void informer_each_by_index(const struct informer *inf, const char *name, const char *index_value,
                            void (*fn)(void *userdata, const char *key, void *value), void *userdata);
/* The last resourceVersion that was seen, "" before any. */
const char *informer_version(const struct informer *inf);

struct informer_stats {
        uint64_t lists, watches, watchlists, events, failures, expired;
};

void informer_stats(const struct informer *inf, struct informer_stats *ret);
