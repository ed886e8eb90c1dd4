/* SPDX-License-Identifier: Apache-2.0 */
/* Reads gnostic's openapi.v2.Document back, as far as our documents use it: the other side of openapi_protobuf.c,
 * written from OpenAPIv2.proto and not from that file. */
#pragma once

#include "base/json.h"

/* {"swagger", "paths": {...}, "definitions": {...}} as the JSON document has them; NULL when the bytes are malformed or
 * have a field that is not known. The caller owns it. */
struct json_object *swagger_read(const char *data, size_t len);
