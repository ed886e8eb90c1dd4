/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/status.h"
#include "base/log.h"
#include "store/store.h"

const char *status_reason(int code)
{
        static const struct {
                int code;
                const char *reason;
        } reasons[] = {
                {400, "BadRequest"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "NotFound"},
                {405, "MethodNotAllowed"},
                {406, "NotAcceptable"},
                {409, "Conflict"},
                {410, "Gone"},
                {413, "RequestEntityTooLarge"},
                {415, "UnsupportedMediaType"},
                {422, "Invalid"},
                {429, "TooManyRequests"},
                {500, "InternalError"},
                {503, "ServiceUnavailable"},
                {504, "Timeout"},
                {507, "InsufficientStorage"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
                if (reasons[i].code == code)
                        return reasons[i].reason;
        return "";
}

static struct json_object *causes_array(const struct status *s)
{
        struct json_object *arr = json_object_new_array();

        for (size_t i = 0; i < s->ncauses; i++) {
                struct json_object *c = json_object_new_object();

                if (s->causes[i].reason)
                        json_set_str(c, "reason", s->causes[i].reason);
                if (s->causes[i].message)
                        json_set_str(c, "message", s->causes[i].message);
                if (s->causes[i].field)
                        json_set_str(c, "field", s->causes[i].field);
                json_object_array_add(arr, c);
        }
        return arr;
}

struct json_object *status_object(const struct status *s)
{
        struct json_object *o = json_object_new_object(), *d = json_object_new_object();
        const char *reason = s->reason ? s->reason : status_reason(s->code);

        json_set_str(o, "kind", "Status");
        json_set_str(o, "apiVersion", "v1");
        json_set(o, "metadata", json_object_new_object());
        if (s->continue_token)
                json_set_str(json_get(o, "metadata"), "continue", s->continue_token);
        json_set_str(o, "status", s->code < 400 ? "Success" : "Failure");
        if (s->message)
                json_set_str(o, "message", s->message);
        if (*reason)
                json_set_str(o, "reason", reason);
        if (s->name)
                json_set_str(d, "name", s->name);
        if (s->group && *s->group)
                json_set_str(d, "group", s->group);
        if (s->kind)
                json_set_str(d, "kind", s->kind);
        if (s->uid)
                json_set_str(d, "uid", s->uid);
        if (s->ncauses)
                json_set(d, "causes", causes_array(s));
        if (s->retry_after_seconds)
                json_set_i64(d, "retryAfterSeconds", s->retry_after_seconds);
        if (json_object_object_length(d))
                json_set(o, "details", d);
        else
                json_object_put(d);
        if (s->code != 200) /* that of a delete, which Kubernetes answers without */
                json_set_i64(o, "code", s->code);
        return o;
}

int api_fail_status(struct api_request *req, const struct status *s)
{
        _cleanup_json_ struct json_object *o = status_object(s);

        if (s->retry_after_seconds)
                api_header(req, "Retry-After", arena_printf(req->arena, "%d", s->retry_after_seconds));
        return api_answer_tree(req, s->code, o);
}

#define MESSAGE(req, fmt)                                                                                              \
        ({                                                                                                             \
                va_list ap;                                                                                            \
                char *_m;                                                                                              \
                va_start(ap, fmt);                                                                                     \
                _m = arena_vprintf((req)->arena, fmt, ap);                                                             \
                va_end(ap);                                                                                            \
                _m;                                                                                                    \
        })

int api_fail(struct api_request *req, int code, const char *fmt, ...)
{
        struct status s = {.code = code, .message = MESSAGE(req, fmt)};

        return api_fail_status(req, &s);
}

/* "deployments.apps", "pods" */
static const char *qualified(struct api_request *req)
{
        return req->group && *req->group ? arena_printf(req->arena, "%s.%s", req->plural, req->group) : req->plural;
}

int api_fail_not_found(struct api_request *req)
{
        struct status s = {
                .code = 404,
                .message = arena_printf(req->arena, "%s \"%s\" not found", qualified(req), req->name),
                .name = req->name,
                .group = req->group,
                .kind = req->plural,
        };

        return api_fail_status(req, &s);
}

int api_fail_no_resource(struct api_request *req)
{
        return api_fail(req, 404, "the server could not find the requested resource");
}

int api_fail_method(struct api_request *req)
{
        return api_fail(req, 405, "the server does not allow this method on the requested resource");
}

static int fail_exists(struct api_request *req, const char *name, const char *before, const char *after)
{
        struct status s = {
                .code = 409,
                .reason = "AlreadyExists",
                .message =
                        arena_printf(req->arena, "%s%s \"%s\" already exists%s", before, qualified(req), name, after),
                .name = name,
                .group = req->group,
                .kind = req->plural,
        };

        return api_fail_status(req, &s);
}

int api_fail_exists(struct api_request *req, const char *name, const char *more)
{
        return fail_exists(req, name, "", more);
}

int api_fail_exists_deleting(struct api_request *req, const char *name)
{
        return fail_exists(req, name, "object is being deleted: ", "");
}

int api_fail_conflict(struct api_request *req, const char *fmt, ...)
{
        struct status s = {
                .code = 409,
                .message = arena_printf(req->arena, "Operation cannot be fulfilled on %s \"%s\": %s", qualified(req),
                                        req->name, MESSAGE(req, fmt)),
                .name = req->name,
                .group = req->group,
                .kind = req->plural,
        };

        return api_fail_status(req, &s);
}

int api_fail_forbidden(struct api_request *req, const char *name, const char *fmt, ...)
{
        const char *why = MESSAGE(req, fmt);
        struct status s = {
                .code = 403,
                .message = name ? arena_printf(req->arena, "%s \"%s\" is forbidden: %s", qualified(req), name, why)
                                : arena_printf(req->arena, "%s is forbidden: %s", qualified(req), why),
                .name = name,
                .group = req->group,
                .kind = req->plural,
        };

        return api_fail_status(req, &s);
}

int api_fail_invalid(struct api_request *req, const char *name, const struct ferrs *errs)
{
        const char *kind = req->sub && strcmp(req->sub->kind, req->resource->kind) != 0 && req->sub->type
                                   ? req->sub->kind
                                   : req->resource->kind;
        const char *group = req->group;
        struct status_cause *causes = arena_array(req->arena, struct status_cause, errs->n + 1);
        struct status s = {
                .code = 422, .name = name, .group = group, .kind = kind, .causes = causes, .ncauses = errs->n};

        for (size_t i = 0; i < errs->n; i++)
                causes[i] = (struct status_cause){ferr_reason(errs->items[i].type), errs->items[i].body,
                                                  errs->items[i].field};
        s.message = arena_printf(req->arena, "%s%s%s \"%s\" is invalid: %s", kind, *group ? "." : "", group,
                                 name ? name : "", ferrs_message(errs));
        return api_fail_status(req, &s);
}

int api_fail_gone(struct api_request *req, const char *fmt, ...)
{
        struct status s = {.code = 410, .reason = "Expired", .message = MESSAGE(req, fmt)};

        return api_fail_status(req, &s);
}

int api_fail_store(struct api_request *req, int r, const struct err *err)
{
        if (r == STORE_FULL)
                return api_fail(req, 507, "the store has no space left: writes are refused until there is (%s)",
                                *err->msg ? err->msg : "disk full");
        log_limited(LOG_LEVEL_ERROR, 1000, "the store failed", "path=%s code=%d error=%s", req->http->path, r,
                    err->msg);
        return api_fail(req, 500, "the store failed: %s", err->msg);
}
