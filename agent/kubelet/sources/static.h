/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static pods: files of a folder, a Pod each, which run whether the API can be reached or not. The API is told of them
 * by mirror pods, which this keeps equal to the files: made, made anew when somebody deletes them, deleted with the
 * file.
 */
#pragma once

#include "agent/kubelet/pods/pods.h"

struct source_static;

struct source_static_opts {
        struct loop *loop;
        struct kube_client *client;
        struct pods *pods;
        const char *folder; /* it need not be there yet */
        const char *node_name;
        const struct json_object *(*node)(void *userdata); /* the Node, whose uid mirrors refer to; may be NULL */
        void *userdata;
};

/* What the folder has is told before this returns. */
int source_static_new(const struct source_static_opts *opts, struct source_static **ret, struct err *reterr);
void source_static_free(struct source_static *s);
DEFINE_CLEANUP(struct source_static *, source_static_free)

/* The API has (NULL: has no longer) a mirror pod of that key ("ns/name"), which names that static pod. */
void source_static_mirror(struct source_static *s, const char *key, const char *static_uid, struct json_object *mirror);
/* All mirrors that are there have been told: what is missing is made from now on. */
void source_static_synced(struct source_static *s);
