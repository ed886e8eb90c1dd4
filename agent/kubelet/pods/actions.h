/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next for a pod: a function of what it asks for, what there is, what probes say, and the time. The worker
 * carries the result out and asks again.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "agent/kubelet/probes/probes.h"
#include "agent/kubelet/runtime/runtime.h"

/* What is known of one container beside its status. */
struct container_facts {
        const char *name;
        enum verdict liveness, startup; /* of the present instance */
        uint64_t backoff_until_ms;      /* monotonic; CrashLoopBackOff, ImagePullBackOff; 0: none */
        bool busy;                      /* something is being done to it: a pull, a start, a hook, a stop */
};

struct pod_input {
        const struct json_object *pod; /* metadata, spec, status as last told */
        const struct runtime_list *there;
        const struct container_facts *facts;
        size_t nfacts;
        bool deleted;   /* a deletionTimestamp, or gone from the API or the static folder */
        bool evicted;   /* by the node: reason and message are in the worker */
        bool ended;     /* the phase is Succeeded or Failed for good, or its activeDeadlineSeconds are over */
        int64_t now_ns; /* wall */
        uint64_t mono_ms;
};

/* Why a container is killed, for its Event and its next attempt. */
enum kill_reason {
        KILL_POD_ENDS,
        KILL_LIVENESS,
        KILL_STARTUP,
        KILL_SPEC_CHANGED,
        KILL_SANDBOX_CHANGED,
        KILL_UNKNOWN_STATE,
};

struct kill_action {
        char id[RUNTIME_ID_SIZE];
        const char *name;
        enum kill_reason reason;
};

struct start_action {
        const char *name;
        bool init; /* of initContainers, sidecars included */
        uint32_t attempt;
};

struct pod_actions {
        bool stop_sandbox, run_sandbox, remove_all; /* remove_all: nothing of it shall be left */
        uint32_t sandbox_attempt;
        char sandbox[RUNTIME_ID_SIZE]; /* the one to work with; "" when it is to be made first */
        const struct kill_action *kills;
        size_t nkills;
        const struct start_action *starts; /* may go side by side */
        size_t nstarts;
        uint64_t again_ms; /* ask again after that time; UINT64_MAX: when something changes */
};

/* Everything in ret lies in mem. */
void compute_actions(const struct pod_input *in, struct arena *mem, struct pod_actions *ret);
