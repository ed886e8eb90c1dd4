/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the Job controller: what one sync of a Job sees and decides.
 *
 *     job.c          which Jobs a change concerns; the order of a sync; finalizers of pods that no Job counts any more
 *     job_view.c     reads spec and pods
 *     job_verdict.c  whether the Job has failed or succeeded: limits, deadline, policies
 *     job_policy.c   podFailurePolicy and successPolicy
 *     job_backoff.c  how long a replacement waits
 *     job_pods.c     which pods are made and deleted
 *     job_status.c   counts each ended pod once
 *     job_metrics.c  tells of all Jobs together
 *
 * A pod is counted once by this order of writes, of which each finds out from the API what the one before it did:
 * its UID goes into status.uncountedTerminatedPods; the pod loses the finalizer; the UID becomes 1 in the counter. Of
 * an Indexed Job the index in status.completedIndexes is what a UID is else, for pods that succeed.
 */
#pragma once

#include "controllers/common/owners.h"
#include "controllers/common/stopwatch.h"
#include "controllers/job_indexes.h"

#define JOB_TRACKING         "batch.kubernetes.io/job-tracking"
#define JOB_COMPLETION_INDEX "batch.kubernetes.io/job-completion-index"
#define JOB_INDEX_FAILURES   "batch.kubernetes.io/job-index-failure-count"
#define JOB_INDEX_IGNORED    "batch.kubernetes.io/job-index-ignored-failure-count"
#define JOB_NO_INDEX         (-1)
#define JOB_UNSET            (-1)
#define JOB_PODS_AT_A_TIME   500

/* The controller's own state: derived from what it has seen; losing it makes a wait shorter or longer, no more. */
struct job_state {
        struct owners *owners;
        struct hashmap setbacks; /* UID of a Job -> struct setback *: failures of pods that are gone */
        struct stopwatches deadlines, failures;
        struct hashmap running; /* UID -> what is known of a Job that has not finished, for metrics */
        struct hashmap totals;  /* a metric with its labels -> int64_t * */
};

struct job_spec {
        int64_t parallelism, completions, backoff_limit;           /* completions JOB_UNSET: any success will do */
        int64_t backoff_per_index, max_failed_indexes, deadline_s; /* JOB_UNSET: none */
        bool indexed, suspended, on_failure;                       /* on_failure: containers restart in their pod */
        bool replace_failed_only; /* a pod is replaced when it has ended, not when it is being deleted */
        struct json_object *template, *failure_policy, *success_policy;
};

struct job_pod {
        const struct kobj *pod;
        int64_t index; /* JOB_NO_INDEX: none, or one that the Job has not */
        bool tracked;  /* it has the finalizer: it is not counted yet */
        bool active, failed, succeeded, ending;
        bool noted;      /* its UID is in uncountedTerminatedPods */
        bool untracking; /* in v->untrack */
};

struct job_verdict {
        const char *type; /* "FailureTarget", "SuccessCriteriaMet", or NULL: it goes on */
        const char *reason, *message;
};

/* A failed pod of an index that waits for its replacement, which takes over the index' number of failures. */
struct index_failure {
        int64_t index;
        const struct job_pod *pod;
};

struct job_view {
        struct sync *sync;
        struct job_state *state;
        const struct kobj *job;
        struct json_object *json;
        struct json_object *status; /* as it is to be written */
        struct job_spec spec;
        struct job_pod *pods;
        size_t npods;
        int64_t active, ready, ending;
        int64_t succeeded, failed;     /* with all that have ended, counted or not */
        struct indexes done, lost;     /* indexes that succeeded, that failed for good */
        struct index_failure *waiting; /* sorted by index */
        size_t nwaiting;
        struct job_verdict verdict;
        /* What is to be done. */
        struct job_pod **untrack, **remove; /* lose the finalizer; are deleted after that */
        size_t nuntrack, nremove;
        int64_t create;
        int64_t *indexes; /* of the pods to create, when Indexed */
        bool more;        /* not all of it could be done at a time */
};

/* job_view.c */
void job_view_read(struct job_view *v, struct kobjs pods);
/* The failed pod of that index that waits for a replacement, or NULL. */
const struct job_pod *job_waiting_of(const struct job_view *v, int64_t index);
int64_t job_pod_index(const struct kobj *pod); /* of its annotation */
bool job_has_index(const struct job_view *v, const struct job_pod *p);
bool job_is_finished(const struct json_object *json);

/* job_verdict.c */
void job_judge(struct job_view *v);

/* job_policy.c */
enum failure_action {
        FAILURE_COUNTS, /* also without a policy */
        FAILURE_IGNORED,
        FAILURE_ENDS_INDEX,
        FAILURE_ENDS_JOB,
};
/* By the first rule that matches. *ret_message (may be NULL): of FAILURE_ENDS_JOB. */
enum failure_action job_failure_action(const struct job_view *v, const struct kobj *pod, const char **ret_message);
/* The message of the rule that is met, or NULL. */
const char *job_success_message(const struct job_view *v);

/* job_backoff.c */
int64_t job_pod_finished_s(const struct kobj *pod);
/* Of those of v->create that may be made now, the number; for others the sync is planned again. */
uint64_t job_backoff_ms(const struct job_view *v);
uint64_t job_index_backoff_ms(const struct job_view *v, const struct job_pod *failed);
/* Failures of the pod's index, counted or ignored, before it. */
int64_t job_index_failures(const struct kobj *pod, const char *annotation);
void job_backoff_seen(struct job_state *state, const struct kobj *old, const struct kobj *now);
void job_backoff_forget(struct job_state *state, const char *uid);

/* job_pods.c */
void job_manage(struct job_view *v);
/* The pods that a Job which has ended still has. */
void job_remove_active(struct job_view *v);
struct step *job_plan_untrack(struct sync *s, const struct kobj *pod);
void job_plan_pods(struct job_view *v);

/* job_metrics.c */
void job_metrics_seen(struct job_state *state, const struct kobj *job, const struct json_object *json);
void job_metrics_forget(struct job_state *state, const char *uid);
void job_metrics_write(const struct runner *r, struct strbuf *b);

/* job_status.c */
void job_count(struct job_view *v);
void job_conclude(struct job_view *v);
bool job_status_matters(const struct job_view *v);
bool job_status_differs(const struct job_view *v);
void job_write_status(struct job_view *v);
