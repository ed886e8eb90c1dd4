/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a pod: one block of memory that a projection of the informer makes. Pure. */
#pragma once

#include "base/jsontree.h"
#include "hollow/plan.h"

#define POD_IP_TEXT 46

struct pod_container {
        const char *name, *image;
        bool sidecar; /* an init container that keeps running */
};

/* What the API says of the pod's containers, by the first of them. */
struct pod_seen {
        enum stage stage;
        bool ready;
        int32_t restarts, exit_code;
        int64_t start_s, started_s, finished_s; /* 0: not there */
        int64_t initialized_s, ready_s;         /* the conditions' lastTransitionTime */
};

struct pod {
        const char *ns, *name, *uid, *node;
        const char *ips[2]; /* NULL: none */
        const struct pod_container *containers, *inits;
        uint32_t ncontainers, ninits;
        uint64_t version; /* resourceVersion */
        int64_t generation;
        struct plan plan;
        struct pod_seen seen;
        bool host_network, deleting;
        int64_t grace_s; /* deletionGracePeriodSeconds */
};

/* What holds for pods whose annotations do not say otherwise. */
struct pod_defaults {
        int64_t ready_after, stop_after, job_run_for; /* ms, PLAN_NEVER as in struct plan */
};

/* Annotations that cannot be read are left out, and the first one is told in *reterr (code 0: none; may be NULL). The
 * caller frees it. */
struct pod *pod_parse(const struct jnode *o, const struct pod_defaults *defaults, struct err *reterr);
/* The life that goes on where the API says that it is. */
void pod_adopt(const struct pod *pod, struct life *ret);
