/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of this node: each has a worker that compares what it asks for with what runs and closes the difference, one
 * step at a time, and tells the API how it is. Everything on the loop; pods go side by side.
 */
#pragma once

#include "agent/kubelet/pods/spec.h"
#include "agent/kubelet/probes/probes.h"
#include "kube/events.h"

struct pods;

enum pod_source {
        POD_FROM_API,
        POD_STATIC, /* of a file of the node; its twin in the API is a mirror pod */
};

struct pods_opts {
        struct loop *loop;
        const struct runtime *runtime;
        struct images *images;
        struct volumes *volumes;
        struct objects *objects;
        struct service_links *services;
        struct probes *probes;
        struct handlers *handlers;
        struct kube_client *client; /* status patches, the last DELETE of a pod that has ended */
        struct events *events;
        const struct spec_node *node;
        /* Whether the node takes the pod; asked once for each that was not running already. 0, or -EPERM with reason
         * ("OutOfcpu") and message: the pod fails. */
        int (*admit)(void *userdata, const struct json_object *pod, char reason[static 64], struct err *reterr);
        void *userdata;
        uint64_t backoff_initial_ms, backoff_max_ms; /* of crashed containers; 0: 10 s, 5 min; image pulls alike */
};

int pods_new(const struct pods_opts *opts, struct pods **ret, struct err *reterr);
/* What runs goes on; nothing is ended. */
void pods_free(struct pods *p);
DEFINE_CLEANUP(struct pods *, pods_free)

/* As its source says now (a reference is taken). A change of uid is another pod. */
void pods_set(struct pods *p, enum pod_source source, struct json_object *pod);
/* Its source does not have it any more. */
void pods_gone(struct pods *p, const char *uid);
/* The twin of a static pod, under whose name its status is told; NULL: there is none now. */
void pods_set_mirror(struct pods *p, const char *static_uid, struct json_object *mirror);
/* All sources have told all: what runs and nobody wants is ended from now on. */
void pods_sources_ready(struct pods *p);
/* Something of it may have changed: verdicts, objects, volumes, the runtime. NULL: of all of them. */
void pods_poke(struct pods *p, const char *uid);
/* The node needs room: the pod fails with that reason ("Evicted") and message, and is ended within grace_s. */
void pods_evict(struct pods *p, const char *uid, const char *reason, const char *message, int64_t grace_s);
/* The API can be reached again, or status may be lost: tell all again. */
void pods_tell_again(struct pods *p);

struct pod_view {
        const char *uid, *ns, *name;
        enum pod_source source;
        const struct json_object *pod;    /* as the source says */
        const struct json_object *status; /* as last made here; NULL: not yet */
        bool admitted;                    /* was asked about, or ran already */
        bool ending, ended;               /* being ended; it takes nobody's place any more */
        const char *sandbox;              /* id, "" when there is none */
        const char *netns;                /* of it; "" on the node's network */
};

/* Borrowed until the next change. false: not here. */
bool pods_find(const struct pods *p, const char *ns, const char *name, struct pod_view *ret);
void pods_each(const struct pods *p, void (*fn)(void *userdata, const struct pod_view *pod), void *userdata);
/* The newest instance of a container of that pod, or the one before it. Borrowed. false: none. */
bool pods_container(const struct pods *p, const char *uid, const char *container, bool previous,
                    struct container_status *ret);

struct pods_stats {
        uint64_t pods, containers_running, starts, failures, status_patches;
};

void pods_stats(const struct pods *p, struct pods_stats *ret);
