/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: from the client certificate, CN is the user and each O a group (Kubernetes: X.509 client certificates); or
 * else from a service account's token. */
#pragma once

#include "apiserver/request.h"

/* Fills req->user. Without a certificate it is system:anonymous in system:unauthenticated. Returns 0 or API_ANSWERED
 * (401: a certificate or a token that is not accepted). */
int authenticate(struct api_request *req);
/* Takes on the user and groups that Impersonate-User and Impersonate-Group name, where the user may: req->user is then
 * that one. Returns 0 or API_ANSWERED (403). */
int impersonate(struct api_request *req);
bool user_in_group(const struct user_info *u, const char *group);
