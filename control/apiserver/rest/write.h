/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One write of one object, common to create, update, patch, delete and the subresources:
 *
 *      write_open -> write_load -> (the verb makes w->obj) -> write_check -> write_commit
 *
 * Optimistic: what was read is the precondition of what is written. When another write came in between, write_commit
 * says WRITE_RETRY and the verb begins again at write_load, unless the client had said which version it meant.
 */
#pragma once

#include "apiserver/admit/admit.h"
#include "apiserver/cache.h"
#include "apiserver/request.h"

enum write_outcome {
        WRITE_OK = 0,
        /* 1 is API_ANSWERED */
        WRITE_RETRY = 2,
};

#define WRITE_ATTEMPTS 20

struct write {
        struct api_request *req;
        const struct schema_resource *stored; /* the resource as it is stored (autoscaling v1 is stored as v2) */
        const struct kind_ops *ops;
        struct cache *cache;
        const char *namespace, *name;
        const char *key;
        struct object *old;           /* NULL: does not exist */
        struct json_object *old_tree; /* old, in the stored version */
        struct json_object *obj;      /* new, in the stored version */
        struct kctx kctx;
        const char *manager; /* field manager; NULL: leave managedFields alone */
        bool applied;        /* server-side apply made obj, managedFields included */
        struct blob *result; /* after the commit: the complete JSON, in the stored version */
};

/* Fills in the resource's parts; name may be NULL until a create has one. */
void write_open(struct write *w, struct api_request *req, const char *namespace, const char *name);
/* Releases everything. */
void write_close(struct write *w);
/* Forgets what was read and reads again. */
void write_load(struct write *w);

/* The object in the request's version, owned by the caller; NULL when there is none. */
struct json_object *write_old_as_requested(const struct write *w);
/* Takes over obj, which is in the request's version: defaults it and converts it to the stored one. */
void write_set(struct write *w, struct json_object *obj);

/* Admission, metadata, the kind's rules, managed fields. Returns 0 or API_ANSWERED. */
int write_check_create(struct write *w);
int write_check_update(struct write *w);
/* The admission chain; part of the two above, and of delete. Returns 0 or API_ANSWERED. */
int write_admit(struct write *w, enum admit_verb verb);
/* Writes w->obj (STORE_PUT) or, when obj is NULL, deletes. Returns 0 (w->result is set but at a delete), API_ANSWERED
 * or WRITE_RETRY. */
int write_commit(struct write *w);
/* Answers with w->result in the requested version and format. */
int write_answer(struct write *w, int status);
/* The object's JSON in the requested version and format (Table, PartialObjectMetadata). */
int rest_answer_object(struct api_request *req, int status, struct blob *json);

/* True when an update has left nothing that keeps a deleted object: it goes now. */
bool write_is_finished(const struct json_object *obj);
/* Checks the resourceVersion and uid that the client named against old. Returns 0 or API_ANSWERED (409). */
int write_check_version(struct write *w, const struct json_object *obj);
