/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swagger 2.0 in protobuf, as gnostic's openapiv2/OpenAPIv2.proto defines it: what kubectl up to 1.27 asks for. Written
 * from the JSON trees of paths and definitions; only what our documents use.
 */
#pragma once

#include "base/json.h"

/* Appends one entry of Paths, or of Definitions. */
void openapi_protobuf_path(struct strbuf *b, const char *path, const struct json_object *item);
void openapi_protobuf_definition(struct strbuf *b, const char *name, const struct json_object *schema);
/* The Document's other fields, and the beginnings of the two that len bytes of entries follow. */
void openapi_protobuf_info(struct strbuf *b, const char *title, const char *version);
void openapi_protobuf_begin_paths(struct strbuf *b, size_t len);
void openapi_protobuf_begin_definitions(struct strbuf *b, size_t len);
