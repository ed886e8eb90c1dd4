/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people see of a pod that could not be scheduled: the condition PodScheduled, an Event, status.nominatedNodeName.
 * A condition that is there already is not written again. Few writes are under way at a time, and of a pod that fails
 * again meanwhile only the last state is written.
 */
#pragma once

#include <stdint.h>

struct pod;
struct report;
struct scheduler;

struct reports {
        struct report *head, *tail; /* that wait */
        uint32_t under_way;
};

/* reason: "Unschedulable" or "SchedulerError". */
void report_failure(struct scheduler *s, struct pod *pod, const char *reason, const char *message);
/* Only where it is nominated for. */
void report_nomination(struct scheduler *s, struct pod *pod);
/* The pod is gone. */
void report_forget(struct scheduler *s, struct pod *pod);
