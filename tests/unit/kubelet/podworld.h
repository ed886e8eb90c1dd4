/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what pods say and of their volumes: a folder, a loop, an API server that serves what it is told to, and
 * objects, services and volumes on top of it. */
#pragma once

#include "agent/kubelet/pods/spec.h"

struct podworld {
        char root[64]; /* a fresh folder; removed at the end */
        struct loop *loop;
        struct kube_client *client;
        struct objects *objects;
        struct service_links *services;
        struct volumes *volumes;
        struct spec_node node;
        struct json_object *node_object;
        struct arena mem;
        struct strbuf warnings; /* "Reason: message\n" */
        int changed;            /* how often somebody said so */
        char changed_uid[64];
        struct fakekube *api;
};

/* A mount namespace of its own for the whole program; false: not possible here (no root). Before anything else. */
bool podworld_private_mounts(void);

void podworld_init(struct podworld *w);
void podworld_deinit(struct podworld *w);

/* The API has it now: ConfigMaps, Secrets, Services ("kind" and "metadata" must be there). Replaces. */
void podworld_put(struct podworld *w, const char *json);
void podworld_delete(struct podworld *w, const char *plural, const char *name);
/* What the API answers to the next TokenRequests: a token of that text and life, or (text NULL) 403. */
void podworld_token(struct podworld *w, const char *text, int64_t life_s);
/* The API says nothing any more (true), or again. */
void podworld_silence(struct podworld *w, bool silent);
/* TokenRequests so far, and the body of the last one (borrowed until the next). */
int podworld_tokens_asked(struct podworld *w);
const char *podworld_token_request(struct podworld *w);
int podworld_watches(struct podworld *w); /* of ConfigMaps and Secrets, that are open */

/* Runs the loop until fn says so; fails after 10 s. */
void podworld_until(struct podworld *w, bool (*fn)(void *userdata), void *userdata);
/* A pod of that JSON: metadata (name p, namespace ns, uid u-1) is filled in where it is missing. The caller puts it. */
struct json_object *podworld_pod(const char *json);
/* Holds the pod's objects, and waits until the API has said all of them, and the services. */
void podworld_settle(struct podworld *w, const struct json_object *pod);

struct spec podworld_spec(struct podworld *w, const struct json_object *pod);
