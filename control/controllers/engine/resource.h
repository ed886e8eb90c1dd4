/* SPDX-License-Identifier: Apache-2.0 */
/* The resources that controllers follow or write: where they are in the API, and how much of them the cache keeps. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum keep {
        KEEP_NOTHING,  /* it is written, never followed */
        KEEP_METADATA, /* struct kobj without text */
        KEEP_TEXT,     /* and the whole object as compact JSON, parsed when somebody asks */
        KEEP_POD,      /* and struct pod instead of the text */
        KEEP_NODE,     /* and struct node beside the text */
        KEEP_SLICE,    /* and struct slice instead of the text */
        KEEP_ROOT_CA,  /* the text of the ConfigMaps kube-root-ca.crt alone */
};

struct resource {
        const char *group, *version, *plural, *kind; /* group "" is the core group */
        bool namespaced;
        enum keep keep;
};

/* name, group, version, plural, kind, namespaced, keep */
#define RESOURCES(X)                                                                                                   \
        X(bindings, "", "v1", "bindings", "Binding", true, KEEP_NOTHING)                                               \
        X(configmaps, "", "v1", "configmaps", "ConfigMap", true, KEEP_ROOT_CA)                                         \
        X(endpoints, "", "v1", "endpoints", "Endpoints", true, KEEP_TEXT)                                              \
        X(namespaces, "", "v1", "namespaces", "Namespace", false, KEEP_TEXT)                                           \
        X(nodes, "", "v1", "nodes", "Node", false, KEEP_NODE)                                                          \
        X(persistentvolumeclaims, "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true, KEEP_METADATA)    \
        X(pods, "", "v1", "pods", "Pod", true, KEEP_POD)                                                               \
        X(replicationcontrollers, "", "v1", "replicationcontrollers", "ReplicationController", true, KEEP_TEXT)        \
        X(serviceaccounts, "", "v1", "serviceaccounts", "ServiceAccount", true, KEEP_METADATA)                         \
        X(services, "", "v1", "services", "Service", true, KEEP_TEXT)                                                  \
        X(controllerrevisions, "apps", "v1", "controllerrevisions", "ControllerRevision", true, KEEP_TEXT)             \
        X(daemonsets, "apps", "v1", "daemonsets", "DaemonSet", true, KEEP_TEXT)                                        \
        X(deployments, "apps", "v1", "deployments", "Deployment", true, KEEP_TEXT)                                     \
        X(replicasets, "apps", "v1", "replicasets", "ReplicaSet", true, KEEP_TEXT)                                     \
        X(statefulsets, "apps", "v1", "statefulsets", "StatefulSet", true, KEEP_TEXT)                                  \
        X(cronjobs, "batch", "v1", "cronjobs", "CronJob", true, KEEP_TEXT)                                             \
        X(jobs, "batch", "v1", "jobs", "Job", true, KEEP_TEXT)                                                         \
        X(leases, "coordination.k8s.io", "v1", "leases", "Lease", true, KEEP_TEXT)                                     \
        X(endpointslices, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true, KEEP_SLICE)

#define X(name, ...) extern const struct resource res_##name;
RESOURCES(X)
#undef X

#define RESOURCE_API_VERSION_SIZE 320

/* "v1", "apps/v1"; it may lie in buf, of RESOURCE_API_VERSION_SIZE bytes. */
const char *resource_api_version(const struct resource *r, char *buf);
/* By "apps/v1" and "Deployment", in whatever version; NULL when there is no such kind that can be followed. */
const struct resource *resource_by_kind(const char *api_version, const char *kind);
/*
 * Everything that the API keeps and that may own or be owned: the resources above and, by their metadata alone, all
 * others of the schema that can be listed, watched and deleted, but for Events. Each once, in one version.
 */
const struct resource *const *resources_all(size_t *ret_n);
