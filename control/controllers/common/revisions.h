/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of a StatefulSet's or DaemonSet's template: a ControllerRevision for each state that it has had. Its data
 * is the template as a strategic merge patch, which is what `kubectl rollout undo` sends back; the one with the highest
 * number is the present one. When a template returns to an earlier state, that state's revision gets a new number.
 */
#pragma once

#include "controllers/engine/plan.h"

struct revision {
        const struct kobj *object;
        struct json_object *json; /* the whole */
        int64_t number;
};

/* Initialise with HISTORY_NULL, end with history_deinit. */
struct history {
        struct revision *all; /* oldest first */
        size_t n;
        const char *hash_label; /* under which a revision has the hash that its name ends with */
        int64_t collisions;     /* names that were taken: status.collisionCount */
};

#define HISTORY_NULL ((struct history){0})

/* Those of the owner; orphans that match are adopted. */
void history_read(struct sync *s, const struct kobj *owner, const struct selector *sel, struct history *h);
void history_deinit(struct history *h);

/* The revision that has the owner's template and the highest number of all. When there is none yet, what makes it so is
 * planned, and NULL returned: the sync that sees it goes on. json: the owner; its status changes with a collision. */
const struct revision *history_update(struct sync *s, struct history *h, const struct kobj *owner,
                                      struct json_object *json);
/* NULL when there is none. */
const struct revision *history_find(const struct history *h, const char *name);
/* By the label; of one that has lost it, what its name ends with. */
const char *revision_hash(const struct history *h, const struct revision *r);
/* Its PodTemplateSpec; the caller owns it. */
struct json_object *revision_template(const struct revision *r);
/* Plans the end of so many of the oldest, but of none that lives. */
void history_trim(struct sync *s, const struct history *h, int64_t n,
                  bool (*lives)(const struct revision *r, const void *ctx), const void *ctx);
