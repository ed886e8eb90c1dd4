/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as server-side apply sees them: values of the schema's types, in which structs, maps, sets and keyed lists
 * have parts of their own and everything else is one leaf. Inside the patch engines only.
 */
#pragma once

#include "apiserver/patch/fieldset.h"
#include "kube/schema.h"

enum typed_shape {
        TYPED_LEAF,   /* scalars, atomic lists, maps and structs, raw JSON */
        TYPED_FIELDS, /* structs and maps: members one by one */
        TYPED_ITEMS,  /* sets and keyed lists: items one by one */
};

/* t may be NULL (unknown fields): a leaf. */
enum typed_shape typed_shape(const struct schema_type *t);
/* The type of a member of a struct or map; *ret_field is NULL for maps. NULL when it is not in the schema. */
const struct schema_type *typed_member(const struct schema_type *t, const char *name,
                                       const struct schema_field **ret_field);

struct typed_item {
        const char *key; /* path element */
        size_t len;
        size_t at; /* position in the list */
        struct json_object *val;
};

/*
 * The items of a set or keyed list, sorted by key, then position. Key fields that are absent have their defaults.
 * Returns 0, or -EINVAL (reterr says which item) when an item has no key.
 */
int typed_items(struct arena *a, const struct schema_type *t, const struct json_object *list,
                struct typed_item **ret_items, size_t *ret_n, struct err *reterr);

struct typed_diff {
        struct fieldset *written; /* added or changed */
        struct fieldset *removed;
};

/* What changed from old (NULL: the kind's empty object) to new. Parts that cannot be keyed count as leaves. */
struct typed_diff typed_compare(struct arena *a, const struct schema_struct *type, const struct json_object *old,
                                const struct json_object *new);

/* All fields that a configuration gives. Returns 0, or -EINVAL where it does not fit the schema, with the path. */
int typed_fieldset(struct arena *a, const struct schema_struct *type, const struct json_object *o,
                   struct fieldset **ret, struct err *reterr);

/* A new tree: live with everything that config gives put in. config has passed typed_fieldset. */
struct json_object *typed_merge(struct arena *a, const struct schema_struct *type, const struct json_object *live,
                                const struct json_object *config);

/* Removes from o what is in `had` and not in `keep`. */
void typed_prune(struct arena *a, const struct schema_struct *type, struct json_object *o, const struct fieldset *had,
                 const struct fieldset *keep);
