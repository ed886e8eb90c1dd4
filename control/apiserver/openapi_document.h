/* SPDX-License-Identifier: Apache-2.0 */
/* Whole OpenAPI documents as text. */
#pragma once

#include "base/strbuf.h"

/* OpenAPI 3.0 of one group and version, in JSON. */
void openapi_v3_write(const char *group, const char *version, struct strbuf *b);
/* Swagger 2.0 of everything: in JSON, and as gnostic's openapi.v2.Document in protobuf. */
void openapi_v2_write_json(struct strbuf *b);
void openapi_v2_write_protobuf(struct strbuf *b);
