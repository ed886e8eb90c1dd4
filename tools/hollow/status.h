/* SPDX-License-Identifier: Apache-2.0 */
/* The status that a kubelet would write for a pod, as a patch. Pure. */
#pragma once

#include "base/json.h"
#include "hollow/pod.h"

/* The part of a life that shows in a status: when this is unchanged, nothing is written. */
struct face {
        enum stage stage;
        bool ready;
        int32_t restarts;
};

struct face face_of(const struct plan *plan, const struct life *life, int64_t now);
struct face face_seen(const struct pod *pod);
bool face_equal(struct face a, struct face b);

struct status_input {
        const struct pod *pod;
        const struct life *life;
        struct face face;
        const char *host_ip, *ips[2];   /* of the pod; ips[0] NULL: it has none yet */
        int64_t initialized_s, ready_s; /* lastTransitionTime of the conditions, s since 1970 */
        bool again;                     /* a status was written before: its reasons have to go */
};

/* A strategic merge patch of the pod's status, bound to its uid. The caller owns it. */
struct json_object *status_patch(const struct status_input *in);
