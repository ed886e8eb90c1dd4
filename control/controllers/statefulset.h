/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the StatefulSet controller: statefulset.c decides, the other files have pods, claims and the status. */
#pragma once

#include "controllers/common/revisions.h"
#include "controllers/engine/plan.h"

/* A pod and the number in its name. */
struct member {
        int64_t ordinal;
        const struct kobj *pod;
};

/* One look at one set. */
struct stateful {
        struct sync *sync;
        const struct kobj *set;
        struct json_object *json; /* the set */
        struct history history;
        const struct revision *current, *update;
        struct json_object *current_template, *update_template;
        struct member *living, *condemned; /* of the wanted ordinals, lowest first; and the others, highest first */
        size_t nliving, ncondemned;
        int64_t start, replicas; /* the ordinals start ... start + replicas - 1 are wanted */
        int64_t min_ready_s;
        bool ordered;                   /* one after the other: OrderedReady */
        bool keep_deleted, keep_scaled; /* claims of a set that goes, of pods that are scaled away */
        unsigned int ncreated;          /* pods that this plan makes */
};

/* ---- pods ---- */

/* The number behind the last dash of "SET-NUMBER", when name is that of the set's pod; else -1. */
int64_t statefulset_ordinal(const struct kobj *set, const char *pod);
/* The pods, into living and condemned. */
void stateful_sort_pods(struct stateful *st, struct kobjs pods);
bool stateful_is_wanted(const struct stateful *st, int64_t ordinal);
bool member_is_ready(const struct kobj *pod);                                  /* Running and Ready */
bool member_is_healthy(const struct kobj *pod);                                /* and not ending */
bool stateful_is_available(const struct stateful *st, const struct kobj *pod); /* Running, and Ready for long enough */
const char *member_revision(const struct kobj *pod);
void stateful_create_pod(struct stateful *st, int64_t ordinal);
void stateful_delete_pod(struct stateful *st, const struct kobj *pod);
/* Labels that tell who it is. */
void stateful_identify_pod(struct stateful *st, const struct member *m);

/* ---- claims ---- */

enum claims {
        CLAIMS_THERE,
        CLAIMS_PLANNED, /* those that were missing */
        CLAIMS_BLOCKED, /* by ones that are ending */
};

/* The PersistentVolumeClaims of the pod of that ordinal, made where they are missing. */
enum claims stateful_make_claims(struct stateful *st, int64_t ordinal);
/* Who owns them, by the retention policy. Whether all was right already. */
bool stateful_own_claims(struct stateful *st, const struct member *m);
/* Adds the volumes of the claims to a new pod's spec. */
void stateful_add_volumes(const struct stateful *st, int64_t ordinal, struct json_object *spec);

/* ---- status ---- */

/* Plans it when it differs. Whether revisions in it do. */
bool stateful_write_status(struct stateful *st);
