/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the DaemonSet controller: daemonset.c decides, the other files have nodes with their pods, and the status.
 */
#pragma once

#include "controllers/common/nodefit.h"
#include "controllers/common/revisions.h"
#include "controllers/engine/plan.h"

struct placed {
        struct placed *next; /* oldest first */
        const struct kobj *pod;
};

/* A node, and the set's pods that are there or are to go there. */
struct place {
        const char *name;
        const struct kobj *node; /* NULL: there is no such node (any more) */
        struct placed *pods;
        bool wanted, tolerated; /* a pod shall run there; one that does may stay */
};

/* One look at one set. */
struct daemons {
        struct sync *sync;
        const struct kobj *set;
        struct json_object *json;     /* the set */
        struct json_object *template; /* of its pods, with tolerations and labels */
        struct history history;
        const struct revision *current;
        const char *hash, *generation; /* labels of pods of the current template; generation may be NULL */
        struct place *places;          /* by name */
        size_t nplaces;
        int64_t desired, min_ready_s; /* desired: places that are wanted */
        int64_t surge, unavailable;   /* of a rolling update; surge is 0 unless it may make a second pod on a node */
        unsigned int ncreated, ndeleted;
};

/* ---- daemonset_places.c ---- */

void daemons_read_template(struct daemons *d);
/* Nodes and pods. */
void daemons_find_places(struct daemons *d, struct kobjs pods);
bool daemon_is_updated(const struct daemons *d, const struct kobj *pod);
/* Ready for long enough. */
bool daemon_is_available(const struct daemons *d, const struct kobj *pod);
void daemons_create(struct daemons *d, const struct place *p);
void daemons_delete(struct daemons *d, const struct kobj *pod);

/* ---- daemonset_backoff.c ---- */

struct backoffs;

struct backoffs *backoffs_new(void);
void backoffs_free(struct backoffs *b);
/* Whether the failed pod of that set on that node may be replaced now, which counts; else *ret_wait_ms. */
bool backoffs_try(struct backoffs *b, const struct daemons *d, const char *node, uint64_t *ret_wait_ms);

/* ---- daemonset_status.c ---- */

/* Plans it when it differs. */
void daemons_write_status(struct daemons *d);
