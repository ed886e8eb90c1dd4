/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the Deployment controller: one look at a Deployment and its ReplicaSets. A sync reads them
 * (deployment_sets.c), decides on sizes (deployment_scale.c: arithmetic on the numbers here), and plans what has
 * changed; deployment_status.c tells how the rollout goes.
 */
#pragma once

#include "controllers/controllers.h"

#define REVISION_ANNOTATION "deployment.kubernetes.io/revision"
#define HISTORY_ANNOTATION  "deployment.kubernetes.io/revision-history"
#define DESIRED_ANNOTATION  "deployment.kubernetes.io/desired-replicas"
#define MAX_ANNOTATION      "deployment.kubernetes.io/max-replicas"
#define HASH_LABEL          "pod-template-hash"

/* A ReplicaSet, and what this sync makes of it. */
struct set {
        const struct kobj *o; /* NULL: it is being made */
        const char *name;
        struct json_object *json;                   /* of o; the label of the hash is not in the template */
        struct json_object *annotations;            /* that change, or NULL */
        int64_t was, replicas;                      /* spec.replicas: as it is, as it will be */
        int64_t actual, ready, available, observed; /* of its status */
        int64_t ending;                             /* -1: its controller does not tell */
        bool min_ready;                             /* spec.minReadySeconds changes */
};

struct rollout {
        struct sync *sync;
        const struct kobj *o;
        struct json_object *json;     /* the Deployment */
        struct json_object *template; /* its own, without the label of the hash */
        struct json_object *status;   /* as it will be */
        int64_t replicas, surge, unavailable, min_ready_s;
        bool rolling, paused;
        struct set *sets; /* oldest first, with room for one more */
        size_t n;
        struct set *fresh; /* the one of the present template; NULL: there is none */
        bool created, collided;
        bool annotated; /* the Deployment's annotations have changed in json */
};

#define sets_foreach(ro, s) for (struct set *s = (ro)->sets; s < (ro)->sets + (ro)->n; s++)
#define old_foreach(ro, s)                                                                                             \
        sets_foreach (ro, s)                                                                                           \
                if (s != (ro)->fresh)

/* deployment_sets.c */
/* Claims and reads them, and finds the fresh one. False: first see what is adopted or released. */
bool sets_read(struct rollout *ro, const struct selector *sel);
void sets_free(struct rollout *ro);
/* The fresh one has the newest revision, the Deployment's annotations, and its minReadySeconds. */
void sets_renew(struct rollout *ro);
/* Makes the fresh one, of a size that leaves room for the others, unless its name is taken: then a collision is
 * counted. */
void sets_create(struct rollout *ro);
/* Whether the size changes. */
bool set_resize(struct rollout *ro, struct set *set, int64_t replicas);
/* Old ones that are empty, beyond the history's limit, go. */
void sets_clean_up(struct rollout *ro);
/* Plans what has changed. */
void sets_write(struct rollout *ro);

/* deployment_scale.c */
void rollout_limits(struct rollout *ro); /* surge, unavailable */
/* How large the fresh one may be now. */
int64_t rollout_fresh_size(const struct rollout *ro);
/* One step of a rolling update. */
void rollout_step(struct rollout *ro);
/* The Deployment was scaled, or is paused: sizes follow, in proportion while there are several. */
void rollout_rescale(struct rollout *ro);
bool rollout_is_rescaled(const struct rollout *ro);

/* deployment_status.c */
bool rollout_is_complete(const struct rollout *ro);
/* Unless it has that status for that reason already. */
void rollout_set_condition(struct rollout *ro, const char *type, const char *value, const char *reason,
                           const char *message);
/* The condition Progressing, of Deployments that have a deadline. */
void rollout_progress(struct rollout *ro, const char *value, const char *reason, const char *message);
bool rollout_has_deadline(const struct rollout *ro);
void rollout_note_pause(struct rollout *ro);
/* Of the last attempt to make a ReplicaSet. True: the condition is news, to be written before the next attempt. */
bool rollout_note_failure(struct rollout *ro);
/* Counts and availability. */
void rollout_count(struct rollout *ro);
/* And progress. */
void rollout_judge(struct rollout *ro);
void rollout_write_status(struct rollout *ro);
