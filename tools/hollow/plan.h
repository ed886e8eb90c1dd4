/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod is to do, by its annotations, and how far it is: pure functions of both and the time. All containers of a
 * pod do the same. Times are milliseconds since 1970, by a clock that only goes forward.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PLAN_PREFIX "hollow.fairlead.dev/"
#define PLAN_NEVER  (-1) /* as a duration */

enum restart_policy {
        RESTART_ALWAYS,
        RESTART_ON_FAILURE,
        RESTART_NEVER,
};

/* Durations in ms. */
struct plan {
        int64_t start_after;   /* from the pod's arrival to its containers' creation */
        int64_t init_run_for;  /* of each init container */
        int64_t ready_after;   /* from a start to readiness */
        int64_t run_for;       /* PLAN_NEVER: until it is stopped */
        int64_t restart_after; /* from an end to the next start */
        int64_t stop_after;    /* from the deletion to the end; PLAN_NEVER: until the grace period has passed */
        int32_t restarts;      /* so many runs fail before the one that does not */
        int32_t exit_code, stop_exit_code;
        bool ready; /* what the probe would say */
        enum restart_policy policy;
        uint32_t ninit; /* init containers, without sidecars */
};

/* One annotation, named without PLAN_PREFIX. 0; -ENOENT for a name that means nothing; -EINVAL with what would be
 * right. */
int plan_set(struct plan *plan, const char *name, const char *value, struct err *reterr);
/* What some annotations imply when others are absent; after the last plan_set. */
struct plan_given {
        bool run_for, exit_code, fail, restarts;
};
void plan_finish(struct plan *plan, const struct plan_given *given);
/* Notes that an annotation was there. */
void plan_note(struct plan_given *given, const char *name, const char *value);

enum stage {
        STAGE_NONE, /* nothing was told of it yet */
        STAGE_CREATING,
        STAGE_INIT,
        STAGE_RUNNING,
        STAGE_BACKOFF, /* between an end and the next start */
        STAGE_ENDED,
};

struct life {
        enum stage stage;
        int64_t since;    /* of this stage */
        int64_t admitted; /* startTime */
        int64_t started;  /* the last run's start and end; 0: none */
        int64_t finished;
        int64_t stop; /* when the deletion was noticed; 0: not */
        int64_t grace;
        int32_t restarts, exit_code;
        bool never_ran; /* it ended before it had begun */
};

/* Brings the life to what it is at now. Returns when it will be another one, INT64_MAX: of itself never. */
int64_t life_advance(const struct plan *plan, struct life *life, int64_t now);
bool life_ready(const struct plan *plan, const struct life *life, int64_t now);
/* The machine starts again at now: what may run again does. */
void life_reboot(const struct plan *plan, struct life *life, int64_t now);
