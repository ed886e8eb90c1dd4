/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <string.h>

#include "agent/kubelet/server/impl.h"
#include "agent/kubelet/server/url.h"
#include "base/str.h"

const char *ask_param(struct ask *a, const char *name, size_t i)
{
        return url_param(a->req->query, name, i, a->req->arena);
}

bool ask_flag(struct ask *a, const char *name, const char *other)
{
        const char *v = ask_param(a, name, 0) ?: ask_param(a, other, 0);
        bool on = false;

        return v && !str_parse_bool(v, &on) && on;
}

/* Off the list of those that the end of the server must answer. false: it was answered. */
static bool take(struct ask *a)
{
        bool mine;

        pthread_mutex_lock(&a->s->lock);
        mine = !a->answered;
        a->answered = true;
        if (mine) {
                *(a->prev ? &a->prev->next : &a->s->asks) = a->next;
                if (a->next)
                        a->next->prev = a->prev;
        }
        pthread_mutex_unlock(&a->s->lock);
        return mine;
}

void ask_respond(struct ask *a, const struct http_response *res)
{
        struct strbuf unused = res->kind == HTTP_BODY_BUFFER ? res->buffer : STRBUF_NULL;

        if (take(a))
                http_answer(a->req, res);
        else
                strbuf_deinit(&unused);
}

void ask_answer(struct ask *a, const char *content_type, struct strbuf *body)
{
        struct http_response res = {.status = 200,
                                    .content_type = content_type,
                                    .gzip_ok = true,
                                    .kind = HTTP_BODY_BUFFER,
                                    .buffer = *body};

        *body = STRBUF_NULL;
        ask_respond(a, &res);
}

void ask_fail(struct ask *a, int status, const char *fmt, ...)
{
        struct http_response res = {
                .status = status, .content_type = "text/plain; charset=utf-8", .kind = HTTP_BODY_BUFFER};
        va_list ap;

        va_start(ap, fmt);
        strbuf_vprintf(&res.buffer, fmt, ap);
        va_end(ap);
        strbuf_add_char(&res.buffer, '\n');
        ask_respond(a, &res);
}

bool ask_pod(struct ask *a, struct pod_view *ret)
{
        if (a->nsegments >= 2 && pods_find(a->s->opts.pods, a->segments[0], a->segments[1], ret))
                return true;
        ask_fail(a, 404, "pod does not exist");
        return false;
}
