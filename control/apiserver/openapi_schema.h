/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas of OpenAPI documents, one tree for each struct of the API tables. */
#pragma once

#include "base/json.h"
#include "kube/schema.h"

enum openapi_dialect {
        OPENAPI_V2, /* Swagger 2.0 */
        OPENAPI_V3, /* OpenAPI 3.0 */
};

/* The schemas that one document has: structs by their index, and what is no struct (Time, Quantity, ...). */
struct openapi_set {
        bool *structs; /* schema_nstructs of them */
        uint32_t specials;
};

void openapi_set_init(struct openapi_set *s);
void openapi_set_deinit(struct openapi_set *s);
/* Adds that struct (NULL: nothing) and all that its fields lead to. */
void openapi_set_add(struct openapi_set *s, const struct schema_struct *type);
/* Adds the schema of PATCH bodies. */
void openapi_set_add_patch(struct openapi_set *s);

/* Calls fn with each schema of the set (borrowed), in the order of their names within structs and specials. */
typedef void (*openapi_emit_fn)(void *arg, const char *name, const struct json_object *schema);
void openapi_set_each(const struct openapi_set *s, enum openapi_dialect d, openapi_emit_fn fn, void *arg);

/* {"$ref": ...} of that struct, or of PATCH bodies. */
struct json_object *openapi_ref(enum openapi_dialect d, const struct schema_struct *type);
struct json_object *openapi_ref_patch(enum openapi_dialect d);
/* The struct of the lists of that kind, or NULL. */
const struct schema_struct *openapi_list_type(const struct schema_resource *r);
/* {"group", "version", "kind"} */
struct json_object *openapi_gvk(const char *group, const char *version, const char *kind);
