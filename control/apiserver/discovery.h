/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery: which groups, versions, resources and verbs there are; aggregated (v2, v2beta1) and legacy. */
#pragma once

#include "apiserver/discovery_build.h"
#include "apiserver/request.h"

/* Answers /, /api, /apis, /api/v1, /apis/G, /apis/G/V and /version; 404 for every other path. Returns API_ANSWERED. */
int discovery_answer(struct api_request *req);
/* The first form in that Accept header (may be NULL) that we have; the legacy one when it names none. Clients before
 * 1.30 break when handed v2, so it goes only to those that list it. */
enum discovery_form discovery_form_of(const char *accept);
