/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's way to the API server. */
#pragma once

#include "controllers/engine/step.h"
#include "kube/events.h"

struct api_call;
struct recorder;

struct api_server {
        struct api api;
        struct api_call *calls; /* under way */
        struct jsontree tree;   /* of the answer that is read */
        struct kube_client *client;
        struct recorder *recorders; /* one for each component that has told something */
};

void api_server_init(struct api_server *a, struct kube_client *client);
/* Calls under way end silently. */
void api_server_deinit(struct api_server *a);
