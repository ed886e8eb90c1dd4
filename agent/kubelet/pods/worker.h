/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the pods' workers share.
 *
 * A worker is asked to look (worker_wake) whenever something may have changed, and looks once the loop is free: it
 * compares what there is with what shall be (actions.h), begins the steps that come next, and makes the status. Steps
 * end in callbacks, which note what came out and wake the worker. So there is one place that decides, and no step
 * waits.
 *
 * A step that is under way holds a ticket. Whoever does not want its outcome any more drops the ticket; the callback
 * then finds nobody, even when pod and worker are gone.
 */
#pragma once

#include "agent/kubelet/pods/actions.h"
#include "agent/kubelet/pods/backoff.h"
#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/pods.h"
#include "agent/kubelet/pods/teller.h"
#include "base/hashmap.h"

struct worker;
struct task;

struct pods {
        struct pods_opts opts;
        struct backoff_limits limits, sandbox_limits;
        struct hashmap workers; /* by uid */
        struct worker *woken;   /* those that are to look */
        struct loop_timer *wake;
        struct loop_timer *trim; /* gives memory back, a while after pods came or went */
        bool sources_ready;
        struct pods_stats stats;
};

struct ticket {
        struct worker *w; /* NULL: nobody waits */
        struct task *t;   /* or NULL */
        struct ticket **holder;
        struct ticket *prev, *next; /* of those that nobody holds */
};

enum stage {
        STAGE_IDLE,
        STAGE_PULL,
        STAGE_CREATE,
        STAGE_START,
        STAGE_POST_START,
        STAGE_PRE_STOP,
        STAGE_STOP,
        STAGE_DISCARD, /* what could not be started is removed */
};

/* One container of the pod, and what is being done to it. */
struct task {
        struct worker *w;
        char *name;
        enum stage stage;
        struct ticket *ticket;    /* of the call that is waited for */
        struct handler_run *hook; /* postStart or preStop under way */
        char id[RUNTIME_ID_SIZE]; /* the instance that it is about */
        uint32_t attempt;
        struct backoff crash, pull;
        uint64_t blocked_until_ms, soften_ms; /* soften: when ErrImagePull becomes ImagePullBackOff; 0: not */
        uint64_t pull_began_ms, kill_by_ms, last_event_ms;
        uint64_t config_since_ms; /* since when it waits for an object; 0: it does not */
        uint32_t told_present;    /* 1 + the attempt for which people heard that its image is here */
        enum kill_reason why;
        bool restart;               /* see container_facts */
        char *reason, *message;     /* why it does not run */
        char *end_id, *end_message; /* the last words of that instance */
};

struct worker {
        struct pods *pods;
        struct worker *next_woken;
        bool is_woken;
        char *uid;
        enum pod_source source;
        struct json_object *pod;    /* as the source says; reborn: what comes when this one has ended */
        struct json_object *reborn; /* or NULL */
        struct json_object *status;
        struct teller teller;
        struct loop_timer *timer;
        uint64_t look_ms; /* when it fires; UINT64_MAX: not */

        char ip_texts[2][64];
        const char *ips[3]; /* of the pod, as the runtime said last */
        char netns[256];
        size_t running; /* containers */

        struct task **tasks;
        size_t ntasks;

        struct ticket *sandbox_ticket, *removal_ticket;
        char sandbox[RUNTIME_ID_SIZE]; /* that is ready; "": none */
        char sandbox_stopped[RUNTIME_ID_SIZE], sandbox_told[RUNTIME_ID_SIZE];
        uint64_t remove_blocked_ms;
        struct backoff sandbox_backoff;
        uint64_t sandbox_blocked_ms;

        bool gone;     /* its source does not have it any more */
        bool admitted; /* or it ran already */
        bool rejected; /* failed_reason says why */
        bool disrupted;
        bool over;     /* nothing of it runs or will */
        bool removing; /* nothing of it shall be left, and it has been told */
        bool removed;  /* nothing of it is left */
        char *failed_reason, *failed_message;
        int64_t evict_grace_s; /* -1: not said */
        uint64_t end_began_ms; /* monotonic; 0: it is not ending */

