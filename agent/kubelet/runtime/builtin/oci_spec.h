/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What crun is told: an OCI runtime configuration out of what the pod asks for and what the node has. A pure function;
 * its result is a file config.json.
 */
#pragma once

#include "agent/kubelet/runtime/builtin/oci_user.h"
#include "agent/kubelet/runtime/runtime.h"
#include "base/json.h"

/* A namespace: a path to join, "" for one of its own, NULL for the node's. */
struct oci_namespaces {
        const char *pid, *network, *ipc, *uts;
};

struct oci_input {
        const struct container_config *config;
        struct oci_user user;
        struct oci_namespaces namespaces;
        const char *rootfs;           /* absolute */
        const char *shm;              /* folder on the node that becomes /dev/shm; NULL: a tmpfs of its own */
        const char *hostname;         /* for the environment */
        uint64_t capabilities;        /* that the node can give */
        int64_t oom_score_adj_min;    /* lower ones need CAP_SYS_RESOURCE: they are raised to it */
        const char *compiled_seccomp; /* RuntimeDefault for these capabilities as crun compiled it before, base64; or
                                         NULL */
        struct json_object *local_seccomp; /* of security.seccomp_file, borrowed; or NULL */
};

/* 0 and a tree that the caller owns, or -EINVAL: says what cannot be meant. */
int oci_spec(const struct oci_input *in, struct json_object **ret, struct err *reterr);
