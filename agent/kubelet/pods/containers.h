/* SPDX-License-Identifier: Apache-2.0 */
/* The containers of a pod as its spec has them, and what there is of each. Pure. */
#pragma once

#include "agent/kubelet/runtime/runtime.h"
#include "base/arena.h"
#include "base/json.h"

enum container_kind {
        KIND_INIT,    /* runs to its end before the next one begins */
        KIND_SIDECAR, /* an init container with restartPolicy Always: goes on until the main ones have ended */
        KIND_MAIN,
        KIND_EPHEMERAL, /* added to look into a pod that runs; never restarted */
};

struct container_def {
        enum container_kind kind;
        const char *name;
        const struct json_object *spec;
};

/* In the order of the spec: init containers and sidecars, main ones, ephemeral ones. */
struct containers {
        const struct container_def *v;
        size_t n;
};

/* Elements without a name are left out. */
void containers_of(const struct json_object *pod, struct arena *mem, struct containers *ret);
const struct container_def *containers_find(const struct containers *cs, const char *name);

/* Starts a process that could still be told to end, or runs one. */
bool instance_lives(const struct container_status *c);
bool instance_succeeded(const struct container_status *c);
/* 137 when it vanished without a word. */
int32_t instance_exit_code(const struct container_status *c);

/* The newest instance of that name, in that sandbox or (NULL) in any; one that is only being made, or never was made,
 * is none. NULL: there is none. */
const struct container_status *newest_instance(const struct runtime_list *there, const char *name, const char *sandbox);
/* The newest one that is older than that. */
const struct container_status *older_instance(const struct runtime_list *there, const struct container_status *than);
/* NULL: there is none. */
const struct sandbox_status *newest_sandbox(const struct runtime_list *there);

/* Whether a container that ended with that code is to run again: its restartPolicyRules, its restartPolicy, the pod's.
 */
bool container_restarts(const struct json_object *pod, const struct container_def *def, int32_t exit_code);

/* Element of an array of objects with that name; NULL: there is none. */
struct json_object *json_named(const struct json_object *list, const char *name);
/* containerStatuses, initContainerStatuses or ephemeralContainerStatuses. */
const char *kind_status_field(enum container_kind kind);
