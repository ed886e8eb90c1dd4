/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node itself: its Node object (registration, addresses, capacity, conditions, images), its Lease, and its
 * pressure: eviction and the collection of images. A node that cannot reach the API goes on.
 */
#pragma once

#include "agent/kubelet/child.h"
#include "agent/kubelet/images/images.h"
#include "agent/kubelet/node/addresses.h"
#include "agent/kubelet/pods/pods.h"
#include "agent/kubelet/runtime/builtin/cgroup.h"
#include "base/strbuf.h"

struct node;

/* Borrowed strings must outlive it. What is 0 or NULL where a default is named takes that. */
struct node_opts {
        struct loop *loop;
        struct children *children;
        /* Better one of its own: then no crowd of status updates keeps the Lease waiting for the rate limit. */
        struct kube_client *client;
        const char *api_server; /* its URL, by which the node's address is found; or NULL */
        struct events *events;
        const struct runtime *runtime;
        struct images *images;
        struct pods *pods;
        struct volumes *volumes;
        const struct cgroups *cgroups;
        const char *name;
        const char *const *ips;    /* --node-ip; none: found */
        const char *const *labels; /* "key=value" */
        const char *const *taints; /* "key=value:Effect" at registration */
        const char *provider_id;   /* or NULL */
        const char *root_dir, *image_dir;
        const char *log_dir, *log_links_dir; /* /var/log/pods; "containers" beside it */
        const char *cgroup_root;             /* kubepods is below it; NULL: the hierarchies' roots */
        uint32_t max_pods;
        bool register_node;
        const char *reserved;         /* "cpu=100m,memory=100Mi,ephemeral-storage=1Gi,pid=100"; or NULL */
        const char *eviction_hard;    /* "memory.available<100Mi,nodefs.available<10%,..."; NULL: upstream's defaults */
        const char *eviction_reclaim; /* --eviction-minimum-reclaim; or NULL */
        uint64_t eviction_transition_ms;                      /* a pressure is told so long after it was seen: 5 min */
        uint32_t image_gc_high_percent, image_gc_low_percent; /* of the disk of images: 85, 80 */
        uint64_t image_gc_min_age_s;                          /* 2 min */
        uint32_t lease_duration_s;                            /* 40; renewed every quarter of it */
        uint64_t status_period_ms;                            /* 10 s; unchanged status is told every 5 min */
        uint64_t monitor_period_ms;                           /* looks at memory, disks and processes: 1 s */
        /* Why pods cannot have a network now (the Ready condition's message); NULL: they can. */
        const char *(*network_problem)(void *userdata);
        /* A change of the Node object or of what fits: look at pods again. */
        void (*changed)(void *userdata);
        void *userdata;
};

int node_new(const struct node_opts *opts, struct node **ret, struct err *reterr);
/* port: of the HTTPS server, for daemonEndpoints. */
void node_start(struct node *n, uint16_t port);
void node_free(struct node *n);
DEFINE_CLEANUP(struct node *, node_free)

/* The network, images, ... may be another now: told soon. */
void node_poke(struct node *n);
/* All sources of pods have told all: what belongs to none of them may be collected from now on. */
void node_sources_ready(struct node *n);

/* Its addresses, those of --node-ip or found; the first family first. */
const struct node_ips *node_addresses(const struct node *n);

/* The Node as last seen or made, with labels and allocatable; never NULL after node_start. Borrowed. */
const struct json_object *node_object(const struct node *n);
/* Whether the API has made, or shown, the Node, so that node_object has labels and taints that others gave it; or,
 * where others register nodes, has said that there is none. "changed" tells when. */
bool node_is_seen(const struct node *n);
/* Whether Ready was told at least once. */
bool node_registered(const struct node *n);
/* Admission of one pod, pressure included (best-effort pods under memory pressure: "Evicted"). See admission.h. */
int node_admit(struct node *n, const struct json_object *pod, char reason[static 64], struct err *reterr);

struct node_usage {
        uint64_t cpu_ns, memory_bytes, working_set_bytes, memory_total, memory_available;
        uint64_t fs_bytes, fs_available, fs_inodes, fs_inodes_free;                         /* of root_dir */
        uint64_t image_fs_bytes, image_fs_available, image_fs_inodes, image_fs_inodes_free; /* of image_dir */
        uint64_t image_bytes;                                                               /* of all images */
        uint64_t pids, max_pids;                                                            /* threads */
        int64_t boot_ns;                                                                    /* wall clock */
};

/* From the kernel, now. */
void node_usage(const struct node *n, struct node_usage *ret);
/* Appends the node's figures as Prometheus text, by upstream's names where it has one. */
void node_metrics(const struct node *n, struct strbuf *b);
