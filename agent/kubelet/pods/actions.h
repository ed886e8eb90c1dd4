/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do next for a pod: a function of what it asks for, what there is, what probes say, and the time. The worker
 * carries the result out and asks again whenever something has changed; so nothing here waits, and a step that is
 * already being taken is not asked for twice.
 */
#pragma once

#include "agent/kubelet/probes/probes.h"
#include "agent/kubelet/runtime/runtime.h"
#include "base/arena.h"
#include "base/json.h"

enum container_activity {
        ACTIVITY_NONE,
        ACTIVITY_STARTING, /* from its pull to the end of its postStart hook */
        ACTIVITY_STOPPING, /* its preStop hook, its grace */
};

/* What is known of one container beside its instances. */
struct container_facts {
        const char *name;
        enum verdict liveness, startup; /* of the present instance */
        uint64_t blocked_until_ms;      /* monotonic: CrashLoopBackOff, ImagePullBackOff; 0: not */
        enum container_activity activity;
        bool restart; /* it was ended in order to run again, whatever its exit code and policy say */
};

struct pod_input {
        const struct json_object *pod;    /* metadata, spec */
        const struct json_object *status; /* as last made, else as the API has it; or NULL */
        const struct runtime_list *there;
        const struct container_facts *facts;
        size_t nfacts;
        bool deleted;      /* a deletionTimestamp, or gone from the API or the static folder */
        bool ended;        /* for good: Succeeded, Failed, evicted, refused, its activeDeadlineSeconds are over */
        bool sandbox_busy; /* one is being made, stopped or removed */
        uint64_t sandbox_blocked_ms; /* monotonic: after a failure; 0: not */
        const char *sandbox_stopped; /* id of the one that was stopped in this kubelet's life; or NULL */
        uint64_t mono_ms;
};

/* Why a container is killed, for its Event and its next attempt. */
enum kill_reason {
        KILL_POD_ENDS,
        KILL_LIVENESS,
        KILL_STARTUP,
        KILL_SPEC_CHANGED,
        KILL_SANDBOX_CHANGED,
        KILL_POST_START, /* its postStart hook has failed; never asked for here */
};

struct kill_action {
        char id[RUNTIME_ID_SIZE];
        const char *name;
        enum kill_reason reason;
};

struct start_action {
        const char *name;
        char id[RUNTIME_ID_SIZE]; /* one that is made and only has to be started; "": none */
        uint32_t attempt;
};

struct removal {
        char id[RUNTIME_ID_SIZE];
        bool is_sandbox;
};

struct pod_actions {
        char sandbox[RUNTIME_ID_SIZE]; /* the one to work with; "": there is none that is ready */
        bool run_sandbox;
        uint32_t sandbox_attempt;
        char stop_sandbox[RUNTIME_ID_SIZE]; /* "": none */
        const struct kill_action *kills;
        size_t nkills;
        const struct start_action *starts; /* may go side by side */
        size_t nstarts;
        const struct removal *removals; /* dead ones that nobody needs any more */
        size_t nremovals;
        bool over;         /* it will not run again, and nothing of it runs: its sandbox is stopped */
        bool remove_all;   /* nothing of it shall be left */
        uint64_t again_ms; /* monotonic: ask again then; UINT64_MAX: when something changes */
};

/* Everything in ret lies in mem; strings in the input. */
void compute_actions(const struct pod_input *in, struct arena *mem, struct pod_actions *ret);

/* Whether all of it has run and nothing of it will run again by its restart policies. */
bool pod_has_finished(const struct pod_input *in, struct arena *mem);
