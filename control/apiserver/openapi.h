/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAPI documents made from the schema tables: v3 in JSON, per group version; v2 in JSON and in protobuf. */
#pragma once

#include <stdbool.h>

#include "apiserver/request.h"

/* /openapi/v2, /openapi/v3, /openapi/v3/... */
bool openapi_handles(const char *path);
/* Returns API_ANSWERED. */
int openapi_answer(struct api_request *req);
