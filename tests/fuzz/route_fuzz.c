/* SPDX-License-Identifier: Apache-2.0 */
/* A request line: method, path and query, each on a line of its own. Nothing crashes, and what comes out is text. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/request.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_text(const char *s)
{
        if (s && !utf8_valid(s, strlen(s)))
                abort();
}

static char *next_line(char **at)
{
        char *line = *at, *end = line ? strchr(line, '\n') : NULL;

        if (end)
                *end = '\0';
        *at = end ? end + 1 : NULL;
        return line ? line : (char *)"";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *text = mem_strndup((const char *)data, size);
        char *at = text;
        struct arena arena = ARENA_NULL;
        const char *method = next_line(&at), *path = next_line(&at), *query = next_line(&at);
        struct http_header accept = {"Accept", next_line(&at)};
        struct http_request http = {.method = method, .path = path, .query = query, .headers = &accept, .nheaders = 1};
        struct http_response res = {0};
        struct api_request req = {.arena = &arena, .http = &http, .res = &res, .warnings = {.arena = &arena}};
        int64_t limit;

        api_route(&req);
        must_be_text(req.namespace);
        must_be_text(req.name);
        must_be_text(req.subresource);
        if (!api_query_parse(&req, query)) {
                for (size_t i = 0; i < req.query.n; i++) {
                        must_be_text(req.query.params[i].name);
                        must_be_text(req.query.params[i].value);
                }
                if (!api_options_parse(&req))
                        must_be_text(api_field_manager(&req));
                api_answer_drop(&req);
                api_query_i64(&req, "limit", 0, &limit);
        }
        api_answer_drop(&req);
        arena_deinit(&arena);
        return 0;
}
