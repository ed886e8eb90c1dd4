/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a pod as clients know it: a function of its spec, what runs, what probes and the worker say, and the
 * status that was told before. Nothing in it changes by itself: the same input gives an equal object, so that only what
 * has happened is told.
 */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"

/* What is known of one container beside its instances. */
struct container_note {
        const char *name;
        const char *reason, *message;    /* why it does not run ("CrashLoopBackOff"); NULL: nothing in particular */
        const char *termination_message; /* of the newest instance, when it has ended; or NULL */
        const char *image_ref;           /* what its image is called by digest; NULL: its id */
        bool started, ready;             /* of the instance that runs */
        bool starting;                   /* its start is not told yet: if it has ended meanwhile, that comes after it */
};

struct status_input {
        const struct json_object *pod; /* metadata and spec; status as the API has it (conditions of others) */
        const struct json_object *old; /* as last made, else the API's; or NULL */
        const struct runtime_list *there;
        const struct container_note *notes;
        size_t nnotes;
        const char *const *host_ips; /* NULL-terminated */
        const char *qos;             /* when the API has not said it; or NULL */
        bool over;                   /* it will not run again: what is missing is lost */
        bool finished;               /* no container of it will be restarted */
        const char *failed_reason;   /* "Evicted", "DeadlineExceeded": Failed, whatever containers say; or NULL */
        const char *failed_message;
        bool disrupted; /* by the node: DisruptionTarget */
        int64_t now_s;
};

/* A PodStatus; the caller owns it. */
struct json_object *status_make(const struct status_input *in);
/* Of a pod that the node does not take: nothing of it ever ran. */
struct json_object *status_rejected(const struct status_input *in);

/* Whether the kubelet speaks for conditions of that type. */
bool status_owns_condition(const char *type);
/* A strategic merge patch of what differs, with the uid; NULL: nothing does. The caller owns it. */
struct json_object *status_diff(const char *uid, const struct json_object *known, const struct json_object *wanted);
