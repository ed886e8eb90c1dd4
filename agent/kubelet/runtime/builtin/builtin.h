/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in runtime: crun for what OCI describes, fairlead-shim for what has to stay (README.md). Nothing that it
 * starts ends with it: whoever makes a new one on the same folders finds everything again.
 */
#pragma once

#include "agent/kubelet/child.h"
#include "agent/kubelet/runtime/builtin/cgroup.h"
#include "agent/kubelet/runtime/runtime.h"

/* What containers are made of. */
struct builtin_images {
        void *userdata;
        /* Mounts a writable view of the image on target; upper and work are empty folders. 0 or negative errno. */
        int (*mount)(void *userdata, const char *image_id, const char *upper, const char *work, const char *target,
                     struct err *reterr);
};

struct builtin_opts {
        struct loop *loop;
        struct children *children;
        struct builtin_images images;
        const struct cgroups *cgroups;
        const char *run_folder;   /* "/run/fairlead": records, sockets; gone after a boot, as what they tell of is */
        const char *state_folder; /* "/var/lib/fairlead/kubelet": what containers write */
        const char *shim, *crun;  /* paths of programs */
};

/* Adopts what is there. Strings are copied. 0 or negative errno. One process at a time on a run_folder. */
int builtin_new(const struct builtin_opts *opts, struct runtime *ret, struct err *reterr);
