/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One version of one object as the server holds it: immutable, shared by reference count between the cache, the lists
 * that are being sent and the watch history. Its JSON is complete (resourceVersion included) and is sent as it is.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "apiserver/kind.h"
#include "base/blob.h"
#include "kube/selector.h"

struct object {
        atomic_uint refs;
        uint16_t nfields;
        uint32_t nlabels;
        uint64_t revision, create_revision;
        struct blob *json;
        const char *key;       /* "namespace/name", or "name" for cluster-scoped ones: the order of lists */
        const char *namespace; /* "" for cluster-scoped ones */
        const char *name;      /* the tail of key */
        const struct label *labels;
        const char *const *fields; /* values of the kind's fields, in the order of kind_ops.fields */
};

/*
 * Makes an object out of the stored bytes, which have no resourceVersion. Returns NULL when the bytes are no object
 * (a damaged store) or out of memory. The caller owns the reference.
 */
struct object *object_new(const struct kind_ops *ops, const char *namespace, const char *name, uint64_t revision,
                          uint64_t create_revision, const struct blob *stored);
/* The same object with another revision: what a watcher is told when it is deleted. */
struct object *object_at_revision(const struct kind_ops *ops, const struct object *o, uint64_t revision);
struct object *object_ref(struct object *o);
void object_unref(struct object *o);
DEFINE_CLEANUP(struct object *, object_unref)
#define _cleanup_object_ _cleanup_(object_unrefp)

/* The bytes to store: kind, apiVersion and metadata first, without resourceVersion. */
void object_encode(struct strbuf *b, const struct json_object *obj);
/* Stored bytes with the resourceVersion put in; NULL when they have no metadata. The caller owns it. */
struct blob *object_with_revision(const struct blob *stored, uint64_t revision);
/* The complete JSON as a tree of its own, NULL when damaged. */
struct json_object *object_tree(const struct object *o);
