/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a pod says to what the runtime is asked for: env, security, resources, mounts, hosts and resolv.conf.
 * Strings of the results lie in the arena, or in the pod, which must outlive them.
 */
#pragma once

#include "agent/kubelet/images/images.h"
#include "agent/kubelet/runtime/runtime.h"
#include "agent/kubelet/volumes/volumes.h"
#include "base/arena.h"
#include "base/json.h"

/* What all pods of the node have in common. Arrays end with NULL. */
struct spec_node {
        const char *name;
        const char *const *ips; /* of the node, the first family first */
        const char *const *cluster_dns;
        const char *cluster_domain; /* "cluster.local" */
        const char *resolv_conf;    /* path of the node's: "/etc/resolv.conf" */
        const char *log_dir;        /* "/var/log/pods" */
        const char *cgroup_root;    /* "" or "some/group": kubepods is below it */
        const char *seccomp_dir;    /* of Localhost profiles */
        int64_t pod_pids_limit;     /* 0: none */
        const struct json_object *(*object)(
                void *userdata); /* the Node, for resourceFieldRef's defaults; may be NULL */
        void *userdata;
};

/* The services that enableServiceLinks turns into variables, followed here. */
struct service_links;
int service_links_new(struct kube_client *client, struct service_links **ret);
void service_links_free(struct service_links *s);
DEFINE_CLEANUP(struct service_links *, service_links_free)
bool service_links_synced(const struct service_links *s);

struct spec {
        const struct json_object *pod; /* as stored; status is not looked at */
        const struct spec_node *node;
        struct volumes *volumes;
        struct objects *objects;
        const struct service_links *services;
        const char *const *ips; /* of the sandbox; none yet: NULL */
        /* Something that people should see and that stops nothing: a Warning Event of that reason. May be NULL. */
        void (*warn)(void *userdata, const char *reason, const char *message);
        void *userdata;
};

/* The first thing that is not supported, as "spec.volumes[0].nfs: ..."; NULL: all of it is. */
const char *spec_unsupported(const struct json_object *pod, struct arena *mem);

/* A sysctl that pods may not set here, as the message of the admission's reason "SysctlForbidden"; NULL: none. */
const char *spec_forbidden_sysctl(const struct json_object *pod, struct arena *mem);

/* "kubepods/burstable/podUID" below the root, and the pod's own limits. Returns "Guaranteed", ... */
const char *spec_cgroup(const struct spec *s, struct arena *mem, const char **ret_path,
                        struct container_resources *ret_limits);

/* 0 or negative errno with what is wrong (FailedCreatePodSandBox). */
int spec_sandbox(const struct spec *s, uint32_t attempt, struct arena *mem, struct sandbox_config *ret,
                 struct err *reterr);

/*
 * container: an element of containers, initContainers or ephemeralContainers. Files that it needs (etc-hosts,
 * termination log) are written. 0; -EAGAIN: an object is not there yet (message: "configmap \"x\" not found");
 * negative errno: CreateContainerConfigError with the message.
 */
int spec_container(const struct spec *s, const struct json_object *container, uint32_t attempt,
                   const struct image *image, struct arena *mem, struct container_config *ret, struct err *reterr);

/* Changes when the container would have to be made anew; text in hex. */
void spec_hash(const struct json_object *container, char ret[static 17]);
