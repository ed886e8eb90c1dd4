/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes API as tables: every struct with its fields, every resource with its verbs. Generated at build time
 * from userspace/kube/schema/ (see tools/dev/schemagen). All of it is constant data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_kind {
        SCHEMA_STRING,
        SCHEMA_INT32,
        SCHEMA_INT64,
        SCHEMA_NUMBER, /* double */
        SCHEMA_BOOL,
        SCHEMA_BYTES,     /* base64 in JSON */
        SCHEMA_TIME,      /* RFC 3339, seconds */
        SCHEMA_MICROTIME, /* RFC 3339, microseconds */
        SCHEMA_QUANTITY,  /* string or number in, canonical string out */
        SCHEMA_INT_OR_STRING,
        SCHEMA_RAW, /* any JSON (RawExtension, FieldsV1, JSON): kept as it is */
        SCHEMA_OBJECT,
        SCHEMA_ARRAY,
        SCHEMA_MAP, /* string keys */
};

/* What server-side apply and strategic merge know of a list. */
enum schema_list {
        SCHEMA_LIST_ATOMIC,
        SCHEMA_LIST_SET,
        SCHEMA_LIST_MAP, /* keyed by `keys` */
};

struct schema_struct;

struct schema_type {
        enum schema_kind kind;
        const struct schema_struct *object; /* SCHEMA_OBJECT */
        const struct schema_type *elem;     /* SCHEMA_ARRAY, SCHEMA_MAP */
        enum schema_list list;              /* SCHEMA_ARRAY: listType */
        const char *const *keys;            /* SCHEMA_LIST_MAP: listMapKeys, NULL-terminated */
        const char *merge_key;              /* SCHEMA_ARRAY: patchMergeKey or NULL */
        bool merge;                         /* patchStrategy has "merge" */
        bool retain_keys;                   /* patchStrategy has "retainKeys" */
        bool atomic; /* SCHEMA_OBJECT, SCHEMA_MAP: mapType atomic (of the field or of the struct) */
};

enum schema_field_flags {
        SCHEMA_REQUIRED = 1 << 0, /* in OpenAPI's "required" (for validation and documents; see SCHEMA_WRITTEN) */
        SCHEMA_POINTER =
                1 << 1, /* a pointer in Go: an explicit zero value is kept; a struct is absent when not given */
        /* By value in Go, of a type that has no empty form there: written even when empty. A struct (status, resources,
         * strategy) as {}, a Time as null, a Quantity or IntOrString as its zero. */
        SCHEMA_ALWAYS = 1 << 2,
        SCHEMA_WRITTEN = 1 << 3, /* no omitempty in Go: written even when zero (a nil pointer, list or map as null) */
};

struct schema_field {
        const char *name;
        struct schema_type type;
        uint16_t flags;
};

struct schema_struct {
        const char *name;                  /* "io.k8s.api.core.v1.Pod" */
        const struct schema_field *fields; /* sorted by name */
        uint16_t nfields;
};

enum schema_verb {
        VERB_GET = 1 << 0,
        VERB_LIST = 1 << 1,
        VERB_WATCH = 1 << 2,
        VERB_CREATE = 1 << 3,
        VERB_UPDATE = 1 << 4,
        VERB_PATCH = 1 << 5,
        VERB_DELETE = 1 << 6,
        VERB_DELETECOLLECTION = 1 << 7,
        VERB_CONNECT = 1 << 8,
};

struct schema_subresource {
        const char *name;                   /* "status" */
        const char *group, *version, *kind; /* of what it takes and returns */
        uint16_t verbs;
        const struct schema_struct *type; /* NULL when there is no struct for it (options of connect) */
};

struct schema_resource {
        const char *group, *version, *plural, *singular, *kind;
        bool namespaced;
        uint16_t verbs;
        const char *const *short_names; /* NULL-terminated */
        const char *const *categories;  /* NULL-terminated */
        const struct schema_subresource *subresources;
        uint16_t nsubresources;
        const struct schema_struct *type;
};

extern const struct schema_struct schema_structs[];
extern const size_t schema_nstructs;
extern const struct schema_resource schema_resources[]; /* in the order of discovery */
extern const size_t schema_nresources;

/* NULL when there is none. */
const struct schema_struct *schema_struct_find(const char *name);
const struct schema_field *schema_field_find(const struct schema_struct *s, const char *name);
const struct schema_resource *schema_resource_find(const char *group, const char *version, const char *plural);
const struct schema_resource *schema_resource_by_kind(const char *group, const char *version, const char *kind);
const struct schema_subresource *schema_subresource_find(const struct schema_resource *r, const char *name);
/* The object struct of a top-level kind ("", "v1", "Pod"), lists and options included; NULL when unknown. */
const struct schema_struct *schema_kind_find(const char *group, const char *version, const char *kind);
