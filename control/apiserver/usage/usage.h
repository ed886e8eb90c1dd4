/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.k8s.io: what nodes and pods use. Kubelets are asked while somebody asks here: every 15 s, until nobody has
 * for five minutes; a thread with an event loop does it, at most 32 at a time. What a container's processors did needs
 * two looks, so the very first answer takes a second or two.
 */
#pragma once

#include "apiserver/request.h"

struct usage;

/* Starts its thread. 0 or negative errno. */
int usage_new(struct server *s, struct usage **ret, struct err *reterr);
/* Whoever waits is answered with what there is, now and from now on. NULL is fine. */
void usage_drain(struct usage *u);
void usage_free(struct usage *u);
/* get and list of metrics.k8s.io. Returns API_ANSWERED. */
int usage_answer(struct api_request *req);
