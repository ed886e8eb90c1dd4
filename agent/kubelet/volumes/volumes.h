/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted into containers: emptyDir, hostPath, configMap, secret, projected, downwardAPI. Everything of a pod
 * is below ROOT/pods/UID/volumes/; files of configMap and the like change as a whole, by one symbolic link (..data), so
 * that a reader sees one generation.
 *
 * Level-triggered: preparing again repairs, and nothing is remembered that the disk does not say.
 */
#pragma once

#include "agent/kubelet/volumes/objects.h"
#include "base/err.h"
#include "base/loop.h"

struct volumes;

struct volumes_opts {
        struct loop *loop;
        struct kube_client *client; /* for service account tokens */
        struct objects *objects;
        const char *root; /* "/var/lib/fairlead/kubelet" */
        const char *node_name;
        /* The Node, for limits that containers do not have; NULL or a result of NULL: they are 0 then. */
        const struct json_object *(*node)(void *userdata);
        /* A token came or was renewed, removal ended, ...: look at the pod again. */
        void (*changed)(void *userdata, const char *pod_uid);
        void *userdata;
};

int volumes_new(const struct volumes_opts *opts, struct volumes **ret, struct err *reterr);
void volumes_free(struct volumes *v);
DEFINE_CLEANUP(struct volumes *, volumes_free)

/*
 * Brings all volumes of the pod to what it asks for; to be called before containers are started. pod: with
 * status.podIP(s) and hostIP filled in for downward API. 0; -EAGAIN: something is not there yet, and changed() will
 * tell (message says what: "configmap \"x\" not found"); or negative errno with what is wrong (FailedMount).
 */
int volumes_prepare(struct volumes *v, const struct json_object *pod, struct err *reterr);
/* The same again, whenever the pod or its objects change. Host paths are mounted then and not looked at any more: one
 * on a network disk that has died would keep the whole kubelet waiting. */
int volumes_refresh(struct volumes *v, const struct json_object *pod, struct err *reterr);

/*
 * The source of one mount: a path that is safe to bind. sub_path (NULL: none) is walked below the volume without
 * following links out of it (openat2 RESOLVE_BENEATH), made as a folder when it is missing, and held open so that
 * nobody swaps it afterwards: *ret is then "/proc/self/fd/N" style or a bind mount of ours below
 * ROOT/pods/UID/subpaths/, whichever survives until crun binds it. The caller frees *ret. read_only: the volume is by
 * itself (configMap, secret, ...). 0 or negative errno.
 */
int volumes_mount_source(struct volumes *v, const struct json_object *pod, const char *volume, const char *sub_path,
                         const char *container, size_t mount_index, char **ret, bool *ret_read_only,
                         struct err *reterr);

/* A plain file of the pod: ROOT/pods/UID/NAME ("etc-hosts", "termination-log-CONTAINER"). The caller frees it. */
char *volumes_pod_file(const struct volumes *v, const char *uid, const char *name);

/* Bytes that emptyDirs hold on the disk, all or (volume not NULL) one. Slow for many files: for the eviction's clock.
 */
uint64_t volumes_usage(const struct volumes *v, const char *uid, const char *volume);

/* Unmounts and removes all of the pod; done later, once: 0, or negative errno (then to be tried again). */
void volumes_remove(struct volumes *v, const char *uid, void (*done)(void *userdata, int result, const char *message),
                    void *userdata);
/* Pods that have a folder here, for the collection of leftovers. */
void volumes_each_pod(const struct volumes *v, void (*fn)(void *userdata, const char *uid), void *userdata);
