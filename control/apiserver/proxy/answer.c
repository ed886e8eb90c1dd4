/* SPDX-License-Identifier: Apache-2.0 */
/* What the client is told. Texts are kube-apiserver's, as far as kubectl shows them. */
#include <stdlib.h>
#include <string.h>

#include "apiserver/proxy/session.h"
#include "apiserver/status.h"
#include "base/str.h"

static void answer(struct session *s, const struct http_response *res)
{
        const struct http_request *http = TAKE_PTR(s->http);

        if (http)
                http_answer(http, res);
}

void session_answer_status(struct session *s, int code, const char *reason, const char *message)
{
        const struct status status = {.code = code, .reason = reason, .message = message};
        _cleanup_json_ struct json_object *o = status_object(&status);
        struct http_response res = {
                .status = code,
                .content_type = "application/json",
                .kind = HTTP_BODY_BUFFER,
        };

        if (!s->http)
                return;
        json_write(&res.buffer, o);
        strbuf_add_char(&res.buffer, '\n');
        answer(s, &res);
}

void session_answer_error(struct session *s, const char *why)
{
        struct arena *a;

        if (!s->http)
                return;
        a = s->http->arena;
        if (s->style == PROXY_LOG)
                session_answer_status(s, 500, "", arena_printf(a, "Get \"%s\": %s", s->url, why));
        else if (s->style == PROXY_STREAM)
                session_answer_status(s, 500, "", arena_printf(a, "error dialing backend: %s", why));
        else
                session_answer_status(s, 503, NULL, arena_printf(a, "error trying to reach service: %s", why));
}

void session_answer_refusal(struct session *s)
{
        const char *text = s->error.len ? s->error.data : "the kubelet gave no reason";

        if (!s->http)
                return;
        if (s->status == 500)
                text = arena_printf(s->http->arena, "Internal error occurred: %s", text);
        session_answer_status(s, s->status < 400 ? 502 : s->status, NULL, text);
}

/* Date is the server's own. */
static size_t copy_headers(struct session *s, const struct proxy_head *h, const struct http_header **ret)
{
        struct http_header *list = arena_array(s->http->arena, struct http_header, h->nheaders + 1);
        size_t n = 0;

        for (size_t i = 0; i < h->nheaders; i++)
                if (strcasecmp(h->headers[i].name, "Date") != 0)
                        list[n++] = h->headers[i];
        *ret = list;
        return n;
}

void session_answer_head(struct session *s, const struct proxy_head *h)
{
        struct http_response res = {.status = h->status};

        if (!s->http)
                return;
        res.nheaders = copy_headers(s, h, &res.headers);
        if (h->status == 101) {
                res.kind = HTTP_BODY_UPGRADE;
                res.upgrade.protocol = h->upgrade;
                if (session_carry_begin(s, &res.upgrade.fd)) {
                        session_answer_error(s, "too many open files");
                        return;
                }
        } else if (!s->to_head && h->status != 204 && h->status != 304) {
                res.kind = HTTP_BODY_SOURCE;
                res.source = &session_ref(s)->source;
        }
        answer(s, &res);
}
