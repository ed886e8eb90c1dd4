/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of requests, and /metrics in Prometheus' text format with Kubernetes' names. */
#pragma once

#include "apiserver/request.h"

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/* Counts a finished request. From any thread. */
void metrics_request(struct metrics *m, const struct http_request *req, int status, uint64_t bytes,
                     uint64_t duration_ns);
/* Returns API_ANSWERED. */
int metrics_answer(struct api_request *req);
