/* SPDX-License-Identifier: Apache-2.0 */
/* Whole OpenAPI documents, written into a packer. */
#pragma once

#include "apiserver/openapi_pack.h"

/* OpenAPI 3.0 of one group and version, in JSON. */
void openapi_v3_write(const char *group, const char *version, struct packer *p);
/* Swagger 2.0 of everything: in JSON, and as gnostic's openapi.v2.Document in protobuf. */
void openapi_v2_write_json(struct packer *p);
void openapi_v2_write_protobuf(struct packer *p);
