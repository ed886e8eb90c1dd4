/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apiserver/rest/write.h"

/*
 * Creates obj (taken over; in the request's version, its namespace checked). applied: managedFields are in it already.
 * Returns 0 with the complete JSON in *ret (the caller's reference), or API_ANSWERED (409 when the name is taken, ...).
 */
int create_object(struct api_request *req, struct json_object *obj, bool applied, struct blob **ret);
