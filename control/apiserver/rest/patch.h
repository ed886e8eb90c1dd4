/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/patch/managed.h"
#include "apiserver/request.h"

enum patch_type {
        PATCH_JSON,
        PATCH_MERGE,
        PATCH_STRATEGIC,
        PATCH_APPLY,
};

struct patch_request {
        struct api_request *req;
        enum patch_type type;
        bool force;
        struct json_object *patch;
        struct json_object *config; /* server-side apply: the patch, normalised */
};

/* Reads the patch. Returns 0 or API_ANSWERED; patch_close in both cases. */
int patch_open(struct api_request *req, struct patch_request *p);
void patch_close(struct patch_request *p);
/* Applies a patch of the first three types to old; *ret is owned by the caller and normalised. 0 or API_ANSWERED. */
int patch_plain(struct patch_request *p, const struct json_object *old, const struct schema_struct *type,
                struct json_object **ret);
/* Who writes what, for managedFields. */
struct managed_context managed_context_of(const struct api_request *req);
/* The answer for a patch_outcome. */
int patch_fail(struct patch_request *p, int outcome, const struct err *err);