        bool mounted, remount; /* remount: what volumes show may have changed */
        unsigned int mount_failures;
        uint64_t mount_again_ms;
        char *mount_problem;
        uint64_t mount_event_ms;
        struct ticket *volumes_ticket; /* their removal */
        bool volumes_removed;
        struct kube_call *delete_call;
        bool deleted; /* the API was asked, and has forgotten it */
        unsigned int end_failures;
        uint64_t end_blocked_ms;
};

/* pods.c */
void pods_trim_later(struct pods *p);

/* worker.c */
int worker_new(struct pods *p, enum pod_source source, struct json_object *pod, struct worker **ret);
void worker_free(struct worker *w);
void worker_wake(struct worker *w);
void worker_look(struct worker *w);
void worker_set_pod(struct worker *w, struct json_object *pod);
void worker_fail(struct worker *w, const char *reason, const char *message);
/* Looks again at that time, or earlier. */
void worker_look_at(struct worker *w, uint64_t mono_ms);
bool worker_is_deleted(const struct worker *w);
bool worker_is_ending(const struct worker *w);
/* The pod with the status of now, for whoever reads both. The caller's. */
struct json_object *worker_whole_pod(const struct worker *w);
void worker_list(const struct worker *w, struct runtime_list *ret);
const struct runtime_ops *worker_runtime(const struct worker *w, void **ret_rt);

/* tasks.c */
struct task *worker_task(struct worker *w, const char *name);
void task_free(struct task *t);
enum container_activity task_activity(const struct task *t);
/* Why it waits; NULL, NULL: it does not. */
void task_wait(struct task *t, const char *reason, const char *message);
struct ticket *ticket_new(struct worker *w, struct task *t, struct ticket **holder);
/* The worker that holds it, NULL when nobody does; frees it. */
struct worker *ticket_use(void *ticket, struct task **ret_task);
void ticket_drop(struct ticket **holder);
const struct json_object *task_spec(const struct task *t, enum container_kind *ret_kind);

/* tell.c: Events */
void worker_event(const struct worker *w, bool warning, const char *reason, const char *fmt, ...) _printf_(4, 5);
void worker_warn(void *worker, const char *reason, const char *message); /* spec.warn */
void task_event(const struct task *t, bool warning, const char *reason, const char *fmt, ...) _printf_(4, 5);

/* start.c, stop.c: steps of a container */
void task_start(struct task *t, const struct start_action *a);
/* After a pull or when its image was here: makes the container. */
void task_create(struct task *t);
/* Why it cannot run now, with the Event "Error: WHAT" that goes with it; tried again after that time. */
void task_error(struct task *t, const char *reason, const char *message, const char *what, uint64_t again_ms);
void task_kill(struct task *t, const struct kill_action *a);
/* The pod ends sooner than was said when the kill began. */
void task_hurry(struct task *t);
/* What has not come to a container yet is not wanted any more. */
void task_abandon(struct task *t);

/* pull.c: brings the image here, then goes on with task_create */
void task_pull(struct task *t);
/* Of whoever waits for that image, now and then. */
void pull_progress(void *pods, const struct image_progress *progress);

/* pull_secrets.c: what the pod's secrets say about the registry of that image ("docker.io/library/nginx:1"), in mem.
 * *ret_missing: names of secrets that are not there, "a, b"; NULL: none. -EAGAIN: nobody knows yet. */
int pull_secrets(const struct objects *o, const struct json_object *pod, const char *reference, struct arena *mem,
                 struct image_credentials **ret, size_t *ret_n, const char **ret_missing);

/* sandbox.c */
void worker_run_sandbox(struct worker *w, uint32_t attempt);
/* anew: another one takes its place. */
void worker_stop_sandbox(struct worker *w, const char *id, bool anew);
void worker_remove(struct worker *w, const struct removal *list, size_t n);

/* end.c: nothing of it runs. remove_all: nothing shall be left, here or in the API; may free the worker. */
void worker_end(struct worker *w, bool remove_all);

/* last_words.c: the termination message of an instance that has ended; NULL: none. The caller frees it. */
char *last_words(const struct volumes *v, const char *uid, const struct json_object *container,
                 const struct container_status *c);
