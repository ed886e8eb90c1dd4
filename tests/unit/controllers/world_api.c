/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "unit/apiserver/apifix.h"
#include "unit/controllers/world_api.h"

struct world_api {
        struct apifix fix;
};

struct world_watch {
        struct apifix_watch watch;
};

struct world_api *world_api_new(int64_t (*wall_ns)(void))
{
        struct world_api *a = mem_new(struct world_api);

        apifix_open(&a->fix);
        a->fix.server.wall_ns = wall_ns;
        return a;
}

void world_api_free(struct world_api *a)
{
        apifix_close(&a->fix);
        free(a);
}

int world_api_call(struct world_api *a, const char *method, const char *url, const struct json_object *body,
                   const char *type, struct json_object **ret)
{
        _cleanup_free_ char *text = body ? json_text(body) : NULL;
        struct api_reply reply =
                apifix_call(&a->fix, &(struct api_call){.method = method, .url = url, .body = text, .type = type});
        int status = reply.status;

        *ret = json_object_get(reply.body);
        apifix_reply_deinit(&reply);
        return status;
}

struct world_watch *world_watch_open(struct world_api *a, const char *url)
{
        struct world_watch *w = mem_new(struct world_watch);

        assert_int_equal(apifix_watch_open(&a->fix, &w->watch, url, NULL), 200);
        return w;
}

struct json_object *world_watch_next(struct world_watch *w)
{
        return apifix_watch_next(&w->watch);
}

void world_watch_close(struct world_watch *w)
{
        apifix_watch_close(&w->watch);
        free(w);
}
