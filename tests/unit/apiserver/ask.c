/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ask.h"

void ask_init(struct ask *a, const char *path, const struct http_header *headers)
{
        size_t n = strcspn(path, "?");

        *a = (struct ask){.arena = ARENA_NULL};
        for (; headers->name; headers++)
                if (headers->value)
                        a->headers[a->http.nheaders++] = *headers;
        a->http.method = "GET";
        a->http.path = arena_strndup(&a->arena, path, n);
        a->http.query = path[n] ? path + n + 1 : "";
        a->http.headers = a->headers;
        a->http.arena = &a->arena;
        a->req = (struct api_request){.arena = &a->arena, .http = &a->http, .res = &a->res, .verb = "get"};
        a->req.warnings.arena = &a->arena;
        assert_int_equal(api_query_parse(&a->req, a->http.query), 0);
}

void ask_done(struct ask *a)
{
        api_answer_drop(&a->req);
        arena_deinit(&a->arena);
}

const char *ask_header(const struct ask *a, const char *name)
{
        for (size_t i = 0; i < a->res.nheaders; i++)
                if (strcmp(a->res.headers[i].name, name) == 0)
                        return a->res.headers[i].value;
        return NULL;
}
