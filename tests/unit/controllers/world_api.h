/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the world: the API server, apart because its HTTP and that of the client have the same names. */
#pragma once

#include <stdint.h>

#include "base/json.h"

struct world_api;
struct world_watch;

/* wall_ns: the server's clock. */
struct world_api *world_api_new(int64_t (*wall_ns)(void));
void world_api_free(struct world_api *a);
/* The HTTP status; *ret: the answer's object, owned by the caller. body and type may be NULL. */
int world_api_call(struct world_api *a, const char *method, const char *url, const struct json_object *body,
                   const char *type, struct json_object **ret);
struct world_watch *world_watch_open(struct world_api *a, const char *url);
/* The next event, owned by the caller; NULL: none now. */
struct json_object *world_watch_next(struct world_watch *w);
void world_watch_close(struct world_watch *w);
