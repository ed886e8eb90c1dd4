/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is special about a kind. Everything general (decoding, metadata, uid, generation, patching, managed fields,
 * storing, watching) is done by the registry from the schema tables; a kind adds the functions below where Kubernetes
 * has rules of its own, in control/apiserver/kinds/<kind>.c. All functions are pure but for what kctx offers.
 *
 * Objects are normalised trees (see codec): of the right types, without nulls, unknown fields or Go zero values, so a
 * validator checks presence with json_has and never JSON types.
 *
 * The order for a create: defaults, admission, prepare_create, metadata validation, validate, stage.
 * For an update:         defaults, admission, prepare_update, metadata validation, validate, validate_update, stage.
 * For the status:        defaults, prepare_status, validate_status.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "apiserver/ferr.h"
#include "base/arena.h"
#include "base/json.h"
#include "kube/schema.h"
#include "store/store.h"

struct alloc;

/* The cluster's settings that kinds need; constant while the server runs. */
struct kind_config {
        const char *service_cidr[2];              /* primary, secondary or NULL ("10.96.0.0/16") */
        uint16_t node_port_first, node_port_last; /* inclusive */
        bool allow_privileged;
        bool mount_tokens;   /* pods get a token of their service account, because the server issues such */
        struct alloc *alloc; /* addresses and ports in use (alloc/alloc.h) */
};

struct user_info {
        const char *name;
        const char *uid;
        const char *const *groups; /* NULL-terminated */
};

/* Warnings go out as Warning headers; each text once. */
struct warnings {
        struct arena *arena;
        const char **items;
        size_t n, cap;
};

/* Adds a warning (copied). */
void warnings_add(struct warnings *w, const char *fmt, ...) _printf_(2, 3);

enum namespace_state {
        NAMESPACE_MISSING,
        NAMESPACE_ACTIVE,
        NAMESPACE_TERMINATING,
};

/* Reads other objects from the server's cache, as they are now. */
struct kind_reader {
        void *userdata;
        /* The object (owned by the caller) or NULL. namespace is NULL for cluster-scoped ones. */
        struct json_object *(*get)(void *userdata, const char *group, const char *plural, const char *namespace,
                                   const char *name);
        /* The same question for a namespace, without making a tree: asked at every create. */
        enum namespace_state (*namespace_state)(void *userdata, const char *name);
        /* Calls fn for each object of the namespace (NULL: all), until it returns something other than 0, which is then
         * returned. obj is borrowed during the call. */
        int (*each)(void *userdata, const char *group, const char *plural, const char *namespace,
                    int (*fn)(void *arg, struct json_object *obj), void *arg);
};

struct kctx {
        struct arena *arena; /* of the request */
        const struct kind_config *config;
        const struct kind_reader *reader;
        const struct schema_resource *resource;
        const char *subresource; /* NULL, "status", "scale", ... */
        const char *namespace;   /* NULL for cluster-scoped */
        const struct user_info *user;
        struct warnings *warnings;
        int64_t now_us; /* wall clock, microseconds since 1970 */
        bool dry_run;
        unsigned attempt;  /* 0, then counts up when staging lost a race and is asked again */
        void **stage_memo; /* NULL at attempt 0; kept over the attempts of one request: what stage chose (arena) */
};

/* The transaction that a write becomes. Ops are copied; values are referenced. */
struct txn_builder {
        struct arena *arena;
        struct store_op *ops;
        size_t n, cap;
};

void txn_put(struct txn_builder *t, const char *key, const char *data, size_t len, uint64_t expect_rev);
void txn_delete(struct txn_builder *t, const char *key, uint64_t expect_rev);
void txn_check(struct txn_builder *t, const char *key, uint64_t expect_rev);
/* Drops the references to the values. */
void txn_deinit(struct txn_builder *t);

enum kind_flags {
        KIND_GENERATION =
                1 << 0, /* metadata.generation: 1 on create, +1 when anything but metadata and status changes */
        KIND_STATUS_RESET = 1 << 1,     /* a create and a main update leave status as it was (empty, at a create) */
        KIND_CREATE_ON_UPDATE = 1 << 2, /* PUT makes the object when it is not there */
        KIND_NO_UNCONDITIONAL_UPDATE = 1 << 3, /* PUT must carry a resourceVersion */
        KIND_STATUS_KEEPS_META = 1 << 4,       /* a status update leaves labels, annotations, ... as they were */
};

/* A field that fieldSelector may name, besides metadata.name and metadata.namespace. */
struct kind_field {
        const char *label;     /* "spec.nodeName" */
        const char *path;      /* where it is in the stored object ("spec.nodeName") */
        const char *or_path;   /* where it is when path has nothing, or an empty string */
        const char *otherwise; /* the value when absent ("" unless said) */
};

struct kind_ops {
        const char *group;
        const char *plural;
        uint32_t flags;

        /* The message when a name is not allowed, or NULL (names.h). NULL: RFC 1123 subdomain. */
        const char *(*validate_name)(const char *name);
        /* Fills what the user left out, as Kubernetes' SetDefaults_* do. obj is in this request's version. */
        void (*defaults)(const struct kctx *c, struct json_object *obj);
        void (*prepare_create)(const struct kctx *c, struct json_object *obj);
        void (*prepare_update)(const struct kctx *c, struct json_object *obj, const struct json_object *old);
        void (*validate)(const struct kctx *c, const struct json_object *obj, struct ferrs *e);
        /* Only the rules about changes: validate has run on obj. */
        void (*validate_update)(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                struct ferrs *e);
        /* For PUT and PATCH of /status; obj has old's spec already. */
        void (*prepare_status)(const struct kctx *c, struct json_object *obj, const struct json_object *old);
        void (*validate_status)(const struct kctx *c, const struct json_object *obj, const struct json_object *old,
                                struct ferrs *e);
        /* Adds deprecation and oddity warnings; old is NULL at a create. */
        void (*warn)(const struct kctx *c, const struct json_object *obj, const struct json_object *old);
        /*
         * Allocation that must be atomic with the write: may change obj and add ops (with preconditions) to the
         * transaction. Called last, again with a higher c->attempt when one of its preconditions failed; obj is NULL at
         * a delete, old NULL at a create. With c->dry_run it may only change obj. Field errors go to e.
         * obj may still have what an earlier attempt put into it; c->stage_memo tells that from what the user asked
         * for.
         */
        void (*stage)(const struct kctx *c, struct json_object *obj, const struct json_object *old,
                      struct txn_builder *t, struct ferrs *e);

        const struct kind_field *fields; /* ends with a NULL label; NULL: none */
        size_t max_bytes;                /* 0: the general limit (1.5 MiB) */
};

/* All kinds with something special, one table: kinds/registry.c. Never NULL (a kind without C of its own gets defaults
 * by the schema: status reset when it has the subresource, generation when it has spec and status). */
const struct kind_ops *kind_ops_find(const char *group, const char *plural);

/*
 * Conversion between the versions of one stored kind (autoscaling v1 <-> v2, events in both groups): the resource that
 * is stored for r (r itself for nearly all), and obj converted in place between them.
 */
const struct schema_resource *kind_storage(const struct schema_resource *r);
void kind_to_storage(const struct schema_resource *r, struct json_object *obj);
void kind_from_storage(const struct schema_resource *r, struct json_object *obj);
