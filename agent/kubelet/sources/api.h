/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that the API has bound to this node; mirror pods among them go to the static side. */
#pragma once

#include "agent/kubelet/pods/pods.h"

struct source_api;

struct source_api_opts {
        struct kube_client *client;
        struct pods *pods;
        const char *node_name;
        /* A mirror pod came, changed or (NULL) went; uid: the static pod's that it names. */
        void (*mirror)(void *userdata, const char *key, const char *static_uid, struct json_object *mirror);
        void (*synced)(void *userdata); /* all has been told once */
        void *userdata;
};

int source_api_new(const struct source_api_opts *opts, struct source_api **ret);
/* Nothing is asked before; again: nothing. */
void source_api_start(struct source_api *s);
void source_api_free(struct source_api *s);
DEFINE_CLEANUP(struct source_api *, source_api_free)
bool source_api_synced(const struct source_api *s);
