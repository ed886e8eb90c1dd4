/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside strategic merge patch: maps (patch_strategic.c) and lists (patch_strategic_list.c) call each other. All
 * functions return 0 or a patch_outcome and change only trees of the patch engine's own.
 */
#pragma once

#include "apiserver/patch/patch.h"

#define DIRECTIVE             "$patch"
#define DIRECTIVE_RETAIN_KEYS "$retainKeys"
#define DIRECTIVE_ORDER       "$setElementOrder/"
#define DIRECTIVE_DELETE_LIST "$deleteFromPrimitiveList/"

/* How a value may be merged; the fields are NULL or false where the schema says nothing. */
struct merge_rule {
        const struct schema_type *type;
        const char *merge_key;
        bool merge; /* lists: element by element, not replaced */
};

/* Merges patch (an object) into *target (an object of ours, or NULL); *target may be replaced. */
int strategic_map(struct json_object **target, const struct json_object *patch, const struct schema_type *type,
                  struct err *reterr);

/* The value that a patch value has where there is nothing to merge it with: without nulls and directives. *ret is NULL
 * when nothing remains ($patch: delete). */
int strategic_clean(const struct json_object *patch, struct json_object **ret, struct err *reterr);

/* Merges the list patch into old (an array of ours, consumed whatever happens); *ret is the new array. */
int strategic_list(struct json_object *old, const struct json_object *patch, const struct merge_rule *rule,
                   struct json_object **ret, struct err *reterr);

/* Removes from old (consumed) the scalars that are in list. */
int strategic_list_delete(struct json_object *old, const struct json_object *list, struct json_object **ret,
                          struct err *reterr);

/* Puts merged (consumed) in order: what the patch names as in order, the others between them as they were in server. */
int strategic_list_arrange(struct json_object *merged, const struct json_object *order,
                           const struct json_object *server, const char *merge_key, struct json_object **ret,
                           struct err *reterr);

/* Refuses a patch list whose items are not in the order that the $setElementOrder list gives. */
int strategic_list_check_order(const struct json_object *patch, const struct json_object *order, const char *merge_key,
                               struct err *reterr);

/* Prints as Go's %v does, cut at a sensible length; the caller frees it. */
char *strategic_print(const struct json_object *o);
/* The name of the Go type that the JSON value decodes to. */
const char *strategic_type_name(const struct json_object *o);
int strategic_bad_type(const char *expected, const struct json_object *got, struct err *reterr);
int strategic_bad_directive(const struct json_object *directive, const struct json_object *map, struct err *reterr);
