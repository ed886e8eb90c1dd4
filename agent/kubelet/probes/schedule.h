/* SPDX-License-Identifier: Apache-2.0 */
/* When a probe of one container's instance runs, and what its results amount to. Pure; times are milliseconds. */
#pragma once

#include "agent/kubelet/probes/probes.h"

enum probe_kind {
        PROBE_STARTUP,
        PROBE_LIVENESS,
        PROBE_READINESS,
        PROBE_KINDS,
};

/* "Startup", "Liveness", "Readiness"; and as the container's field is called. */
const char *probe_kind_name(enum probe_kind kind);
const char *probe_kind_field(enum probe_kind kind);

struct probe_spec {
        uint64_t delay_ms, period_ms, timeout_ms;
        int64_t successes, failures; /* in a row, for a verdict */
        int64_t grace_s;             /* -1: the pod's */
};

/* Of a Probe object; what it does not say is as the API's defaults have it. */
void probe_spec_read(const struct json_object *probe, struct probe_spec *ret);

struct probe_state {
        enum verdict verdict;
        bool last; /* the last result, of which there were run in a row */
        int64_t run;
        bool on_hold; /* liveness or startup has failed: only a new instance is probed again */
};

/* A result has come. Whether the verdict has changed. */
bool probe_result(struct probe_state *s, enum probe_kind kind, const struct probe_spec *spec, bool success);

/* How long to wait for the first run: the delay counts from the container's start. adopted: it ran already when we
 * began to look at it, so that all of the node's would come at once: dice (0 to 1) of a period is waited on top. */
uint64_t probe_first_ms(const struct probe_spec *spec, int64_t started_ms, int64_t now_ms, bool adopted, double dice);
/* How long to wait behind a run that took that long: runs begin a period apart. */
uint64_t probe_next_ms(const struct probe_spec *spec, uint64_t took_ms);
