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
        const char *run_folder;      /* "/run/fairlead": records, sockets; gone after a boot, as what they tell of is */
        const char *state_folder;    /* "/var/lib/fairlead/kubelet": what containers write */
        const char *shim, *crun;     /* paths of programs */
        const char *cni_conf_folder; /* NULL: /etc/cni/net.d */
        const char *cni_bin_folders; /* between colons; NULL: /opt/cni/bin:/usr/lib/cni */
        uint64_t cni_timeout_ms;     /* of a plugin; 0: 60 s */
        uint32_t log_max_bytes;      /* then a container's log is rotated; 0: 10 MiB */
        uint32_t log_max_files;      /* of one container, the present one included; 0: 5 */
};

/* Adopts what is there. Strings are copied. 0 or negative errno. One process at a time on a run_folder. */
int builtin_new(const struct builtin_opts *opts, struct runtime *ret, struct err *reterr);
/* Gives back what the network holds for sandboxes that are gone (after a boot, a crash). At start and rarely, such as
 * each hour. done may be NULL. */
void builtin_network_collect(const struct runtime *rt, runtime_done_fn done, void *userdata);
