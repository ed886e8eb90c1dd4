/* SPDX-License-Identifier: Apache-2.0 */
/* Request bodies as trees: decoded, checked against what the URL says, unknown fields reported as asked for. */
#pragma once

#include "apiserver/request.h"

/*
 * The body as an object of that type, normalised; apiVersion and kind are checked against the given ones (and filled in
 * when absent). The caller owns *ret. Returns 0 or API_ANSWERED.
 */
int body_object(struct api_request *req, const struct schema_struct *type, const char *group, const char *version,
                const char *kind, struct json_object **ret);
/* The body of the resource's own kind, or of the subresource's. */
int body_of_resource(struct api_request *req, struct json_object **ret);
/* A tree made by a patch (owned; replaced) brought into the form of the type. Returns 0 or API_ANSWERED. */
/* The same for the configuration of a server-side apply: checked and canonical, but nothing is added to it. */
int body_normalise_config(struct api_request *req, const struct schema_struct *type, struct json_object **obj);
int body_normalise(struct api_request *req, const struct schema_struct *type, struct json_object **obj);
/* Namespace and name of the object against the URL's; the URL's namespace is filled in. Returns 0 or API_ANSWERED. */
int body_check_scope(struct api_request *req, struct json_object *obj);

struct delete_options {
        bool has_grace;
        int64_t grace_seconds;
        const char *propagation;            /* "Orphan", "Background", "Foreground" or NULL */
        const char *uid, *resource_version; /* preconditions, or NULL */
        bool dry_run;
};

/* From the body (DeleteOptions, may be empty) and the query. Returns 0 or API_ANSWERED. */
int body_delete_options(struct api_request *req, struct delete_options *ret);
/* The same from a tree (of an Eviction); NULL is all defaults. */
int delete_options_parse(struct api_request *req, const struct json_object *tree, struct delete_options *ret);
