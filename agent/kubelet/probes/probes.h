/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness, readiness and startup probes: a schedule for each probe of each running container. Results belong to one
 * instance (its id); a new instance begins anew.
 */
#pragma once

#include "agent/kubelet/probes/handler.h"
#include "kube/events.h"

struct probes;

struct probes_opts {
        struct loop *loop;
        struct handlers *handlers;
        struct events *events; /* Unhealthy, ProbeWarning */
        /* A verdict has changed. */
        void (*changed)(void *userdata, const char *pod_uid);
        void *userdata;
};

enum verdict {
        VERDICT_UNKNOWN, /* not probed yet */
        VERDICT_SUCCESS,
        VERDICT_FAILURE,
};

struct probe_verdicts {
        enum verdict startup, liveness, readiness; /* SUCCESS where there is no such probe; liveness UNKNOWN is well */
        int64_t grace_s;                           /* the failed probe's terminationGracePeriodSeconds; -1: the pod's */
        const char *why;                           /* of the failure, for the kill's Event; borrowed, "" when none */
};

int probes_new(const struct probes_opts *opts, struct probes **ret);
void probes_free(struct probes *p);
DEFINE_CLEANUP(struct probes *, probes_free)

/* What runs now of the pod (a reference is taken to pod): begins, goes on with and ends schedules. ending: the pod is
 * being deleted: readiness goes on, liveness and startup end. pod_ip: "" when there is none yet. */
void probes_follow(struct probes *p, struct json_object *pod, const struct runtime_list *there, const char *pod_ip,
                   bool ending);
void probes_forget(struct probes *p, const char *pod_uid);
void probes_verdicts(const struct probes *p, const char *pod_uid, const char *container, const char *container_id,
                     struct probe_verdicts *ret);
