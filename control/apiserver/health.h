/* SPDX-License-Identifier: Apache-2.0 */
/* /healthz, /livez, /readyz with their single checks (?verbose, ?exclude=), and the componentstatuses. */
#pragma once

#include <stdbool.h>

#include "apiserver/request.h"

bool health_handles(const char *path);
/* Both return API_ANSWERED. */
int health_answer(struct api_request *req);
int health_component_statuses(struct api_request *req);
