/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery: which groups, versions, resources and verbs there are; aggregated (v2, v2beta1) and legacy. */
#pragma once

#include "apiserver/request.h"

/* Answers /, /api, /apis, /api/v1, /apis/G, /apis/G/V and /version; 404 for every other path. Returns API_ANSWERED. */
int discovery_answer(struct api_request *req);
