/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make a status share. */
#pragma once

#include "agent/kubelet/pods/containers.h"
#include "agent/kubelet/pods/status.h"

struct status_job {
        const struct status_input *in;
        struct containers defs;
        struct arena *mem;
        struct json_object *status; /* what is being made */
};

const struct container_note *status_note(const struct status_job *j, const char *name);

/* status_containers.c: containerStatuses and its siblings, where there are such containers. */
void status_set_containers(const struct status_job *j);
/* What did not come to its end in sight is lost, once nothing of the pod will run again. */
void status_end_containers(const struct status_job *j);
/* Of the status that is being made; NULL: none. */
const struct json_object *status_of(const struct status_job *j, const struct container_def *def);
bool status_was_initialized(const struct status_job *j);

/* status_conditions.c */
void status_set_conditions(const struct status_job *j);
