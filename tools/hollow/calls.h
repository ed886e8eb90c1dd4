/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the API server, a bounded number at a time, heartbeats before pods. A job waits in line, and only when it is
 * its turn is it asked what to send: so what is sent is never older than that. In the thread of the client's loop.
 */
#pragma once

#include "kube/client.h"

struct calls;
struct call_job;

enum lane {
        LANE_NODE,
        LANE_POD,
        LANES,
};

struct job_ops {
        /* Fills in the request; its path and body are the caller's then. False: there is nothing to send, and the job
         * may be gone. */
        bool (*begin)(struct call_job *job, struct kube_request *ret);
        /* As kube_done_fn. The job may be submitted again, or be freed. */
        void (*done)(struct call_job *job, int result, struct json_object *obj, const struct kube_status *status);
};

/* Embedded in what the call is about; must not be freed as long as queued or under way. */
struct call_job {
        const struct job_ops *ops;
        struct calls *calls;
        struct call_job *next;
        bool queued, busy;
};

struct calls_stats {
        uint64_t sent, refused, failed;
        uint32_t under_way, waiting;
};

struct calls *calls_new(struct kube_client *client, uint32_t parallel);
/* The client has been freed before: nothing is under way. */
void calls_free(struct calls *c);
/* Does nothing when it is queued or under way: who is called at its end looks again. Not from begin. */
void calls_submit(struct calls *c, enum lane lane, struct call_job *job);
void calls_stats(const struct calls *c, struct calls_stats *ret);
