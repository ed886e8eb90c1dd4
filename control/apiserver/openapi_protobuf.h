/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swagger 2.0 in protobuf, as gnostic's openapiv2/OpenAPIv2.proto defines it: what kubectl up to 1.27 asks for. Written
 * from the JSON trees of paths and definitions; only what our documents use.
 */
#pragma once

#include "base/json.h"

/* Appends one entry of Paths, or of Definitions, to the buffer that arg points to. */
void openapi_protobuf_path(void *arg, const char *path, const struct json_object *item);
void openapi_protobuf_definition(void *arg, const char *name, const struct json_object *schema);
/* Appends the Document with the entries that the two functions wrote. */
void openapi_protobuf_document(struct strbuf *b, const char *title, const char *version, const struct strbuf *paths,
                               const struct strbuf *definitions);
