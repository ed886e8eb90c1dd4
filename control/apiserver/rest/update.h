/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/rest/write.h"

/* Makes the new object (owned by the caller, in the request's version) out of what w has loaded. Returns 0 or
 * API_ANSWERED. Called again after a lost race. */
typedef int (*update_fn)(void *arg, struct write *w, struct json_object **ret);

/* Reads, makes, checks and writes until nobody interferes. Returns 0 (w->result is set) or API_ANSWERED. */
int update_object(struct write *w, update_fn make, void *arg);
