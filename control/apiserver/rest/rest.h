/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs. Each answers its request; they return API_ANSWERED. */
#pragma once

#include "apiserver/request.h"

int rest_get(struct api_request *req);
int rest_list(struct api_request *req);
int rest_watch(struct api_request *req);
int rest_create(struct api_request *req);
int rest_update(struct api_request *req); /* PUT, and of status, approval, ephemeralcontainers, resize */
int rest_patch(struct api_request *req);  /* PATCH of the same */
int rest_delete(struct api_request *req);
int rest_delete_collection(struct api_request *req);

/* Subresources with a kind of their own. */
int rest_scale(struct api_request *req);
int rest_binding(struct api_request *req); /* pods/binding, and POST bindings */
int rest_eviction(struct api_request *req);
int rest_finalize(struct api_request *req); /* namespaces/finalize */
int rest_review(struct api_request *req);   /* access, token and self-subject reviews */
