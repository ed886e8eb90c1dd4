/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of field paths, as tries: what managedFields stores as FieldsV1. A path element is kept in its FieldsV1 text:
 *
 *      f:name                  a field of a struct, a key of a map
 *      k:{"name":"a"}          the item of a keyed list with these key fields (sorted by name)
 *      v:"a"                   the item of a set with this value
 *      i:0                     an item by position
 *
 * Everything lives in an arena and is immutable once built: operations return new sets that share nodes with their
 * operands. A node is a member (the path itself is in the set), has children, or both; others do not exist. The empty
 * set is NULL, and NULL is taken everywhere.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

struct fieldset {
        struct fieldset *next;  /* sibling; ascending by fieldset_compare */
        struct fieldset *child; /* first */
        const char *key;        /* NULL for the root */
        uint32_t len;
        bool member;
};

/* Children while they are being collected, in any order. */
struct fieldset_list {
        struct fieldset *first, *last;
        bool unsorted;
};

/* The order of path elements: f, k, v, i; then by bytes. */
int fieldset_compare(const char *a, size_t alen, const char *b, size_t blen);

/* Adds a child unless it would be empty; child lists are consumed. key must live as long as the set. */
void fieldset_add(struct arena *a, struct fieldset_list *list, const char *key, size_t len, bool member,
                  struct fieldset_list *children);
/* The children sorted, equal ones joined. */
struct fieldset *fieldset_sorted(struct arena *a, struct fieldset_list *list);
/* A set of these children; NULL when there are none. */
struct fieldset *fieldset_root(struct arena *a, struct fieldset_list *list);

struct fieldset *fieldset_union(struct arena *a, struct fieldset *x, struct fieldset *y);
struct fieldset *fieldset_intersect(struct arena *a, const struct fieldset *x, const struct fieldset *y);
/* x without the paths of y. */
struct fieldset *fieldset_subtract(struct arena *a, struct fieldset *x, const struct fieldset *y);
/* x without the paths of y and everything below them. */
struct fieldset *fieldset_subtract_below(struct arena *a, struct fieldset *x, const struct fieldset *y);
bool fieldset_equal(const struct fieldset *x, const struct fieldset *y);

/* The set of these paths of plain fields ("spec", "metadata.name"); NULL-terminated, may be NULL. */
struct fieldset *fieldset_of_paths(struct arena *a, const char *const *paths);

/*
 * Reads FieldsV1. The set borrows from o unless elements had to be rewritten. trusted: o was written by us; else each
 * element is checked and brought into its canonical text. Returns 0 or -EINVAL.
 */
int fieldset_parse(struct arena *a, const struct json_object *o, bool trusted, struct fieldset **ret);
/* FieldsV1; the caller owns it. Its empty objects are one object, shared: do not change the tree in place. */
struct json_object *fieldset_json(const struct fieldset *set);

/* One path of a set as people read it: .spec.containers[name="a"].image */
typedef void fieldset_path_fn(void *userdata, const char *path);
void fieldset_each_path(const struct fieldset *set, fieldset_path_fn *fn, void *userdata);
