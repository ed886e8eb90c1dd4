/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One API request on its way through the server: what the URL asks for, its options, who asks, and the answer.
 *
 * Steps of the chain return 0 to go on, or API_ANSWERED when the response holds the answer already (mostly a Status).
 */
#pragma once

#include "http/http.h"
#include "apiserver/kind.h"

struct server;

enum api_step {
        API_CONTINUE = 0,
        API_ANSWERED = 1,
};

enum api_format {
        API_JSON,
        API_TABLE,   /* as=Table;v=v1;g=meta.k8s.io */
        API_PARTIAL, /* as=PartialObjectMetadata(List) */
};

enum api_field_validation {
        FIELD_VALIDATION_IGNORE,
        FIELD_VALIDATION_WARN,
        FIELD_VALIDATION_STRICT,
};

struct api_query_param {
        const char *name, *value; /* decoded */
};

struct api_query {
        const struct api_query_param *params;
        size_t n;
};

struct api_request {
        struct arena *arena;
        const struct http_request *http;
        struct http_response *res;
        struct server *server;

        struct user_info user;

        /* The route. */
        const char *verb; /* "get", "list", "watch", "create", ... of resources; the lower-case method of others */
        bool is_resource;
        const char *group, *version;            /* of resources */
        const char *plural;                     /* as in the URL */
        const char *namespace;                  /* NULL: none in the URL */
        const char *name;                       /* NULL: the collection */
        const char *subresource;                /* NULL: the object itself */
        const char *subpath;                    /* what follows a proxy subresource, or NULL */
        const struct schema_resource *resource; /* NULL when there is no such resource */
        const struct schema_subresource *sub;   /* NULL unless the resource has that subresource */

        struct api_query query;
        bool dry_run;
        enum api_field_validation field_validation;
        enum api_format format;
        const char *table_objects; /* includeObject: "None", "Metadata", "Object" */

        struct warnings warnings;
        int64_t now_us;
};

/* Splits and decodes the path: verb, resource, namespace, name, subresource. */
void api_route(struct api_request *req);
/* Decodes the query string; "+" is a blank. Returns 0 or -EINVAL (bad escapes). */
int api_query_parse(struct api_request *req, const char *query);
/* The first value of that parameter, or NULL. */
const char *api_query_get(const struct api_request *req, const char *name);
/* Go's strconv.ParseBool; absent and "" are false. Returns 0 or API_ANSWERED. */
int api_query_bool(struct api_request *req, const char *name, bool *ret);
/* A decimal integer; absent gives otherwise. Returns 0 or API_ANSWERED. */
int api_query_i64(struct api_request *req, const char *name, int64_t otherwise, int64_t *ret);
/* dryRun, fieldValidation, Accept: what every resource request has. */
int api_options_parse(struct api_request *req);
/* The field manager of a write: fieldManager, else the user agent up to the first slash. */
const char *api_field_manager(const struct api_request *req);

/* Answers with a tree (borrowed), a complete JSON text (taken over) or an object's bytes (a reference is taken). */
int api_answer_tree(struct api_request *req, int status, const struct json_object *obj);
int api_answer_buffer(struct api_request *req, int status, const char *content_type, struct strbuf *b);
int api_answer_text(struct api_request *req, int status, const char *text);
int api_answer_blob(struct api_request *req, int status, struct blob *json);
/* Takes an answer back: there will be another one. */
void api_answer_drop(struct api_request *req);
/* Adds a response header (copied). */
void api_header(struct api_request *req, const char *name, const char *value);
/* "kind/apiVersion" of the request's own version: the kind's or the subresource's. */
const char *api_group_version(const struct api_request *req); /* "apps/v1", "v1" */
struct kctx api_kctx(struct api_request *req);
